"""Reduces and smooths series: the oracle of the compiled loops, and their stand-in.

All buffers are contiguous, float64 unless said otherwise, and the caller's; nothing is kept. A *state* has three
members: the smoothed value, the weight behind it (0 = nothing yet) and the x of the last finite point; passed on
from call to call it makes pieces of a series come out as the whole would. What is not finite passes through and
leaves the state alone. Where x falls, a new piece begins and the state with it. Sums are kept relative to the present
value, which is the same formula but leaves a constant as it is to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

N, FINITE, TOTAL, SQUARES, LOW, HIGH, FIRST, LAST = range(8)
"""Rows of a table of buckets. All but the number of points, the first and the last are over finite values."""

ROWS = 8
MEAN, WEIGHT, X = range(3)
STATE = 3

NOTHING = 1e-12
"""Below this a weight is nothing: products of such weights would become denormal numbers, which are slow."""

Numbers = Sequence[float]


class Buffer(Protocol):
    """Numbers that can be written to."""

    def __setitem__(self, position: int, value: float, /) -> None: ...
    def __getitem__(self, position: int, /) -> float: ...
    def __len__(self) -> int: ...


def reduce_points(bucket: Sequence[int], y: Numbers, idx: Buffer, table: Sequence[Buffer]) -> int:
    """Reduces points to one row for each run of equal bucket numbers.

    Args:
        bucket: int64, of each point.
        y: Values.
        idx: int64; takes the number of each row's bucket.
        table: `ROWS` rows as long as `idx`; takes the reductions.

    Returns:
        How many rows there are.

    Raises:
        ValueError: The buffers do not fit each other, or there are more rows than they have room for.
    """
    if len(y) != len(bucket) or len(table) != ROWS or len(table[0]) != len(idx):
        raise ValueError("buffers of different lengths")
    row = -1
    for number, value in zip(bucket, y, strict=True):
        if row < 0 or number != idx[row]:
            row += 1
            if row == len(idx):
                raise ValueError("more buckets than there is room for")
            idx[row] = number
            for column in (N, FINITE, TOTAL, SQUARES):
                table[column][row] = 0.0
            table[LOW][row] = table[HIGH][row] = math.nan
            table[FIRST][row] = value
        table[N][row] += 1.0
        table[LAST][row] = value
        if math.isfinite(value):
            _add(table, row, value)
    return row + 1


def _add(table: Sequence[Buffer], row: int, value: float) -> None:
    some = table[FINITE][row] > 0.0
    table[LOW][row] = min(table[LOW][row], value) if some else value
    table[HIGH][row] = max(table[HIGH][row], value) if some else value
    table[FINITE][row] += 1.0
    table[TOTAL][row] += value
    table[SQUARES][row] += value * value


def smooth_twema(x: Numbers, y: Numbers, out: Buffer, state: Buffer, rate: float) -> None:
    """Time-weighted moving average: the weight of what was decays by exp(-rate) for each unit of x."""
    _check(len(x), len(y), len(out), len(state))
    mean, total, before = state[MEAN], state[WEIGHT], state[X]
    for i, value in enumerate(y):
        if not math.isfinite(value):
            out[i] = value
            continue
        gap = x[i] - before
        if total == 0.0 or gap < 0.0:
            mean, total, gap = 0.0, 0.0, 0.0
        decay = 1.0 if gap == 0.0 else math.exp(-rate * gap)
        total = total * (decay if decay >= NOTHING else 0.0) + 1.0
        mean = _moved(mean, value, 1.0 / total)
        before, out[i] = x[i], mean
    state[MEAN], state[WEIGHT], state[X] = mean, total, before


def smooth_ema(x: Numbers, y: Numbers, out: Buffer, state: Buffer, weight: float) -> None:
    """Moving average point by point, without the pull of its start towards zero."""
    _check(len(x), len(y), len(out), len(state))
    mean, left, before = state[MEAN], 1.0 - state[WEIGHT], state[X]
    for i, value in enumerate(y):
        if not math.isfinite(value):
            out[i] = value
            continue
        if left == 1.0 or x[i] < before:
            mean, left = 0.0, 1.0
        if left > NOTHING:
            left *= weight
        mean = _moved(mean, value, (1.0 - weight) / (1.0 - left))
        before, out[i] = x[i], mean
    state[MEAN], state[WEIGHT], state[X] = mean, 1.0 - left, before


def smooth_gaussian(x: Numbers, y: Numbers, out: Buffer, sigma: float) -> None:
    """Average with weights of a bell of width `sigma` (in units of x, above 0), cut at three times that. x ascends."""
    _check(len(x), len(y), len(out))
    for i, value in enumerate(y):
        near = [
            (math.exp(-((x[j] - x[i]) ** 2) / (2 * sigma * sigma)), y[j])
            for j in range(len(y))
            if abs(x[j] - x[i]) <= 3 * sigma and math.isfinite(y[j])
        ]
        weights = sum(weight for weight, _ in near)
        out[i] = (
            value + sum(weight * (other - value) for weight, other in near) / weights
            if math.isfinite(value)
            else value
        )


def smooth_running(y: Numbers, out: Buffer, half: int) -> None:
    """Average of each point with the `half` points before and after it, as far as there are any."""
    _check(len(y), len(y), len(out))
    for i, value in enumerate(y):
        near = [other for other in y[max(0, i - half) : i + half + 1] if math.isfinite(other)]
        out[i] = value + sum(other - value for other in near) / len(near) if math.isfinite(value) else value


def _moved(mean: float, value: float, part: float) -> float:
    """`mean` with `part` of the way to `value` gone. The way itself may be too long for a double."""
    way = value - mean
    return mean + part * way if math.isfinite(way) else mean - part * mean + part * value


def _check(x: int, y: int, out: int, state: int = STATE) -> None:
    if x != y or y != out:
        raise ValueError("buffers of different lengths")
    if state != STATE:
        raise ValueError("a state has three members")
