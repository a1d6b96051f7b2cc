"""Very many series as one picture: how many of them cross each cell of a grid. Pure.

A series counts in every cell that it touches between its lowest and its highest value of a bucket, so no spike is lost,
and once in each, however many points it has there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS = 96
BYTES_MAX = 100_000
_COUNT_MAX = (1 << 16) - 1


@dataclass(frozen=True)
class Extremes:
    """One series: the lowest and the highest finite value of each bucket."""

    idx: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Density:
    """A grid.

    Attributes:
        first_bucket: Bucket of its first column.
        counts: A row for each bucket, in it a cell for each part of the range, the lowest first.
        y_range: From the lower border of the first cell to the upper one of the last.
    """

    first_bucket: int
    counts: NDArray[np.uint16]
    y_range: tuple[float, float]


def density(series: Sequence[Extremes]) -> Density | None:
    """The grid of all series; None if none has a finite value. They have at most as many buckets as fit `BYTES_MAX`."""
    idx = np.concatenate([one.idx for one in series])
    low = np.concatenate([one.low for one in series])
    high = np.concatenate([one.high for one in series])
    some = np.isfinite(low)
    idx, low, high = idx[some], low[some], high[some]
    if not len(idx):
        return None
    first = int(idx.min())
    columns = int(idx.max()) - first + 1
    rows = max(1, min(ROWS, BYTES_MAX // 2 // columns))
    bottom, top = float(low.min()), float(high.max())
    # Halves first: the whole of the range may be more than a double can hold.
    scale = rows / (top / 2 - bottom / 2) / 2 if top > bottom else 0.0
    lowest, highest = (
        np.clip(((y - bottom) * scale).astype(np.int64), 0, rows - 1)
        if np.isfinite(top - bottom)
        else np.clip(((y / 2 - bottom / 2) * scale * 2).astype(np.int64), 0, rows - 1)
        for y in (low, high)
    )
    # One more row takes what ends at the top.
    steps = np.zeros((columns, rows + 1), np.int32)
    np.add.at(steps, (idx - first, lowest), 1)
    np.add.at(steps, (idx - first, highest + 1), -1)
    counts = np.minimum(steps.cumsum(axis=1)[:, :rows], _COUNT_MAX).astype(np.uint16)
    return Density(first, counts, (bottom, top))
