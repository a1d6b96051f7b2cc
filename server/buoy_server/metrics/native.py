"""ClickHouse's Native format for inserts: columns as they lie in memory, no object per value.

block  := varint(columns) varint(rows) column*
column := string(name) string(type) data
string := varint(length) bytes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"UInt8": "<u1", "UInt32": "<u4", "UInt64": "<u8", "Int64": "<i8", "Float64": "<f8"}


@dataclass(frozen=True)
class Column:
    """A column of a table: its name and ClickHouse type."""

    name: str
    type: str


def encode_block(
    columns: Sequence[Column], data: Sequence[NDArray[np.generic] | Sequence[bytes]], rows: int
) -> bytes:
    """One block. Each member of `data` has `rows` values: an array for a number, byte strings for a String."""
    parts = [_varint(len(columns)), _varint(rows)]
    for column, values in zip(columns, data, strict=True):
        assert len(values) == rows, column.name
        parts += (_string(column.name), _string(column.type))
        if column.type == "String":
            for value in values:
                parts += (_varint(len(value)), value)
        else:
            parts.append(np.ascontiguousarray(values, dtype=_DTYPES[column.type]).tobytes())
    return b"".join(parts)


def _string(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
