"""The tail thread: the only one that touches streams and their logs.

Each turn it runs the jobs of other threads, cuts the blocks that are due, and syncs the logs that are due. It looks
often while records flow and rarely when none do; nobody has to wake it for records, because a trainer must
not make a system call.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from buoy_core.errors import CoreError
from buoy_proto import v1

from buoy_daemon import records
from buoy_daemon.errors import LogTrouble, UnclearSpool
from buoy_daemon.outbox import Outbox
from buoy_daemon.progress import Progress
from buoy_daemon.registry import Registry, open_streams
from buoy_daemon.stop import StopOrder
from buoy_daemon.stream import BLOCK_BYTES, Stream
from buoy_daemon.stream_log import now_us
from buoy_daemon.tail import Tail

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_BUSY_S = 0.02
POLL_IDLE_S = 0.2
POLL_ALONE_S = 1.0
"""Time between turns while records flow, while there are writers, and while there is none."""

POLL_WRITER_S = 0.0001
"""Time between turns for each writer, where there are so many that this is more: to look at one takes 3 us."""

LOOK_S = 1.0
"""Time between looks at what changes slowly: new spools, dead processes, finished uploads."""

SYNC_SHARE = 20.0
"""Only what is on disk is sent. So while a server answers, logs are synced as often as blocks are cut, but no more than
one part in so many of the time is spent on it."""

DRAIN_S = 10.0
"""How long reading may go on when the daemon is asked to end."""

RETRY_FIRST_S, RETRY_MAX_S = 0.5, 30.0
"""Pauses before a log that could not be written is tried again."""


@dataclass(frozen=True)
class Unclear:
    """Why a spool could not be assigned, and when to try again; SpoolReader is not free."""

    reason: str = ""
    retry_at: float = 0.0
    pause_s: float = RETRY_FIRST_S

    def later(self, reason: str, now: float) -> Unclear:
        """After another attempt."""
        pause_s = min(RETRY_MAX_S, self.pause_s * 2)
        return Unclear(reason, now + pause_s, pause_s)


class UploadQueue(Protocol):
    """What the tailer tells the uploader."""

    def wake(self, stream: Stream) -> None:
        """The stream has synced blocks."""

    def wants(self, stream: Stream) -> bool:
        """Whether its server waits for them."""


class Heartbeats(Protocol):
    """Whom the tailer tells which writers live."""

    def live(self, streams: Iterable[Stream]) -> None:
        """These streams have live writers now, and no others."""


class Tailer(threading.Thread):
    """See the module."""

    def __init__(
        self,
        registry: Registry,
        spool_root: Path,
        outbox: Outbox,
        progress: Progress,
        uploads: UploadQueue,
        *,
        sync_interval_s: float,
    ) -> None:
        super().__init__(name="tailer")
        self._registry = registry
        self._spool_root = spool_root
        self._outbox = outbox
        self._progress = progress
        self._uploads = uploads
        self.heartbeats: Heartbeats | None = None
        self._sync_interval_s = sync_interval_s
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._next_look = 0.0
        self._pause_s = POLL_BUSY_S
        self._retries: dict[bytes, tuple[float, float]] = {}
        self._unclear: dict[str, Unclear] = {}
        self._reported: dict[str, float] = {}
        self._syncers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="sync")
        self.idle_since = time.monotonic()

    # For other threads

    def call(self, job: Callable[[], T]) -> Future[T]:
        """Has a job run in this thread, soon."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(run)
        return future

    def post(self, job: Callable[[], None]) -> None:
        """As `call`, for a job whose outcome nobody waits for."""
        self.call(job).add_done_callback(_log_failure)

    def wake(self) -> None:
        """Has the thread look now."""
        self._jobs.put(None)

    def stop(self) -> None:
        """Has the thread read and sync everything there is now, and end."""
        self._stopping.set()
        self.wake()

    def append_sample(self, stream: Stream, values: dict[str, float | int], time_us: int) -> None:
        """Has a sample logged. One that comes while the log has trouble is left out."""

        def job() -> None:
            if not stream.is_open:
                return
            try:
                stream.append_sample(values, time_us)
            except LogTrouble as error:
                self._suspend(stream, error, time.monotonic())

        self.post(job)

    def stop_stream(self, stream_id: bytes, reason: str) -> None:
        """Has the processes of a stream's writers interrupted; they end as at Ctrl-C, or as they like."""

        def job() -> None:
            stream = self._registry.streams.get(stream_id)
            if stream is not None and not stream.entry.closed and stream.stop is None:
                log.info("%s is to stop: %s", stream.entry.run_dir, reason)
                stream.stop = StopOrder(reason)
                self._pass_on(stream, stream.stop, time.monotonic())

        self.post(job)

    # The thread

    def run(self) -> None:
        """Turns until stopped, then drains."""
        while not self._stopping.is_set():
            self._run_jobs(self._pause_s)
            try:
                self._turn(time.monotonic())
            except Exception as error:
                # This thread is the one that all others need.
                self._report(error)
                self._pause_s = POLL_IDLE_S
        self._drain()
        self._syncers.shutdown()

    def _report(self, error: Exception) -> None:
        """Logs what should not happen, each kind at most once a minute."""
        kind = repr(error)
        now = time.monotonic()
        if now >= self._reported.get(kind, 0.0):
            self._reported[kind] = now + 60.0
            log.error("unexpected: %s", error, exc_info=error)

    def _run_jobs(self, timeout_s: float) -> None:
        try:
            job = self._jobs.get(timeout=timeout_s)
            while True:
                if job is not None:
                    job()
                job = self._jobs.get_nowait()
        except queue.Empty:
            return

    def _turn(self, now: float) -> None:
        if now >= self._next_look:
            self._look(now)
            self._next_look = now + LOOK_S
        streams = open_streams(self._registry)
        busy = [flag for stream in streams for flag in self._tail(stream, now)]
        for stream in streams:
            if stream.stop is not None:
                self._pass_on(stream, stream.stop, now)
        self._sync_due(streams, now)
        if streams:
            self.idle_since = now
        self._pause_s = self._next_pause(any(busy), len(busy), bool(streams))

    def _next_pause(self, busy: bool, writers: int, streams: bool) -> float:
        if busy:
            return max(POLL_BUSY_S, writers * POLL_WRITER_S)
        slowest = POLL_IDLE_S if streams else POLL_ALONE_S
        return min(slowest, self._pause_s * 1.5)

    def _tail(self, stream: Stream, now: float) -> list[bool]:
        """Logs what is due of one stream; says of each of its live writers whether it is busy."""
        if not stream.is_open:
            return []
        before = stream.next_seq
        busy: list[bool] = []

        def tail_all() -> None:
            busy.extend([stream.pump(tail, now) for tail in stream.live_tails()])
            over = [tail for tail in stream.live_tails() if tail.over]
            if over:
                self._settle(stream, over)

        self._guarded(stream, now, tail_all)
        if stream.next_seq != before:
            self._progress.notify()
        return busy

    def _guarded(self, stream: Stream, now: float, work: Callable[[], None]) -> None:
        """Does something with one stream; whatever goes wrong suspends that one only."""
        try:
            work()
        except LogTrouble as error:
            self._suspend(stream, error, now)
        except Exception as error:
            self._report(error)
            self._suspend(stream, LogTrouble(repr(error)), now)

    def _pass_on(self, stream: Stream, stop: StopOrder, now: float) -> None:
        fresh = stop.pass_on(stream.live_tails(), now)
        if not fresh:
            return
        self._progress.notify()
        text = f"The request has reached {stream.entry.host or 'the machine'}; processes to stop: {fresh}."
        event = records.event(
            "stop_passed_on", text, {"processes": fresh}, level=v1.LEVEL_INFO, time_us=now_us()
        )
        if stream.is_open:
            self._guarded(stream, now, lambda: stream.append_own([event]))

    # Syncing

    def _sync_due(self, streams: list[Stream], now: float) -> None:
        due = [stream for stream in streams if stream.is_open and self._is_due(stream, now)]
        # Side by side, the file system commits them together; one alone needs no other thread.
        failures = list(self._syncers.map(_sync, due)) if len(due) > 1 else list(map(_sync, due))
        for stream, failure in zip(due, failures, strict=True):
            if failure is not None:
                self._suspend(stream, failure, now)
            else:
                stream.release()
                self._recovered(stream)
                self._uploads.wake(stream)
        if due:
            self._progress.notify()

    def _is_due(self, stream: Stream, now: float) -> bool:
        if stream.unsynced_since is None:
            return False
        interval_s = self._sync_interval_s
        if self._uploads.wants(stream):
            interval_s = min(interval_s, stream.last_sync_s * SYNC_SHARE)
        if now - stream.unsynced_since >= interval_s:
            return True
        return any(tail.flush_to > tail.synced for tail in stream.tails.values())

    # Slow things

    def _look(self, now: float) -> None:
        for stream in open_streams(self._registry):
            if not stream.is_open:
                self._try_open(stream, now)
        self.scan()
        for stream in open_streams(self._registry):
            stream.say_alive()
            if stream.is_open:
                self._look_at(stream, now)
        self._restore(now)
        self._registry.tidy(now)
        if self.heartbeats is not None:
            living = [stream for stream in open_streams(self._registry) if stream.living]
            for stream in living:
                stream.look_behind(now)
            self.heartbeats.live(living)

    def _restore(self, now: float) -> None:
        """Sees to logs that are not what they were: deleted before all was sent, or an older copy."""
        for stream in list(self._registry.streams.values()):
            if stream.is_open and stream.acked_seq > stream.next_seq:
                self._guarded(stream, now, stream.catch_up)
            if stream.closed and stream.log_is_short and not stream.finished:
                self._guarded(stream, now, stream.restore)
                self._uploads.wake(stream)

    def _look_at(self, stream: Stream, now: float) -> None:
        self._registry.connect(stream)
        self._guarded(stream, now, lambda: stream.log_drops(now))
        if not stream.is_open:
            return
        over = [tail for tail in stream.live_tails() if self._is_gone(tail)]
        if over or not stream.live_tails():
            self._guarded(stream, now, lambda: self._settle(stream, over))

    def _is_gone(self, tail: Tail) -> bool:
        """Whether a writer has ended without a word, and little enough is left to read for one go."""
        source = tail.source
        if source is None:
            return not Path(tail.entry.spool_dir).exists()
        tail.alive = source.alive()
        if tail.alive:
            return False
        tail.look()
        return tail.waiting_bytes <= BLOCK_BYTES

    def _settle(self, stream: Stream, over: list[Tail]) -> None:
        stream.settle(over)
        if stream.entry.closed:
            stream.close()
        self._uploads.wake(stream)
        self._progress.notify()
        self._next_look = 0.0

    def unclear_spools(self) -> list[tuple[str, str]]:
        """The spools that wait because they cannot be assigned, and why."""
        waiting = [(self._spool_root / name, item.reason) for name, item in list(self._unclear.items())]
        return [(str(folder), reason) for folder, reason in waiting if folder.exists()]

    def scan(self, *, eager: bool = False) -> None:
        """Adopts the spools that no one told the daemon about, and removes those that are done with.

        In the tail thread only.

        Args:
            eager: try those again too that could not be assigned a moment ago.
        """
        now = time.monotonic()
        self._spool_root.mkdir(mode=0o700, exist_ok=True)
        self._outbox.collect()
        for folder in sorted(self._spool_root.iterdir()):
            writer_id = _writer_id(folder.name)
            if writer_id is None:
                continue
            known = self._registry.find(writer_id)
            if known is None:
                self._adopt(folder, now, eager=eager)
            elif not known[1].entry.spool_dir:
                self._take_over(*known, folder)
            elif known[1].ended:
                self._look_again(*known, folder)
        if eager:
            for stream in open_streams(self._registry):
                for tail in stream.live_tails():
                    tail.look()

    def _take_over(self, stream: Stream, tail: Tail, folder: Path) -> None:
        try:
            self._registry.take_over_spool(stream, tail, folder)
        except LogTrouble as error:
            log.warning("the spool %s waits: %s", folder, error)

    def _look_again(self, stream: Stream, tail: Tail, folder: Path) -> None:
        try:
            self._registry.look_again(stream, tail, folder)
        except (OSError, CoreError, LogTrouble) as error:
            log.warning("the spool %s waits: %s", folder, error)

    def _adopt(self, folder: Path, now: float, *, eager: bool) -> None:
        unclear = self._unclear.get(folder.name, Unclear())
        if now < unclear.retry_at and not eager:
            return
        try:
            self._registry.adopt_spool(folder)
            self._unclear.pop(folder.name, None)
        except (UnclearSpool, LogTrouble) as error:
            if unclear.reason != str(error):
                log.warning("the spool %s waits: %s", folder, error)
            if isinstance(error, LogTrouble):
                # There are records, and this is no time to end for want of work.
                self.idle_since = now
            self._unclear[folder.name] = unclear.later(str(error), now)
        except Exception as error:
            # What one spool holds must not keep the daemon from the others.
            self._report(error)
            self._unclear[folder.name] = unclear.later(repr(error), now)

    # Trouble

    def _suspend(self, stream: Stream, error: LogTrouble, now: float) -> None:
        stream.suspend()
        stream.trouble = str(error)
        _, pause_s = self._retries.get(stream.stream_id, (0.0, 0.0))
        if pause_s == 0.0:
            log.error(
                "the log of %s cannot be written (%s); its records stay in the spool",
                stream.entry.run_dir,
                error,
            )
        pause_s = min(RETRY_MAX_S, max(RETRY_FIRST_S, pause_s * 2))
        self._retries[stream.stream_id] = (now + pause_s, pause_s)

    def _try_open(self, stream: Stream, now: float) -> None:
        retry_at, _ = self._retries.get(stream.stream_id, (0.0, 0.0))
        if now >= retry_at:
            self._guarded(stream, now, lambda: self._registry.try_open(stream))
            self._progress.notify()

    def _recovered(self, stream: Stream) -> None:
        # Only a sync counts: on a full disk the log may well open, and the blocks that wait still not fit.
        stream.trouble = ""
        if self._retries.pop(stream.stream_id, None):
            log.info("the log of %s can be written again", stream.entry.run_dir)

    # The end

    def _drain(self) -> None:
        """Reads what there is and syncs it. A large backlog is left to the next daemon: it is safe in the spools."""
        self._run_jobs(0)
        end = time.monotonic() + DRAIN_S
        for stream in open_streams(self._registry):
            if stream.is_open:
                self._drain_stream(stream, end)
            for tail in stream.live_tails():
                if tail.source is not None:
                    tail.source.close()
            stream.suspend()
        self._progress.notify()

    def _drain_stream(self, stream: Stream, end: float) -> None:
        try:
            for tail in stream.live_tails():
                tail.flush_to = tail.source.available if tail.source is not None else -1
                while tail.flush_to > tail.logged and time.monotonic() < end:
                    if not stream.pump(tail, time.monotonic()):
                        break
            stream.sync()
            stream.release()
        except LogTrouble as error:
            self._suspend(stream, error, time.monotonic())


def _log_failure(future: Future[None]) -> None:
    error = future.exception()
    if error is not None:
        log.error("a job of the tail thread failed: %s", error, exc_info=error)


def _sync(stream: Stream) -> LogTrouble | None:
    try:
        stream.sync()
    except LogTrouble as error:
        return error
    return None


def _writer_id(name: str) -> bytes | None:
    try:
        writer_id = bytes.fromhex(name)
    except ValueError:
        return None
    return writer_id if len(writer_id) == 16 else None
