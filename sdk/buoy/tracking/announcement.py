"""Tells the daemon about a writer, and takes its word for where and what the run is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from buoy_proto import v1

from buoy.daemon_channel import grpc_is_usable
from buoy.daemon_link import Starter, connect
from buoy.tracking.recorder import SpoolRecorder

if TYPE_CHECKING:
    from buoy.tracking.run import Run


def tell_daemon(
    run: Run, recorder: SpoolRecorder, state: Path, starter: Starter | None, *, spool: str | None = None
) -> None:
    """Announces the spool; without a daemon the run goes on, and the next one finds it."""
    try:
        with connect(state, run.settings.start_timeout, starter) as link:
            answer = link.open(
                recorder.start,
                str(recorder.directory) if spool is None else spool,
                run.settings.api_key or "",
            )
    except Exception as error:
        run._messages.warn_once(
            "daemon",
            f"{error}. The run is recorded in {recorder.directory}; the next daemon takes it from there",
        )
        return
    heed(run, answer)


def send_over_grpc(run: Run, recorder: SpoolRecorder, state: Path, starter: Starter | None) -> None:
    """Has the run's records carried to a daemon elsewhere: by a thread, or by another process if need be."""
    if not grpc_is_usable():
        tell_daemon(run, recorder, state, starter, spool="")
        leave_to_courier(run, recorder)
        return
    from buoy.forwarder import Forwarder  # noqa: PLC0415  few need it

    run._forwarder = Forwarder(state, recorder, run.settings.api_key or "", run._messages, starter)
    run._forwarder.start()
    if (answer := run._forwarder.wait_opened(run.settings.start_timeout)) is not None:
        heed(run, answer)


def leave_to_courier(run: Run, recorder: SpoolRecorder) -> None:
    """Has another process carry the spool, where this one cannot. Raises OSError."""
    from buoy import courier  # noqa: PLC0415  few need it

    run._forwarder = None
    courier.leave(recorder.directory, run._family)


def heed(run: Run, answer: v1.OpenResponse) -> None:
    """Takes over what the daemon knows better."""
    _move(run, answer.run_dir)
    run._start = run._start._replace(attempt=answer.attempt)
    run._url = answer.url or run._url
    run._server_answers = answer.server_answers


def _move(run: Run, folder: str) -> None:
    """Takes the daemon's word for where the copy is: another rank may have come first."""
    if not folder or folder == run.dir:
        return
    # rmdir leaves a folder alone that has anything in it.
    with contextlib.suppress(OSError):
        Path(run.dir).rmdir()
    run._start = run._start._replace(run_dir=folder)
