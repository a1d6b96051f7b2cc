"""Several runs as one series: in each bucket, each run that is there has one vote, the mean of its points. Pure.

So a run that logs ten times as often does not count tenfold, a run that has ended is not carried on, and nothing
depends on what else is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """One run: a mean, a minimum and a maximum at each place; places ascend. NaN where nothing was finite."""

    place: NDArray[np.int64] | Floats
    mean: Floats
    low: Floats
    high: Floats


def combine(runs: Sequence[Votes]) -> tuple[NDArray[np.int64] | Floats, dict[str, Floats]]:
    """The places where any run has a vote, and n, mean, std (of these runs), se, min and max there."""
    place = np.concatenate([run.place for run in runs])
    order = np.argsort(place, kind="stable")
    place = place[order]
    mean, low, high = (
        np.concatenate([getattr(run, name) for run in runs])[order] for name in ("mean", "low", "high")
    )
    begins = np.flatnonzero(np.r_[True, place[1:] != place[:-1]]) if len(place) else np.empty(0, np.intp)
    if not len(begins):
        return place, {name: np.empty(0) for name in ("n", "mean", "std", "se", "min", "max")}
    voted = ~np.isnan(mean)
    n = np.add.reduceat(voted.astype(np.float64), begins)
    sizes = np.diff(np.r_[begins, len(place)])
    with np.errstate(invalid="ignore", divide="ignore"):
        # Around one of the votes, so that equal votes have no spread at all.
        base = np.fmax.reduceat(mean, begins)
        offset = np.where(voted, mean - np.repeat(base, sizes), 0.0)
        shift = np.add.reduceat(offset, begins) / n
        spread = np.where(voted, (offset - np.repeat(shift, sizes)) ** 2, 0.0)
        std = np.sqrt(np.add.reduceat(spread, begins) / n)
        found = {"n": n, "mean": base + shift, "std": std, "se": std / np.sqrt(n)}
    found |= {"min": np.fmin.reduceat(low, begins), "max": np.fmax.reduceat(high, begins)}
    return place[begins], found
