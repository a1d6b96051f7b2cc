"""Values of several ranks as one: against exact arithmetic, and at the edges of what a double holds."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from buoy_core.rank_reduction import REDUCTIONS, reduce_ranks
from hypothesis import given
from hypothesis import strategies as st

DOUBLE_MAX = 1.7976931348623157e308
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def reduce(name: str, *values: float) -> float:
    return reduce_ranks(name, range(len(values)), values)


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_against_exact_arithmetic(values: list[float]) -> None:
    exact = sum(map(Fraction, values))
    if abs(exact) <= DOUBLE_MAX:
        assert reduce("sum", *values) == float(exact)
    assert reduce("mean", *values) == pytest.approx(float(exact / len(values)), rel=1e-15, abs=5e-324)
    assert reduce("min", *values) == min(values)
    assert reduce("max", *values) == max(values)
    assert reduce("count", *values) == len(values)
    assert values[int(reduce("argmax", *values))] == max(values)
    assert values[int(reduce("argmin", *values))] == min(values)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_deviation_is_that_of_the_ranks(values: list[float]) -> None:
    mean = sum(map(Fraction, values)) / len(values)
    variance = sum((Fraction(value) - mean) ** 2 for value in values) / len(values)
    assert reduce("std", *values) == pytest.approx(math.sqrt(variance), rel=1e-9, abs=1e-6)


@given(st.lists(st.floats(), min_size=1, max_size=8), st.randoms())
def test_the_order_of_the_ranks_does_not_matter(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in set(REDUCTIONS) - {"argmin", "argmax"}:
        one, other = reduce(name, *values), reduce(name, *shuffled)
        assert one == other or (math.isnan(one) and math.isnan(other))


def test_integers_stay_integers() -> None:
    big = 1 << 70
    for name, expected in (("min", -3), ("max", big), ("sum", big - 3 + True), ("count", 3), ("argmax", 1)):
        found = reduce(name, -3, big, True)
        assert (found, type(found)) == (expected, int)
    assert reduce("mean", 1, 2) == 1.5
    assert reduce("max", True, False) == 1
    assert type(reduce("max", True, False)) is int


def test_a_rank_with_nan_shows() -> None:
    for name in ("mean", "min", "max", "sum", "std"):
        assert math.isnan(reduce(name, 1.0, math.nan, 2.0))
    assert reduce("count", 1.0, math.nan) == 2
    assert reduce_ranks("argmax", [3, 5, 8], [1.0, math.nan, 2.0]) == 5
    assert reduce_ranks("argmin", [3, 5, 8], [1.0, math.nan, 2.0]) == 5


def test_of_equal_ranks_the_lowest_is_named() -> None:
    assert reduce_ranks("argmax", [2, 4, 6], [1, 7, 7]) == 4
    assert reduce_ranks("argmin", [2, 4, 6], [1, 1, 7]) == 2


def test_infinities_and_overflow() -> None:
    assert reduce("mean", math.inf, 1.0) == math.inf
    assert math.isnan(reduce("sum", math.inf, -math.inf))
    assert math.isnan(reduce("std", math.inf, 1.0))
    # The sum does not fit, the mean does.
    assert reduce("mean", DOUBLE_MAX, DOUBLE_MAX, DOUBLE_MAX) == DOUBLE_MAX
    assert reduce("sum", DOUBLE_MAX, DOUBLE_MAX) == math.inf
    assert reduce("sum", DOUBLE_MAX, DOUBLE_MAX, -DOUBLE_MAX) == DOUBLE_MAX
    assert reduce("std", 1e200, -1e200) == 1e200
    assert reduce("mean", 1 << 2000, 0) == math.inf
