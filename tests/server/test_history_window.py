"""How wide a page of history is: pure decisions, against series of every shape."""

from __future__ import annotations

from buoy_server.query.history_window import Bounds, Span, first_width, next_width
from hypothesis import given, settings
from hypothesis import strategies as st

STEPS = st.lists(
    st.one_of(st.integers(0, 300), st.integers(0, 1 << 62)), min_size=1, max_size=60, unique=True
).map(sorted)


def pages(series: list[list[int]], bounds: Bounds) -> tuple[list[int], int]:
    """The last step of each page, and how many counts were asked for."""
    spans = [Span(len(steps), steps[0], steps[-1]) for steps in series]
    every = sorted({step for steps in series for step in steps})
    high, low, ends, counts = every[-1], every[0], [], 0
    while True:
        width, shrunk = first_width(spans, spans, low, bounds), False
        while True:
            counts += 1
            end = min(low + width - 1, high)
            points = sum(low <= step <= end for steps in series for step in steps)
            rows = sum(low <= step <= end for step in every)
            if not rows:
                low = min(step for step in every if step >= low)
                continue
            better = next_width(width, points, rows, bounds, shrunk=shrunk)
            if better == width or (better > width and end == high):
                break
            width, shrunk = better, shrunk or better < width
        assert (points <= bounds.points and rows <= bounds.steps) or width == 1
        ends.append(end)
        if end >= high:
            return ends, counts
        low = end + 1


@settings(deadline=None, max_examples=200)
@given(st.lists(STEPS, min_size=1, max_size=4), st.integers(1, 50), st.integers(1, 50))
def test_pages_are_bounded_and_come_to_an_end(series: list[list[int]], points: int, steps: int) -> None:
    ends, counts = pages(series, Bounds(points, steps))
    assert ends == sorted(set(ends))
    values = sum(map(len, series))
    assert len(ends) <= 2 * values + 2
    # From steps to gaps of 2^62 and back is about 30 factors of four each way.
    assert counts <= 70 * (values + 1)


def test_an_even_series_takes_one_count_a_page() -> None:
    ends, counts = pages([list(range(10_000))], Bounds(1000, 1000))
    assert (len(ends), counts) == (12, 12)
