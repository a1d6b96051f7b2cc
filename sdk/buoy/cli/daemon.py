"""`buoy daemon ...`."""

from __future__ import annotations

import os
import signal
import time

import click
from buoy_core.holder import is_running, read_holder
from buoy_core.state import PAUSING, log_path, supervisor_path

from buoy.cli.place import state_folder
from buoy.daemon_link import DaemonLink, Starter, connect
from buoy.errors import CommError

_STOP_TIMEOUT_S = 60.0
_START_TIMEOUT_S = 15.0


@click.group()
def daemon() -> None:
    """The machine's daemon, which keeps and uploads what runs record. `init()` starts it by itself."""


@daemon.command()
def start() -> None:
    """Start the daemon; it then stays until it is stopped."""
    state = state_folder()
    starter = Starter(state, auto=False)
    with connect(state, _START_TIMEOUT_S, starter) as link:
        found = link.status()
        if found.auto_started:
            # It would leave when it is idle; the runs it has in hand go over to the one that stays.
            link.shutdown(drain=True)
    if found.auto_started:
        starter.wait_until_gone(_STOP_TIMEOUT_S)
        with connect(state, _START_TIMEOUT_S, Starter(state, auto=False)) as link:
            found = link.status()
    click.echo(f"the daemon runs (pid {found.pid})")


@daemon.command()
@click.option(
    "--now", is_flag=True, help="Do not read and sync what runs have written so far; nothing is lost by that."
)
def stop(now: bool) -> None:
    """Stop the daemon. Runs go on recording, and the next daemon takes up what they wrote."""
    state = state_folder()
    starter = Starter(state)
    if not starter.answers():
        supervisor = read_holder(supervisor_path(state))
        if supervisor is not None and supervisor.doing == PAUSING and supervisor.is_running():
            # The daemon dies at each start; nobody shall start it any more.
            os.kill(supervisor.pid, signal.SIGTERM)
        click.echo("no daemon runs")
        return
    with DaemonLink(state) as link:
        pid = link.shutdown(drain=not now)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while is_running(pid):
        if time.monotonic() > deadline:
            raise CommError(
                f"the daemon (pid {pid}) has not ended after {_STOP_TIMEOUT_S:.0f} s; see {log_path(state)}"
            )
        time.sleep(0.02)
    click.echo("the daemon has ended")


@daemon.command()
@click.option("-n", "--lines", default=50, show_default=True, help="How many of the last lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
def logs(lines: int, follow: bool) -> None:
    """Show the daemon's log file."""
    path = log_path(state_folder())
    if not path.exists():
        raise CommError(f"there is no log file yet: {path}")
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file.readlines()[-lines:]:
            click.echo(line, nl=False)
        while follow:
            line = file.readline()
            if line:
                click.echo(line, nl=False)
            else:
                time.sleep(0.2)
