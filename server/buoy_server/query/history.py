"""The complete history of a run, a page at a time: exact values, ordered by step, no row left out.

A page is a range of steps. Its end is found on one key alone (the one that bounds it best), so that a page costs
about as much as it holds however long the run is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from buoy_server.errors import Malformed
from buoy_server.jsonvalues import number
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import KEYS, SERIES
from buoy_server.metrics.reader import Columns, MetricsReader
from buoy_server.metrics.selection import Selection, SeriesKey
from buoy_server.query.catalogue import find_project, find_run
from buoy_server.query.lineage import Lineage, belongs, lineages_of

LIMIT_MAX = 10_000
_STEP_MIN, _STEP_MAX = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True)
class HistoryRequest:
    """A page of a run's history.

    Attributes:
        keys: Only rows that have all of these; empty = all rows with all keys.
        min_step: First step.
        max_step: Last step; inside.
        limit: Rows at most.
        cursor: What the page before gave.
        system: System metrics instead of logged ones.
        all_ranks: A row for each rank; otherwise the lowest rank that has the key speaks for it.
    """

    keys: Sequence[str] = ()
    min_step: int | None = None
    max_step: int | None = None
    limit: int = 1000
    cursor: str | None = None
    system: bool = False
    all_ranks: bool = False


@dataclass(frozen=True)
class _Series:
    id: SeriesKey
    name: str
    n: int
    texts: int


class HistoryQuery:
    """Answers pages of history. Thread-safe."""

    def __init__(self, metadata: Metadata, reader: MetricsReader) -> None:
        self._metadata = metadata
        self._reader = reader

    def page(
        self, path: str, run_id: str, request: HistoryRequest
    ) -> tuple[list[dict[str, object]], str | None]:
        """Rows with tagged JSON values, and the cursor of the next page.

        Raises:
            Missing: There is no such run.
            Malformed: The cursor or the limit cannot be used.
        """
        if not 1 <= request.limit <= LIMIT_MAX:
            raise Malformed("bad_limit", f"limit is from 1 to {LIMIT_MAX}.")
        low, high = _start(request), _STEP_MAX if request.max_step is None else request.max_step
        with self._metadata.read() as connection:
            run = find_run(connection, find_project(connection, path), run_id)
            lineage = (
                Lineage() if request.system else lineages_of(connection, [run.id]).get(run.id, Lineage())
            )
            rows = connection.execute(
                select(SERIES.c.key, SERIES.c.rank, SERIES.c.n, SERIES.c.texts, KEYS.c.name)
                .join(KEYS, KEYS.c.id == SERIES.c.key)
                .where(belongs(run.id, lineage), KEYS.c.system == int(request.system))
                .order_by(KEYS.c.name, SERIES.c.rank)
            )
            series = _choose(
                [_Series((run.id, row.key, row.rank), row.name, row.n, row.texts) for row in rows], request
            )
        if not series or low > high or not set(request.keys) <= {item.name for item in series}:
            return [], None
        end = self._end(series, lineage, low, high, request)
        found = self._rows(series, lineage, (low, end), run.started_us, request)
        more = end < high
        if len(found) > request.limit:
            # The cursor counts steps, so all ranks of a step stay on one page.
            end, more = found[request.limit - 1][0][0], True
            found = [item for item in found if item[0][0] <= end]
        cursor = str(end + 1) if more and end < _STEP_MAX else None
        return [row for _, row in found], cursor

    def _end(
        self, series: Sequence[_Series], lineage: Lineage, low: int, high: int, request: HistoryRequest
    ) -> int:
        """The last step of the page: where the bounding key has had `limit` rows."""
        points = [item for item in series if item.n >= item.texts] or list(series)
        bound = (min if request.keys else max)(points, key=lambda item: max(item.n, item.texts))
        table = "points" if bound.n >= bound.texts else "texts"
        selection = Selection([bound.id], lineage.limits, lineage.inherited, steps=(low, high))
        if lineage.limits or lineage.inherited:
            # Attempts follow each other in the table but may start before the one before has ended.
            rows, parameters = selection.table(table, ("step",))
            sql = f"SELECT DISTINCT step FROM {rows} ORDER BY step"
        else:
            rows, parameters = selection.table(table, ("run", "key", "rank", "attempt", "step"))
            sql = f"SELECT step FROM {rows} ORDER BY run, key, rank, attempt, step"
        sql += " LIMIT 1 OFFSET {offset:UInt64}"
        steps = self._reader.query(sql, parameters | {"offset": request.limit - 1})["step"]
        return int(steps[0]) if len(steps) else high

    def _rows(
        self,
        series: Sequence[_Series],
        lineage: Lineage,
        steps: tuple[int, int],
        start_us: int,
        request: HistoryRequest,
    ) -> list[tuple[tuple[int, int], dict[str, object]]]:
        """The rows of some steps, by (step, rank)."""
        names = {item.id: item.name for item in series}
        ids = [item.id for item in series]
        selection = Selection(ids, lineage.limits, lineage.inherited, ascending=False, steps=steps)
        rows: dict[tuple[int, int], dict[str, object]] = {}
        times: dict[tuple[int, int], int] = {}
        for table, columns in (("points", ("time_us", "value", "kind")), ("texts", ("time_us", "value"))):
            if table == "texts" and not any(item.texts for item in series):
                continue
            source, parameters = selection.source(table, columns)
            found = self._reader.query(f"SELECT * FROM {source}", parameters)
            _fill(rows, times, found, names, all_ranks=request.all_ranks)
        wanted = set(request.keys)
        for at, row in rows.items():
            _stamp(row, at, times[at], start_us, request)
        return [(at, rows[at]) for at in sorted(rows) if wanted <= rows[at].keys()]


def _start(request: HistoryRequest) -> int:
    low = _STEP_MIN if request.min_step is None else request.min_step
    if request.cursor is None:
        return low
    try:
        return max(low, int(request.cursor))
    except ValueError:
        raise Malformed("bad_cursor", "The cursor is not one that this server gave.") from None


def _choose(series: Sequence[_Series], request: HistoryRequest) -> list[_Series]:
    wanted = set(request.keys)
    chosen = [item for item in series if not wanted or item.name in wanted]
    if request.all_ranks:
        return chosen
    lowest: dict[str, int] = {}
    for item in chosen:
        lowest[item.name] = min(lowest.get(item.name, item.id[2]), item.id[2])
    return [item for item in chosen if item.id[2] == lowest[item.name]]


def _fill(
    rows: dict[tuple[int, int], dict[str, object]],
    times: dict[tuple[int, int], int],
    found: Columns,
    names: dict[SeriesKey, str],
    *,
    all_ranks: bool,
) -> None:
    """Puts one table's values into the rows. A text replaces a number: it is the exact value of a large int."""
    kinds = found.get("kind")
    values = found["value"].tolist()
    places = zip(*(found[name].tolist() for name in ("run", "key", "rank", "step", "time_us")), strict=True)
    for position, (run, key, rank, step, time_us) in enumerate(places):
        at = step, rank if all_ranks else 0
        text = values[position] if kinds is None else number(int(kinds[position]), values[position])
        rows.setdefault(at, {})[names[run, key, rank]] = json.loads(text)
        times[at] = max(times.get(at, time_us), time_us)


def _stamp(
    row: dict[str, object], at: tuple[int, int], time_us: int, start_us: int, request: HistoryRequest
) -> None:
    if not request.system:
        row["_step"] = at[0]
    if request.all_ranks:
        row["_rank"] = at[1]
    row["_timestamp"] = time_us / 1e6
    row["_runtime"] = (time_us - start_us) / 1e6
