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
from rich.cells import cell_len
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
@click.option(
    "--filter", "line", help="Only runs that it holds for: 'state:running lr<1e-3' (docs/filters.md)."
)
@click.option(
    "--sort", default="-created_at", show_default=True, help="Keys after + or -, as -min(val/loss),+name."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run and line, for programs.")
@click.option("--deleted", is_flag=True, help="List the deleted runs that can be restored.")
@click.option("-n", "--limit", default=50, show_default=True, help="At most so many, the newest first.")
def runs(  # noqa: PLR0917  click gives them by name
    path: str | None, local: bool, line: str | None, sort: str, as_json: bool, deleted: bool, limit: int
) -> None:
    """List runs: of the project PATH (entity/project or project), else of all projects."""
    if local and deleted:
        raise click.UsageError("run folders of this machine are deleted by hand: give --local or --deleted")
    if line is not None and (local or deleted):
        raise click.UsageError(
            "--filter asks the server for runs that are there: give it without --local, --deleted"
        )
    found = (
        _local_runs(limit)
        if local
        else _deleted_runs(path, limit)
        if deleted
        else _found(path, line, sort, limit)
    )
    if as_json:
        for row in found:
            click.echo(json.dumps(row))
        return
    table = Table("run", "name", "state", "created", "tags", box=None, pad_edge=False)
    for row in found:
        table.add_row(row["run"], row["name"], row["state"], row["created_at"], ", ".join(row["tags"]))
    _console().print(table)


def _console() -> Console:
    # Piped output is for programs: it must not be broken into lines of 80 characters.
    return Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False)


def _found(path: str | None, line: str | None, sort: str, limit: int) -> Iterable[dict[str, Any]]:
    from buoy.api import Api  # noqa: PLC0415  only here
    from buoy.errors import CommError  # noqa: PLC0415  only here

    api = Api()
    paths = [path] if path else [project.path for project in api.projects()]
    found = []
    for place, each in enumerate(paths, 1):
        try:
            found += api.runs(each, line, order=sort, per_page=min(limit, 1000))[:limit]
        except CommError as error:
            if line is None or "column" not in error.details:
                raise
            # What one project's runs do not have another's may; the last one says it if nobody has.
            if error.code != "unknown_key" or (place == len(paths) and not found):
                raise click.ClickException(_pointed(line, error)) from None
    if len(paths) > 1 and sort.strip("+-") == "created_at":
        found.sort(key=lambda run: run.created_at, reverse=sort.startswith("-"))
    return [_row(run) for run in found[:limit]]


def _deleted_runs(path: str | None, limit: int) -> Iterable[dict[str, Any]]:
    from buoy.api import Api  # noqa: PLC0415  only here

    api = Api()
    paths = [path] if path else [project.path for project in api.projects()]
    return [_row(run) for run in [run for project in paths for run in api.deleted_runs(project)][:limit]]


def _row(run: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"run": "/".join(run.path), "id": run.id, "name": run.name, "state": run.state}
    return found | {
        "created_at": run.created_at,
        "tags": run.listed("tags", []),
        "group": run.listed("group", ""),
    }


def _pointed(line: str, error: Any) -> str:
    """What is wrong with a filter, under the place where it is. Wide characters take two columns of a terminal."""
    begin = int(error.details["column"]) - 1
    before, meant = cell_len(line[:begin]), cell_len(line[begin : begin + int(error.details["length"])])
    reason = str(error.details.get("detail", error)).partition(": ")[2]
    return f"{reason}\n{line}\n{' ' * before}{'^' * max(1, meant)}"


def _local_runs(limit: int) -> Iterable[dict[str, Any]]:
    from buoy.local import LocalRun, run_folders  # noqa: PLC0415  loads protobuf

    for folder in reversed(run_folders(_parent())[-limit:]):
        run = LocalRun(folder)
        info = run.info
        created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(folder.stat().st_ctime))
        names = f"{info.entity or 'local'}/{info.project}/{info.run_id}"
        yield {
            "run": names, "id": info.run_id, "name": info.name, "state": run.state, "created_at": created,
            "tags": list(info.tags), "group": info.group,
        }  # fmt: skip


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
