"""Series as binary frames: version 1 of `application/vnd.buoy.frames`. Pure.

    stream  := frame* end
    frame   := header(64) entry(128)* strings payload, each part padded to 8 bytes
    end     := a header with flag bit 15 and nothing after it

    header  : magic "BUOY" | u16 version 1 | u16 flags | u32 panel id | u32 entries | i32 exponent
              u32 directory offset | u32 strings offset | u32 payload offset | u32 payload length | u32 0
              u64 project rev | u64 epoch | 8 reserved
    entry   : u32 run string | u32 key string | u8 kind (0 unchanged 1 buckets 2 raw 3 absent 4 error 5 group
              6 density) | u8 dtype (0 f32 + base, 1 f64, 2 u16) | u8 flags | u8 columns
              i32 gen | u64 rev | i64 first bucket | u32 rows | u32 column mask | u32 offset in the payload | u32 rank
              f64 base | f64 last x | f64 last y | f64 last t | u64 points in all | f64 x min | f64 x max
              u32 attempt | u32 count | f64 smooth S | f64 smooth D
    strings : u32 length, UTF-8, one after the other; strings are named by their offset in this part

Everything is little-endian. Column mask: bit 0 n, 1 min, 2 max, 3 last, 4 mean, 5 first, 6 sumsq, 7 smooth, 8 segment,
9 std, 10 se; of bands over ranks 24 low, 25 high, 26 ranks, 27 bad, 28 bad_rank; bit 31 says that the buckets are
dense, so there are no indices. Payload of a bucketed entry or a group: indices (u32, counted from the first bucket),
then the columns; n, segment and those of bands u32, the others as dtype says; of a raw one: x (f64), y (f64), then
smooth and segment if the mask has them; of a density its cells (u16). Each column is padded to 8 bytes.
docs/format.md says what the fields mean.

Values come as float32 only if that loses nothing (a mean: nothing that a screen shows), so a tooltip never shows a
rounded number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from buoy_server.query.panel import PanelAnswer, SeriesAnswer

MEDIA_TYPE = "application/vnd.buoy.frames"
VERSION = 1
FLAG_END = 0x8000
COLUMN_BITS = {
    "n": 1,
    "min": 2,
    "max": 4,
    "last": 8,
    "mean": 16,
    "first": 32,
    "sumsq": 64,
    "smooth": 128,
    "segment": 256,
    "std": 512,
    "se": 1024,
    "low": 1 << 24,
    "high": 1 << 25,
    "ranks": 1 << 26,
    "bad": 1 << 27,
    "bad_rank": 1 << 28,
}
_COUNTS = {"n", "segment", "low", "high", "ranks", "bad", "bad_rank"}
"""Columns of whole numbers."""
DENSE = 1 << 31
_COUNT_MAX = (1 << 32) - 1

_HEADER = struct.Struct("<4sHHIIiIIIIIQQ8x")
_ENTRY = struct.Struct("<IIBBBBiQqIIIIddddQddIIdd")
_SEALED, _TAIL = 1, 2
_KINDS = {"unchanged": 0, "buckets": 1, "raw": 2, "absent": 3, "error": 4, "group": 5, "density": 6}
_NAN = float("nan")
_EXACT = ("min", "max", "last", "first", "sumsq")
# The mean may be off by this part of the values' range: far below a pixel at any zoom that the buckets serve.
_MEAN_ERROR_MAX = 2.0**-14

assert _HEADER.size == 64
assert _ENTRY.size == 128


def encode_stream(answers: Iterable[PanelAnswer], epoch: int) -> Iterator[bytes]:
    """The frames of all panels, one chunk each, and the end."""
    for answer in answers:
        yield encode_frame(answer, epoch)
    yield _HEADER.pack(b"BUOY", VERSION, FLAG_END, 0, 0, 0, 64, 64, 64, 0, 0, 0, epoch)


def encode_frame(answer: PanelAnswer, epoch: int) -> bytes:
    """One panel's frame."""
    strings, payload = _Strings(), bytearray()
    entries = b"".join(_entry(series, strings, payload) for series in answer.series)
    text = strings.packed()
    strings_at = _HEADER.size + len(entries)
    payload_at = strings_at + len(text)
    header = _HEADER.pack(
        b"BUOY", VERSION, 0, answer.id, len(answer.series), answer.exponent,
        _HEADER.size, strings_at, payload_at, len(payload), 0, answer.rev, epoch,
    )  # fmt: skip
    return b"".join((header, entries, text, payload))


class _Strings:
    """Texts of a frame, each once."""

    def __init__(self) -> None:
        self._offsets: dict[str, int] = {}
        self._data = bytearray()

    def offset(self, text: str) -> int:
        if text not in self._offsets:
            self._offsets[text] = len(self._data)
            data = text.encode("utf-8", "replace")
            self._data += struct.pack("<I", len(data)) + data
        return self._offsets[text]

    def packed(self) -> bytes:
        return bytes(self._data) + bytes(-len(self._data) % 8)


def _entry(series: SeriesAnswer, strings: _Strings, payload: bytearray) -> bytes:
    offset, dtype, mask, rows = len(payload), 1, 0, 0
    state = series.state
    if series.kind in ("buckets", "group"):
        dtype, mask, rows = _add_buckets(series, payload)
    elif series.kind == "raw":
        mask, rows = _add_raw(series, payload)
    elif series.grid is not None:
        dtype, (rows, mask), state = 2, series.grid.shape, series.y_range
        _add_column(payload, series.grid, "<u2")
    extent = series.extent
    numbers = (extent.last_x, extent.last_y, extent.last_us / 1e6) if extent else (_NAN, _NAN, _NAN)
    ends = (extent.x_min, extent.x_max) if extent else (_NAN, _NAN)
    flags = _SEALED * series.sealed | _TAIL * series.tail
    columns = 0 if series.grid is not None else (mask & ~DENSE).bit_count()
    return _ENTRY.pack(
        strings.offset(series.run), strings.offset(series.key), _KINDS[series.kind], dtype, flags, columns, series.gen,
        series.rev, series.first_bucket, rows, mask, offset, series.rank, 0.0, *numbers, extent.n if extent else 0,
        *ends, series.attempt, min(series.count, _COUNT_MAX), *state,
    )  # fmt: skip


def _add_raw(series: SeriesAnswer, payload: bytearray) -> tuple[int, int]:
    """Adds the columns; returns mask and rows."""
    for name in ("x", "y"):
        _add_column(payload, series.columns[name], "<f8")
    more = [name for name in ("smooth", "segment") if name in series.columns]
    for name in more:
        _add_column(payload, series.columns[name], "<u4" if name in _COUNTS else "<f8")
    return sum(COLUMN_BITS[name] for name in more), len(series.columns["x"])


def _add_buckets(series: SeriesAnswer, payload: bytearray) -> tuple[int, int, int]:
    """Adds the columns; returns dtype, mask and rows."""
    rows = len(series.idx)
    mask = sum(COLUMN_BITS[name] for name in series.columns)
    if rows and "segment" not in series.columns and int(series.idx[-1]) == rows - 1:
        mask |= DENSE
    else:
        _add_column(payload, series.idx, "<u4")
    narrow = series.kind != "group" and _fits_float32(series)
    for name in COLUMN_BITS:
        if name in series.columns:
            dtype = "<u4" if name in _COUNTS else "<f4" if narrow else "<f8"
            _add_column(payload, series.columns[name], dtype)
    return int(not narrow), mask, rows


def _fits_float32(series: SeriesAnswer) -> bool:
    exact = [column.astype(np.float64) for name, column in series.columns.items() if name in _EXACT]
    with np.errstate(over="ignore", invalid="ignore"):
        if not all(
            np.array_equal(column.astype(np.float32).astype(np.float64), column, equal_nan=True)
            for column in exact
        ):
            return False
        near = [series.columns[name] for name in ("mean", "smooth") if name in series.columns]
        if not near:
            return True
        values = np.concatenate([*exact, *near])
        finite = values[np.isfinite(values)]
        if not len(finite):
            return True
        error = float(np.abs(finite).max()) * 2.0**-24
        return error <= float(finite.max() - finite.min()) * _MEAN_ERROR_MAX and bool(np.isfinite(error))


def _add_column(payload: bytearray, column: NDArray[np.generic], dtype: str) -> None:
    payload += np.ascontiguousarray(column, dtype=dtype).tobytes()
    payload += bytes(-len(payload) % 8)
