"""A stream's write-ahead log as the daemon uses it: every failure is LogTrouble, and a deleted file is one.

After LogTrouble the log has to be closed and opened again: only what it holds then is certain.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from buoy_core import Chunk
from buoy_core.errors import CoreError
from buoy_core.format import WAL_SEGMENT_BYTES, ZERO_ID
from buoy_core.wal import WalWriter

from buoy_daemon.errors import LogTrouble
from buoy_daemon.open_files import SHARED


class StreamLog:
    """The open log in `directory`, which is made if need be. For one thread; `sync` may run in another meanwhile.

    Raises:
        LogTrouble: It cannot be opened.
    """

    def __init__(self, directory: Path, stream_id: bytes, segment_bytes: int = WAL_SEGMENT_BYTES) -> None:
        self.last_sync_s = 0.0
        SHARED.use(self)
        try:
            self._wal = WalWriter(str(directory), stream_id, segment_bytes=segment_bytes)
        except (OSError, CoreError) as error:
            SHARED.forget(self)
            raise LogTrouble(explain(error)) from error

    @property
    def next_seq(self) -> int:
        """The sequence of the next record."""
        return self._wal.next_seq

    @property
    def synced_seq(self) -> int:
        """Everything below is on disk."""
        return self._wal.synced_seq

    def offset_of(self, writer_id: bytes) -> int:
        """Up to where the log holds a writer's records."""
        return self._wal.offset_of(writer_id)

    def append(self, chunk: Chunk, writer_id: bytes) -> None:
        """Appends a writer's records. Raises LogTrouble."""
        SHARED.use(self)
        try:
            self._wal.append(chunk, writer_id, time_us=now_us())
        except (OSError, CoreError) as error:
            raise LogTrouble(explain(error)) from error

    def append_own(self, own_records: list[bytes]) -> None:
        """Appends records of the daemon itself. Raises LogTrouble."""
        SHARED.use(self)
        try:
            self._wal.append_records(own_records, time_us=now_us())
        except (OSError, CoreError) as error:
            raise LogTrouble(explain(error)) from error

    def append_gap(self, lost: int, event: bytes) -> None:
        """Goes on `lost` sequences later; `event` says why. Raises LogTrouble."""
        try:
            self._wal.append_gap(lost, event, time_us=now_us())
        except (OSError, CoreError) as error:
            raise LogTrouble(explain(error)) from error

    def append_tables(self, writer_id: bytes, tables: bytes, spool_end: int) -> None:
        """Appends table records of a writer that were lost with a former log. Raises LogTrouble."""
        try:
            self._wal.append_tables(writer_id, tables, spool_end, time_us=now_us())
        except (OSError, CoreError) as error:
            raise LogTrouble(explain(error)) from error

    @property
    def tables(self) -> dict[bytes, bytes]:
        """The table records of each live writer."""
        return {writer_id: tables for writer_id, tables in self._wal.tables.items() if writer_id != ZERO_ID}

    def tables_of(self, writer_id: bytes) -> bytes:
        """Those of one writer."""
        return self._wal.tables_of(writer_id)

    def forget(self, writer_id: bytes) -> None:
        """The writer has ended."""
        self._wal.forget(writer_id)

    def sync(self) -> None:
        """Makes durable what was appended before. Raises LogTrouble: then nothing may be released."""
        began = time.monotonic()
        try:
            self._wal.sync()
            # A file that has no name any more is no place to keep records.
            Path(self._wal.path).stat()
        except (OSError, CoreError) as error:
            raise LogTrouble(explain(error)) from error
        self.last_sync_s = time.monotonic() - began

    def park(self) -> None:
        """Syncs and closes the file until the next append. If that fails, whoever syncs next is told."""
        with contextlib.suppress(OSError, CoreError):
            self._wal.park()

    def close(self) -> None:
        """Closes the log, whatever state it is in."""
        SHARED.forget(self)
        try:
            self._wal.close()
        except (OSError, CoreError):
            # What could not be synced is still in the spools.
            return


def now_us() -> int:
    """The wall clock, in microseconds since the epoch."""
    return time.time_ns() // 1000


def explain(error: OSError | CoreError) -> str:
    """One line about an error, without its number."""
    if not isinstance(error, OSError):
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"
