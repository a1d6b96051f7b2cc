"""One writer as the tailer sees it: how far its records have been read, logged and synced, and how they end."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from buoy_core import Chunk, join_records, last_row
from buoy_core.errors import CoreError, CorruptFrame
from buoy_proto import v1

from buoy_daemon import records
from buoy_daemon.backlog import Waymarks
from buoy_daemon.drops import Drops
from buoy_daemon.index import WriterEntry
from buoy_daemon.source import Source
from buoy_daemon.stream_log import now_us

log = logging.getLogger(__name__)


@dataclass
class Tail:
    """Changed by the tail thread only, except `flush_to`. All offsets are the writer's."""

    writer_id: bytes
    entry: WriterEntry
    source: Source | None = None
    committed: int = 0
    """What the writer has handed over; as of the last look."""
    logged: int = 0
    synced: int = 0
    flush_to: int = -1
    """Someone waits until this offset is synced."""
    last_cut: float = float("-inf")
    alive: bool = False
    """Whether its process was there when that was looked at last."""
    exhausted: bool = False
    """There seems to be more, but it cannot be read: the end of a spool that a power cut has damaged."""
    read_any: bool = False
    """Whether this daemon has read of it; if not, only the log knows how its records end so far."""
    trouble: str = ""
    """Why its spool could not be read at the last try."""
    drops: Drops = field(default_factory=Drops)
    marks: Waymarks = field(default_factory=Waymarks)
    """Where its offsets are in the log."""
    end: v1.WriterEnd | None = None
    """The WriterEnd that its last chunk ended with."""

    @property
    def over(self) -> bool:
        """Whether the writer has said that nothing more will come."""
        return self.end is not None or (self.source is not None and self.source.sealed)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come, and the index knows."""
        return self.entry.state != v1.RUN_STATE_RUNNING

    @property
    def waiting_bytes(self) -> int:
        """What is handed over and not logged."""
        return 0 if self.exhausted else self.committed - self.logged

    def look(self) -> None:
        """Asks the source how far the writer is."""
        if self.source is not None:
            self.committed = max(self.logged, self.source.available)

    def read(self, bytes_max: int) -> Chunk | None:
        """The next chunk to log, in place of what cannot be read a chunk that says so; None if there is nothing.

        The caller logs it and then says `took`, or gives up and has the source rewound.
        """
        if self.source is None:
            return None
        try:
            chunk = self.source.read(bytes_max)
        except CorruptFrame as error:
            lost_bytes = self.source.skip_damage()
            chunk = _damage_report(error, self.logged, lost_bytes) if lost_bytes else None
        self.exhausted = chunk is None
        return chunk

    def took(self, chunk: Chunk) -> None:
        """The chunk is in the log."""
        self.logged = chunk.end
        self.committed = max(self.committed, chunk.end)
        self.read_any = True
        self._note_row(chunk)
        self.end = records.find_writer_end(chunk.payload[-records.WRITER_END_BYTES_MAX :], self.writer_id)

    def _note_row(self, chunk: Chunk) -> None:
        try:
            row = last_row(chunk.payload)
        except ValueError:
            # Of another client, and not as protobuf has it; the server says so.
            return
        if row is not None:
            self.entry.last_step, self.entry.last_row_us = row

    def backlog_bytes(self, acked_seq: int) -> int:
        """What it has handed over and a server does not have that has everything below `acked_seq`."""
        return max(0, self.committed - self.marks.offset_at(acked_seq))

    def restart(self, offset: int) -> None:
        """Forgets what is not in the log for sure: it holds everything up to `offset`, and that is on disk."""
        self.committed = self.logged = self.synced = offset
        self.read_any, self.end, self.exhausted = False, None, False
        self.drops.forget()
        if self.source is None:
            return
        try:
            self.source.rewind(offset)
        except (OSError, CoreError) as error:
            # Whether the spool is gone or only hard to read now is found out where sources are connected.
            log.error("writer %s: its spool cannot be read again: %s", self.writer_id.hex(), error)
            self.source = None


def missing_report(begin: int, end: int) -> Chunk:
    """A chunk that stands for spool bytes which are in no log, and whose segment is gone or has a damaged header."""
    text = f"{end - begin} bytes of a spool are in no log, and their segment was deleted or cannot be read"
    log.error("%s", text)
    return _report("spool_missing", text, {"bytes": end - begin}, begin, end)


def _damage_report(error: CorruptFrame, begin: int, lost_bytes: int) -> Chunk:
    """A chunk that stands for what cannot be read: its offsets make the log go on behind the damage."""
    text = f"{lost_bytes} bytes of a spool could not be read and are lost: {error.reason}"
    log.error("%s (%s at byte %d)", text, error.path, error.offset)
    details = {"path": error.path, "offset": error.offset, "bytes": lost_bytes, "reason": error.reason}
    return _report("spool_damaged", text, details, begin, begin + lost_bytes)


def _report(code: str, text: str, details: dict[str, object], begin: int, end: int) -> Chunk:
    record = records.event(code, text, details, level=v1.LEVEL_ERROR, time_us=now_us())
    return Chunk(begin=begin, end=end, records=1, payload=join_records([record]))
