"""What the user is told while training goes on and the disk does not: once a kind, in the call of `log()` that met it.

The writer finds out by itself, where it makes a new segment or sees the daemon's word, so this costs `log()` nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from buoy_core.errors import SpoolFull

from buoy.tracking.messages import Messages
from buoy.tracking.recorder import SpoolRecorder

_FULL_BYTES = 1 << 20
"""A disk with less room than this counts as full for a message."""

_REMEDIES = {
    "space": "Make room on that disk: nothing needs a restart",
    "limit": "The daemon does not take what waits there: `buoy status` and `buoy daemon logs` say why",
    "system": "See to that disk: nothing needs a restart",
}


def watch(recorder: SpoolRecorder, messages: Messages, run_dir: Callable[[], str]) -> None:
    """Has the user told of what happens to a recorder's records.

    Args:
        recorder: whose.
        messages: where to say it.
        run_dir: gives the run's folder; asked when it is needed, because it may move.
    """

    def on_full(error: SpoolFull | None) -> None:
        if error is not None:
            messages.warn_once("full", not_kept(error))
        elif messages.told("full"):
            messages.warn_once("kept again", kept_again(recorder.writer.dropped))

    def on_waiting(waiting: bool) -> None:
        if waiting:
            messages.warn_once("waiting", records_wait(run_dir(), str(recorder.directory)))
        elif messages.told("waiting"):
            messages.warn_once(
                "written again", f"the log in {run_dir()} can be written again; nothing was lost"
            )

    recorder.on_full = on_full
    recorder.writer.on_waiting = on_waiting


def not_kept(error: SpoolFull) -> str:
    """That rows are dropped from here on, and what to do."""
    return (
        f"rows are dropped, and counted, until there is room again: {error}. "
        f"{_REMEDIES[error.cause]}. Training goes on"
    )


def not_yet(error: Exception) -> str:
    """That nothing can be recorded, and what to do."""
    cause = error.cause if isinstance(error, SpoolFull) else "system"
    return (
        f"nothing of this run can be recorded for now: {error}. {_REMEDIES[cause]}: what is logged is dropped and "
        "counted until then. Training goes on"
    )


def never_kept(error: Exception | None, dropped: int) -> str:
    """That a run has left no trace."""
    return f"nothing of this run was recorded, {dropped:,} rows were dropped: {error or 'there was no room'}"


def kept_again(dropped: int) -> str:
    """That rows are kept again."""
    return f"there is room again, and rows are kept; {dropped:,} were dropped before"


def records_wait(run_dir: str, spool: str) -> str:
    """That the daemon cannot write the run's log, and what to do."""
    return (
        f"the run's log in {run_dir} cannot be written now: {_reason(run_dir)}. What is logged waits in {spool}, and "
        "nothing is lost as long as there is room. Training goes on, and nothing needs a restart"
    )


def _reason(folder: str) -> str:
    """What an onlooker can tell; the daemon knows better."""
    try:
        status = os.statvfs(folder)
    except OSError as error:
        return str(error.strerror or error)
    if status.f_bavail * status.f_frsize < _FULL_BYTES:
        return "its disk is full; make room there"
    return "`buoy status` says why"
