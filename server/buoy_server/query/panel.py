"""What is asked for a panel, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from buoy_server.metrics.reader import Columns
from buoy_server.query.known_series import Extent
from buoy_server.query.smoothing import Smoothing

COLUMNS = ("n", "min", "max", "last", "mean", "first", "sumsq")
"""What a panel can ask of each bucket. Extremes, mean and sumsq are over finite values."""

DEFAULT_COLUMNS = COLUMNS[:5]
STATISTICS = ("n", "mean", "std", "se", "min", "max")
AXES = ("step", "rel", "proc", "wall")

BYTES_MAX = 6_000_000
LINES_MAX = 300


@dataclass(frozen=True)
class Chosen:
    """Runs by a filter, as in a list of runs."""

    filter: object = None
    sort: Sequence[tuple[str, bool]] | None = None
    limit: int = 1000


@dataclass(frozen=True)
class Grouping:
    """Runs with the same values of some columns become one series.

    Attributes:
        by: Columns of runs.
        statistics: Of `STATISTICS`.
    """

    by: Sequence[str]
    statistics: Sequence[str] = STATISTICS


@dataclass(frozen=True)
class PanelRequest:
    """What a panel wants to draw.

    Attributes:
        id: The client's number for it.
        keys: Names of keys.
        runs: Run ids.
        x: One of `AXES`: seconds since the run's start, the same without the time between attempts, since 1970.
        x_key: This key's values are x instead.
        exponent: Bucket width 2^exponent; None = choose.
        pixels: Buckets wanted at most.
        range: x window, both ends inside; None = all.
        columns: Of `COLUMNS`.
        have: Revision that the client holds, by run id. With an exponent it also says that what it holds has that one.
        system: System metrics instead of logged ones.
        ranks: Only these; None = a series for each.
        reduction: One series for all of them, of `buoy_core.rank_reduction`. It is made from the points of each step
            before they go into buckets, so it is exact.
        superseded: What later attempts have superseded comes too, a series for each attempt. Needs no reduction.
        pattern: All keys that it matches, besides `keys`; RE2.
        chosen: All runs that it chooses, besides `runs`.
        smoothing: A further column.
        grouping: One series for each group of runs.
        density: Beyond so many series the rest comes as a density; None = never.
        top_lines: How many of them are lines then.
        top: Runs that stay lines whatever becomes of the rest.
        bytes_max: What the answer may take; buckets become wider for that, but never fewer than 64.
    """

    id: int
    keys: Sequence[str]
    runs: Sequence[str]
    x: str = "step"
    x_key: str | None = None
    exponent: int | None = None
    pixels: int = 160
    range: tuple[float, float] | None = None
    columns: Sequence[str] = DEFAULT_COLUMNS
    have: Mapping[str, int] = field(default_factory=dict)
    system: bool = False
    ranks: Sequence[int] | None = None
    reduction: str | None = None
    superseded: bool = False
    pattern: str | None = None
    chosen: Chosen | None = None
    smoothing: Smoothing | None = None
    grouping: Grouping | None = None
    density: int | None = None
    top_lines: int = LINES_MAX
    top: Sequence[str] = ()
    bytes_max: int = BYTES_MAX

    @property
    def integer(self) -> bool:
        """x has whole numbers only, so narrower buckets than 1 make no sense."""
        return self.x == "step" and self.x_key is None


@dataclass
class SeriesAnswer:
    """One series of a panel.

    Attributes:
        rank: Of the series; `REDUCED` if it is that of all ranks.
        kind: `buckets`, `raw`, `absent`, `unchanged`, `group` or `density`.
        first_bucket: Number of the bucket that `idx` counts from.
        idx: Position of each bucket after the first.
        columns: For buckets by name; for raw points `x` and `y` besides `smooth` and `segment`.
        attempt: 0 for the curve; else which attempt's superseded part this is, counted from 1.
        sealed: The run has ended.
        tail: Only what is new: it replaces all that the client holds from its first bucket or x on.
        count: How many pairs have an x of an earlier step; for a group the number of its runs.
        state: Smoothing left of the first row: weighted sum and weights.
        grid: Of a density: how many series cross each cell, a row for each bucket, from the lowest y up.
        y_range: Of the grid.
    """

    run: str
    key: str
    rank: int
    kind: str
    rev: int = 0
    gen: int = 0
    extent: Extent | None = None
    first_bucket: int = 0
    idx: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    columns: Columns = field(default_factory=dict)
    attempt: int = 0
    sealed: bool = False
    tail: bool = False
    count: int = 0
    state: tuple[float, float] = (0.0, 0.0)
    grid: NDArray[np.uint16] | None = None
    y_range: tuple[float, float] = (0.0, 0.0)


@dataclass
class PanelAnswer:
    """All series of a panel, in the order of its runs, then keys, then ranks; superseded parts after the curves.

    Attributes:
        series: The series; a density last, over all of them.
    """

    id: int
    exponent: int
    rev: int
    series: list[SeriesAnswer]
