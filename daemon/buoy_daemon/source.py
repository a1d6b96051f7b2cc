"""Where a writer's records come from: a spool on this machine's disk, or frames sent over gRPC.

Both give the same chunks with the same offsets to the same tailer. A source can always be asked to start again at an
offset, because what is not in a synced log is still with the writer: in its spool, or in its own memory.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from pathlib import Path
from typing import Protocol

from buoy_core import Chunk, SpoolReader, faults, parse_frames
from buoy_core.format import CONTROL_WAITING, FRAME_HEADER_BYTES, RECORD_BYTES_MAX
from buoy_core.spool_lock import is_abandoned

from buoy_daemon.errors import BadRecord, OutOfOrder
from buoy_daemon.processes import Process
from buoy_daemon.record_check import RecordCheck

log = logging.getLogger(__name__)

ALIVE = 1
"""Bit 0 of the control word: a daemon reads this spool."""

STOP = 2
"""Bit 1: the writer's process is to interrupt itself."""

APPEND_BUFFER_BYTES = 8 << 20
"""How much of a gRPC writer's data may wait in memory for the tailer."""


FRAMES_BYTES_MAX = RECORD_BYTES_MAX + FRAME_HEADER_BYTES
"""One call's frames become one block, and that holds the largest record at least."""


class Source(Protocol):
    """What the tailer needs of a writer's data. Called by the tail thread only."""

    @property
    def available(self) -> int:
        """The offset up to which the writer has handed its records over."""

    @property
    def sealed(self) -> bool:
        """Whether the writer has closed and everything has been read."""

    @property
    def dropped(self) -> int:
        """How many log() calls the writer could not keep."""

    def read(self, bytes_max: int) -> Chunk | None:
        """The next records. Raises CorruptFrame; then `skip_damage` comes next."""

    def skip_damage(self) -> int:
        """Gives up what cannot be read; returns how many bytes."""

    def rewind(self, offset: int) -> None:
        """Goes on at an earlier offset: the log could not take what was read."""

    def synced(self, offset: int) -> None:
        """Everything below `offset` is safe in the log."""

    def touch(self, *, waiting: bool) -> None:
        """Shows the writer that a daemon is there, and whether its records wait because the log cannot be written."""

    def request_stop(self) -> None:
        """Asks the writer to interrupt its process."""

    @property
    def stop_seen(self) -> bool:
        """Whether it has, as far as can be known here."""

    def interrupt(self) -> bool:
        """Interrupts the writer's process in its place. False if that cannot be done."""

    def alive(self) -> bool:
        """Whether more records may come."""

    def gone(self) -> bool:
        """Whether it is certain that no more will."""

    def close(self) -> None:
        """Frees what is open; the data stay."""

    def remove(self) -> None:
        """Deletes the data: they are in the log."""


class SpoolSource:
    """A spool folder.

    Args:
        folder: it.
        offset: where to go on reading.
        unseen_grace_s: how long a writer whose process cannot be seen from here may be silent.
    """

    def __init__(self, folder: str, offset: int, *, unseen_grace_s: float) -> None:
        self._folder = folder
        self._unseen_grace_s = unseen_grace_s
        self._control = ALIVE
        self._grown_to = -1
        self._grown_at = time.monotonic()
        self._reader = SpoolReader(folder, offset)
        self._released = offset
        self.foreign_boot = self._reader.foreign_boot
        self._process = Process(self._reader.pid, self._reader.process_start, self._reader.pid_namespace)

    @property
    def available(self) -> int:
        """The writer's committed offset, as it stands in shared memory."""
        return self._reader.committed

    @property
    def sealed(self) -> bool:
        """Whether the writer has closed and everything has been read."""
        return self._reader.sealed

    @property
    def dropped(self) -> int:
        """Dropped records, from the segment header."""
        return self._reader.dropped

    def read(self, bytes_max: int) -> Chunk | None:
        """The next records."""
        return self._reader.read(bytes_max)

    def skip_damage(self) -> int:
        """Gives up the rest of the damaged segment."""
        return self._reader.skip_damage()

    def rewind(self, offset: int) -> None:
        """Opens the spool anew at `offset`; its segments are still there, because nothing beyond was released."""
        self._reader.close()
        self._reader = SpoolReader(self._folder, offset)

    def synced(self, offset: int) -> None:
        """Deletes the segments that are wholly in the log."""
        if offset <= self._released:
            return
        try:
            self._reader.release(offset)
        except OSError as error:
            # Someone has deleted the folder, say. What is mapped can still be read.
            log.warning("segments of %s cannot be deleted: %s", self._folder, error)
        self._released = offset

    def touch(self, *, waiting: bool) -> None:
        """Tells the writer by the control word."""
        self._control = ALIVE | CONTROL_WAITING * waiting | self._control & STOP
        self._reader.set_control(self._control)

    def request_stop(self) -> None:
        """Sets the bit in the header, at once."""
        if not self._control & STOP:
            self._control |= STOP
            self._reader.set_control(self._control)

    @property
    def stop_seen(self) -> bool:
        """The writer's answer, in the header."""
        return self._reader.stop_seen

    def interrupt(self) -> bool:
        """Sends SIGINT to the writer's process, if it is one of this machine, and answers in the writer's place."""
        sent = not self.foreign_boot and self._process.interrupt(self._reader.mark_stop_seen)
        if sent:
            log.info("SIGINT to process %d: it was asked to stop and has not answered", self._reader.pid)
        return sent

    def alive(self) -> bool:
        """Whether the writer's process still runs, and the program that writes.

        In a container that shares our folders but not our process table it may be out of sight. Such a writer counts
        as alive until nothing has come for a long time.
        """
        if self.foreign_boot:
            return False
        runs = self._runs()
        return self._grew_lately() if runs is None else runs

    def gone(self) -> bool:
        """Whether the writer has closed, or its process has ended for all we can see."""
        return self.sealed or self.foreign_boot or self._runs() is False

    def _runs(self) -> bool | None:
        runs = self._process.runs()
        if runs and self._process.pid_here is not None:
            return not is_abandoned(self._folder, self._process.pid_here)
        return runs

    def _grew_lately(self) -> bool:
        now = time.monotonic()
        if self.available > self._grown_to:
            self._grown_to, self._grown_at = self.available, now
        return now - self._grown_at < self._unseen_grace_s

    def close(self) -> None:
        """Takes the alive bit back and unmaps the segments."""
        if Path(self._folder).exists():
            self._reader.set_control(0)
        self._reader.close()

    def remove(self) -> None:
        """Deletes the folder."""
        self._reader.close()
        remove_spool(self._folder)


def remove_spool(folder: str) -> None:
    """Deletes a spool whose records are in a synced log."""
    faults.point("spool.before_remove")
    shutil.rmtree(folder, ignore_errors=True)
    faults.point("spool.after_remove")


class AppendSource:
    """Frames that gRPC threads hand in. At most one connection counts: the latest.

    It takes none until `resume` has said what the log holds of the writer.
    """

    def __init__(self, writer_id: bytes, offset: int, *, grace_s: float) -> None:
        self._lock = threading.Condition()
        self._writer_id = writer_id
        self._check: RecordCheck | None = None
        self._chunks: deque[Chunk] = deque()
        self._waiting_bytes = 0
        self._received = offset
        self._connection = 0
        self._connected = False
        self._left_at = time.monotonic()
        self._grace_s = grace_s
        self.dropped = 0
        """As the writer's latest message had it."""
        self.control = ALIVE
        """For the writer."""

    def attach(self) -> int:
        """Begins a connection and returns its number. An older one is cut off."""
        with self._lock:
            self._connection += 1
            self._connected = True
            self._lock.notify_all()
            return self._connection

    def detach(self, connection: int) -> None:
        """Ends a connection; the grace time begins."""
        with self._lock:
            if connection == self._connection:
                self._connected = False
                self._left_at = time.monotonic()

    def is_current(self, connection: int) -> bool:
        """Whether a connection still counts."""
        return connection == self._connection and self._connected and self.ready

    @property
    def ready(self) -> bool:
        """Whether frames are taken: the log is open."""
        return self._check is not None

    def resume(self, tables: bytes) -> None:
        """The log is open and ends where this source begins; `tables` are the writer's table records in it."""
        with self._lock:
            self._check = RecordCheck(self._writer_id, tables, begun=self._received > 0)

    def offer(self, connection: int, begin: int, frames: bytes) -> bool:
        """Takes frames in; blocks while the buffer is full. False: this connection no longer counts.

        Raises:
            OutOfOrder: The frames begin after what has been received.
            CorruptFrame: They are damaged, or do not begin at a frame.
            ValueError: They are more than a block can hold, or one of their records can never be on a server. None of
                them was taken.
        """
        if len(frames) > FRAMES_BYTES_MAX:
            raise ValueError(
                f"{len(frames)} bytes of frames at once; at most {FRAMES_BYTES_MAX} fit into a block"
            )
        with self._lock:
            while self._waiting_bytes >= APPEND_BUFFER_BYTES and self.is_current(connection):
                self._lock.wait()
            if not self.is_current(connection) or self._check is None:
                return False
            known = self._received - begin
            if known < 0:
                raise OutOfOrder(f"the frames begin at offset {begin}, expected {self._received}")
            if known < len(frames):
                chunk = parse_frames(frames[known:] if known else frames, self._received)
                try:
                    self._check.take(chunk.payload)
                except BadRecord as error:
                    text = (
                        f"{error} (counted from offset {self._received}); nothing of this message was taken"
                    )
                    raise ValueError(text) from error
                self._chunks.append(chunk)
                self._waiting_bytes += chunk.end - chunk.begin
                self._received = chunk.end
            return True

    @property
    def available(self) -> int:
        """The offset up to which frames have come in."""
        return self._received

    @property
    def sealed(self) -> bool:
        """Never: a gRPC writer's end is its WriterEnd record."""
        return False

    def read(self, bytes_max: int) -> Chunk | None:
        """The chunks that wait, as one of at most `bytes_max` bytes unless one alone is larger."""
        taken: list[Chunk] = []
        size = 0
        with self._lock:
            while self._chunks and (not taken or size + len(self._chunks[0].payload) <= bytes_max):
                chunk = self._chunks.popleft()
                size += len(chunk.payload)
                self._waiting_bytes -= chunk.end - chunk.begin
                taken.append(chunk)
            self._lock.notify_all()
        return _joined(taken) if taken else None

    def skip_damage(self) -> int:
        """Nothing to skip: damaged frames are refused when they come in."""
        return 0

    def rewind(self, offset: int) -> None:
        """Cuts the connection off; the writer still has what is not acknowledged and sends it again."""
        with self._lock:
            # What was taken note of since then may come again as something else.
            self._check = None
            self._chunks.clear()
            self._waiting_bytes = 0
            self._received = offset
            self._connected = False
            self._left_at = time.monotonic()
            self._lock.notify_all()

    def synced(self, offset: int) -> None:
        """Nothing to free here; the acknowledgement goes out by the handler of the connection."""

    def touch(self, *, waiting: bool) -> None:
        """Notes the control word that goes out with each answer."""
        self.control = ALIVE | CONTROL_WAITING * waiting | self.control & STOP

    def request_stop(self) -> None:
        """Changes the control word; the handler of the connection sends it."""
        self.control |= STOP

    @property
    def stop_seen(self) -> bool:
        """The client sees to it: it may be anywhere."""
        return True

    def interrupt(self) -> bool:
        """The client does that itself."""
        return False

    def alive(self) -> bool:
        """Whether the writer is connected, or was a short time ago."""
        return self._connected or time.monotonic() - self._left_at < self._grace_s

    def gone(self) -> bool:
        """Its records are here or nowhere."""
        return True

    def close(self) -> None:
        """Cuts the connection off."""
        self.rewind(self._received)

    def remove(self) -> None:
        """Cuts the connection off; there are no files."""
        self.close()


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    return Chunk(
        begin=chunks[0].begin,
        end=chunks[-1].end,
        records=sum(chunk.records for chunk in chunks),
        payload=b"".join(chunk.payload for chunk in chunks),
        tables=b"".join(chunk.tables for chunk in chunks),
    )
