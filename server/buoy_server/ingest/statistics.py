"""What an upload adds to the statistics of each series. Pure.

Kept so that lists, summaries and axes need no points: counts, ends, extremes, and whether the steps strictly ascend,
in which case no reader need look for duplicates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from buoy_server.ingest.points import Points, SeriesName, Text
from buoy_server.jsonvalues import dumps, number

_TOTAL_MAX = 1e300
"""Sums stay below this, so that adding them up never overflows: PostgreSQL would refuse."""


@dataclass(frozen=True)
class Tally:
    """What a run of new points of one series adds. Values are tagged JSON text."""

    n: int
    texts: int
    first_step: int
    last_step: int
    first_us: int
    last_us: int
    first_value: str
    last_value: str
    last_seq: int
    minimum: float | None
    maximum: float | None
    total: float
    finite: int
    ascending: bool


def tallies(points: Points, texts: Iterable[Text]) -> list[tuple[SeriesName, Tally]]:
    """The additions, in an order in which they may be applied one by one."""
    found = _number_tallies(points)
    return found + _text_tallies(texts)


def _number_tallies(points: Points) -> list[tuple[SeriesName, Tally]]:
    n = len(points.slot)
    if not n:
        return []
    begins = np.flatnonzero(np.r_[True, points.slot[1:] != points.slot[:-1]])
    ends = np.r_[begins[1:], n]
    finite = np.isfinite(points.value)
    values = points.value
    low = high = summed = values
    if not finite.all():
        low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
        summed = np.where(finite, values, 0.0)
    minima, maxima = np.minimum.reduceat(low, begins), np.maximum.reduceat(high, begins)
    with np.errstate(over="ignore", invalid="ignore"):
        totals = np.nan_to_num(np.clip(np.add.reduceat(summed, begins), -_TOTAL_MAX, _TOTAL_MAX))
    finites = np.add.reduceat(finite.astype(np.int64), begins)
    first_us, last_us = (
        np.minimum.reduceat(points.time_us, begins),
        np.maximum.reduceat(points.time_us, begins),
    )
    ascending = _ascending(points.step, begins)
    found = []
    for group, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        first, last = (begin, end - 1) if ascending[group] else _outermost(points.step[begin:end], begin)
        some = bool(finites[group])
        tally = Tally(
            n=end - begin,
            texts=0,
            first_step=int(points.step[first]),
            last_step=int(points.step[last]),
            first_us=int(first_us[group]),
            last_us=int(last_us[group]),
            first_value=number(int(points.kind[first]), float(values[first])),
            last_value=number(int(points.kind[last]), float(values[last])),
            last_seq=int(points.seq[end - 1]),
            minimum=float(minima[group]) if some else None,
            maximum=float(maxima[group]) if some else None,
            total=float(totals[group]),
            finite=int(finites[group]),
            ascending=bool(ascending[group]),
        )
        found.append((points.slots[int(points.slot[begin])], tally))
    return found


def _ascending(step: NDArray[np.int64], begins: NDArray[np.intp]) -> NDArray[np.bool_]:
    """For each group whether its steps strictly ascend."""
    falls = np.zeros(len(step), np.int64)
    falls[1:] = step[1:] <= step[:-1]
    falls[begins] = 0
    return np.asarray(np.add.reduceat(falls, begins) == 0)


def _outermost(step: NDArray[np.int64], offset: int) -> tuple[int, int]:
    """Positions of the lowest step's and the highest step's latest points."""
    first = np.flatnonzero(step == step.min())[-1]
    last = np.flatnonzero(step == step.max())[-1]
    return offset + int(first), offset + int(last)


def _text_tallies(texts: Iterable[Text]) -> list[tuple[SeriesName, Tally]]:
    found: dict[SeriesName, Tally] = {}
    for text in texts:
        value = dumps(text.value)
        new = Tally(
            0, 1, text.step, text.step, text.time_us, text.time_us, value, value, text.seq, None, None, 0.0, 0, True,
        )  # fmt: skip
        old = found.get(text.series)
        found[text.series] = new if old is None else _merge_texts(old, new)
    return list(found.items())


def _merge_texts(old: Tally, new: Tally) -> Tally:
    later, earlier = new.last_step >= old.last_step, new.first_step < old.first_step
    return replace(
        old,
        texts=old.texts + 1,
        first_step=min(old.first_step, new.first_step),
        last_step=max(old.last_step, new.last_step),
        first_us=min(old.first_us, new.first_us),
        last_us=max(old.last_us, new.last_us),
        first_value=new.first_value if earlier else old.first_value,
        last_value=new.last_value if later else old.last_value,
        last_seq=max(old.last_seq, new.last_seq),
        ascending=old.ascending and new.first_step > old.last_step,
    )
