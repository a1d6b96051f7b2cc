"""`buoy clean`: removes local copies of runs, and shows first what and why."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import click
from buoy_proto import v1

from buoy.cli.folders import echo_table, run_path, size_text
from buoy.cli.place import state_folder
from buoy.daemon_link import DaemonLink, Starter, connect
from buoy.tracking.messages import duration

_START_TIMEOUT_S = 30.0
_TIMEOUT_S = 600.0


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--all-synced", is_flag=True, help="Everything that its server has, however new.")
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="What its server has and is as old."
)
@click.option(
    "--include-unsynced",
    "unsynced",
    multiple=True,
    metavar="RUN",
    help="Also this run (id, entity/project/id or folder) that is only here. Repeat it for each.",
)
@click.option("--dry-run", is_flag=True, help="Only show.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(
    paths: tuple[Path, ...],
    *,
    all_synced: bool,
    older_than: float | None,
    unsynced: tuple[str, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove local copies of runs that this machine has recorded, in PATHS or anywhere.

    By default those that housekeeping would remove by itself: uploaded, and older or larger together than
    BUOY_KEEP_DAYS and BUOY_KEEP_GB allow. The server is asked again before anything goes. A run that goes on is never
    removed, and one that is not on its server only if --include-unsynced names it. Files in a run's folder that are
    not buoy's stay.

    Exit code 1 if something that was to go is still there.
    """
    state = state_folder()
    with connect(state, _START_TIMEOUT_S, Starter(state)) as link:
        found = [each for each in _survey(link) if _is_below(each, paths)]
        named = _named(found, unsynced)
        synced = [each for each in found if _is_synced(each) and _is_wanted(each, all_synced, older_than)]
        chosen = [*synced, *named]
        _show(found, chosen)
        if not chosen or dry_run:
            return
        if not yes and synced and not click.confirm(f"remove {_amount(synced)}?"):
            synced = []
        if not yes:
            named = [each for each in named if click.confirm(_last_copy(each))]
        left = [*_remove(link, synced, unsynced=False), *_remove(link, named, unsynced=True)]
    if left:
        raise click.exceptions.Exit(1)


def _survey(link: DaemonLink) -> list[v1.FolderStatus]:
    request = v1.SurveyRequest(recorded=True, ask=True)
    return [each for each in link.survey(request, _TIMEOUT_S).folders if each.recorded]


def _is_below(folder: v1.FolderStatus, paths: Iterable[Path]) -> bool:
    own = Path(folder.run_dir).resolve()
    wanted = [path.resolve() for path in paths]
    return not wanted or any(path == own or path in own.parents for path in wanted)


def _is_synced(folder: v1.FolderStatus) -> bool:
    return folder.state == "complete" and not folder.live


def _is_wanted(folder: v1.FolderStatus, all_synced: bool, older_than: float | None) -> bool:
    if older_than is not None:
        return _age_s(folder) >= older_than * 86400
    return all_synced or bool(folder.due)


def _age_s(folder: v1.FolderStatus) -> float:
    return max(time.time() - folder.changed_unix_us / 1e6, 0.0)


def _named(found: list[v1.FolderStatus], names: Iterable[str]) -> list[v1.FolderStatus]:
    """The runs that the user names, and that are not on their server."""
    chosen: dict[str, v1.FolderStatus] = {}
    for name in names:
        matching = [each for each in found if name in {each.run.run_id, run_path(each.run)}]
        matching += [each for each in found if Path(each.run_dir) == Path(name).resolve()]
        if not matching:
            raise click.UsageError(f"--include-unsynced: this machine has no folder of a run {name}")
        if any(each.live for each in matching):
            raise click.UsageError(f"--include-unsynced: run {name} goes on; its folder stays")
        chosen.update({each.run_dir: each for each in matching if not _is_synced(each)})
    return list(chosen.values())


def _show(found: list[v1.FolderStatus], chosen: list[v1.FolderStatus]) -> None:
    going = {each.run_dir for each in chosen}
    if found:
        columns = "", "run", "name", "size", "age", "why", "folder"
        echo_table(columns, (_row(each, going=each.run_dir in going) for each in found))
    if chosen:
        click.echo(f"to remove: {_amount(chosen)}")
        return
    synced = [each for each in found if _is_synced(each)]
    click.echo("nothing is to be removed")
    if synced:
        click.echo(f"--all-synced would remove {_amount(synced)}")


def _row(folder: v1.FolderStatus, *, going: bool) -> tuple[str, ...]:
    return (
        "remove" if going else "stays",
        run_path(folder.run),
        folder.run.name,
        size_text(folder.size_bytes),
        f"{days:.0f} days" if (days := _age_s(folder) / 86400) >= 2 else duration(_age_s(folder)),
        _why(folder),
        folder.run_dir,
    )


def _why(folder: v1.FolderStatus) -> str:
    if folder.live:
        return "the run goes on"
    if _is_synced(folder):
        return folder.due or f"uploaded to {folder.base_url}"
    if folder.state == "unreadable":
        return f"cannot be read: {folder.error}"
    if not folder.base_url:
        return f"only here: {folder.records:,} records of an offline run; `buoy sync` uploads its folder"
    if folder.state == "sending":
        left = folder.records - folder.acked_seq
        return f"only here: {left:,} of {folder.records:,} records are not on {folder.base_url}"
    return f"perhaps only here: {folder.base_url} does not say what it has ({folder.error})"


def _last_copy(folder: v1.FolderStatus) -> str:
    return f"remove {run_path(folder.run)} ({folder.run_dir}), {_why(folder)}?"


def _amount(folders: list[v1.FolderStatus]) -> str:
    size = size_text(sum(each.size_bytes for each in folders))
    return f"{len(folders)} folder{'s' * (len(folders) != 1)}, {size}"


def _remove(link: DaemonLink, folders: list[v1.FolderStatus], *, unsynced: bool) -> list[str]:
    """Has the daemon remove folders; returns those that are still there."""
    if not folders:
        return []
    request = v1.RemoveRequest(run_dirs=[each.run_dir for each in folders], unsynced=unsynced)
    left = []
    for folder in link.remove(request, _TIMEOUT_S).folders:
        if folder.removed:
            click.echo(f"removed {folder.run_dir}{f' ({folder.reason})' if folder.reason else ''}")
        else:
            click.echo(f"{folder.run_dir} stays: {folder.reason}")
            left.append(folder.run_dir)
    return left
