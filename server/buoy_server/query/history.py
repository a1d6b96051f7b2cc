"""The complete history of a run, a page at a time: exact values, ordered by step, no row left out.

A page is a range of steps, chosen so that it holds a bounded number of values however long the run is and however its
keys and ranks are spread over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from buoy_core.rank_reduction import REDUCTIONS
from sqlalchemy import func, select

from buoy_server.errors import Malformed
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import ATTEMPTS, KEYS, SERIES, STREAMS
from buoy_server.metrics.reader import MetricsReader
from buoy_server.metrics.selection import Selection, SeriesKey
from buoy_server.query.catalogue import find_project, find_run
from buoy_server.query.history_page import Page, Values
from buoy_server.query.history_window import Bounds, Span, first_width, next_width
from buoy_server.query.lineage import Lineage, belongs, lineages_of

LIMIT_MAX = 100_000
POINTS_MAX = 1 << 18
"""Values in one page at most, unless a single step has more."""

LOWEST, ALL = "lowest", "all"

_STEP_MIN, _STEP_MAX = -(1 << 63), (1 << 63) - 1
_COUNT = "SELECT count() AS n, uniqExactIf(step, {rows}) AS steps FROM {source}"
_FIRST = "SELECT min(step) AS first FROM {source} WHERE {rows} HAVING count() > 0"
_COLUMNS = ("key", "rank", "attempt", "step", "seq", "time_us", "value")


@dataclass(frozen=True)
class HistoryRequest:
    """A page of a run's history.

    Attributes:
        keys: Only these; empty = all.
        complete: Only rows that have all of the keys.
        min_step: First step.
        max_step: Last step; inside.
        limit: Rows at most, but all ranks of a step come together.
        cursor: What the page before gave.
        system: System metrics instead of logged ones.
        ranks: `all`, with a row for each; a number; one of `REDUCTIONS`, over all ranks of a step; or `lowest`, where
            the lowest rank that has a key speaks for it.
        superseded: Steps of earlier attempts that a later attempt has logged again come too.
    """

    keys: Sequence[str] = ()
    complete: bool = True
    min_step: int | None = None
    max_step: int | None = None
    limit: int = 1000
    cursor: str | None = None
    system: bool = False
    ranks: str | int = LOWEST
    superseded: bool = False

    @property
    def by_rank(self) -> bool:
        """Whether ranks have rows of their own."""
        return self.ranks != LOWEST

    @property
    def has_ranks(self) -> bool:
        """Whether a row belongs to one rank."""
        return self.by_rank and self.reduction is None

    @property
    def reduction(self) -> str | None:
        """How ranks become one, if they do."""
        return str(self.ranks) if self.ranks in REDUCTIONS else None


@dataclass(frozen=True)
class HistoryPage:
    """A page, when the run began, and the cursor of the next page; None after the last one.

    `nodes` has the machine of each row, if they are samples of machines and no rows over several of them.
    """

    page: Page
    started_us: int
    cursor: str | None
    nodes: list[str] | None = None


@dataclass(frozen=True)
class _Series:
    id: SeriesKey
    name: str
    texts: int
    span: Span


@dataclass(frozen=True)
class _Chosen:
    """What a request is about, as SQL knows it."""

    started_us: int
    series: list[_Series]
    lineage: Lineage
    attempts: dict[int, int]
    """As people count them, from 1, by the numbers that points have."""
    hosts: dict[int, str]
    """Machine of each stream."""
    rarest: int | None
    """Key that every row must have, the one with the fewest values; None if a row need not have any."""

    def selection(self, series: list[SeriesKey], steps: tuple[int, int]) -> Selection:
        """All points of some steps that count; one may still be there twice."""
        return Selection(series, self.lineage.limits, self.lineage.inherited, steps=steps)

    def counted_attempts(self, page: Page) -> Page:
        """The page with attempts as people count them; steps taken over from a parent have attempt 0."""
        own_from = max((item.below for item in self.lineage.inherited), default=None)
        page.attempt = [
            0 if own_from is not None and step < own_from else self.attempts.get(attempt, 1)
            for step, attempt in zip(page.step, page.attempt, strict=True)
        ]
        return page

    @property
    def counted(self) -> str:
        """Which values count rows, as a condition."""
        return "true" if self.rarest is None else "key = {rarest:UInt32}"


class HistoryQuery:
    """Answers pages of history. Thread-safe."""

    def __init__(self, metadata: Metadata, reader: MetricsReader) -> None:
        self._metadata = metadata
        self._reader = reader

    def page(self, path: str, run_id: str, request: HistoryRequest) -> HistoryPage:
        """One page.

        Raises:
            Missing: There is no such run.
            Malformed: The cursor or the limit cannot be used.
        """
        if not 1 <= request.limit <= LIMIT_MAX:
            raise Malformed("bad_limit", f"limit is from 1 to {LIMIT_MAX}.")
        low = _start(request)
        chosen = self._choose(path, run_id, request)
        names = {item.name for item in chosen.series}
        if not chosen.series or (request.complete and not set(request.keys) <= names):
            return HistoryPage(Page(), chosen.started_us, None)
        low = max(low, min(item.span.first for item in chosen.series))
        high = max(item.span.last for item in chosen.series)
        if request.max_step is not None:
            high = min(high, request.max_step)
        if low > high:
            return HistoryPage(Page(), chosen.started_us, None)
        window = self._window(chosen, low, high, request.limit)
        if window is None:
            return HistoryPage(Page(), chosen.started_us, None)
        values, end = self._values(chosen, window, request), window[1]
        if (cut := values.last_step_of(request.limit)) is not None:
            # The cursor counts steps, so all ranks of a step stay on one page.
            end = cut
            values.keep_steps(end)
        page = chosen.counted_attempts(self._page(values, chosen, request))
        by_machine = request.system and request.reduction is None
        return HistoryPage(
            page,
            chosen.started_us,
            str(end + 1) if end < high else None,
            [chosen.hosts.get(stream, "") for stream in page.stream] if by_machine else None,
        )

    def _page(self, values: Values, chosen: _Chosen, request: HistoryRequest) -> Page:
        key_names = {item.id[1]: item.name for item in chosen.series}
        return values.reduced(request.reduction, key_names) if request.reduction else values.page(key_names)

    def _choose(self, path: str, run_id: str, request: HistoryRequest) -> _Chosen:
        with self._metadata.read() as connection:
            run = find_run(connection, find_project(connection, path), run_id)
            lineage = (
                Lineage() if request.system else lineages_of(connection, [run.id]).get(run.id, Lineage())
            )
            numbers = select(ATTEMPTS.c.attempt).where(ATTEMPTS.c.run == run.id).order_by(ATTEMPTS.c.attempt)
            attempts = {row.attempt: place for place, row in enumerate(connection.execute(numbers), 1)}
            streams = select(STREAMS.c.id, STREAMS.c.host).where(STREAMS.c.run == run.id)
            hosts = {row.id: row.host for row in connection.execute(streams)} if request.system else {}
            rows = connection.execute(
                select(
                    SERIES.c.key,
                    SERIES.c.rank,
                    KEYS.c.name,
                    func.sum(SERIES.c.n).label("n"),
                    func.sum(SERIES.c.texts).label("texts"),
                    func.min(SERIES.c.first_step).label("first"),
                    func.max(SERIES.c.last_step).label("last"),
                )
                .join(KEYS, KEYS.c.id == SERIES.c.key)
                .where(belongs(run.id, lineage), KEYS.c.system == int(request.system))
                .group_by(SERIES.c.key, SERIES.c.rank, KEYS.c.name)
                .order_by(KEYS.c.name, SERIES.c.rank)
            )
            series = [
                _Series(
                    (run.id, row.key, row.rank),
                    row.name,
                    int(row.texts),
                    Span(int(row.n) + int(row.texts), row.first, row.last),
                )
                for row in rows
            ]
        series = _of_ranks(series, request)
        rarest = _rarest(series) if request.complete and request.keys else None
        if request.superseded:
            lineage = Lineage(inherited=lineage.inherited)
        return _Chosen(run.started_us, series, lineage, attempts, hosts, rarest)

    def _window(self, chosen: _Chosen, low: int, high: int, limit: int) -> tuple[int, int] | None:
        """The first and the last step of the page; None if there is nothing more."""
        bounds = Bounds(POINTS_MAX, limit)
        counted = [item.span for item in chosen.series if chosen.rarest in (None, item.id[1])]
        width, shrunk = first_width([item.span for item in chosen.series], counted, low, bounds), False
        while True:
            end = min(low + width - 1, high)
            points, rows = self._count(chosen, (low, end))
            if not rows:
                # Over a gap in one leap: creeping through 2^60 empty steps would take for ever.
                first = self._first_step(chosen, (low, high))
                if first is None:
                    return None
                low = first
                continue
            better = next_width(width, points, rows, bounds, shrunk=shrunk)
            if better == width or (better > width and end == high):
                return low, end
            width, shrunk = better, shrunk or better < width

    def _count(self, chosen: _Chosen, steps: tuple[int, int]) -> tuple[int, int]:
        """How many values lie in these steps, and about how many rows."""
        points, most = 0, 0
        for table, series in _tables(chosen.series):
            source, parameters = chosen.selection(series, steps).table(table, ("key", "step"))
            sql = _COUNT.format(rows=chosen.counted, source=source)
            found = self._reader.query(sql, parameters | {"rarest": chosen.rarest or 0})
            points += int(found["n"][0])
            most = max(most, int(found["steps"][0]))
        return points, most

    def _first_step(self, chosen: _Chosen, steps: tuple[int, int]) -> int | None:
        """The first of these steps that may have a row."""
        found: list[int] = []
        for table, series in _tables(chosen.series):
            source, parameters = chosen.selection(series, steps).table(table, ("key", "step"))
            sql = _FIRST.format(rows=chosen.counted, source=source)
            found += self._reader.query(sql, parameters | {"rarest": chosen.rarest or 0})["first"].tolist()
        return min(found, default=None)

    def _values(self, chosen: _Chosen, steps: tuple[int, int], request: HistoryRequest) -> Values:
        found = {}
        for table, series in _tables(chosen.series):
            columns = _COLUMNS + (("kind",) if table == "points" else ())
            columns += ("stream",) if request.system else ()
            source, parameters = chosen.selection(series, steps).table(table, columns)
            found[table] = self._reader.query(f"SELECT * FROM {source}", parameters)
        values = Values(
            found["points"], found.get("texts"), by_rank=request.by_rank, by_attempt=request.superseded
        )
        if request.complete:
            wanted = {item.id[1] for item in chosen.series if item.name in set(request.keys)}
            values.keep_complete_rows(sorted(wanted))
        return values


def _start(request: HistoryRequest) -> int:
    low = _STEP_MIN if request.min_step is None else max(_STEP_MIN, request.min_step)
    if request.cursor is None:
        return low
    try:
        step = int(request.cursor)
    except ValueError:
        step = _STEP_MAX + 1
    if not _STEP_MIN <= step <= _STEP_MAX:
        raise Malformed("bad_cursor", "The cursor is not one that this server gave.")
    return max(low, step)


def _of_ranks(series: Sequence[_Series], request: HistoryRequest) -> list[_Series]:
    wanted = set(request.keys)
    chosen = [item for item in series if not wanted or item.name in wanted]
    if isinstance(request.ranks, int):
        return [item for item in chosen if item.id[2] == request.ranks]
    if request.ranks != LOWEST:
        return chosen
    lowest: dict[str, int] = {}
    for item in chosen:
        lowest[item.name] = min(lowest.get(item.name, item.id[2]), item.id[2])
    return [item for item in chosen if item.id[2] == lowest[item.name]]


def _rarest(series: Sequence[_Series]) -> int | None:
    values: dict[int, int] = {}
    for item in series:
        values[item.id[1]] = values.get(item.id[1], 0) + item.span.n
    return min(values, key=lambda key: values[key], default=None)


def _tables(series: Sequence[_Series]) -> list[tuple[str, list[SeriesKey]]]:
    """The tables to ask, each with its series. Most runs have no texts."""
    tables = [("points", [item.id for item in series])]
    if texts := [item.id for item in series if item.texts]:
        tables.append(("texts", texts))
    return tables
