"""`finish()`: says how it ended, sees the data on disk, and tells what is left to do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from buoy_core.errors import CoreError
from buoy_core.format import CONTROL_STOP
from buoy_proto import v1

from buoy.errors import CommError
from buoy.tracking import messages as text
from buoy.tracking.delivery import Delivery, wait_for_run
from buoy.tracking.late import LateRecorder
from buoy.tracking.reach import is_local, listens
from buoy.tracking.recorder import SpoolRecorder
from buoy.tracking.resume import forget
from buoy.tracking.trouble import never_kept

if TYPE_CHECKING:
    from buoy.tracking.run import Run

KILLED_BY_INTERRUPT = 130
"""Exit code of a process that ends by Ctrl-C, as shells count it."""
KILLED_BY_TERM = 143
"""Exit code of a process that ends by SIGTERM, as shells count it."""

_ABANDON_TIMEOUT_S = 5.0


def finish_run(run: Run, exit_code: int | None, quiet: bool | None, wait: str | None = None) -> None:
    """What `Run.finish()` does; never raises, and does nothing the second time."""
    if not _end(run, exit_code or 0) or run._is_guest:
        # The pages are the kernel's, and the process that began the run waits for them.
        return
    recorder = run._recorder
    if not isinstance(recorder, SpoolRecorder):
        return
    quiet = run.settings.quiet if quiet is None else quiet
    try:
        upload = wait_for_run(run, wait) == "upload"
        delivery = Delivery(run, recorder, upload=upload, silent=quiet or run.settings.silent)
        try:
            delivery.run()
        except KeyboardInterrupt:
            run._messages.say(text.interrupted(delivery.progress, run.dir))
            return
        except (CommError, OSError) as error:
            run._messages.warn(
                f"{error}. Everything is recorded in {recorder.directory}; the next daemon takes it from there"
            )
        _say_end(run, recorder, delivery, quiet=quiet)
    except Exception as error:
        run._messages.warn(f"the end of the run could not be reported: {type(error).__name__}: {error}")


def abandon(run: Run, exit_code: int) -> None:
    """The end in a signal handler: writes the last record and opens no connection."""
    if _end(run, exit_code) and run._forwarder is not None:
        # Nobody else can read the spool, so the thread that carries it has to finish.
        run._forwarder.drain(_ABANDON_TIMEOUT_S)


def _end(run: Run, exit_code: int) -> bool:
    """Writes the last record; False if the run is over already, or this process has no part in it."""
    if run._finished:
        return False
    run._close()
    if run._is_elsewhere():
        # Nothing was recorded here. The run goes on where it was begun.
        return False
    run._exit_code = exit_code
    if isinstance(run._recorder, LateRecorder) and run._recorder.settle(math.inf) is None:
        run._messages.warn(never_kept(run._recorder.error, run._recorder.dropped))
    recorder = run._recorder
    try:
        if isinstance(recorder, SpoolRecorder):
            # How the run ended is for its own process to say: that a worker was sent away means nothing.
            recorder.end(v1.RUN_STATE_FINISHED if run._is_guest else state_of(exit_code), exit_code)
    except (CoreError, OSError) as error:
        run._messages.warn(f"the end of the run cannot be recorded: {error}")
    if run.settings.resume == "auto" and exit_code == 0 and not run._is_guest:
        forget(run.settings, run.id)
    return True


def state_of(exit_code: int) -> int:
    """The state that an exit code stands for."""
    if exit_code == 0:
        return v1.RUN_STATE_FINISHED
    if exit_code in {KILLED_BY_INTERRUPT, KILLED_BY_TERM}:
        return v1.RUN_STATE_KILLED
    return v1.RUN_STATE_FAILED


def _say_end(run: Run, recorder: SpoolRecorder, delivery: Delivery, *, quiet: bool) -> None:
    if recorder.dropped:
        run._messages.warn(f"{recorder.dropped:,} records were dropped because there was no room for them")
    if run.rank and run.settings.ranks is not None:
        return
    if not quiet:
        summary = run.summary.flat()
        run._messages.block(text.metric_lines(summary, {key: recorder.history(key) for key in summary}))
    took = text.duration(run._took_s)
    ended = _ended(run._exit_code, asked=bool(recorder.writer.control & CONTROL_STOP))
    run._messages.say(f"run {run.name} {ended} after {took}; {_whereabouts(run, delivery)}")


def _ended(exit_code: int, *, asked: bool) -> str:
    """How it ended. `asked`: somebody has asked the run to stop, which is not what a program must do."""
    if asked and state_of(exit_code) == v1.RUN_STATE_KILLED:
        return "was stopped by request"
    if exit_code == 0:
        return "finished after the request to stop" if asked else "finished"
    return "was killed" if state_of(exit_code) == v1.RUN_STATE_KILLED else f"failed (exit code {exit_code})"


def _whereabouts(run: Run, delivery: Delivery) -> str:
    """Where the data is now."""
    kept = f"kept in {run.dir}"
    progress = delivery.progress
    if run.offline or progress is None:
        return kept
    if progress.log_error and not progress.on_disk:
        return (
            f"its last records are safe in {run._recorder.directory}, because the log in {run.dir} cannot be written "  # type: ignore[attr-defined]
            f"({progress.log_error}); the daemon writes them as soon as it can"
        )
    waiting = progress.records - progress.records_acked
    if waiting <= 0 and progress.on_disk:
        # Nothing is missing there; what is said is that the run is deleted.
        return f"all of it is on the server: {progress.upload_error or run.url}"
    if delivery.gave_up:
        return (
            f"{run.settings.base_url} {_silence(run, progress)}: "
            f"{waiting:,} of {progress.records:,} records are not there. "
            f"All are {kept}: keep that folder, and `buoy sync` uploads them"
        )
    return _still_to_go(run, progress, waiting)


def _still_to_go(run: Run, progress: v1.CloseProgress, waiting: int) -> str:
    base_url, kept = run.settings.base_url, f"kept in {run.dir}"
    # A short run may end before the daemon has had its first answer.
    if progress.server_answers or listens(base_url):
        return f"the daemon uploads the last {waiting:,} of {progress.records:,} records: {run.url}"
    if is_local(base_url):
        return f"{kept}; {waiting:,} records wait: start `buoy server` and they appear at {run.url}"
    return f"{kept}; {waiting:,} records wait until {base_url} answers, and then appear at {run.url}"


def _silence(run: Run, progress: v1.CloseProgress) -> str:
    reason = f" ({progress.upload_error})" if progress.upload_error else ""
    if progress.upload_state == "refused":
        return f"refuses the run{reason}"
    return f"has taken nothing for {run.settings.finish_patience:.0f} s{reason}"
