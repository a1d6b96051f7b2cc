"""What runs have logged under one key, as columns: the summary, and first, last, least, greatest and mean value.

Most runs have one attempt and no parent; what SQL says of their series is then exact, and is taken as columns. The
others, and what was set by hand, go through `Summaries`, which knows what counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, or_, select

from buoy_server.filters.nodes import AGGREGATES
from buoy_server.jsonvalues import untag
from buoy_server.metadata.engine import digest
from buoy_server.metadata.schema import KEYS, METRIC_DEFS, RUNS, SERIES, SUMMARY_VALUES
from buoy_server.query.logged import Logged
from buoy_server.query.summaries import Summaries, aggregate, definition_of
from buoy_server.table.column import GONE, Column
from buoy_server.table.fetching import fetch

_DIGITS = frozenset("-0123456789")
_FACTS = ("run", "rank", "n", "first_value", "last_value", "minimum", "maximum", "total", "finite")


def find_metric(connection: Connection, project: int, name: str) -> int | None:
    """The catalogue id of a key; None if nobody has logged it."""
    chosen = select(KEYS.c.id).where(
        KEYS.c.project == project, KEYS.c.system == 0, KEYS.c.digest == digest(name)
    )
    found = connection.execute(chosen).scalar()
    return None if found is None else int(found)


def set_by_hand(connection: Connection, project: int, name: str) -> list[int]:
    """Ids of runs whose summary was given a key by hand."""
    chosen = (
        select(SUMMARY_VALUES.c.run)
        .join(RUNS, RUNS.c.id == SUMMARY_VALUES.c.run)
        .where(SUMMARY_VALUES.c.digest == digest(name), RUNS.c.project == project)
    )
    return [int(row[0]) for row in fetch(connection, chosen)]


class MetricColumns:
    """The columns of one key.

    Args:
        name: the key.
        rows: of the table.
    """

    def __init__(self, name: str, rows: int) -> None:
        self.name = name
        self.columns = {f"summary.{name}": Column(rows)}
        self.columns |= {f"{kind}({name})": Column(rows) for kind in AGGREGATES}

    def put(self, row: int, logged: Mapping[str, Logged], summary: Mapping[str, object]) -> None:
        """Sets one run."""
        self._set("summary", row, shown(untag(summary[self.name])) if self.name in summary else GONE)
        item = logged.get(self.name)
        facts: Mapping[str, object] = {} if item is None else {
            "first": untag(item.first), "last": untag(item.last),
            "min": item.minimum, "max": item.maximum, "mean": item.total / item.finite if item.finite else None,
        }  # fmt: skip
        for kind in AGGREGATES:
            value = facts.get(kind)
            self._set(kind, row, GONE if value is None else value)

    def load(
        self,
        connection: Connection,
        project: int,
        key: int,
        ids: NDArray[np.int64],
        plain: NDArray[np.bool_],
    ) -> NDArray[np.intp]:
        """Fills in the runs that need no care, and gives the rows of those that do.

        Args:
            connection: a transaction.
            project: its id.
            key: catalogue id.
            ids: of all rows of the table.
            plain: for each row whether one attempt without a parent is all there is.
        """
        found = fetch(connection, select(*(SERIES.c[name] for name in _FACTS)).where(SERIES.c.key == key))
        if not found or not len(ids):
            return np.empty(0, np.intp)
        run, rank, n, first, last, low, high, total, finite = zip(*found, strict=True)
        row = _places(ids, np.array(run, np.int64))
        order = np.lexsort((np.array(rank), row))
        # The lowest rank that has the key speaks for the run.
        order = order[np.r_[True, np.diff(row[order]) != 0] & (row[order] >= 0)]
        careful: NDArray[np.intp] = row[order[~plain[row[order]]]]
        order = order[plain[row[order]]]
        rows = row[order]
        for kind, texts in (("first", first), ("last", last)):
            self._column(kind).fill(rows, _values([texts[place] for place in order]))
        counts = np.array(finite, np.float64)[order]
        with np.errstate(all="ignore"):
            numbers = {
                "min": np.array(low, np.float64)[order],
                "max": np.array(high, np.float64)[order],
                "mean": np.array(total, np.float64)[order] / counts,
            }
        for kind, values in numbers.items():
            self._column(kind).fill_numbers(rows, values, counts == 0)
        known = [(run[place], n[place] > 0) for place in order.tolist()]
        self._summarise(connection, project, rows, known)
        return careful

    def _summarise(
        self, connection: Connection, project: int, rows: NDArray[np.intp], known: Sequence[tuple[int, bool]]
    ) -> None:
        """The summary is the last value, unless define_metric() wants another."""
        summary = self._column("summary")
        summary.copy_rows(self._column("last"), rows)
        definitions = _definitions(connection, project, self.name)
        if not definitions:
            return
        for row, (run, numeric) in zip(rows.tolist(), known, strict=True):
            definition = definition_of(self.name, definitions.get(run, {}))
            if definition.get("summary"):
                value = untag(aggregate(self._logged(row, numeric=numeric), definition))
                summary.put(row, shown(value) if self.is_shown(definition) else GONE)

    @staticmethod
    def is_shown(definition: Mapping[str, Any]) -> bool:
        """Whether the key is in the summary at all."""
        return "none" not in definition["summary"]

    def _logged(self, row: int, *, numeric: bool) -> Logged:
        values = {kind: self._column(kind).value(row) for kind in AGGREGATES}
        found = {kind: None if value is GONE else value for kind, value in values.items()}
        mean = found["mean"]
        low, high = (value if isinstance(value, float) else None for value in (found["min"], found["max"]))
        return Logged(
            0, 0, 0, found["first"], found["last"], low, high,
            total=mean if isinstance(mean, float) else 0.0, finite=int(mean is not None), numeric=numeric,
        )  # fmt: skip

    def _column(self, kind: str) -> Column:
        return self.columns[f"summary.{self.name}" if kind == "summary" else f"{kind}({self.name})"]

    def _set(self, kind: str, row: int, value: object) -> None:
        self._column(kind).put(row, value)


def shown(value: object) -> object:
    """What stands for a summary in filters and orders: of several aggregates the only one, or the best, or the last."""
    if isinstance(value, dict) and value and value.keys() <= {"best", "last", *AGGREGATES}:
        name = next(iter(value)) if len(value) == 1 else "best" if "best" in value else "last"
        return value.get(name, value)
    return value


def _values(texts: Iterable[str]) -> list[object]:
    """The values of tagged JSON texts; quickly if they are numbers."""
    return [float(text) if text[0] in _DIGITS else untag(json.loads(text)) for text in texts]


def _places(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """The row of each wanted id, -1 where there is none."""
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    found: NDArray[np.intp] = order[place]
    return np.where(ids[found] == wanted, found, -1)


def _definitions(connection: Connection, project: int, name: str) -> dict[int, dict[str, dict[str, object]]]:
    """By run: definitions of the key, or of keys that begin like it."""
    chosen = (
        select(METRIC_DEFS.c.run, METRIC_DEFS.c.name, METRIC_DEFS.c.definition)
        .join(RUNS, RUNS.c.id == METRIC_DEFS.c.run)
        .where(RUNS.c.project == project)
        .where(or_(METRIC_DEFS.c.digest == digest(name), METRIC_DEFS.c.name.like("%*")))
    )
    found: dict[int, dict[str, dict[str, object]]] = {}
    known: dict[str, dict[str, object]] = {}
    for run, pattern, text in fetch(connection, chosen):
        if text not in known:
            known[text] = json.loads(text)
        if pattern == name or name.startswith(pattern[:-1]):
            found.setdefault(run, {})[pattern] = known[text]
    return found


def put_carefully(
    connection: Connection,
    summaries: Summaries,
    metrics: Mapping[str, MetricColumns],
    places: Mapping[int, int],
    runs: Sequence[int],
) -> None:
    """Sets some runs in the columns of some keys, each as `Summaries` has it."""
    if not metrics:
        return
    for run, logged, summary in summaries.facts(connection, runs, sorted(metrics)):
        for metric in metrics.values():
            metric.put(places[run], logged, summary)
