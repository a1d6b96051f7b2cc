"""What SQL knows of series: which exist, how far they reach, whether their points need care."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, select

from buoy_server.jsonvalues import untag
from buoy_server.metadata.schema import SERIES
from buoy_server.metrics.reader import Axis
from buoy_server.metrics.selection import REDUCED, STEP_MAX, STEP_MIN, Inherited, Selection, SeriesKey
from buoy_server.query.lineage import Lineage

_IN_MAX = 500


@dataclass(frozen=True)
class Extent:
    """A series as a whole, x as the question's axis has it; `last_*` are those of the newest point."""

    n: int
    x_min: float
    x_max: float
    last_x: float
    last_y: float
    last_us: int


PartKey = tuple[int, int, int]
"""Run, attempt and rank of points."""


@dataclass(frozen=True)
class Part:
    """What one attempt has of a series.

    Attributes:
        n: Points that were stored.
        cut: Steps from here on do not count.
        gen: Changes when points came that do not ascend.
    """

    n: int
    first_step: int
    last_step: int
    cut: int
    gen: int


@dataclass(frozen=True)
class KnownSeries:
    """One (run, key, rank).

    Attributes:
        id: By ids.
        careful: Points may be superseded or logged twice at a step, so what SQL counts is not what is shown.
        rev: Revision of its last change.
        gen: Changes when earlier points may have changed.
        first: First and last step, first and last time, count and last value, from SQL; exact unless `careful`.
        members: The series of all ranks, if this one stands for them; then only the points tell its extent.
        parts: What it is made of, by run, attempt and rank.
        settled: Points up to this step are as they will stay, as long as what is added continues the series.
    """

    id: SeriesKey
    careful: bool
    rev: int
    gen: int
    n: int
    steps: tuple[int, int]
    times_us: tuple[int, int]
    last_y: float
    members: tuple[SeriesKey, ...] = ()
    parts: Mapping[PartKey, Part] = field(default_factory=dict)
    settled: int = 0

    @property
    def stored(self) -> int:
        """Points that are stored, superseded ones included."""
        return sum(part.n for part in self.parts.values())

    def continues(self, old: KnownSeries) -> bool:
        """Whether nothing up to `old.settled` has changed since, so that what came after it is all there is to read."""
        at = old.settled
        for key, part in old.parts.items():
            now = self.parts.get(key)
            if now is None or now.gen != part.gen or min(now.cut, at + 1) != min(part.cut, at + 1):
                return False
            # New points of a part come behind its last one; behind its cut they do not count.
            if now.n != part.n and part.last_step < min(at, now.cut - 1):
                return False
        return all(part.first_step > at for key, part in self.parts.items() if key not in old.parts)

    def extent(self, axis: Axis) -> Extent:
        """What SQL says of the whole series on an axis; clocks that went back aside, the newest point is the latest."""
        if axis.kind == "step":
            low, high = float(self.steps[0]), float(self.steps[1])
        else:
            start_us = axis.shifts_us[0][1] if axis.shifts_us else 0
            low, high = ((time_us - start_us) / 1e6 for time_us in self.times_us)
        return Extent(self.n, low, high, high, self.last_y, self.times_us[1])


def find_series(
    connection: Connection, runs: Sequence[int], keys: Sequence[int], lineages: Mapping[int, Lineage]
) -> dict[SeriesKey, KnownSeries]:
    """All series of these runs and keys that have numbers, those that forks have from their ancestors included."""
    forks: dict[int, list[Inherited]] = defaultdict(list)
    for run in dict.fromkeys(runs):
        for item in lineages.get(run, Lineage()).inherited:
            forks[item.source].append(item)
    own = set(runs)
    rows_of: dict[SeriesKey, list[Row[tuple[object, ...]]]] = defaultdict(list)
    for row in _series_rows(connection, [*own, *(run for run in forks if run not in own)], keys):
        if row.run in own:
            rows_of[row.run, row.key, row.rank].append(row)
        for item in forks.get(row.run, ()):
            if row.first_step < item.below:
                rows_of[item.run, row.key, row.rank].append(row)
    return {
        series: _known(series, rows, lineages.get(series[0], Lineage())) for series, rows in rows_of.items()
    }


@dataclass(frozen=True)
class SupersededSeries:
    """What a later attempt has superseded of a series: the points of one attempt from a step on.

    Attributes:
        id: By ids.
        attempt: Whose points, by number.
        ordinal: The same as people count.
        step: From here on.
        n: Points of the attempt in all; so many at most are superseded.
    """

    id: SeriesKey
    attempt: int
    ordinal: int
    step: int
    n: int


def find_superseded(
    connection: Connection, keys: Sequence[int], lineages: Mapping[int, Lineage]
) -> list[SupersededSeries]:
    """The superseded parts of these keys in all runs of the lineages, the earliest attempt first."""
    cut = {run: line for run, line in lineages.items() if line.limits}
    steps = {(limit.run, limit.attempt): limit.step for line in cut.values() for limit in line.limits}
    found = []
    for row in _series_rows(connection, list(cut), keys):
        step = steps.get((row.run, row.attempt))
        if step is not None and row.last_step >= step:
            ordinal = cut[row.run].attempts.index(row.attempt) + 1
            series = row.run, row.key, row.rank
            found.append(SupersededSeries(series, row.attempt, ordinal, max(step, row.first_step), row.n))
    return sorted(found, key=lambda item: (item.id, item.attempt))


def _series_rows(
    connection: Connection, runs: Sequence[int], keys: Sequence[int]
) -> Iterator[Row[tuple[object, ...]]]:
    for begin in range(0, len(runs), _IN_MAX):
        for key_begin in range(0, len(keys), _IN_MAX):
            yield from connection.execute(
                select(SERIES)
                .where(SERIES.c.run.in_(runs[begin : begin + _IN_MAX]), SERIES.c.n > 0)
                .where(SERIES.c.key.in_(keys[key_begin : key_begin + _IN_MAX]))
                .order_by(SERIES.c.attempt)
            )


def _known(series: SeriesKey, rows: Sequence[Row[tuple[object, ...]]], lineage: Lineage) -> KnownSeries:
    ends = {limit.attempt: limit.step for limit in lineage.limits}
    cut = any(
        row.last_step >= ends[row.attempt] for row in rows if row.run == series[0] and row.attempt in ends
    )
    borrowed = any(row.run != series[0] for row in rows)
    last = max(rows, key=lambda row: (row.last_step, row.attempt))
    value = untag(json.loads(last.last_value))
    parts = {(row.run, row.attempt, row.rank): _part(series[0], row, lineage) for row in rows}
    is_number = isinstance(value, (int, float))
    return KnownSeries(
        id=series,
        careful=cut or borrowed or not is_number or any(not row.ascending or row.texts for row in rows),
        rev=max(row.rev for row in rows),
        gen=sum(row.gen + 1 for row in rows) - 1,
        n=sum(row.n for row in rows),
        steps=(min(row.first_step for row in rows), last.last_step),
        times_us=(min(row.first_us for row in rows), max(row.last_us for row in rows)),
        last_y=_as_float(value),
        parts=parts,
        settled=_last_that_counts(parts.values()),
    )


def _part(run: int, row: Row[tuple[object, ...]], lineage: Lineage) -> Part:
    cuts = [STEP_MAX]
    if row.run == run:
        cuts += [limit.step for limit in lineage.limits if limit.attempt == row.attempt]
    for item in lineage.inherited:
        if item.source == row.run:
            cuts.append(item.below)
            cuts += [limit.step for limit in item.limits if limit.attempt == row.attempt]
    return Part(row.n, row.first_step, row.last_step, min(cuts), row.gen)


def _last_that_counts(parts: Iterable[Part]) -> int:
    counted = [min(part.last_step, part.cut - 1) for part in parts if part.first_step < part.cut]
    return max(counted, default=STEP_MIN)


def _as_float(value: object) -> float:
    if not isinstance(value, (int, float)):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def over_ranks(known: dict[SeriesKey, KnownSeries]) -> dict[SeriesKey, KnownSeries]:
    """One series for all ranks of a run and key."""
    ranks: dict[tuple[int, int], list[KnownSeries]] = defaultdict(list)
    for (run, key, _), series in known.items():
        ranks[run, key].append(series)
    return {
        (run, key, REDUCED): _joined((run, key, REDUCED), members) for (run, key), members in ranks.items()
    }


def _joined(series: SeriesKey, members: Sequence[KnownSeries]) -> KnownSeries:
    last = max(members, key=lambda member: member.steps[1])
    return KnownSeries(
        id=series,
        careful=any(member.careful for member in members),
        rev=max(member.rev for member in members),
        gen=sum(member.gen + 1 for member in members) - 1,
        n=max(member.n for member in members),
        steps=(min(member.steps[0] for member in members), last.steps[1]),
        times_us=(
            min(member.times_us[0] for member in members),
            max(member.times_us[1] for member in members),
        ),
        last_y=last.last_y,
        members=tuple(sorted(member.id for member in members)),
        parts={key: part for member in members for key, part in member.parts.items()},
        settled=min(member.settled for member in members),
    )


def select_series(
    known: Sequence[KnownSeries],
    lineages: Mapping[int, Lineage],
    *,
    system: bool,
    reduction: str | None = None,
) -> list[Selection]:
    """The same series as selections: those that need care apart, because care costs time."""
    plain = [part for series in known if not series.careful for part in series.members or [series.id]]
    careful = [part for series in known if series.careful for part in series.members or [series.id]]
    found = [Selection(plain, reduction=reduction)] if plain else []
    if careful:
        mine = {} if system else lineages
        lines = [mine[run] for run in sorted({run for run, _, _ in careful}) if run in mine]
        cuts = [limit for line in lines for limit in line.limits]
        borrowed = [item for line in lines for item in line.inherited]
        found.append(Selection(careful, cuts, borrowed, ascending=False, reduction=reduction))
    return found
