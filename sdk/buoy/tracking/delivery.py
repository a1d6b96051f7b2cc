"""Sees a run's records to where `finish()` promises them: on disk, or on the server.

On disk is what the daemon has synced. On the server is what the server has said it has: all records of the run on this
machine, forked children's included. While anything moves this waits; when nothing does it gives up, because a hang at
the end of a training is what users remember, and the data is safe all the same.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

from buoy_core.state import spool_root, state_dir
from buoy_proto import v1

from buoy.daemon_link import DaemonLink, connect
from buoy.errors import CommError, UsageError
from buoy.tracking.patience import Patience
from buoy.tracking.progress import Display, Upload
from buoy.tracking.reach import is_local, listens
from buoy.tracking.recorder import SpoolRecorder, spool_parent
from buoy.tracking.surroundings import job_that_ends_all

if TYPE_CHECKING:
    from buoy.tracking.run import Run

WAITS = ("disk", "upload")

_REFUSED_S = 5.0
"""How long to wait for a server that answers and says no: a person has to do something first."""

_CALL_MIN_S, _CALL_MAX_S = 0.5, 5.0
"""How long one call of the daemon lasts; gRPC frees only what has come to its end."""

_given_up: set[str] = set()
"""Servers that this process has waited for in vain. Its other runs do not wait for them again, until they answer."""


def checked_wait(wait: object) -> str | None:
    """What `finish(wait=...)` may be given.

    Raises:
        UsageError: anything else.
    """
    if wait is not None and wait not in WAITS:
        raise UsageError(f"finish: wait must be one of {', '.join(WAITS)}, not {wait!r}")
    return None if wait is None else str(wait)


def wait_for_run(run: Run, wait: str | None) -> str:
    """Whether to wait for the disk or for the server, if nobody has said.

    Where nothing outlives the job the upload must come first. A server on this machine that does not listen now would
    be one that comes after the job.
    """
    wait = wait or run.settings.finish_wait
    if run.offline:
        return "disk"
    if wait:
        return wait
    base_url = run.settings.base_url
    if not job_that_ends_all(os.environ) or (is_local(base_url) and not listens(base_url)):
        return "disk"
    return "upload"


class Delivery:
    """One run's way.

    Args:
        run: whose writer has just ended.
        recorder: its recorder.
        upload: whether to wait for the server.
        silent: shows no progress.

    Attributes:
        progress: what the daemon said last; None if it could not be reached.
        gave_up: whether the wait for the server has ended before everything was there.
    """

    def __init__(self, run: Run, recorder: SpoolRecorder, *, upload: bool, silent: bool) -> None:
        self.progress: v1.CloseProgress | None = None
        self.gave_up = False
        self._run = run
        self._recorder = recorder
        self._upload = upload
        self._spool = str(recorder.directory) if run.settings.transport == "spool" else ""
        now = time.monotonic()
        self._base_url = run.settings.base_url
        self._disk = Patience(run.settings.finish_timeout, now)
        self._server: Patience | None = None
        self._refused = Patience(_REFUSED_S, now)
        self._display = Display(silent=silent or not upload, now=now)

    def run(self) -> None:
        """Waits.

        Raises:
            CommError, OSError: the daemon cannot be reached; the records are in the spool.
        """
        if not self._spool:
            self._send_over_grpc()
        try:
            self._follow()
        finally:
            self._display.clear()
        if self.gave_up:
            _given_up.add(self._base_url)

    def _send_over_grpc(self) -> None:
        run, recorder = self._run, self._recorder
        if run._forwarder is not None and run._forwarder.drain(run.settings.finish_timeout):
            recorder.discard()
        from buoy import courier  # noqa: PLC0415  few need it

        # What forked children have left goes on without this process, too; but perhaps not without its container.
        outbox = spool_parent(run.settings.transport, state_dir())
        courier.wait_for_family(outbox, run._family, self._disk.left_s(time.monotonic()))
        if recorder.directory.exists():
            # The way over gRPC has failed. Where a daemon shares this disk, it can take the rest from there.
            recorder.hand_over(spool_root(state_dir()))

    def _follow(self) -> None:
        """Asks again and again; when the daemon dies under way, another one goes on where it has been."""
        while True:
            try:
                with connect(state_dir(), self._run.settings.start_timeout) as link:
                    # A daemon that has just started may not have met this spool yet.
                    link.open(self._recorder.start, self._spool, self._run.settings.api_key or "")
                    while not self._listen(link):
                        pass
            except CommError:
                if self._patience().left_s(time.monotonic()) <= 0 or self.progress is None:
                    raise
            else:
                return

    def _listen(self, link: DaemonLink) -> bool:
        """Follows one call of the daemon to its end, which is never far; whether the wait is over.

        Raises:
            CommError: the daemon has died or hangs, or puts nothing on disk.
        """
        limit_s = min(self._patience().left_s(time.monotonic()) + _CALL_MIN_S, _CALL_MAX_S)
        writer_id, offset = self._recorder.writer_id, self._recorder.committed
        heard = False
        try:
            with closing(link.close_writer(writer_id, offset, limit_s, upload=self._upload)) as answers:
                for self.progress in answers:
                    heard = True
                    self._take(self.progress, time.monotonic())
        except CommError as error:
            if error.code != "DEADLINE_EXCEEDED" or not heard:
                raise
            return self.gave_up
        return True

    def _patience(self) -> Patience:
        """The one that counts now."""
        return self._server or self._disk

    def _take(self, progress: v1.CloseProgress, now: float) -> None:
        if not progress.on_disk:
            self._disk.saw(progress.records, now)
            if self._disk.left_s(now) <= 0:
                reason = f" ({progress.log_error})" if progress.log_error else ""
                raise CommError(f"the daemon puts nothing on disk{reason}")
        elif self._upload:
            self.gave_up = not self._is_worth_waiting(progress, now)
            upload = Upload(
                progress.records, progress.records_acked, progress.server_answers, progress.upload_error
            )
            self._display.show(upload, now)

    def _is_worth_waiting(self, progress: v1.CloseProgress, now: float) -> bool:
        if progress.server_answers:
            _given_up.discard(self._base_url)
        if self._server is None or (self._server.limit_s == 0 and self._base_url not in _given_up):
            limit_s = 0.0 if self._base_url in _given_up else self._run.settings.finish_patience
            self._server = Patience(limit_s, now)
        self._server.saw(progress.records_acked, now)
        self._refused.saw((progress.records_acked, progress.upload_state), now)
        if progress.upload_state == "refused" and self._refused.left_s(now) <= 0:
            return False
        return progress.records_acked >= progress.records or self._server.left_s(now) > 0
