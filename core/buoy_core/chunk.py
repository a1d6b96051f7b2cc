"""Plain results of the data path, the same for both implementations.

Written without `dataclasses` and `typing`, whose import costs a trainer more than the rest of this package.
"""

from __future__ import annotations


class _Struct:
    """A class whose slots are its fields: comparison and representation."""

    __slots__: tuple[str, ...] = ()

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Struct) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class Chunk(_Struct):
    """Consecutive records of one writer.

    Attributes:
        begin: the writer's offset of the first frame.
        end: the writer's offset after the last frame.
        records: how many there are, at least 1.
        payload: the records, each after its length as a varint.
        tables: those of them that a tables block repeats (WriterStart, KeyDef, StreamStart), in the same framing.
        frames: the spool's bytes from `begin` to `end`; empty unless asked for.
    """

    __slots__ = ("begin", "end", "frames", "payload", "records", "tables")

    def __init__(  # noqa: PLR0917 - the order is that of the fields
        self, begin: int, end: int, records: int, payload: bytes, tables: bytes = b"", frames: bytes = b""
    ) -> None:
        self.begin = begin
        self.end = end
        self.records = records
        self.payload = payload
        self.tables = tables
        self.frames = frames


class KeyStatistics(_Struct):
    """What is known about the numbers logged under one key.

    Attributes:
        n: how many there were; bools count as 0 and 1.
        first: the first one. An int, as are `last`, `minimum` and `maximum`, if all so far were ints up to 2**53.
        last: the latest one.
        minimum: the least of those that are finite; NaN if none is.
        maximum: the greatest of them; NaN if none is.
        mean: their sum in double precision, divided by their number; NaN if there are none.
    """

    __slots__ = ("first", "last", "maximum", "mean", "minimum", "n")

    def __init__(  # noqa: PLR0917
        self, n: int, first: float, last: float, minimum: float, maximum: float, mean: float
    ) -> None:
        self.n = n
        self.first = first
        self.last = last
        self.minimum = minimum
        self.maximum = maximum
        self.mean = mean


class Rows(_Struct):
    """The numbers of all rows of one payload as columns: bytearrays of native numbers, `n` items each.

    Attributes:
        n: points.
        index: uint32, the position of the record in the payload.
        key_id: uint32.
        step: int64.
        time_us: int64, microseconds since the epoch.
        value: float64.
        kind: uint8: 0 float, 1 int, 2 bool (the value is 0 or 1), 3 an int that a double may not hold exactly.
        others: (index, step, time_us, key_id, value) of what is not a number, and of each int of kind 3, exact.
    """

    __slots__ = ("index", "key_id", "kind", "n", "others", "step", "time_us", "value")

    def __init__(  # noqa: PLR0917
        self,
        n: int,
        index: bytearray,
        key_id: bytearray,
        step: bytearray,
        time_us: bytearray,
        value: bytearray,
        kind: bytearray,
        others: list[tuple[int, int, int, int, object]],
    ) -> None:
        self.n = n
        self.index = index
        self.key_id = key_id
        self.step = step
        self.time_us = time_us
        self.value = value
        self.kind = kind
        self.others = others
