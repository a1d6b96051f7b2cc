"""Which writer belongs to which stream.

Writers of one launch of a job share a stream, whenever they come. A writer that knows of no launch joins the run's open
stream as long as one of its writers is alive, and begins a new attempt otherwise. Only the tail thread changes anything
here.
"""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from buoy_core import SpoolReader, faults, split_records
from buoy_core.errors import CoreError, CorruptFrame
from buoy_core.format import WAL_SEGMENT_BYTES
from buoy_core.wal import claim_directory
from buoy_core.wal_recovery import recover
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy_daemon.errors import LogTrouble, UnclearSpool
from buoy_daemon.files import read_json
from buoy_daemon.folders.policy import KEEP_DAYS, KEEP_GB
from buoy_daemon.folders.recorded import Recorded
from buoy_daemon.index import Index, RunKey, StreamEntry, WriterEntry, is_family, run_key
from buoy_daemon.processes import Process, is_alive
from buoy_daemon.source import AppendSource, SpoolSource, remove_spool
from buoy_daemon.stream import Stream
from buoy_daemon.tail import Tail
from buoy_daemon.unreadable import UnreadableSource

log = logging.getLogger(__name__)

_TIME_US_MAX = 1 << 62

ATTEMPT_MAX = (1 << 31) - 1

STALE_S = 3600.0
"""How old the folder of a writer that died before its first segment had a name must be to be deleted."""

LINGER_S = 600.0
"""How long a finished stream is still known to Status and Close."""


class Registry:
    """All streams this daemon works on."""

    def __init__(
        self,
        index: Index,
        recorded: Recorded,
        *,
        machine_id: str,
        state_dir: Path,
        append_grace_s: float,
        unseen_grace_s: float,
        log_segment_bytes: int = WAL_SEGMENT_BYTES,
    ) -> None:
        self.streams: dict[bytes, Stream] = {}
        self.writers: dict[bytes, Stream] = {}
        self.on_open: Callable[[], None] = lambda: None
        """Called when a stream's log is open, or has got another writer."""
        self._index = index
        self._recorded = recorded
        self._machine_id = machine_id
        self._state_dir = state_dir
        self._append_grace_s = append_grace_s
        self._log_segment_bytes = log_segment_bytes
        self._unseen_grace_s = unseen_grace_s
        self._unseen: dict[bytes, SpoolSource] = {}
        self._drafts: dict[bytes, StreamEntry] = {}
        self._host = socket.gethostname()

    def load(self) -> None:
        """Takes over what former daemons left. Nothing is opened yet."""
        for entry in self._index.load():
            self._add(self._stream(entry))
        for entry in self._index.recently_done(LINGER_S):
            if entry.stream_id not in self.streams:
                self._add_finished(entry)

    def _stream(self, entry: StreamEntry) -> Stream:
        return Stream(entry, self._index, self._machine_id, log_segment_bytes=self._log_segment_bytes)

    def _add(self, stream: Stream) -> Stream:
        self.streams[stream.stream_id] = stream
        for writer_id in stream.tails:
            self.writers[writer_id] = stream
        return stream

    def _add_finished(self, entry: StreamEntry) -> Stream:
        stream = self._add(self._stream(entry))
        stream.acked_seq = stream.next_seq
        stream.finished_at = time.monotonic()
        return stream

    def find(self, writer_id: bytes) -> tuple[Stream, Tail] | None:
        """The stream of a writer that is known."""
        stream = self.writers.get(writer_id)
        return None if stream is None else (stream, stream.tails[writer_id])

    # Sources

    def connect(self, stream: Stream) -> None:
        """Opens the sources of a stream's live writers that have none yet. A spool that is gone stays without."""
        for tail in stream.live_tails():
            if tail.source is None:
                self._connect(stream, tail)

    def _connect(self, stream: Stream, tail: Tail) -> None:
        folder = tail.entry.spool_dir
        if not folder:
            tail.source = AppendSource(tail.writer_id, tail.logged, grace_s=self._append_grace_s)
            stream.resume(tail)
            return
        try:
            tail.source = SpoolSource(folder, tail.logged, unseen_grace_s=self._unseen_grace_s)
        except (CorruptFrame, FileNotFoundError) as error:
            if Path(folder).exists() and not self._may_write(tail):
                tail.source = UnreadableSource(folder, error)
            else:
                _tell_once(tail, error)
        except (OSError, CoreError) as error:
            _tell_once(tail, error)

    # New writers

    def adopt_spool(self, folder: Path) -> Stream:
        """Takes on a spool found on disk or named by Open.

        Raises:
            UnclearSpool: Its first record is not there (yet), or it cannot be read.
            LogTrouble: The run's folder or the index cannot be written.
        """
        try:
            reader = SpoolReader(str(folder), 0)
            try:
                chunk = reader.read(1)
                empty = chunk is None and reader.committed == 0
            finally:
                reader.close()
        except (OSError, CoreError) as error:
            if isinstance(error, FileNotFoundError) and _is_stale(folder):
                remove_spool(str(folder))
            raise UnclearSpool(f"{error}") from error
        process = Process(reader.pid, reader.process_start, reader.pid_namespace)
        if empty and (reader.foreign_boot or process.runs() is False):
            remove_spool(str(folder))
            raise UnclearSpool("its writer died before it wrote anything; removed")
        if chunk is None:
            raise UnclearSpool("it has no record yet")
        if chunk.begin > 0:
            raise UnclearSpool(
                "its first records are gone, and the index does not know it; `buoy doctor` can help"
            )
        start = _writer_start(split_records(chunk.payload)[0])
        return self.adopt(start, str(folder), process_start=reader.process_start, pid=reader.pid)

    def adopt(self, start: v1.WriterStart, spool_dir: str, *, pid: int = 0, process_start: int = 0) -> Stream:
        """Assigns a writer to its stream, which is made or reopened if need be.

        Raises:
            UnclearSpool: What it says of itself cannot be.
            LogTrouble: The run's folder or the index cannot be written.
        """
        check_start(start)
        writer_id = start.writer_id
        if writer_id in self.writers:
            return self.writers[writer_id]
        done = self._index.done_with(run_key(start.run), writer_id)
        if done is not None and writer_id in done.writers:
            return self._take_back(done, writer_id, spool_dir)
        writer = WriterEntry(
            spool_dir,
            start.host,
            start.rank,
            pid,
            process_start,
            forked=bool(start.parent_writer),
            parent=start.parent_writer.hex(),
            local_rank=start.local_rank,
        )
        try:
            stream = self._join(start, writer)
        except (OSError, CoreError) as error:
            raise LogTrouble(str(error)) from error
        self.writers[writer_id] = stream
        self.open(stream)
        log.info("writer %s joins %s (%s)", writer_id.hex(), "/".join(stream.entry.key), stream.entry.run_dir)
        return stream

    def _take_back(self, done: StreamEntry, writer_id: bytes, spool_dir: str) -> Stream:
        """A writer whose stream is finished is heard of again. Raises LogTrouble."""
        writer = done.writers[writer_id]
        if spool_dir and not writer.spool_dir and writer.state == v1.RUN_STATE_CRASHED:
            # What it could not send before it died may have been out of sight.
            stream = self._add(self._stream(done))
            self.take_over_spool(stream, stream.tails[writer_id], Path(spool_dir))
            return stream
        # Its records were taken long ago; only the removal of the spool failed, or the client did not hear.
        if spool_dir:
            remove_spool(spool_dir)
        return self._add_finished(done)

    def open(self, stream: Stream) -> None:
        """Opens a stream's log and sources. Where that fails, the tailer tries again later."""
        try:
            self.try_open(stream)
        except LogTrouble as error:
            log.warning("the log of %s cannot be opened yet: %s", stream.entry.run_dir, error)

    def try_open(self, stream: Stream) -> None:
        """Opens a stream's log and sources. Raises LogTrouble."""
        try:
            # First, so that the writers can be told if the log cannot be opened.
            self.connect(stream)
            if not stream.is_open:
                stream.open()
        except (OSError, CoreError) as error:
            raise LogTrouble(str(error)) from error
        self.on_open()

    def take_over_spool(self, stream: Stream, tail: Tail, folder: Path) -> None:
        """Goes on with a gRPC writer's own spool, which has come to this disk: what it could not send is in there.

        Raises:
            LogTrouble: The index cannot be written.
        """
        if tail.ended:
            if tail.entry.state != v1.RUN_STATE_CRASHED:
                remove_spool(str(folder))
                return
            self.revive(stream, tail)
        stream.move_writer(tail, str(folder))
        self.open(stream)
        log.info("writer %s goes on from the spool that it has left", tail.writer_id.hex())

    def look_again(self, stream: Stream, tail: Tail, folder: Path) -> None:
        """Removes the spool of a writer that has ended; goes on with that of one that was only thought to have.

        Raises:
            LogTrouble: The index cannot be written.
        """
        if not tail.entry.unseen_at:
            remove_spool(str(folder))
            return
        source = self._unseen.get(tail.writer_id)
        if source is None:
            source = SpoolSource(str(folder), tail.entry.unseen_at, unseen_grace_s=self._unseen_grace_s)
            self._unseen[tail.writer_id] = source
        if source.available <= tail.entry.unseen_at:
            if source.gone():
                self._unseen.pop(tail.writer_id).remove()
        else:
            self._unseen.pop(tail.writer_id).close()
            self.revive(stream, tail)
            log.info("writer %s was thought to have ended; its spool is read on", tail.writer_id.hex())

    def revive(self, stream: Stream, tail: Tail) -> None:
        """Takes a gRPC writer back that was away for so long that it counted as crashed. Raises LogTrouble."""
        if stream.entry.closed:
            stream.reopen()
        stream.revive(tail)
        self.open(stream)

    def _join(self, start: v1.WriterStart, writer: WriterEntry) -> Stream:
        """The writer's stream, with the writer noted in the index."""
        self._note_drafts(start)
        stream = self._existing(start)
        if stream is None:
            return self._make(start, writer)
        if stream.entry.closed:
            stream.reopen()
        stream.add_writer(start.writer_id, writer)
        if draft := self._drafts.pop(start.writer_id, None):
            self._index.discard(draft)
        return stream

    def _existing(self, start: v1.WriterStart) -> Stream | None:
        """The stream that a writer joins, the latest first; None if it begins an attempt."""
        key = run_key(start.run)
        mine = [stream for stream in self.streams.values() if stream.entry.key == key]
        for stream in mine:
            if is_family(start, stream.entry):
                return stream
        for stream in sorted(mine, key=lambda stream: stream.entry.attempt, reverse=True):
            if self._joins(start, stream.entry, stream.live_tails()):
                return stream
        done = self._index.last_done(key)
        if done is not None and (is_family(start, done) or self._joins(start, done, [])):
            return self._add(self._stream(done))
        return None

    def _joins(self, start: v1.WriterStart, entry: StreamEntry, live: list[Tail]) -> bool:
        if start.attempt:
            return entry.attempt == start.attempt
        if start.launch_id:
            return entry.launch == start.launch_id
        # Whoever comes after a process that was killed goes on with its run, though nobody has noticed the death yet.
        return any(self._may_write(tail) for tail in live)

    def _may_write(self, tail: Tail) -> bool:
        writer = tail.entry
        if isinstance(tail.source, SpoolSource):
            return tail.source.alive()
        if writer.host in ("", self._host) and writer.pid:
            return is_alive(writer.pid, writer.process_start)
        return tail.source is None or tail.source.alive()

    def _make(self, start: v1.WriterStart, writer: WriterEntry) -> Stream:
        # The same one again if it could not be noted for sure: it may be in the index nevertheless.
        entry = self._drafts.get(start.writer_id) or self._lost_entry(start) or self._new_entry(start)
        entry.writers[start.writer_id] = writer
        self._drafts[start.writer_id] = entry
        return self._note(start.writer_id, entry)

    def _note(self, writer_id: bytes, entry: StreamEntry) -> Stream:
        self._index.save(entry)
        del self._drafts[writer_id]
        faults.point("stream.after_index")
        return self._add(self._stream(entry))

    def _note_drafts(self, start: v1.WriterStart) -> None:
        """Notes the run's streams of which that failed: whoever comes now may belong to one, and so may the next daemon
        find them both."""
        for writer_id, entry in list(self._drafts.items()):
            if writer_id != start.writer_id and entry.key == run_key(start.run):
                self.open(self._note(writer_id, entry))

    def _known_attempts(self, key: RunKey) -> list[StreamEntry]:
        entries = [stream.entry for stream in self.streams.values() if stream.entry.key == key]
        done = self._index.last_done(key)
        return [*entries, done] if done else entries

    def _new_entry(self, start: v1.WriterStart) -> StreamEntry:
        known = self._known_attempts(run_key(start.run))
        attempt = start.attempt or 1 + max((entry.attempt for entry in known), default=0)
        earlier = [entry.created_us for entry in known if entry.attempt < attempt]
        return StreamEntry(
            stream_id=secrets.token_bytes(16),
            run=start.run,
            attempt=attempt,
            run_dir=str(self._free_run_dir(start, attempt)),
            base_url=start.base_url,
            telemetry=start.telemetry,
            created_us=_after([*earlier, _believable(start.after_unix_us)], time.time_ns() // 1000),
            host=start.host or self._host,
            launch=start.launch_id or secrets.token_bytes(16),
            branch=start.branch.SerializeToString() if start.HasField("branch") else b"",
            keep_days=start.keep_days if start.HasField("keep_days") else KEEP_DAYS,
            keep_gb=start.keep_gb if start.HasField("keep_gb") else KEEP_GB,
        )

    def _free_run_dir(self, start: v1.WriterStart, attempt: int) -> Path:
        """The folder the writer asks for, or one beside it when that is another stream's.

        Machines that share a file system are asked for the same one in the same second: one of them gets it. Where
        nothing can be made now, it is one that no other machine comes upon.
        """
        wanted = Path(start.run_dir or self._state_dir / "runs" / f"run-{_file_name(start.run.run_id)}")
        host = _file_name(start.host or self._host)
        for name in (wanted.name, f"{wanted.name}-{attempt}" if attempt > 1 else "", f"{wanted.name}-{host}"):
            if name and self._claim(wanted.with_name(name)):
                return wanted.with_name(name)
        return wanted.with_name(f"{wanted.name}-{secrets.token_hex(4)}")

    def _claim(self, run_dir: Path) -> bool:
        """Makes a folder this stream's, unless another stream has its log there, or is about to."""
        entries = [*(stream.entry for stream in self.streams.values()), *self._drafts.values()]
        if str(run_dir) in {entry.run_dir for entry in entries}:
            return False
        try:
            return claim_directory(str(run_dir / "wal"))
        except OSError:
            return False

    def _lost_entry(self, start: v1.WriterStart) -> StreamEntry | None:
        """The entry of the log that already holds records of this writer, if the index has lost it."""
        run_dir = Path(start.run_dir)
        about = read_json(run_dir / "run.json") if start.run_dir else None
        if about is None or (about.get("entity"), about.get("project"), about.get("run_id")) != run_key(
            start.run
        ):
            return None
        stream_id, attempt = _described(about)
        if stream_id is None or stream_id in self.streams or not _has_log(run_dir):
            return None
        # Only looked at: on a shared file system it may be another machine's, which is writing to it.
        if not recover(str(run_dir / "wal")).offsets.get(start.writer_id):
            return None
        log.warning("the index entry of %s was lost and is made again", run_dir)
        entry = self._new_entry(start)
        entry.stream_id, entry.run_dir, entry.attempt = stream_id, str(run_dir), attempt
        return entry

    # Ends

    def tidy(self, now: float) -> None:
        """Finishes streams that need nothing more, and forgets them after a while."""
        for stream in list(self.streams.values()):
            if stream.closed and stream.uploaded and not stream.finished:
                self._finish(stream)
            if stream.finished_at is not None and now - stream.finished_at > LINGER_S:
                self._forget(stream)

    def _finish(self, stream: Stream) -> None:
        if self._end(stream, stream.entry):
            log.info("%s attempt %d is complete", "/".join(stream.entry.key), stream.entry.attempt)

    def let_go(self, stream: Stream, *, uploaded: bool) -> bool:
        """Finishes a closed stream, as somebody wants to remove it. False if that fails.

        Args:
            stream: the stream.
            uploaded: whether its server has everything; otherwise none is named beside the folder.
        """
        base_url = stream.entry.base_url if uploaded else ""
        return stream.finished or self._end(stream, replace(stream.entry, base_url=base_url))

    def _end(self, stream: Stream, entry: StreamEntry) -> bool:
        try:
            # First, or a folder could be forgotten.
            self._recorded.note(entry, stream.next_seq, time.time_ns() // 1000)
            self._index.finish(stream.entry)
        except OSError as error:
            log.error("the index entry of %s cannot be moved: %s", stream.entry.run_dir, error)
            return False
        stream.finished_at = time.monotonic()
        return True

    def _forget(self, stream: Stream) -> None:
        del self.streams[stream.stream_id]
        for writer_id in stream.tails:
            del self.writers[writer_id]

    @property
    def idle(self) -> bool:
        """Whether no writer is live and nothing waits for a server."""
        return all(stream.finished for stream in list(self.streams.values()))


def open_streams(registry: Registry) -> list[Stream]:
    """The streams whose writers have not all ended."""
    return [stream for stream in list(registry.streams.values()) if not stream.entry.closed]


def _believable(time_us: int) -> int:
    """A time that another machine has said, or 0 if it can be none."""
    return time_us if time_us < _TIME_US_MAX else 0


def _after(earlier_us: list[int], now_us: int) -> int:
    """When an attempt begins, by a clock that may have been set back: in a later second than those before it.

    The server orders attempts by the second in which they began, and a later one hides the steps of an earlier one. The
    attempt before may have been on a machine whose clock is ahead of this one's.
    """
    return max([now_us, *((begun // 1_000_000 + 1) * 1_000_000 for begun in earlier_us)])


def _tell_once(tail: Tail, error: Exception) -> None:
    """Logs why a spool cannot be read now, unless it is gone altogether. It is tried again every second."""
    if tail.trouble != str(error) and Path(tail.entry.spool_dir).exists():
        tail.trouble = str(error)
        log.error("the spool %s cannot be read now: %s", tail.entry.spool_dir, error)


def check_start(start: v1.WriterStart) -> None:
    """Raises UnclearSpool if a writer cannot be what it says it is: its names become those of files."""
    if len(start.writer_id) != 16 or not start.run.run_id.strip():
        raise UnclearSpool("a writer needs an id of 16 bytes and a run id")
    if start.attempt > ATTEMPT_MAX:
        raise UnclearSpool(f"{start.attempt} is too large for an attempt")
    if start.run_dir and (not Path(start.run_dir).is_absolute() or "\0" in start.run_dir):
        raise UnclearSpool(f"the run folder {start.run_dir!r} is no absolute path")


def _file_name(name: str) -> str:
    """`name` as the name of one file, whatever it holds."""
    return quote(name, safe=" ()[]{}@+=,;!&'~^#$%")[:200]


def _described(about: dict[str, Any]) -> tuple[bytes | None, int]:
    """Stream and attempt in a run.json; no stream if it has none."""
    text, attempt = about.get("stream_id"), about.get("attempt", 1)
    try:
        stream_id = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        stream_id = b""
    is_number = isinstance(attempt, int) and 0 < attempt < 1 << 31
    return (stream_id if len(stream_id) == 16 else None), (attempt if is_number else 1)


def _is_stale(folder: Path) -> bool:
    """Whether a folder has been left as it is for so long that nobody is making a spool of it."""
    try:
        return time.time() - folder.stat().st_mtime > STALE_S
    except OSError:
        return False


def _has_log(run_dir: Path) -> bool:
    return any((run_dir / "wal").glob("*.wal"))


def _writer_start(data: bytes) -> v1.WriterStart:
    try:
        record = v1.Record.FromString(data)
    except DecodeError as error:
        raise UnclearSpool(f"its first record is no record: {error}") from error
    if record.WhichOneof("kind") != "writer_start":
        raise UnclearSpool("its first record does not say which run it belongs to")
    return record.writer_start
