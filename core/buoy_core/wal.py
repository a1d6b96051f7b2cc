"""The write-ahead log: one writer, any number of readers, no block that needs another segment.

    00000000.wal                      00000001.wal
    [h|start|data|data|...|data]      [h|tables A|tables B|data|data|~torn~]

Invariants: a segment gets its name only when its header and its tables are on disk, and after everything in the
segment before it; so only the last segment can have a torn tail. Each block says how much before it was synced when it
was written, so that a reader can tell a tail that the disk has kept in part from damage. `next_seq` counts what is
appended, `synced_seq` what is on disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import buoy_core
from buoy_core import faults
from buoy_core.block import build_block
from buoy_core.chunk import Chunk
from buoy_core.errors import CoreError
from buoy_core.format import (
    KIND_DATA,
    KIND_GAP,
    KIND_TABLES,
    WAL_SEGMENT_BYTES,
    ZERO_ID,
)
from buoy_core.wal_reader import Damage, WalReader
from buoy_core.wal_recovery import recover
from buoy_core.wal_segment import Block, SegmentHeader, segment_path

__all__ = ["Block", "Damage", "WalReader", "WalWriter"]

_TABLES_BYTES_MAX = 8 << 20


class WalWriter:
    """Appends to the log in `directory`, which it makes (0700) or takes up again, cutting a torn tail.

    Append from one thread at a time; `sync()` may run in another. The caller sees to it that no other process writes.

    Args:
        directory: the log's folder.
        stream_id: 16 random bytes for a new log; None = there must be one.
        segment_bytes: a segment of this size is followed by the next.
        level: of zstd.

    Attributes:
        stream_id, next_seq, synced_seq, segment_bytes, level: as said.
        size_bytes: of all segments together.

    Raises:
        FileNotFoundError: there is no log, and no `stream_id` to begin one.
        CoreError: the log is of another stream, or its segments are of several; nothing was changed.
        UnsupportedVersion: it is of a newer format; nothing was changed.
        OSError: it cannot be read or written.
    """

    def __init__(
        self,
        directory: str,
        stream_id: bytes | None = None,
        *,
        segment_bytes: int = WAL_SEGMENT_BYTES,
        level: int = 3,
    ) -> None:
        self.directory = os.fspath(directory)
        self.segment_bytes = segment_bytes
        self.level = level
        if stream_id is not None:
            _make_directory(self.directory)
        state = recover(self.directory)
        self.stream_id = self._agree(stream_id, state.stream_id)
        self.next_seq = state.next_seq
        self.size_bytes = state.size_bytes
        self._offsets = state.offsets
        self._tables = state.tables
        self._index = state.index
        self._lock = threading.Lock()
        self._broken: OSError | None = None
        self._descriptor = -1
        self._parked = False
        self._segment_size = 0
        self._synced_size = 0
        for name in os.listdir(self.directory):  # noqa: PTH208
            if name.endswith(".wal.tmp"):
                os.unlink(f"{self.directory}/{name}")  # noqa: PTH108
        try:
            if self._index >= 0:
                self._reopen(state.end)
            if self._index < 0 or not state.sound:
                self._roll(time.time_ns() // 1000)
        except BaseException:
            # On a disk that stays full it is tried again and again.
            if self._descriptor >= 0:
                os.close(self._descriptor)
            raise
        self.synced_seq = self.next_seq

    def _agree(self, wanted: bytes | None, found: bytes | None) -> bytes:
        if wanted is not None and len(wanted) != 16:
            raise ValueError(f"a stream id has 16 bytes, not {len(wanted)}")
        if wanted is None and found is None:
            raise FileNotFoundError(f"there is no log in {self.directory}")
        if wanted and found and wanted != found:
            raise CoreError(f"{self.directory} holds stream {found.hex()}, not {wanted.hex()}")
        return found or wanted or ZERO_ID

    def _reopen(self, end: int) -> None:
        """Opens the last segment and cuts what is torn off."""
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        if os.fstat(self._descriptor).st_size != end:
            os.ftruncate(self._descriptor, end)
        # What a killed writer appended may not be on disk yet; from here on it counts as synced.
        os.fsync(self._descriptor)
        self._segment_size = self._synced_size = end

    @property
    def path(self) -> str:
        """The segment that is written now."""
        return segment_path(self.directory, self._index)

    def offset_of(self, writer_id: bytes) -> int:
        """Where to go on reading a writer's spool; 0 if the log has nothing of it."""
        return self._offsets.get(writer_id, 0)

    def append(self, chunk: Chunk, writer_id: bytes, *, time_us: int) -> None:
        """Appends a data block with a writer's records.

        Raises:
            OSError: the disk is full or worse. The log is as before, and the call may be repeated.
        """
        self._append(
            KIND_DATA,
            chunk.payload,
            chunk.records,
            writer_id,
            spool=(chunk.begin, chunk.end),
            tables=chunk.tables,
            time_us=time_us,
        )

    def append_records(self, records: list[bytes], writer_id: bytes = ZERO_ID, *, time_us: int) -> None:
        """Appends a data block with records that come from no spool, as the daemon's own.

        Raises:
            OSError: as for `append`.
            ValueError: a record is empty or too large, or they are too large together.
        """
        if not records:
            return
        payload = buoy_core.join_records(records)
        tables = buoy_core.table_records(payload)
        self._append(KIND_DATA, payload, len(records), writer_id, tables=tables, time_us=time_us)

    def append_gap(
        self,
        records: int,
        event: bytes,
        writer_id: bytes = ZERO_ID,
        *,
        time_us: int,
        spool_begin: int = 0,
        spool_end: int = 0,
    ) -> None:
        """Appends a gap block: `records` records from `next_seq` on are lost, and `event` (a Record) says why.

        Raises:
            OSError: as for `append`.
        """
        payload = buoy_core.join_records([event])
        self._append(KIND_GAP, payload, records, writer_id, spool=(spool_begin, spool_end), time_us=time_us)

    def append_tables(self, writer_id: bytes, tables: bytes, spool_end: int, *, time_us: int) -> None:
        """Appends a tables block: what is needed to understand a writer's later rows, lost with an earlier log.

        Args:
            writer_id: whose.
            tables: WriterStart and KeyDef records, each after its length.
            spool_end: how far that log held the writer's spool.
            time_us: the present time.

        Raises:
            OSError: as for `append`.
        """
        count = len(buoy_core.split_records(tables))
        with self._lock:
            self._check_sound()
            spool = (spool_end, spool_end)
            self._write(self._block(KIND_TABLES, tables, count, writer_id, spool, time_us))
            self._offsets[writer_id] = max(self.offset_of(writer_id), spool_end)
        self._tables.add(writer_id, tables)

    @property
    def tables(self) -> dict[bytes, bytes]:
        """The table records of each live writer, each after its length."""
        return {writer_id: self.tables_of(writer_id) for writer_id in self._tables.by_writer}

    def tables_of(self, writer_id: bytes) -> bytes:
        """The table records of one writer, each after its length; nothing of one that has ended."""
        return buoy_core.join_records(list(self._tables.by_writer.get(writer_id, ())))

    def forget(self, writer_id: bytes) -> None:
        """The writer has ended: later segments need not repeat its tables."""
        self._tables.forget(writer_id)

    def sync(self) -> None:
        """Returns when everything appended before the call is on disk.

        Raises:
            OSError: it may not be. The kernel may have thrown the data away, and the next sync would not say so. So
                from now on every append and sync fails, and `close` cuts the log back to what was synced before: open
                it again, and read the spools again from where it ends.
        """
        with self._lock:
            if self._parked:
                return
            self._check_sound()
            sequence, index, size = self.next_seq, self._index, self._segment_size
            descriptor = os.dup(self._descriptor)
        faults.point("wal.before_sync")
        try:
            if self.synced_seq < sequence:
                os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
        except OSError as error:
            self._broken = error
            raise
        finally:
            os.close(descriptor)
        faults.point("wal.after_sync")
        self.synced_seq = max(self.synced_seq, sequence)
        with self._lock:
            if self._index == index:
                self._synced_size = max(self._synced_size, size)

    def park(self) -> None:
        """Syncs, and closes the file until the next append: descriptors are few.

        Raises:
            OSError: as for `sync`.
        """
        self.sync()
        with self._lock:
            if self._descriptor >= 0 and self.synced_seq == self.next_seq:
                os.close(self._descriptor)
                self._descriptor, self._parked = -1, True

    def _unpark(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        if os.fstat(descriptor).st_size != self._segment_size:
            os.close(descriptor)
            raise CoreError(f"{self.path} was changed by somebody else")
        self._descriptor, self._parked = descriptor, False

    def close(self) -> None:
        """Syncs and closes. May be called twice."""
        self._parked = False
        if self._descriptor < 0:
            return
        try:
            if self._broken is None:
                self.sync()
        finally:
            if self._broken is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._synced_size)
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(
        self,
        kind: int,
        payload: bytes,
        records: int,
        writer_id: bytes,
        *,
        spool: tuple[int, int] = (0, 0),
        tables: bytes = b"",
        time_us: int,
    ) -> None:
        with self._lock:
            self._check_sound()
            if self._segment_size >= self.segment_bytes:
                self._roll(time_us)
            faults.point("wal.before_append")
            self._write(self._block(kind, payload, records, writer_id, spool, time_us))
            faults.point("wal.after_append")
            self.next_seq += records
            self._offsets[writer_id] = max(self.offset_of(writer_id), spool[1])
        self._tables.add(writer_id, tables)

    def _check_sound(self) -> None:
        if self._parked:
            self._unpark()
        if self._descriptor < 0:
            raise CoreError(f"the log in {self.directory} is closed")
        if self._broken is not None:
            raise OSError(self._broken.errno, f"the log in {self.directory} failed before: {self._broken}")

    def _block(  # noqa: PLR0917 - internal, in the order of the header
        self, kind: int, payload: bytes, records: int, writer_id: bytes, spool: tuple[int, int], time_us: int
    ) -> bytes:
        return build_block(
            kind,
            payload,
            first_seq=self.next_seq,
            records=records,
            stream_id=self.stream_id,
            writer_id=writer_id,
            spool_begin=spool[0],
            spool_end=spool[1],
            time_us=time_us,
            unsynced_bytes=self._segment_size - self._synced_size,
            level=self.level,
        )

    def _write(self, block: bytes) -> None:
        """Writes a whole block at the end, or leaves the segment as it was."""
        try:
            _write_all(self._descriptor, block, self._segment_size)
        except OSError:
            try:
                os.ftruncate(self._descriptor, self._segment_size)
            except OSError as error:
                self._broken = error
            raise
        self._segment_size += len(block)
        self.size_bytes += len(block)

    def _roll(self, time_us: int) -> None:
        """Begins the next segment. If that fails, everything is as before, or as after a failed `sync`."""
        faults.point("wal.before_roll")
        if self._descriptor >= 0:
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._broken = error
                raise
            self._synced_size = self._segment_size
        index = self._index + 1
        content = SegmentHeader(self.stream_id, index, self.next_seq, time_us).pack()
        content += b"".join(self._tables_blocks(time_us))
        path = segment_path(self.directory, index)
        descriptor = os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, content, 0)
            os.fsync(descriptor)
            faults.point("wal.before_rename")
            os.rename(f"{path}.tmp", path)  # noqa: PTH104
            faults.point("wal.after_rename")
            _sync_directory(self.directory)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(f"{path}.tmp")  # noqa: PTH108
            raise
        faults.point("wal.after_roll")
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._index = descriptor, index
        self._segment_size = self._synced_size = len(content)
        self.size_bytes += len(content)
        self.synced_seq = self.next_seq

    def _tables_blocks(self, time_us: int) -> Iterator[bytes]:
        """For each live writer, blocks with its tables and how far its spool was read."""
        for writer_id, records in self._tables.by_writer.items():
            offset = self.offset_of(writer_id)
            for part in _parts(records, _TABLES_BYTES_MAX):
                payload = buoy_core.join_records(part)
                yield self._block(KIND_TABLES, payload, len(part), writer_id, (offset, offset), time_us)


def _parts(records: dict[bytes, None], bytes_max: int) -> Iterator[list[bytes]]:
    """The records in lists of about `bytes_max` bytes."""
    part: list[bytes] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record)
        if size >= bytes_max:
            yield part
            part, size = [], 0
    if part:
        yield part


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def claim_directory(directory: str) -> bool:
    """Makes a log's folder, durably; False if it is there already.

    Machines that share a file system may want the same folder at the same time: it becomes one machine's.

    Raises:
        OSError: it cannot be made.
    """
    parent = os.path.dirname(os.path.abspath(directory))  # noqa: PTH100, PTH120
    _make_directory(parent)
    try:
        os.mkdir(directory, 0o700)  # noqa: PTH102
    except FileExistsError:
        return False
    _sync_directory(parent)
    return True


def _make_directory(directory: str) -> None:
    """Makes a folder and those above it, in a way that a power cut does not undo.

    A synced file in a folder that has no name itself is lost, whatever file systems promise beyond the standard.
    """
    if os.path.isdir(directory):  # noqa: PTH112
        return
    parent = os.path.dirname(os.path.abspath(directory))  # noqa: PTH100, PTH120
    _make_directory(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)  # noqa: PTH102
    _sync_directory(parent)


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
