"""Series as binary frames: version 1 of `application/vnd.buoy.frames`. Pure.

    stream  := frame* end
    frame   := header(64) entry(128)* strings payload, each part padded to 8 bytes
    end     := a header with flag bit 15 and nothing after it

    header  : magic "BUOY" | u16 version 1 | u16 flags | u32 panel id | u32 entries | i32 exponent
              u32 directory offset | u32 strings offset | u32 payload offset | u32 payload length | u32 0
              u64 project rev | u64 epoch | 8 reserved
    entry   : u32 run string | u32 key string | u8 kind (0 unchanged 1 buckets 2 raw 3 absent 4 error)
              u8 dtype (0 f32 + base, 1 f64) | u8 sealed | u8 columns | i32 gen | u64 rev | i64 first bucket | u32 rows
              u32 column mask | u32 offset in the payload | u32 rank | f64 base | f64 last x | f64 last y | f64 last t
              u64 points in all | f64 x min | f64 x max | u32 attempt | 20 reserved
    strings : u32 length, UTF-8, one after the other; strings are named by their offset in this part

Everything is little-endian. Column mask: bit 0 n, 1 min, 2 max, 3 last, 4 mean; of bands over ranks 24 low, 25 high,
26 ranks, 27 bad, 28 bad_rank; bit 31 says that the buckets are dense, so there are no indices. Payload of a bucketed
entry: indices (u32, counted from the first bucket), then the columns, n and those of bands u32, the others as dtype
says; of a raw one: x (f64), y (f64). Each column is padded to 8 bytes.

Values come as float32 only if that loses nothing (a mean: nothing that a screen shows), so a tooltip never shows a
rounded number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from buoy_server.query.series import PanelAnswer, SeriesAnswer

MEDIA_TYPE = "application/vnd.buoy.frames"
VERSION = 1
FLAG_END = 0x8000
COLUMN_BITS = {
    "n": 1,
    "min": 2,
    "max": 4,
    "last": 8,
    "mean": 16,
    "low": 1 << 24,
    "high": 1 << 25,
    "ranks": 1 << 26,
    "bad": 1 << 27,
    "bad_rank": 1 << 28,
}
_COUNTS = {"n", "low", "high", "ranks", "bad", "bad_rank"}
"""Columns of whole numbers."""
DENSE = 1 << 31

_HEADER = struct.Struct("<4sHHIIiIIIIIQQ8x")
_ENTRY = struct.Struct("<IIBBBBiQqIIIIddddQddI20x")
_KINDS = {"unchanged": 0, "buckets": 1, "raw": 2, "absent": 3, "error": 4}
_NAN = float("nan")
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
    if series.kind == "buckets":
        dtype, mask, rows = _add_buckets(series, payload)
    elif series.kind == "raw":
        rows = len(series.columns["x"])
        for name in ("x", "y"):
            _add_column(payload, series.columns[name], "<f8")
    extent = series.extent
    numbers = (extent.x_max, extent.last_y, extent.last_us / 1e6) if extent else (_NAN, _NAN, _NAN)
    ends = (extent.x_min, extent.x_max) if extent else (_NAN, _NAN)
    return _ENTRY.pack(
        strings.offset(series.run), strings.offset(series.key), _KINDS[series.kind], dtype, 0, mask.bit_count()
        - (mask >> 31), series.gen, series.rev, series.first_bucket, rows, mask, offset, series.rank, 0.0, *numbers,
        extent.n if extent else 0, *ends, series.attempt,
    )  # fmt: skip


def _add_buckets(series: SeriesAnswer, payload: bytearray) -> tuple[int, int, int]:
    """Adds the columns; returns dtype, mask and rows."""
    rows = len(series.idx)
    mask = sum(COLUMN_BITS[name] for name in series.columns)
    if rows and int(series.idx[-1]) == rows - 1:
        mask |= DENSE
    else:
        _add_column(payload, series.idx, "<u4")
    narrow = _fits_float32(series)
    for name in COLUMN_BITS:
        if name in series.columns:
            dtype = "<u4" if name in _COUNTS else "<f4" if narrow else "<f8"
            _add_column(payload, series.columns[name], dtype)
    return int(not narrow), mask, rows


def _fits_float32(series: SeriesAnswer) -> bool:
    exact = [
        column.astype(np.float64) for name, column in series.columns.items() if name in ("min", "max", "last")
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        if not all(
            np.array_equal(column.astype(np.float32).astype(np.float64), column, equal_nan=True)
            for column in exact
        ):
            return False
        mean = series.columns.get("mean")
        if mean is None:
            return True
        values = np.concatenate([*exact, mean])
        finite = values[np.isfinite(values)]
        if not len(finite):
            return True
        error = float(np.abs(finite).max()) * 2.0**-24
        return error <= float(finite.max() - finite.min()) * _MEAN_ERROR_MAX and bool(np.isfinite(error))


def _add_column(payload: bytearray, column: NDArray[np.generic], dtype: str) -> None:
    payload += np.ascontiguousarray(column, dtype=dtype).tobytes()
    payload += bytes(-len(payload) % 8)
