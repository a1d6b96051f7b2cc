"""What a stream's log said last, kept beside the index for the day that somebody deletes the log.

    STATE_DIR/streams/<stream id>.position   how far the synced log went, and which spool offsets it held
    STATE_DIR/streams/<stream id>.tables     the writers' starts and the names of their keys, added as they come

A run's folder is the user's, and users tidy up, also while no daemon runs. Without these two a new log would begin at
sequence 0 again: the server takes such records for those that it has, and the spools, whose beginnings were released
long ago, hold keys that nothing names any more. With them the new log goes on where the old one ended, behind a gap.

Nothing here is synced. It has to survive processes, not a power cut: then the log is still there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

log = logging.getLogger(__name__)

_TABLE = Struct("<16sII")
"""Writer id, length and CRC-32 of the table records that follow, each after its length."""


class Position(NamedTuple):
    """How far a synced log went: its next sequence, and for each writer the spool offset it holds."""

    seq: int = 0
    offsets: Mapping[bytes, int] = {}


class Shadow:
    """The two files of a stream. Trouble with them is logged once and stops nobody."""

    def __init__(self, folder: Path, stream_id: bytes) -> None:
        self._position = folder / f"{stream_id.hex()}.position"
        self._tables = folder / f"{stream_id.hex()}.tables"
        self._complained = False

    def note_position(self, seq: int, offsets: Mapping[bytes, int]) -> None:
        """Everything below `seq` is on disk, and in it the spools up to these offsets."""
        text = json.dumps([seq, {writer_id.hex(): offset for writer_id, offset in offsets.items()}]).encode()
        line = b"%08x %s\n" % (crc32(text), text)
        try:
            # In place, because a rename would have the file system flush it; one call, which no signal cuts in two.
            descriptor = os.open(self._position, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, line, 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._complain(error)

    def position(self) -> Position:
        """What was noted last; nothing if it cannot be read."""
        try:
            line = self._position.read_bytes().partition(b"\n")[0]
            if int(line[:8], 16) != crc32(line[9:]):
                raise ValueError("its checksum is wrong")
            seq, offsets = json.loads(line[9:])
            return Position(int(seq), {bytes.fromhex(name): int(offset) for name, offset in offsets.items()})
        except FileNotFoundError:
            return Position()
        except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
            log.warning(
                "%s is damaged (%s); it only matters if the run's folder is gone too", self._position, error
            )
            return Position()

    def add_tables(self, writer_id: bytes, records: bytes) -> None:
        """The log has got table records of a writer."""
        self._write_tables(_table(writer_id, records), os.O_APPEND)

    def set_tables(self, tables: Mapping[bytes, bytes]) -> None:
        """These are all the table records that the log's live writers have."""
        self._write_tables(b"".join(_table(*item) for item in tables.items()), os.O_TRUNC)

    def tables(self) -> Iterator[tuple[bytes, bytes]]:
        """Writer ids with table records, in the order in which they came; up to the first damage."""
        try:
            data = self._tables.read_bytes()
        except OSError:
            return
        at = 0
        while at + _TABLE.size <= len(data):
            writer_id, size, crc = _TABLE.unpack_from(data, at)
            records = data[at + _TABLE.size : at + _TABLE.size + size]
            if len(records) < size or crc32(records) != crc:
                return
            yield writer_id, records
            at += _TABLE.size + size

    def remove(self) -> None:
        """The stream needs nothing more."""
        for path in (self._position, self._tables):
            path.unlink(missing_ok=True)

    def _write_tables(self, data: bytes, flag: int) -> None:
        try:
            descriptor = os.open(self._tables, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o600)
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("%s cannot be written: %s", error.filename or self._position, error)


def _table(writer_id: bytes, records: bytes) -> bytes:
    return _TABLE.pack(writer_id, len(records), crc32(records)) + records
