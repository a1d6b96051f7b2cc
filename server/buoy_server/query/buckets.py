"""The dyadic grid: bucket b of exponent e covers [b * 2^e, (b + 1) * 2^e). Pure.

Widths are powers of two and the grid is anchored at zero, so buckets never move while a run grows, and two buckets
of one exponent make exactly one of the next.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

EXPONENT_MIN = -30
EXPONENT_MAX = 63
PIXELS_MAX = 8192
BUCKETS_MIN = 64
"""However little room there is, buckets do not become wider than for so many."""

RAW_POINTS_PER_BUCKET = 2


def bucket_of(x: float, exponent: int) -> int:
    """The bucket that holds x."""
    if isinstance(x, int):
        return x >> exponent if exponent >= 0 else x << -exponent
    return math.floor(math.ldexp(x, -exponent))


def buckets_of(x: NDArray[np.int64] | NDArray[np.float64], exponent: int) -> NDArray[np.int64]:
    """The buckets that hold points; whole numbers have exponents from 0."""
    if x.dtype.kind == "i":
        return np.right_shift(x.astype(np.int64, copy=False), exponent)
    return np.asarray(np.floor(np.ldexp(x, -exponent)), np.int64)


def bucket_count(low: float, high: float, exponent: int) -> int:
    """How many buckets of an exponent touch [low, high]."""
    return bucket_of(high, exponent) - bucket_of(low, exponent) + 1


def choose_exponent(low: float, high: float, buckets_max: int, *, integer: bool) -> int:
    """The smallest exponent that covers [low, high] with at most `buckets_max` buckets.

    Args:
        low: Left end, not above `high`.
        high: Right end, inside.
        buckets_max: At least 1.
        integer: x is a whole number, so narrower buckets than 1 make no sense.
    """
    lowest = 0 if integer else EXPONENT_MIN
    # The width must be at least span / buckets_max, which gives the exponent up to one or two.
    span = high - low
    guess = math.frexp(span / buckets_max)[1] - 2 if span > 0 else lowest
    exponent = max(lowest, min(guess, EXPONENT_MAX))
    while exponent < EXPONENT_MAX and bucket_count(low, high, exponent) > buckets_max:
        exponent += 1
    return exponent


def raw_points_max(pixels: int) -> int:
    """With at most so many points in the range a series comes as it was logged."""
    return RAW_POINTS_PER_BUCKET * pixels
