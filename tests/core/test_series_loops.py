"""Reduction and smoothing: the compiled loops against their twin, and both against the formulas as they are written."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import buoy_core._compiled.series
import buoy_core.python.series
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CORES = (buoy_core._compiled.series, buoy_core.python.series)
TOLERANCE = {"rtol": 1e-9, "atol": 1e-12, "equal_nan": True}

finite = st.floats(-1e6, 1e6, allow_subnormal=True)
values = st.lists(st.one_of(finite, st.sampled_from([math.nan, math.inf, -math.inf, 5e-324])), max_size=60)
gaps = st.lists(st.one_of(st.just(1.0), st.floats(0, 100), st.floats(-50, 0)), min_size=60, max_size=60)


@pytest.fixture(params=CORES, ids=["compiled", "python"])
def loops(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


def xs(steps: list[float], n: int) -> Floats:
    return np.cumsum(steps)[:n] if n else np.empty(0)


def smoothed(loops: Any, kind: str, x: Floats, y: Floats, state: Floats | None = None) -> Floats:
    """With parameters of middling size; a state makes it go on from there."""
    out, state = np.full(len(y), 7.0), np.zeros(3) if state is None else state
    if kind == "twema":
        loops.smooth_twema(x, y, out, state, -math.log(0.8) * 0.5)
    elif kind == "ema":
        loops.smooth_ema(x, y, out, state, 0.9)
    elif kind == "gaussian":
        loops.smooth_gaussian(x, y, out, 2.5)
    else:
        loops.smooth_running(y, out, 3)
    return out


KINDS = ("twema", "ema", "gaussian", "running")


@given(values, gaps, st.sampled_from(KINDS))
@settings(max_examples=60, deadline=None)
def test_the_twins_agree(y: list[float], steps: list[float], kind: str) -> None:
    x = xs([abs(step) for step in steps] if kind == "gaussian" else steps, len(y))
    one, two = (smoothed(loops, kind, x, np.array(y, float)) for loops in CORES)
    np.testing.assert_allclose(one, two, **TOLERANCE)


@given(values, st.lists(st.integers(-3, 3), min_size=60, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_twins_reduce_alike(y: list[float], numbers: list[int]) -> None:
    bucket, found = np.array(sorted(numbers)[: len(y)], np.int64), []
    for loops in CORES:
        idx, table = np.zeros(len(y), np.int64), np.zeros((8, len(y)))
        rows = loops.reduce_points(bucket, np.array(y, float), idx, table)
        found.append((idx[:rows], table[:, :rows]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][0].tolist() == sorted(set(bucket.tolist()))


def test_reduction(loops: ModuleType) -> None:
    y = np.array([3.0, math.nan, -1.0, math.inf, math.nan, 2.0])
    idx, table = np.zeros(3, np.int64), np.zeros((8, 3))
    assert loops.reduce_points(np.array([-2, -2, -2, 5, 5, 6]), y, idx, table) == 3
    assert idx.tolist() == [-2, 5, 6]
    rows = dict(zip(("n", "finite", "total", "squares", "low", "high", "first", "last"), table, strict=True))
    assert rows["n"].tolist() == [3, 2, 1]
    assert rows["finite"].tolist() == [2, 0, 1]
    assert (rows["total"][0], rows["squares"][0]) == (2.0, 10.0)
    assert (rows["low"][0], rows["high"][0], rows["first"][0], rows["last"][0]) == (-1.0, 3.0, 3.0, -1.0)
    assert math.isnan(rows["low"][1])
    assert math.isnan(rows["high"][1])
    assert rows["first"][1] == math.inf
    assert math.isnan(rows["last"][1])


def test_buffers_that_do_not_fit_are_refused(loops: ModuleType) -> None:
    three, two = np.zeros(3), np.zeros(2)
    with pytest.raises(ValueError, match="room"):
        loops.reduce_points(np.array([1, 2, 3]), three, np.zeros(2, np.int64), np.zeros((8, 2)))
    for call in (
        lambda: loops.reduce_points(np.zeros(2, np.int64), three, np.zeros(3, np.int64), np.zeros((8, 3))),
        lambda: loops.reduce_points(np.zeros(3, np.int64), three, np.zeros(3, np.int64), np.zeros((8, 2))),
        lambda: loops.smooth_twema(three, three, two, three, 0.5),
        lambda: loops.smooth_twema(three, three, three, two, 0.5),
        lambda: loops.smooth_ema(two, three, three, three, 0.5),
        lambda: loops.smooth_ema(three, three, three, two, 0.5),
        lambda: loops.smooth_gaussian(three, two, three, 1.0),
        lambda: loops.smooth_running(three, two, 1),
    ):
        with pytest.raises(ValueError, match=r"length|members"):
            call()


@given(values, gaps)
@settings(max_examples=40, deadline=None)
def test_the_time_weighted_average_is_its_formula(y: list[float], steps: list[float]) -> None:
    x, weight, scale = xs([abs(step) for step in steps], len(y)), 0.8, 0.5
    expected, total, weights, before = [], 0.0, 0.0, None
    for position, value in zip(x, y, strict=True):
        if not math.isfinite(value):
            expected.append(value)
            continue
        a = weight ** ((position - (position if before is None else before)) * scale)
        total, weights, before = total * a + value, weights * a + 1, position
        expected.append(total / weights)
    for loops in CORES:
        found = smoothed(loops, "twema", x, np.array(y, float))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-5, equal_nan=True)


@given(values)
@settings(max_examples=40, deadline=None)
def test_the_moving_average_is_its_formula(y: list[float]) -> None:
    weight, expected, last, n = 0.9, [], 0.0, 0
    for value in y:
        if not math.isfinite(value):
            expected.append(value)
            continue
        last, n = last * weight + (1 - weight) * value, n + 1
        expected.append(last / (1 - weight**n))
    for loops in CORES:
        found = smoothed(loops, "ema", np.arange(len(y), dtype=float), np.array(y, float))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-5, equal_nan=True)


@given(finite, gaps, st.sampled_from(KINDS), st.sets(st.integers(0, 59), max_size=5))
@settings(max_examples=40, deadline=None)
def test_a_constant_stays_what_it_is(value: float, steps: list[float], kind: str, holes: set[int]) -> None:
    y = np.full(60, value)
    y[sorted(holes)] = math.nan
    for loops in CORES:
        found = smoothed(loops, kind, xs([abs(step) for step in steps], 60), y)
        np.testing.assert_array_equal(found, y)


@given(values, gaps, st.sampled_from(["twema", "ema"]), st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_pieces_come_out_as_the_whole(y: list[float], steps: list[float], kind: str, cut: int) -> None:
    """So that points which arrive later change nothing that was shown, and no window needs what is left of it."""
    x, all_y = xs(steps, len(y)), np.array(y, float)
    for loops in CORES:
        whole, state = smoothed(loops, kind, x, all_y), np.zeros(3)
        parts = [smoothed(loops, kind, x[s], all_y[s], state) for s in (slice(cut), slice(cut, None))]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("kind", ["twema", "ema"])
def test_where_x_falls_a_new_piece_begins(loops: ModuleType, kind: str) -> None:
    x, y = np.array([0.0, 1, 2, 0, 1]), np.array([9.0, 9, 9, 1, 1])
    assert smoothed(loops, kind, x, y).tolist() == [9, 9, 9, 1, 1]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("kind", ["twema", "ema"])
def test_numbers_too_far_apart_do_not_break_the_state(loops: ModuleType, kind: str) -> None:
    """Their difference is infinite; as a part of the average it was NaN for the rest of the run."""
    y = np.array([1.7e308, -1.7e308] * 3 + [1.0] * 200)
    assert np.isfinite(smoothed(loops, kind, np.arange(len(y), dtype=float), y)).all()


def test_weights_end_before_they_are_denormal(loops: ModuleType) -> None:
    state, n = np.zeros(3), 5000
    loops.smooth_ema(np.arange(n, dtype=float), np.ones(n), np.zeros(n), state, 0.5)
    left = 1.0 - state[buoy_core.python.series.WEIGHT]
    assert left == 0.0 or left > 1e-300
    state = np.zeros(3)
    loops.smooth_twema(np.arange(n, dtype=float) * 1e6, np.ones(n), np.zeros(n), state, 0.5)
    assert state[buoy_core.python.series.WEIGHT] == 1.0


def test_the_bell_and_the_window(loops: ModuleType) -> None:
    x, y, out = np.arange(9.0), np.zeros(9), np.zeros(9)
    y[4] = 1.0
    loops.smooth_gaussian(x, y, out, 1.0)
    bell = [math.exp(-(k * k) / 2) for k in range(4)]
    assert out[4] == pytest.approx(1 / (1 + 2 * sum(bell[1:])))
    # At the edge only the weights that there are count.
    assert out[1] == pytest.approx(bell[3] / (sum(bell) + bell[1]))
    loops.smooth_running(y, out, 2)
    assert out.tolist() == pytest.approx([0, 0, 0.2, 0.2, 0.2, 0.2, 0.2, 0, 0])
    y[0] = 1.0
    loops.smooth_running(y, out, 2)
    assert out[0] == pytest.approx(1 / 3)
