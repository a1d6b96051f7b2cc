"""`buoy runs`, `buoy show`, `buoy stop`, `buoy rm` and `buoy restore`."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from buoy.settings import resolve
from buoy.tracking.messages import shown

_ROWS_MAX = 20


def _parent() -> Path:
    return Path(resolve(warn=lambda text: click.echo(text, err=True)).dir).expanduser()


@click.command()
@click.argument("path", required=False)
@click.option(
    "--local", is_flag=True, help="List the run folders of this machine instead of asking the server."
)
@click.option("--deleted", is_flag=True, help="List the deleted runs that can be restored.")
@click.option("-n", "--limit", default=50, show_default=True, help="At most so many, the newest first.")
def runs(path: str | None, local: bool, deleted: bool, limit: int) -> None:
    """List runs: of the project PATH (entity/project or project), else of all projects."""
    if local and deleted:
        raise click.UsageError("run folders of this machine are deleted by hand: give --local or --deleted")
    table = Table("run", "name", "state", "created", "tags", box=None, pad_edge=False)
    for row in _local_runs(limit) if local else _server_runs(path, limit, deleted=deleted):
        table.add_row(*row)
    _console().print(table)


def _console() -> Console:
    # Piped output is for programs: it must not be broken into lines of 80 characters.
    return Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False)


def _server_runs(path: str | None, limit: int, *, deleted: bool) -> Iterable[tuple[str, ...]]:
    from buoy.api import Api  # noqa: PLC0415  only here

    api = Api()
    paths = [path] if path else [project.path for project in api.projects()]
    if deleted:
        for run in [run for project in paths for run in api.deleted_runs(project)][:limit]:
            yield "/".join(run.path), run.name, run.state, run.created_at, ""
        return
    found = [
        run for project in paths for run in api.runs(project, order="-created_at", per_page=limit)[:limit]
    ]
    for run in sorted(found, key=lambda run: run.created_at, reverse=True)[:limit]:
        yield "/".join(run.path), run.name, run.state, run.created_at, ", ".join(run.tags)


def _local_runs(limit: int) -> Iterable[tuple[str, ...]]:
    from buoy.local import LocalRun, run_folders  # noqa: PLC0415  loads protobuf

    for folder in reversed(run_folders(_parent())[-limit:]):
        run = LocalRun(folder)
        info = run.info
        created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(folder.stat().st_ctime))
        names = f"{info.entity or 'local'}/{info.project}/{info.run_id}"
        yield names, info.name, run.state, created, ", ".join(info.tags)


@click.command()
@click.argument("path_or_folder")
@click.option(
    "--format", "style", type=click.Choice(["table", "jsonl", "csv"]), default="table", show_default=True
)
@click.option("--rank", type=int, help="Of which rank; the lowest by default. Only for folders.")
def show(path_or_folder: str, style: str, rank: int | None) -> None:
    """Show one run: a folder, the id of a run in BUOY_DIR (both without any server), or entity/project/id.

    jsonl and csv give every row of the history.
    """
    from buoy.local import LocalRun, find_folder  # noqa: PLC0415  loads protobuf

    folder = find_folder(path_or_folder, _parent())
    if folder is not None:
        run = LocalRun(folder)
        for trouble in run.trouble:
            click.echo(f"buoy: {trouble}", err=True)
        heading = _local_heading(run)
        rows = list(run.rows(rank))
        config, summary = run.config, run.summary
    else:
        heading, rows, config, summary = _server_run(path_or_folder)
    if style == "table":
        _show_table(heading, config, summary, rows)
    elif style == "jsonl":
        for row in rows:
            click.echo(json.dumps(row))
    else:
        _show_csv(rows)


@click.command()
@click.argument("run")
def stop(run: str) -> None:
    """Ask RUN (entity/project/id, project/id or id) to stop, wherever it runs, as Ctrl-C would.

    A later resume of the run is not stopped. Exit code 1 if the run has ended already.
    """
    from buoy.api import Api  # noqa: PLC0415  only here

    found = Api().run(run)
    found.request_stop("cli")
    click.echo(f"stop requested for run {found.name} ({'/'.join(found.path)}); {found.url} shows how it ends")


@click.command()
@click.argument("run", nargs=-1, required=True)
def rm(run: tuple[str, ...]) -> None:
    """Delete each RUN (entity/project/id, project/id or id) on the server; `buoy restore` brings it back.

    It is hidden at once; its data is removed a week later, unless the server was told otherwise. Folders stay.
    """
    from buoy.api import Api  # noqa: PLC0415  only here

    api = Api()
    for path in run:
        found = api.run(path)
        found.delete()
        names = "/".join(found.path)
        click.echo(f"run {found.name} ({names}) is deleted; buoy restore {names} brings it back")


@click.command()
@click.argument("run", nargs=-1, required=True)
def restore(run: tuple[str, ...]) -> None:
    """Bring each deleted RUN (entity/project/id or project/id) back; `buoy runs --deleted` lists them."""
    from buoy.api import Api  # noqa: PLC0415  only here

    api = Api()
    for path in run:
        found = api.restore(path)
        click.echo(f"run {found.name} ({'/'.join(found.path)}) is back: {found.url}")


def _local_heading(run: Any) -> dict[str, object]:
    info = run.info
    return {
        "run": f"{info.entity or 'local'}/{info.project}/{info.run_id}",
        "name": info.name,
        "state": run.state,
        "tags": ", ".join(info.tags),
        "notes": info.notes,
        "folder": run.folder,
    }


def _server_run(path: str) -> tuple[dict[str, object], list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    from buoy.api import Api  # noqa: PLC0415  only here

    run = Api().run(path)
    heading: dict[str, object] = {
        "run": "/".join(run.path), "name": run.name, "state": run.state, "tags": ", ".join(run.tags),
        "notes": run.notes, "page": run.url,
    }  # fmt: skip
    return heading, list(run.scan_history()), run.config, dict(run.summary)


def _show_table(
    heading: Mapping[str, object],
    config: Mapping[str, object],
    summary: Mapping[str, object],
    rows: list[dict[str, Any]],
) -> None:
    console = _console()
    for title, values in (("", heading), ("config", config), ("summary", summary)):
        lines = Table(box=None, pad_edge=False, show_header=False, title=title, title_justify="left")
        for key, value in values.items():
            if value not in {"", None} if isinstance(value, (str, type(None))) else True:
                lines.add_row(str(key), shown(value))
        if lines.row_count:
            console.print(lines)
    columns = _columns(rows)
    history = Table(
        *columns, box=None, pad_edge=False, title=f"history: {len(rows):,} rows", title_justify="left"
    )
    for row in rows[-_ROWS_MAX:]:
        history.add_row(*(_cell(key, row[key]) if key in row else "" for key in columns))
    console.print(history)


def _cell(key: str, value: object) -> str:
    if key == "_timestamp" and isinstance(value, float):
        return time.strftime("%H:%M:%S", time.localtime(value))
    return shown(value)


def _columns(rows: Iterable[Mapping[str, object]]) -> list[str]:
    found = {key for row in rows for key in row}
    own = [key for key in ("_step", "_timestamp", "_runtime", "_rank") if key in found]
    return own + sorted(found - set(own))


def _show_csv(rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, _columns(rows), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: json.dumps(value) if isinstance(value, (list, dict)) else value
                for key, value in row.items()
            }
        )
