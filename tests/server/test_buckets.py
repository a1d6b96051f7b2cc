"""The dyadic grid as properties."""

from __future__ import annotations

from fractions import Fraction

from buoy_server.query.buckets import EXPONENT_MIN, bucket_count, bucket_of, choose_exponent
from hypothesis import given
from hypothesis import strategies as st

STEPS = st.integers(-(1 << 62), 1 << 62)
TIMES = st.integers(-(10**16), 10**16).map(lambda time_us: time_us / 1e6)


@given(x=STEPS, exponent=st.integers(0, 63))
def test_a_bucket_holds_its_steps(x: int, exponent: int) -> None:
    bucket = bucket_of(x, exponent)
    assert bucket << exponent <= x < (bucket + 1) << exponent


@given(x=TIMES, exponent=st.integers(EXPONENT_MIN, 40))
def test_a_bucket_holds_its_times(x: float, exponent: int) -> None:
    bucket = bucket_of(x, exponent)
    width = Fraction(2) ** exponent
    assert bucket * width <= Fraction(x) < (bucket + 1) * width


@given(x=STEPS, exponent=st.integers(0, 62))
def test_two_buckets_make_one_of_the_next(x: int, exponent: int) -> None:
    assert bucket_of(x, exponent) >> 1 == bucket_of(x, exponent + 1)


@given(ends=st.tuples(STEPS, STEPS), pixels=st.integers(1, 8192))
def test_the_chosen_steps_are_the_finest_that_fit(ends: tuple[int, int], pixels: int) -> None:
    low, high = sorted(ends)
    exponent = choose_exponent(low, high, pixels, integer=True)
    # One bucket cannot hold both sides of zero.
    if pixels >= 2 or bucket_count(low, high, 63) == 1:
        assert bucket_count(low, high, exponent) <= pixels
    if exponent > 0:
        assert bucket_count(low, high, exponent - 1) > pixels


@given(ends=st.tuples(TIMES, TIMES), pixels=st.integers(2, 8192))
def test_the_chosen_times_are_the_finest_that_fit(ends: tuple[float, float], pixels: int) -> None:
    low, high = sorted(ends)
    exponent = choose_exponent(low, high, pixels, integer=False)
    assert bucket_count(low, high, exponent) <= pixels
    if exponent > EXPONENT_MIN:
        assert bucket_count(low, high, exponent - 1) > pixels


@given(low=st.integers(0, 1 << 40), length=st.integers(1, 1 << 40), pixels=st.integers(2, 4096))
def test_buckets_fill_at_least_a_quarter_of_the_pixels(low: int, length: int, pixels: int) -> None:
    exponent = choose_exponent(low, low + length, pixels, integer=True)
    if exponent > 0:
        assert bucket_count(low, low + length, exponent) >= pixels // 4
