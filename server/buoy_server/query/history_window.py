"""How many steps make one page of history. Pure.

The engine stores series by series, so it cannot say where the first thousand rows end without reading all of them. It
can count what lies in a range of steps quickly. So a page is a range whose width is guessed from the series'
statistics and then corrected by counts, until it holds about as much as a page may.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_WIDTH_MAX = 1 << 64


class Span(NamedTuple):
    """A series as statistics know it: how many values, from which step to which."""

    n: int
    first: int
    last: int


class Bounds(NamedTuple):
    """What a page may hold: values, and steps."""

    points: int
    steps: int


def first_width(spans: Iterable[Span], counted: Iterable[Span], low: int, bounds: Bounds) -> int:
    """A guess at how many steps from `low` on fill a page, if those that count are the ones with `counted` values."""
    values, rows = _densities(spans, low), _densities(counted, low)
    if not values or not rows:
        return _WIDTH_MAX
    # A little less, because the first correction costs more than a slightly small page.
    return max(1, int(0.9 * min(bounds.steps / min(1.0, max(rows)), bounds.points / sum(values))))


def _densities(spans: Iterable[Span], low: int) -> list[float]:
    """Values a step of each series that goes on after `low`."""
    return [span.n / (span.last - span.first + 1) for span in spans if span.last >= low]


def next_width(width: int, points: int, steps: int, bounds: Bounds, *, shrunk: bool) -> int:
    """The width to try after one that held so many values and steps; the same one if it will do.

    `shrunk` says that a larger one has been too large: then a range is not widened again.
    """
    fill = max(points / bounds.points, steps / bounds.steps)
    if fill > 1 and width > 1:
        return max(1, min(width // 2, int(0.9 * width / fill)))
    if fill < 0.25 and not shrunk:
        return min(_WIDTH_MAX, width * (64 if not points else 4))
    return width
