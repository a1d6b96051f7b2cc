"""Turns a payload into columns: one value after the other, no object per point kept.

Strict where it is cheap: a record with two rows, slots without values, a wire type that does not fit or a length that
reaches past the end is a ValueError. Unknown fields and unknown kinds of records and values are passed over.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from struct import unpack_from

from buoy_core.chunk import Rows
from buoy_core.errors import TooManyObjects
from buoy_core.format import TAG_ROW, TAG_SYSTEM, VALUE_BIG_INT, VALUE_BOOL
from buoy_core.python.frames import Buffer, read_varint, record_spans
from buoy_core.values import decode_value, nearest_double

Field = tuple[int, int, int, int]
"""Number, wire type, value (of a varint) or begin (of the others), end."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def decode_rows(payload: Buffer, *, system: bool = False, objects_max: int = -1) -> Rows:
    """The rows of a payload as columns; the `system` rows instead if asked.

    Args:
        payload: records, each after its length.
        system: see above.
        objects_max: most values that are no numbers, each of which becomes an object; -1 = any number.

    Raises:
        ValueError: the payload is not well formed.
        TooManyObjects: there are more.
    """
    wanted = (TAG_SYSTEM if system else TAG_ROW) >> 3
    decoder = _Decoder(payload, objects_max)
    for index, (begin, end) in enumerate(record_spans(payload)):
        row = _row_span(payload, begin, end, wanted)
        if row is not None:
            decoder.add_row(index, *row)
    return decoder.rows()


def definitions(payload: Buffer, *, objects_max: int = -1) -> list[tuple[int, bytes]]:
    """The records of a payload that are no rows, each with its position among all records.

    Args:
        payload: records, each after its length.
        objects_max: most records to give; -1 = any number.

    Raises:
        ValueError: a length in the payload is malformed.
        TooManyObjects: there are more.
    """
    found: list[tuple[int, bytes]] = []
    for index, (begin, end) in enumerate(record_spans(payload)):
        if payload[begin] not in (TAG_ROW, TAG_SYSTEM):
            if 0 <= objects_max <= len(found):
                raise TooManyObjects(objects_max)
            found.append((index, bytes(payload[begin:end])))
    return found


def first_unnamed(rows: Rows, named: array[int]) -> int:
    """The first of the points whose key was not named before its record; -1 if all were.

    Args:
        rows: the points of a payload.
        named: uint32; for each key id the position of the first record of the payload that may use it, 2**32 - 1 for
            an id that has no name. Ids beyond its end have none either.
    """
    index, key_id = memoryview(rows.index).cast("I"), memoryview(rows.key_id).cast("I")
    for point, (position, key) in enumerate(zip(index, key_id, strict=True)):
        if key >= len(named) or named[key] > position:
            return point
    return -1


def last_row(payload: Buffer) -> tuple[int, int] | None:
    """Step and time (microseconds since the epoch) of the last row of a payload; None if it has none.

    Only that row is looked at, so that it may be asked of every chunk.

    Raises:
        ValueError: a length in the payload or the row is malformed.
    """
    last = None
    for begin, end in record_spans(payload):
        if payload[begin] == TAG_ROW:
            last = begin, end
    span = _row_span(payload, *last, TAG_ROW >> 3) if last else None
    if span is None:
        return None
    step = time_us = 0
    for number, wire, start, _ in _fields(payload, *span):
        if number == 1:
            _expect(wire, _VARINT, start)
            step = _zigzag(start)
        elif number == 2:
            _expect(wire, _VARINT, start)
            time_us = _signed(start)
    return step, time_us


def _row_span(payload: Buffer, begin: int, end: int, wanted: int) -> tuple[int, int] | None:
    """Where the Row message of a record is; None if it has none of the wanted field."""
    found = None
    for number, wire, start, stop in _fields(payload, begin, end):
        if number == wanted:
            _expect(wire, _BYTES, start)
            if found is not None:
                raise ValueError(f"malformed: a record with two rows at byte {begin}")
            found = start, stop
    return found


def _fields(data: Buffer, position: int, end: int) -> Iterator[Field]:
    """The fields of a message."""
    while position < end:
        tag, position = read_varint(data, position, end)
        number, wire = tag >> 3, tag & 7
        if not 1 <= number <= 0x1FFFFFFF:
            raise ValueError(f"malformed: field number {number} before byte {position}")
        if wire == _VARINT:
            value, position = read_varint(data, position, end)
            yield number, wire, value, position
            continue
        if wire == _BYTES:
            size, position = read_varint(data, position, end)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"malformed: wire type {wire} before byte {position}")
        if size > end - position:
            raise ValueError(f"malformed: a field of {size} bytes is cut off at byte {position}")
        yield number, wire, position, position + size
        position += size


def _expect(wire: int, expected: int, position: int) -> None:
    if wire != expected:
        raise ValueError(f"malformed: wire type {wire} instead of {expected} at byte {position}")


class _Decoder:
    """Collects the columns."""

    def __init__(self, payload: Buffer, objects_max: int) -> None:
        self._payload = payload
        self._objects_max = objects_max
        self._index, self._key_id = array("I"), array("I")
        self._step, self._time_us = array("q"), array("q")
        self._value, self._kind = array("d"), array("B")
        self._others: list[tuple[int, int, int, int, object]] = []

    def rows(self) -> Rows:
        return Rows(
            len(self._value),
            bytearray(self._index.tobytes()),
            bytearray(self._key_id.tobytes()),
            bytearray(self._step.tobytes()),
            bytearray(self._time_us.tobytes()),
            bytearray(self._value.tobytes()),
            bytearray(self._kind.tobytes()),
            self._others,
        )

    def add_row(self, index: int, begin: int, end: int) -> None:
        step, time_us = 0, 0
        slots: list[int] = []
        values: list[float] = []
        others: list[tuple[int, int]] = []
        for number, wire, start, stop in _fields(self._payload, begin, end):
            if number == 1:
                _expect(wire, _VARINT, start)
                step = _zigzag(start)
            elif number == 2:
                _expect(wire, _VARINT, start)
                time_us = _signed(start)
            elif number == 3:
                self._read_slots(slots, wire, start, stop)
            elif number == 4:
                self._read_values(values, wire, start, stop)
            elif number == 5:
                _expect(wire, _BYTES, start)
                others.append((start, stop))
        if len(slots) != len(values):
            raise ValueError(
                f"malformed: a row with {len(slots)} slots and {len(values)} values at byte {begin}"
            )
        for slot, value in zip(slots, values, strict=True):
            self._add_point(index, slot >> 1, step, time_us, value, slot & 1)
        for start, stop in others:
            self._add_other(index, step, time_us, start, stop)

    def _read_slots(self, slots: list[int], wire: int, start: int, stop: int) -> None:
        """Packed or, as other encoders may have it, one by one."""
        if wire == _VARINT:
            slots.append(_uint32(start))
            return
        _expect(wire, _BYTES, start)
        while start < stop:
            slot, start = read_varint(self._payload, start, stop)
            slots.append(_uint32(slot))

    def _read_values(self, values: list[float], wire: int, start: int, stop: int) -> None:
        if wire not in (_BYTES, _FIXED64) or (stop - start) % 8:
            raise ValueError(f"malformed: the values at byte {start} are no doubles")
        values.extend(unpack_from(f"<{(stop - start) // 8}d", self._payload, start))

    def _add_point(  # noqa: PLR0917 - the order is that of the columns
        self, index: int, key_id: int, step: int, time_us: int, value: float, kind: int
    ) -> None:
        self._index.append(index)
        self._key_id.append(key_id)
        self._step.append(step)
        self._time_us.append(time_us)
        self._value.append(value)
        self._kind.append(kind)

    def _add_other(self, index: int, step: int, time_us: int, begin: int, end: int) -> None:
        key_id, known, value = 0, False, None
        for number, wire, start, stop in _fields(self._payload, begin, end):
            if number == 1:
                _expect(wire, _VARINT, start)
                key_id = _uint32(start)
            elif 2 <= number <= 8:
                _expect(wire, _BYTES if number in (2, 5, 7, 8) else _VARINT, start)
                data = bytes(self._payload[start:stop]) if wire == _BYTES else b""
                known, value = True, _decode_kind(number, data, start)
        if not known:
            return
        if 0 <= self._objects_max <= len(self._others):
            raise TooManyObjects(self._objects_max)
        if isinstance(value, bool):
            self._add_point(index, key_id, step, time_us, float(value), VALUE_BOOL)
            return
        if isinstance(value, int):
            self._add_point(index, key_id, step, time_us, nearest_double(value), VALUE_BIG_INT)
        self._others.append((index, step, time_us, key_id, value))


def _decode_kind(number: int, data: bytes, varint: int) -> object:
    """The Python value of field `number` of a `buoy.v1.Value`, 2 to 8."""
    if number == 3:
        return bool(varint)
    if number == 4:
        return _zigzag(varint)
    return None if number == 6 else decode_value(number, data)


def _zigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _uint32(value: int) -> int:
    if value >> 32:
        raise ValueError(f"malformed: {value} where 32 bits are possible")
    return value
