"""`buoy sync`: sees what this machine has recorded to its servers, or run folders wherever they come from."""

from __future__ import annotations

import time
from pathlib import Path

import click
from buoy_core.placement import leftovers
from buoy_core.state import wanted_state_dir

from buoy.backlog import Backlog
from buoy.cli.place import state_folder
from buoy.cli.upload_bar import upload_bar
from buoy.daemon_link import Starter, connect

_START_TIMEOUT_S = 30.0
_POLL_S = 0.2
_PATIENCE_S = 15.0
"""How long nothing may move, unless a time was given."""
_REFUSED_PATIENCE_S = 5.0
"""The same when everything that is left was refused."""


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Only list runs, records, bytes, and what the server has already."
)
@click.option(
    "--include", multiple=True, metavar="GLOB", help="Only runs whose id, name or project is like this."
)
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help="No runs whose id, name or project is like this."
)
@click.option("--base-url", metavar="URL", help="Send to this server, whatever the runs were recorded for.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait so long for what is left. By default it waits while records arrive, and 15 s for a server to answer.",
)
def sync(
    paths: tuple[Path, ...],
    *,
    dry_run: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    base_url: str | None,
    timeout: float | None,
) -> None:
    """Upload what is only here. Nothing is sent twice: the server says what it has.

    With PATHS: run folders, or folders above them, from anywhere: of offline runs, copied from other machines, of runs
    that go on, damaged ones. Each goes to the server it was recorded for; those of offline runs, and those of other
    machines that had their server on themselves, to the configured one.

    Without PATHS: everything that waits on this machine, also what processes and daemons left that are dead.

    \b
    Exit codes:
      0  everything is on the server
      1  something is left, with a line that says why
      2  there is nothing to do as asked: no such folder, no run that matches
      3  everything is on the server but what was damaged, with a line for each loss
    """
    from buoy.cli.sync_folders import Wanted, sync_folders  # noqa: PLC0415  loads protobuf

    deadline = None if timeout is None else time.monotonic() + timeout
    if paths:
        wanted = Wanted(paths, include, exclude, base_url)
        raise click.exceptions.Exit(sync_folders(wanted, deadline, dry_run=dry_run))
    if dry_run or include or exclude or base_url:
        raise click.UsageError(
            "--dry-run, --include, --exclude and --base-url need PATHS: `buoy sync ./buoy`, say"
        )
    _sync_machine(deadline)


def _sync_machine(deadline: float | None) -> None:
    state = state_folder()
    found = [_sync_state(folder, deadline) for folder in (state, *leftovers(wanted_state_dir(), state))]
    for backlog in found:
        for item in backlog.waiting:
            click.echo(str(item))
        for folder in backlog.offline:
            click.echo(f"{folder}: offline, stays in this folder; `buoy sync {folder}` uploads it")
    if any(backlog.waiting for backlog in found):
        click.echo("nothing is lost: the daemon goes on with it whenever it can")
        raise click.exceptions.Exit(1)
    records, runs = sum(backlog.total for backlog in found), sum(backlog.runs for backlog in found)
    click.echo(
        f"everything is on the server ({records:,} records of {runs} runs)" if runs else "nothing waits here"
    )


def _sync_state(state: Path, deadline: float | None) -> Backlog:
    backlog = Backlog()
    with connect(state, _START_TIMEOUT_S, Starter(state)) as link, upload_bar() as show:
        backlog.take(link.status(look=True))
        moved_at, moved = time.monotonic(), (0, 0)
        while backlog.waiting:
            show(backlog.sent, backlog.total)
            now = time.monotonic()
            if (backlog.sent, len(backlog.waiting)) != moved:
                moved_at, moved = now, (backlog.sent, len(backlog.waiting))
            if _is_over(backlog, now, moved_at, deadline):
                break
            time.sleep(_POLL_S)
            backlog.take(link.status())
        show(backlog.sent, backlog.total)
    return backlog


def _is_over(backlog: Backlog, now: float, moved_at: float, deadline: float | None) -> bool:
    if deadline is not None:
        return now >= deadline
    return now - moved_at >= (_REFUSED_PATIENCE_S if backlog.refused else _PATIENCE_S)
