"""`buoy sync`: sees everything that this machine has recorded to its servers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import click
from buoy_core.placement import leftovers
from buoy_core.state import wanted_state_dir
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from buoy.backlog import Backlog
from buoy.cli.place import state_folder
from buoy.daemon_link import Starter, connect

_START_TIMEOUT_S = 30.0
_POLL_S = 0.2
_PATIENCE_S = 15.0
"""How long nothing may move, unless a time was given."""
_REFUSED_PATIENCE_S = 5.0
"""The same when everything that is left was refused."""
_LINE_S = 5.0
"""Between two lines of progress where there is no terminal."""


@click.command()
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait so long for what is left. By default it waits while records arrive, and 15 s for a server to answer.",
)
def sync(timeout: float | None) -> None:
    """Upload everything that waits on this machine, also what processes and daemons left that are dead.

    Runs that go on are uploaded as far as they have come. Exit code 1 if something is left, with a line that says why.
    """
    state = state_folder()
    deadline = None if timeout is None else time.monotonic() + timeout
    found = [_sync_folder(folder, deadline) for folder in (state, *leftovers(wanted_state_dir(), state))]
    for backlog in found:
        for item in backlog.waiting:
            click.echo(str(item))
        for folder in backlog.offline:
            click.echo(f"{folder}: offline, stays in this folder")
    if any(backlog.waiting for backlog in found):
        click.echo("nothing is lost: the daemon goes on with it whenever it can")
        raise click.exceptions.Exit(1)
    records, runs = sum(backlog.total for backlog in found), sum(backlog.runs for backlog in found)
    click.echo(
        f"everything is on the server ({records:,} records of {runs} runs)" if runs else "nothing waits here"
    )


def _sync_folder(state: Path, deadline: float | None) -> Backlog:
    backlog = Backlog()
    with connect(state, _START_TIMEOUT_S, Starter(state)) as link, _shown() as show:
        backlog.take(link.status(look=True))
        moved_at, moved = time.monotonic(), (0, 0)
        while backlog.waiting:
            show(backlog)
            now = time.monotonic()
            if (backlog.sent, len(backlog.waiting)) != moved:
                moved_at, moved = now, (backlog.sent, len(backlog.waiting))
            if _is_over(backlog, now, moved_at, deadline):
                break
            time.sleep(_POLL_S)
            backlog.take(link.status())
        show(backlog)
    return backlog


def _is_over(backlog: Backlog, now: float, moved_at: float, deadline: float | None) -> bool:
    if deadline is not None:
        return now >= deadline
    return now - moved_at >= (_REFUSED_PATIENCE_S if backlog.refused else _PATIENCE_S)


class _Show(Protocol):
    def __call__(self, backlog: Backlog) -> None: ...


@contextmanager
def _shown() -> Iterator[_Show]:
    """Shows how it goes: a bar on a terminal, a line now and then elsewhere."""
    if not sys.stdout.isatty():
        yield _Lines().show
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("records")
    with Progress(*columns, console=Console(), transient=True) as bar:
        task = bar.add_task("uploading", total=None)

        def show(backlog: Backlog) -> None:
            bar.update(task, total=backlog.total, completed=backlog.sent)

        yield show


class _Lines:
    def __init__(self) -> None:
        self._next_at = time.monotonic() + _LINE_S

    def show(self, backlog: Backlog) -> None:
        if time.monotonic() >= self._next_at and backlog.waiting:
            self._next_at = time.monotonic() + _LINE_S
            click.echo(f"{backlog.sent:,} of {backlog.total:,} records are on the server")
