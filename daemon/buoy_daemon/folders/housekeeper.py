"""Removes the folders that may go, and those that are half gone: at the daemon's start, and then now and then.

What goes must have been recorded by this daemon, be on its server as that says now, and be what it was. Everything
else stays. The rename that makes a folder one that is going is done by the tail thread, the only one that could begin
to write there again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as JobTimeout
from functools import partial
from pathlib import Path

from buoy_daemon.folders import policy, removal
from buoy_daemon.folders.inquiry import Ask, Inquiry
from buoy_daemon.folders.parcels import Parcels
from buoy_daemon.folders.recorded import Recorded, RecordedFolder
from buoy_daemon.registry import Registry
from buoy_daemon.stream_log import now_us
from buoy_daemon.tailer import Tailer

log = logging.getLogger(__name__)

FIRST_S = 30.0
"""How long after the daemon's start the first round is: a training begins just then."""

JOB_TIMEOUT_S = 10.0


class Housekeeper(threading.Thread):
    """See the module."""

    def __init__(
        self,
        recorded: Recorded,
        registry: Registry,
        tailer: Tailer,
        parcels: Parcels,
        inquiry: Inquiry,
        *,
        interval_s: float,
    ) -> None:
        super().__init__(name="housekeeper", daemon=True)
        self._recorded = recorded
        self._registry = registry
        self._tailer = tailer
        self._parcels = parcels
        self._inquiry = inquiry
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._working = threading.Lock()

    def run(self) -> None:
        """Rounds until stopped."""
        pause_s = min(self._interval_s, FIRST_S)
        while not self._stopping.wait(pause_s):
            pause_s = self._interval_s
            try:
                self._round()
            except Exception:
                log.exception("housekeeping failed; it is tried again in %.0f s", self._interval_s)

    def stop(self) -> None:
        """No further round; a removal in hand goes on with the next daemon."""
        self._stopping.set()

    def due(self) -> dict[str, str]:
        """The streams whose folders may go, with the reason; the oldest first."""
        uploaded = [
            policy.Uploaded(
                entry.stream_id, entry.done_us, removal.size_of(entry.path), entry.keep_days, entry.keep_gb
            )
            for entry in self._recorded.all()
            if entry.base_url and not self._in_use(entry)
        ]
        return policy.due(uploaded, now_us())

    def _round(self) -> None:
        for entry in self._recorded.all():
            self._guarded(entry, self._go_on)
        with self._inquiry.session() as ask:
            for stream_id, reason in self.due().items():
                entry_now = self._recorded.get(bytes.fromhex(stream_id))
                if entry_now is not None and not self._stopping.is_set():
                    self._guarded(entry_now, partial(self._consider, reason=reason, ask=ask))

    def _guarded(self, entry: RecordedFolder, work: Callable[[RecordedFolder], None]) -> None:
        """One folder with trouble (its disk is away, say) keeps nobody from the others."""
        try:
            work(entry)
        except Exception as error:
            log.warning("%s cannot be looked after now: %r", entry.run_dir, error)

    def _go_on(self, entry: RecordedFolder) -> None:
        """Does the rest of a removal that was interrupted, or that the user has done."""
        deleted = entry.path.parent.is_dir() and not entry.path.exists()
        if deleted or removal.is_half_gone(entry.path):
            with self._working:
                self._finish(entry)

    def _consider(self, entry: RecordedFolder, reason: str, ask: Ask) -> None:
        """Removes a folder that may go, if its server says that it has everything."""
        answer = ask(entry.base_url, bytes.fromhex(entry.stream_id))
        if answer.next_seq is None:
            # It is asked again in the next round.
            return
        if answer.next_seq < entry.next_seq:
            log.warning(
                "%s stays: %s has only %d of its %d records; `buoy sync %s` sends the rest",
                entry.run_dir,
                entry.base_url,
                answer.next_seq,
                entry.next_seq,
                entry.run_dir,
            )
            return
        left = self.remove(entry)
        log.info("%s goes: %s%s", entry.run_dir, reason, f" ({left})" if left else "")

    def remove(self, entry: RecordedFolder) -> str:
        """Removes a folder, whatever a server has of it.

        Returns:
            Why it stays, or what of it does; empty if it is gone.
        """
        with self._working:
            try:
                return self._bury(entry) or self._finish(entry)
            except (OSError, JobTimeout) as error:
                log.warning("%s cannot be removed: %s", entry.run_dir, error)
                return f"it cannot be removed now: {error or 'the daemon is busy'}"

    def _bury(self, entry: RecordedFolder) -> str:
        """Makes a folder one that is going; why it is none, or empty."""
        if removal.is_half_gone(entry.path):
            return ""

        def job() -> str:
            if self._in_use(entry):
                return "its run goes on, or it is being uploaded"
            removal.bury(entry.path)
            return ""

        obstacle = removal.obstacle(entry.path, bytes.fromhex(entry.stream_id))
        return obstacle or self._tailer.call(job).result(JOB_TIMEOUT_S)

    def _finish(self, entry: RecordedFolder) -> str:
        """Deletes what is buried, and forgets the folder; what of it stays. Also for one that the user has deleted."""
        left = ""
        if entry.path.exists():
            self._tailer.call(lambda: removal.sweep(entry.path)).result(JOB_TIMEOUT_S)
            left = removal.clear(entry.path)
        if not Path(entry.path, "wal").exists():
            self._recorded.drop(entry)
        return left

    def _in_use(self, entry: RecordedFolder) -> bool:
        streams = list(self._registry.streams.values())
        if any(stream.entry.key == entry.key and not stream.finished for stream in streams):
            return True
        return self._parcels.has(bytes.fromhex(entry.stream_id))
