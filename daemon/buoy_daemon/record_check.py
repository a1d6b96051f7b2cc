"""Whether the records of a gRPC client can be kept: what a server would refuse for ever must not get into a log.

A spool is written by our own encoder, frames that come over gRPC by anybody's. One record that no server can read would
hold up its stream, and with it every other writer of the run on this machine. So a message is looked at as the
server will look at it, before any of it is taken: rows in the core, as columns, and each of the few other records as a
message of its own.
"""

from __future__ import annotations

from array import array

from buoy_core import Rows, decode_rows, definitions, first_unnamed, join_records, split_records
from buoy_core.errors import TooManyObjects
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy_daemon.errors import BadRecord

OBJECTS_MAX = 1_000_000
"""Records that are no rows, and values that are no numbers, in one message. It may become one block, and a server takes
twice as many in a request."""

KEY_IDS_MAX = 1 << 24
KEY_NAME_BYTES_MAX = 4096
_INT32_MAX = (1 << 31) - 1
_UNNAMED = (1 << 32) - 1
_UNNAMED_BYTES = b"\xff\xff\xff\xff"


class RecordCheck:
    """What a writer has said so far, as far as it matters for what it may say next. Not thread-safe.

    Args:
        writer_id: whose records come.
        tables: the WriterStart and KeyDef records that the log holds of it, as a payload.
        begun: whether the log holds anything of it.
    """

    def __init__(self, writer_id: bytes, tables: bytes, *, begun: bool) -> None:
        self._writer_id = writer_id
        self._begun = begun
        self._names: dict[int, str] = {}
        self._named = array("I")
        # A writer that was given up and comes back has its tables in an older part of the log, or some of them.
        self._lenient = begun
        for data in split_records(tables):
            record = v1.Record.FromString(data)
            if record.WhichOneof("kind") == "writer_start":
                self._lenient = False
            elif record.WhichOneof("kind") == "key":
                self._name(record.key.id, record.key.name, 0)

    def take(self, payload: bytes) -> None:
        """Takes note of records that go into the log.

        Raises:
            BadRecord: One of them cannot. Nothing has changed then.
        """
        new: dict[int, int] = {}
        try:
            self._check(payload, new)
        except BaseException:
            for key_id in new:
                del self._names[key_id]
                self._named[key_id] = _UNNAMED
            raise
        for key_id in new:
            self._named[key_id] = 0
        self._begun = True

    def _check(self, payload: bytes, new: dict[int, int]) -> None:
        found, rows, system = _decoded(payload)
        if not self._begun and (not found or found[0][0] > 0):
            raise BadRecord(0, "a writer's first record is its WriterStart")
        for index, data in found:
            self._check_record(index, data, new)
        if not self._lenient:
            self._check_keys(rows)
            self._check_keys(system)

    def _check_record(self, index: int, data: bytes, new: dict[int, int]) -> None:
        try:
            record = v1.Record.FromString(data)
        except DecodeError as error:
            raise BadRecord(index, f"it is no record: {error}") from error
        kind = record.WhichOneof("kind")
        if index == 0 and not self._begun and kind != "writer_start":
            raise BadRecord(0, "a writer's first record is its WriterStart")
        if kind is None:
            return  # Of a newer format, perhaps: kept and passed on.
        if data[0] >> 3 != v1.Record.DESCRIPTOR.fields_by_name[kind].number:
            raise BadRecord(index, f"its {kind} is not its first field")
        if kind == "key":
            self._check_key(index, record.key, new)
        elif kind == "writer_start":
            self._check_start(index, record.writer_start)
        elif kind == "stream_start":
            raise BadRecord(index, "a StreamStart is for the daemon to write")
        elif kind in ("writer_end", "writer_drops") and getattr(record, kind).writer_id != self._writer_id:
            raise BadRecord(index, f"its {kind} is another writer's")

    def _check_key(self, index: int, key: v1.KeyDef, new: dict[int, int]) -> None:
        if not 1 <= len(key.name.encode()) <= KEY_NAME_BYTES_MAX:
            raise BadRecord(index, f"the name of key {key.id} has not 1 to {KEY_NAME_BYTES_MAX} bytes")
        if key.id >= KEY_IDS_MAX:
            raise BadRecord(index, f"key id {key.id} is not below {KEY_IDS_MAX}; ids count up from 0")
        known = self._names.get(key.id)
        if known is None:
            self._name(key.id, key.name, index + 1)
            new[key.id] = index
        elif known != key.name:
            raise BadRecord(index, f"key {key.id} is named {known!r} already, and here {key.name!r}")

    def _check_start(self, index: int, start: v1.WriterStart) -> None:
        if start.writer_id != self._writer_id:
            raise BadRecord(index, "its WriterStart is another writer's")
        for name in ("rank", "local_rank", "world_size"):
            if getattr(start, name) > _INT32_MAX:
                raise BadRecord(index, f"{getattr(start, name)} is too large for {name}")

    def _check_keys(self, rows: Rows) -> None:
        point = first_unnamed(rows, self._named)
        if point >= 0:
            index, key_id = (memoryview(column).cast("I")[point] for column in (rows.index, rows.key_id))
            raise _unnamed(index, key_id)
        for index, _, _, key_id, _ in rows.others:
            if key_id >= len(self._named) or self._named[key_id] > index:
                raise _unnamed(index, key_id)

    def _name(self, key_id: int, name: str, since: int) -> None:
        """Names a key for the records of the present payload from position `since` on."""
        self._names[key_id] = name
        self._named.frombytes(_UNNAMED_BYTES * (key_id + 1 - len(self._named)))
        self._named[key_id] = since


def _decoded(payload: bytes) -> tuple[list[tuple[int, bytes]], Rows, Rows]:
    """The records that are no rows, and the points of those that are."""
    try:
        found = definitions(payload, objects_max=OBJECTS_MAX)
        left = OBJECTS_MAX - len(found)
        rows = decode_rows(payload, objects_max=left)
        return found, rows, decode_rows(payload, system=True, objects_max=left - len(rows.others))
    except TooManyObjects:
        text = f"with it there are more than {OBJECTS_MAX} records and values that are no numbers; send fewer at once"
        raise BadRecord(0, text) from None
    except ValueError as error:
        raise _unreadable(payload) or BadRecord(0, str(error)) from error


def _unreadable(payload: bytes) -> BadRecord | None:
    """Names the record that cannot be decoded."""
    for index, data in enumerate(split_records(payload)):
        alone = join_records([data])
        try:
            decode_rows(alone)
            decode_rows(alone, system=True)
        except ValueError as error:
            return BadRecord(index, f"it cannot be read: {error}")
    return None


def _unnamed(index: int, key_id: int) -> BadRecord:
    return BadRecord(index, f"it uses key {key_id}, which no record before it has named")
