"""What was logged under each key, as a whole: first and last value, extremes, total.

SQL has it for each attempt of a series. Where a later attempt, or a fork, takes over in the middle of an attempt, that
says too much: then the points themselves are asked, in one question for all such series.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from buoy_server.jsonvalues import number
from buoy_server.metadata.engine import digest
from buoy_server.metadata.schema import KEYS, SERIES
from buoy_server.metrics.reader import MetricsReader
from buoy_server.metrics.selection import Selection, SeriesKey
from buoy_server.query.lineage import Lineage, lineages_of


@dataclass(frozen=True)
class Logged:
    """What is known of one key of one run at its winning rank. Values are tagged JSON.

    Attributes:
        attempt, stream, seq: Where its last value comes from; an attempt of another run, for a fork, counts as 0.
        minimum, maximum, total: Of the finite numbers, of which there are `finite`.
        numeric: Whether there are any numbers.
    """

    attempt: int
    stream: int
    seq: int
    first: object
    last: object
    minimum: float | None
    maximum: float | None
    total: float
    finite: int
    numeric: bool


@dataclass
class _Series:
    """The attempts of one series, the ancestors' first, each with the step from which on it does not count."""

    id: SeriesKey
    name: str
    parts: list[tuple[Row[tuple[object, ...]], int | None]] = field(default_factory=list)

    @property
    def cut(self) -> bool:
        """Whether some of what SQL counts does not count."""
        return any(end is not None and row.last_step >= end for row, end in self.parts)

    @property
    def has_texts(self) -> bool:
        """Whether not all values are numbers."""
        return any(row.texts for row, _ in self.parts)


def logged_of(
    connection: Connection, reader: MetricsReader, runs: Sequence[int], keys: Sequence[str] | None
) -> dict[int, dict[str, Logged]]:
    """What the runs have logged, by run and key; only some keys if given. For as many runs as SQL takes parameters."""
    lineages = lineages_of(connection, runs)
    chosen: dict[tuple[int, str], _Series] = {}
    for run, row, end in _parts(_rows(connection, runs, keys, lineages), set(runs), lineages):
        # Rows come by rank: the lowest rank that has the key speaks for it.
        series = chosen.setdefault((run, row.name), _Series((run, row.key, row.rank), row.name))
        if series.id[2] == row.rank:
            series.parts.append((row, end))
    exact = _from_points(reader, [series for series in chosen.values() if series.cut], lineages)
    found: dict[int, dict[str, Logged]] = defaultdict(dict)
    for (run, name), series in chosen.items():
        logged = exact.get(series.id) if series.cut else _joined([row for row, _ in series.parts], run)
        if logged is not None:
            found[run][name] = logged
    return found


def _rows(
    connection: Connection,
    runs: Sequence[int],
    keys: Sequence[str] | None,
    lineages: Mapping[int, Lineage],
) -> list[Row[tuple[object, ...]]]:
    """The statistics of the runs and their ancestors, in the order of the ranks."""
    sources = {*runs, *(item.source for line in lineages.values() for item in line.inherited)}
    chosen = (
        select(SERIES, KEYS.c.name)
        .join(KEYS, KEYS.c.id == SERIES.c.key)
        .where(SERIES.c.run.in_(sources), KEYS.c.system == 0)
        .order_by(KEYS.c.name, SERIES.c.rank, SERIES.c.attempt)
    )
    if keys is not None:
        chosen = chosen.where(KEYS.c.digest.in_([digest(key) for key in keys]))
    return list(connection.execute(chosen))


def _parts(
    rows: Sequence[Row[tuple[object, ...]]], runs: set[int], lineages: Mapping[int, Lineage]
) -> list[tuple[int, Row[tuple[object, ...]], int | None]]:
    """Which row belongs to which run up to which step. Rows of which nothing counts are left out."""
    ends = {
        (run, limit.run, limit.attempt): limit.step for run, line in lineages.items() for limit in line.limits
    }
    borrowers: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for run, line in lineages.items():
        for distance, item in enumerate(line.inherited, 1):
            borrowers[item.source].append((-distance, run, item.below))
            ends |= {(run, limit.run, limit.attempt): limit.step for limit in item.limits}
    found = []
    for row in rows:
        owners: list[tuple[int, int, int | None]] = [*borrowers.get(row.run, ())]
        if row.run in runs:
            owners.append((0, row.run, None))
        for distance, run, below in owners:
            limits = [step for step in (below, ends.get((run, row.run, row.attempt))) if step is not None]
            end = min(limits, default=None)
            if end is None or row.first_step < end:
                found.append((row.rank, distance, run, row, end))
    # Farther ancestors come before nearer ones; sorting is stable, so attempts stay in order.
    found.sort(key=lambda item: item[:2])
    return [(run, row, end) for _, _, run, row, end in found]


def _joined(rows: Sequence[Row[tuple[object, ...]]], run: int) -> Logged:
    """Attempts of one series as one. A later attempt that has the key decides its last value."""
    first, last = rows[0], rows[-1]
    minima = [row.minimum for row in rows if row.minimum is not None]
    maxima = [row.maximum for row in rows if row.maximum is not None]
    return Logged(
        attempt=last.attempt if last.run == run else 0,
        stream=last.last_stream,
        seq=last.last_seq,
        first=json.loads(first.first_value),
        last=json.loads(last.last_value),
        minimum=min(minima, default=None),
        maximum=max(maxima, default=None),
        total=sum(row.total for row in rows),
        finite=sum(row.finite for row in rows),
        numeric=any(row.n for row in rows),
    )


_PLACE = "argMax(attempt, step) AS last_attempt, argMax(stream, step) AS last_stream, argMax(seq, step) AS last_seq"


def _from_points(
    reader: MetricsReader, series: Sequence[_Series], lineages: Mapping[int, Lineage]
) -> dict[SeriesKey, Logged]:
    """The same from what is not superseded, point by point."""
    if not series:
        return {}
    ends = _Ends()
    lines = [lineages[run] for run in sorted({item.id[0] for item in series})]
    selection = Selection(
        [item.id for item in series],
        [limit for line in lines for limit in line.limits],
        [item for line in lines for item in line.inherited],
        ascending=False,
    )
    source, parameters = selection.source("points", ("value", "kind", "attempt", "stream", "seq"))
    answer = reader.query(
        "SELECT run, key, rank, min(step) AS first_step, max(step) AS last_step, "
        "argMin(value, step) AS first_value, argMin(kind, step) AS first_kind, "
        "argMax(value, step) AS last_value, argMax(kind, step) AS last_kind, "
        "countIf(isFinite(value)) AS finite, sumIf(value, isFinite(value)) AS total, "
        f"minIf(value, isFinite(value)) AS low, maxIf(value, isFinite(value)) AS high, {_PLACE} "
        f"FROM {source} GROUP BY run, key, rank",
        parameters,
    )
    ends.take_numbers(_rows_of(answer))
    if any(item.has_texts for item in series):
        source, parameters = selection.source("texts", ("value", "attempt", "stream", "seq"))
        answer = reader.query(
            "SELECT run, key, rank, min(step) AS first_step, max(step) AS last_step, "
            f"argMin(value, step) AS first_value, argMax(value, step) AS last_value, {_PLACE} "
            f"FROM {source} GROUP BY run, key, rank",
            parameters,
        )
        ends.take_texts(_rows_of(answer))
    return ends.logged()


def _rows_of(answer: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    names = list(answer)
    for values in zip(*(answer[name].tolist() for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


_NO_NUMBERS = {"finite": 0, "total": 0.0, "low": 0.0, "high": 0.0, "numeric": False}


class _Ends:
    """Puts together what points and texts say of the same series."""

    def __init__(self) -> None:
        self._rows: dict[SeriesKey, dict[str, Any]] = {}

    def take_numbers(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rows of the question about points."""
        for row in rows:
            row["first_value"] = number(row.pop("first_kind"), row["first_value"])
            row["last_value"] = number(row.pop("last_kind"), row["last_value"])
            row["numeric"] = True
            self._rows[row["run"], row["key"], row["rank"]] = row

    def take_texts(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rows of the question about texts. A text at the step of a number is the exact value of a large integer."""
        for row in rows:
            series = row["run"], row["key"], row["rank"]
            known = self._rows.setdefault(series, row | _NO_NUMBERS)
            if row["first_step"] <= known["first_step"]:
                known |= {name: row[name] for name in ("first_step", "first_value")}
            if row["last_step"] >= known["last_step"]:
                places = ("last_step", "last_value", "last_attempt", "last_stream", "last_seq")
                known |= {name: row[name] for name in places}

    def logged(self) -> dict[SeriesKey, Logged]:
        """The outcome."""
        return {
            series: Logged(
                attempt=row["last_attempt"],
                stream=row["last_stream"],
                seq=row["last_seq"],
                first=json.loads(row["first_value"]),
                last=json.loads(row["last_value"]),
                minimum=row["low"] if row["finite"] else None,
                maximum=row["high"] if row["finite"] else None,
                total=row["total"],
                finite=row["finite"],
                numeric=row["numeric"],
            )
            for series, row in self._rows.items()
        }
