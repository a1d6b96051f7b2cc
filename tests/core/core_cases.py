"""What the tests of the data path share: a spool with its writer, ways to read everything back, values to try."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

WRITER_ID = bytes(range(16))
STREAM_ID = bytes(range(16, 32))
TIME_US = 1_790_000_000_123_456

Point = tuple[str, int, object]
"""Key, step, value."""


class Spool:
    """A writer and its folder."""

    def __init__(self, core: ModuleType, directory: Path, **options: Any) -> None:
        self.core = core
        self.directory = directory
        self.writer = core.Writer(str(directory), writer_id=WRITER_ID, **options)
        self.writer.fixed_time_us = TIME_US

    def payload(self) -> bytes:
        """Everything that is in the spool."""
        return read_all(self.core, self.directory)

    def points(self) -> list[Point]:
        return decode_points(self.core, self.payload())

    def segments(self) -> list[Path]:
        return sorted(self.directory.glob("*.seg"))


def read_all(core: ModuleType, directory: Path, offset: int = 0, bytes_max: int = 1 << 20) -> bytes:
    reader = core.SpoolReader(str(directory), offset)
    try:
        return b"".join(chunk.payload for chunk in chunks(reader, bytes_max))
    finally:
        reader.close()


def chunks(reader: Any, bytes_max: int = 1 << 20) -> Iterator[Any]:
    while (chunk := reader.read(bytes_max)) is not None:
        yield chunk


def columns(rows: Any) -> list[tuple[int, int, int, int, float, int]]:
    """The points of decoded rows as tuples: index, key id, step, time, value, kind."""
    parts = [
        memoryview(column).cast(code).tolist()
        for column, code in (
            (rows.index, "I"),
            (rows.key_id, "I"),
            (rows.step, "q"),
            (rows.time_us, "q"),
            (rows.value, "d"),
            (rows.kind, "B"),
        )
    ]
    assert {len(part) for part in parts} == {rows.n}
    return list(zip(*parts, strict=True))


def key_names(core: ModuleType, payload: bytes) -> dict[int, str]:
    """Key ids and names, read by the official runtime."""
    from buoy_proto import v1

    records = [v1.Record.FromString(record) for _, record in core.definitions(payload)]
    return {record.key.id: record.key.name for record in records if record.WhichOneof("kind") == "key"}


def decode_points(core: ModuleType, payload: bytes) -> list[Point]:
    """Every value with its key and step, rows in order; within a row numbers first."""
    rows = core.decode_rows(payload)
    names = key_names(core, payload)
    points: list[tuple[int, Point]] = []
    for index, key_id, step, _, value, kind in columns(rows):
        if kind == 3:
            continue
        exact: object = {0: value, 1: int(value) if kind == 1 else 0, 2: bool(value)}[kind]
        points.append((index, (names[key_id], step, exact)))
    points += [(index, (names[key_id], step, value)) for index, step, _, key_id, value in rows.others]
    return [point for _, point in sorted(points, key=lambda item: item[0])]


def same(a: object, b: object) -> bool:
    """Equal in type and, for floats, in every bit except a NaN's payload; lists element by element."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b


EDGE_VALUES: list[object] = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    5e-324,
    -2.2250738585072014e-308,
    1.7976931348623157e308,
    0.1,
    0,
    -1,
    1 << 53,
    -(1 << 53),
    (1 << 53) + 1,
    -(1 << 53) - 1,
    (1 << 62) + 1,
    (1 << 63) - 1,
    1 << 63,
    -(1 << 63),
    -(1 << 63) + 1,
    1 << 64,
    -(1 << 64) - 1,
    127 << 64,
    128 << 64,
    -(128 << 64),
    3**3000,
    -(3**3000),
    True,
    False,
    None,
    "",
    "text",
    "naïve ☃ 😀\0",
    "\ud800",
    "\udc80 and \ud83d\ude00 apart",
    "x" * 100_000,
    [],
    [1, 2.5, "x", None, True, [math.inf, -math.inf], {"a": 1}],
    ["\ud800", 2**70],
]

texts = st.text(st.characters(exclude_categories=())) | st.text(max_size=5)
numbers = (
    st.floats()
    | st.integers()
    | st.integers(-(1 << 54), 1 << 54)
    | st.integers(-(1 << 65), 1 << 65)
    | st.integers(-(1 << 200), 1 << 200)
)
plain_values = (
    numbers
    | st.booleans()
    | st.none()
    | texts
    | st.lists(st.floats(allow_nan=False) | st.integers(), max_size=4)
)
keys = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12) | st.sampled_from(
    ["a", "b", "loss", "a.b"]
)
rows = st.recursive(
    st.dictionaries(keys, plain_values, max_size=6),
    lambda inner: st.dictionaries(keys, plain_values | inner, max_size=3),
    max_leaves=8,
)
steps = st.none() | st.integers(-5, 50) | st.integers(-(1 << 63), (1 << 63) - 2)
calls = st.tuples(rows, steps, st.none() | st.booleans())
