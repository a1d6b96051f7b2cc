"""One value out of those that the ranks of a job logged under one key at one step.

Server and SDK both reduce, the one what it stores and the other a folder, and have to agree to the last bit: so sums
are correctly rounded (`math.fsum`), whatever the order of the ranks. NaN on any rank is NaN for all, because a rank
that diverges is what one looks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from buoy_core.values import nearest_double

REDUCTIONS = ("mean", "min", "max", "sum", "std", "count", "argmin", "argmax")
"""`std` is that of the ranks that there are, so divided by their number; `argmin` and `argmax` name a rank."""

_SHRINK, _GROW = 2.0**-64, 2.0**64


def reduce_ranks(name: str, ranks: Sequence[int], values: Sequence[float]) -> float:
    """The reduction `name` of `REDUCTIONS`. Of ints, min, max and sum are ints.

    Args:
        name: which.
        ranks: ascending, as many as values.
        values: numbers, ints of any size included; a bool counts as 0 or 1. At least one.
    """
    if name == "count":
        return len(values)
    broken = [rank for rank, value in zip(ranks, values, strict=True) if value != value]  # noqa: PLR0124
    if name in ("argmin", "argmax"):
        return broken[0] if broken else ranks[values.index(_extreme(name, values))]
    if broken:
        return math.nan
    if name in ("min", "max"):
        return _plain(_extreme(name, values))
    if name == "sum" and all(isinstance(value, int) for value in values):
        return sum(map(_plain, values))
    numbers = [nearest_double(value) if isinstance(value, int) else value for value in values]
    return {"sum": _sum, "mean": _mean, "std": _deviation}[name](numbers)


def _extreme(name: str, values: Sequence[float]) -> float:
    return min(values) if name.endswith("min") else max(values)


def _plain(value: float) -> float:
    return int(value) if isinstance(value, bool) else value


def _sum(numbers: Sequence[float], count: int = 1) -> float:
    """The sum, divided by `count`."""
    try:
        return math.fsum(numbers) / count
    except ValueError:
        # Both infinities.
        return math.nan
    except OverflowError:
        # On the way only, perhaps. So large, nothing is lost by shrinking.
        return math.fsum(number * _SHRINK for number in numbers) / count * _GROW


def _mean(numbers: Sequence[float]) -> float:
    return _sum(numbers, len(numbers))


def _deviation(numbers: Sequence[float]) -> float:
    mean = _mean(numbers)
    if not math.isfinite(mean):
        return math.nan
    scale = max(abs(number - mean) for number in numbers)
    if scale == 0.0 or math.isinf(scale):
        return scale
    # In units of the largest deviation, whose square neither overflows nor vanishes.
    return scale * math.sqrt(_mean([((number - mean) / scale) ** 2 for number in numbers]))
