"""What SQL knows of series: which exist, how far they reach, whether their points need care."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, select

from buoy_server.jsonvalues import untag
from buoy_server.metadata.schema import SERIES
from buoy_server.metrics.selection import Limit, Selection, SeriesKey

_IN_MAX = 500


@dataclass(frozen=True)
class Extent:
    """A series as a whole. x values are steps or seconds, as the question's axis has it."""

    n: int
    x_min: float
    x_max: float
    last_y: float
    last_us: int


@dataclass(frozen=True)
class KnownSeries:
    """One (run, key, rank).

    Attributes:
        id: By ids.
        careful: Points may be superseded or logged twice at a step, so what SQL counts is not what is shown.
        rev: Revision of its last change.
        gen: Changes when earlier points may have changed.
        first: First and last step, first and last time, count and last value, from SQL; exact unless `careful`.
    """

    id: SeriesKey
    careful: bool
    rev: int
    gen: int
    n: int
    steps: tuple[int, int]
    times_us: tuple[int, int]
    last_y: float

    def extent(self, axis: str, start_us: int) -> Extent:
        """What SQL says of the whole series on an axis."""
        if axis == "step":
            low, high = float(self.steps[0]), float(self.steps[1])
        else:
            low, high = ((time_us - start_us) / 1e6 for time_us in self.times_us)
        return Extent(self.n, low, high, self.last_y, self.times_us[1])


def find_series(
    connection: Connection, runs: Sequence[int], keys: Sequence[int], limits: dict[int, list[Limit]]
) -> dict[SeriesKey, KnownSeries]:
    """All series of these runs and keys that have numbers."""
    attempts: dict[SeriesKey, list[Row[tuple[object, ...]]]] = defaultdict(list)
    for begin in range(0, len(runs), _IN_MAX):
        for key_begin in range(0, len(keys), _IN_MAX):
            rows = connection.execute(
                select(SERIES)
                .where(SERIES.c.run.in_(runs[begin : begin + _IN_MAX]), SERIES.c.n > 0)
                .where(SERIES.c.key.in_(keys[key_begin : key_begin + _IN_MAX]))
                .order_by(SERIES.c.attempt)
            )
            for row in rows:
                attempts[row.run, row.key, row.rank].append(row)
    return {series: _known(series, rows, limits.get(series[0], [])) for series, rows in attempts.items()}


def _known(
    series: SeriesKey, rows: Sequence[Row[tuple[object, ...]]], limits: Sequence[Limit]
) -> KnownSeries:
    ends = {limit.attempt: limit.step for limit in limits}
    cut = any(row.last_step >= ends[row.attempt] for row in rows if row.attempt in ends)
    last = max(rows, key=lambda row: (row.last_step, row.attempt))
    value = untag(json.loads(last.last_value))
    is_number = isinstance(value, (int, float))
    return KnownSeries(
        id=series,
        careful=cut or not is_number or any(not row.ascending or row.texts for row in rows),
        rev=max(row.rev for row in rows),
        gen=sum(row.gen + 1 for row in rows) - 1,
        n=sum(row.n for row in rows),
        steps=(min(row.first_step for row in rows), last.last_step),
        times_us=(min(row.first_us for row in rows), max(row.last_us for row in rows)),
        last_y=_as_float(value),
    )


def _as_float(value: object) -> float:
    if not isinstance(value, (int, float)):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def select_series(
    known: Sequence[KnownSeries], limits: dict[int, list[Limit]], *, system: bool
) -> list[Selection]:
    """The same series as selections: those that need care apart, because care costs time."""
    plain = [series.id for series in known if not series.careful]
    careful = [series.id for series in known if series.careful]
    found = [Selection(plain)] if plain else []
    if careful:
        runs = {run for run, _, _ in careful}
        cuts = [] if system else [limit for run in sorted(runs) for limit in limits.get(run, [])]
        found.append(Selection(careful, cuts, ascending=False))
    return found
