"""Buckets with all that can be asked of them, so that two neighbours make exactly one of the next exponent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from buoy_core.python.series import FINITE, FIRST, HIGH, LAST, LOW, ROWS, SQUARES, TOTAL, N
from buoy_core.series import reduce_points
from numpy.typing import NDArray

from buoy_server.metrics.reader import Columns

AGGREGATES = ("n", "finite", "total", "sumsq", "min", "max", "first", "last")
"""Names of the table's rows."""

_ADDED = [N, FINITE, TOTAL, SQUARES]


@dataclass(frozen=True)
class Buckets:
    """Some buckets of one series.

    Attributes:
        idx: Their numbers, ascending; int64.
        table: A row for each of `AGGREGATES`; float64.
        smooth: The smoothed value of the last point of each, if asked for.
    """

    idx: NDArray[np.int64]
    table: NDArray[np.float64]
    smooth: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.idx)

    @property
    def size_bytes(self) -> int:
        """Memory taken."""
        return self.idx.nbytes + self.table.nbytes + (0 if self.smooth is None else self.smooth.nbytes)

    def columns(self, names: Iterable[str]) -> Columns:
        """The asked columns of `panel.COLUMNS`."""
        found: Columns = {}
        for name in names:
            if name == "mean":
                with np.errstate(invalid="ignore", divide="ignore"):
                    found[name] = self.table[TOTAL] / self.table[FINITE]
            elif name == "n":
                found[name] = self.table[N].astype(np.uint64)
            else:
                found[name] = self.table[AGGREGATES.index(name)]
        return found if self.smooth is None else found | {"smooth": self.smooth}

    def between(self, low: int | None, high: int | None) -> Buckets:
        """Those from bucket `low` to before `high`."""
        begin = 0 if low is None else int(np.searchsorted(self.idx, low))
        end = len(self.idx) if high is None else int(np.searchsorted(self.idx, high))
        smooth = None if self.smooth is None else self.smooth[begin:end]
        return Buckets(self.idx[begin:end], self.table[:, begin:end], smooth)

    def wider(self, levels: int) -> Buckets:
        """The same points in buckets 2^levels times as wide."""
        return _merged(self.idx >> levels, self.table, self.smooth) if levels else self

    def joined(self, later: Buckets) -> Buckets:
        """With buckets of points that all come after the ones in here; they may fall into the same buckets."""
        order = np.argsort(np.concatenate([self.idx, later.idx]), kind="stable")
        smooth = None
        if self.smooth is not None and later.smooth is not None:
            smooth = np.concatenate([self.smooth, later.smooth])[order]
        idx = np.concatenate([self.idx, later.idx])[order]
        return _merged(idx, np.concatenate([self.table, later.table], axis=1)[:, order], smooth)


def of_points(
    bucket: NDArray[np.int64], y: NDArray[np.float64], smooth: NDArray[np.float64] | None = None
) -> Buckets:
    """Points as buckets; the numbers of their buckets ascend, but for the cuts between pieces that are drawn apart."""
    room = int(np.count_nonzero(bucket[1:] != bucket[:-1])) + 1 if len(bucket) else 0
    idx, table = np.empty(room, np.int64), np.empty((ROWS, room))
    rows = reduce_points(bucket, np.ascontiguousarray(y), idx, table) if room else 0
    assert rows == room
    lasts = table[N].cumsum().astype(np.int64) - 1
    return Buckets(idx, table, None if smooth is None else smooth[lasts])


def of_columns(columns: Columns) -> Buckets:
    """What the engine has reduced, with all `AGGREGATES`."""
    table = np.array([columns[name] for name in AGGREGATES], dtype=np.float64)
    return Buckets(columns["idx"].astype(np.int64), table)


def empty() -> Buckets:
    """No buckets."""
    return Buckets(np.empty(0, np.int64), np.empty((ROWS, 0)))


def _merged(
    idx: NDArray[np.int64], table: NDArray[np.float64], smooth: NDArray[np.float64] | None
) -> Buckets:
    if not len(idx):
        return Buckets(idx, table, smooth)
    begins = np.flatnonzero(np.r_[True, idx[1:] != idx[:-1]])
    ends: Sequence[int] | NDArray[np.intp] = np.r_[begins[1:], len(idx)] - 1
    merged = np.empty((ROWS, len(begins)))
    merged[_ADDED] = np.add.reduceat(table[_ADDED], begins, axis=1)
    merged[LOW] = np.fmin.reduceat(table[LOW], begins)
    merged[HIGH] = np.fmax.reduceat(table[HIGH], begins)
    merged[FIRST], merged[LAST] = table[FIRST][begins], table[LAST][ends]
    return Buckets(idx[begins], merged, None if smooth is None else smooth[ends])
