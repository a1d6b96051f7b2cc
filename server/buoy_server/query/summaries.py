"""A run's summary: the last value of each key, aggregates that define_metric() asked for, and values set by hand.

Several ranks: rank 0 wins, else the lowest rank that has the key. A value set by hand holds until the key is logged
later.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, Row, select

from buoy_server.jsonvalues import tag
from buoy_server.metadata.engine import digest
from buoy_server.metadata.schema import METRIC_DEFS, SUMMARY_VALUES
from buoy_server.metrics.reader import MetricsReader
from buoy_server.query.logged import Logged, logged_of

_IN_MAX = 500


class Summaries:
    """Answers what the summaries of runs are. Thread-safe."""

    def __init__(self, reader: MetricsReader) -> None:
        self._reader = reader

    def of(
        self, connection: Connection, runs: Sequence[int], keys: Sequence[str] | None = None
    ) -> dict[int, dict[str, object]]:
        """The summary of each run as tagged JSON values; only some keys if given."""
        found: dict[int, dict[str, object]] = {run: {} for run in runs}
        found |= {run: summary for run, _, summary in self.facts(connection, runs, keys)}
        return found

    def facts(
        self, connection: Connection, runs: Sequence[int], keys: Sequence[str] | None = None
    ) -> Iterator[tuple[int, Mapping[str, Logged], dict[str, object]]]:
        """Of each run what it has logged, key by key, and the summary that follows."""
        for begin in range(0, len(runs), _IN_MAX):
            part = list(runs[begin : begin + _IN_MAX])
            logged = logged_of(connection, self._reader, part, keys)
            definitions = _definitions(connection, part)
            by_hand = _by_hand(connection, part, keys)
            for run in part:
                yield run, logged[run], merge(logged[run], definitions[run], by_hand[run])


def merge(
    logged: Mapping[str, Logged],
    definitions: Mapping[str, Mapping[str, object]],
    by_hand: Mapping[str, Row[tuple[object, ...]]],
) -> dict[str, object]:
    """The rules, on values that are at hand."""
    summary: dict[str, object] = {}
    for key, item in logged.items():
        value = aggregate(item, definition_of(key, definitions))
        if value is not _ABSENT:
            summary[key] = value
    for key, row in by_hand.items():
        before = logged.get(key)
        if before is None or not _logged_later(before, row):
            summary[key] = json.loads(row.value)
    return summary


def definition_of(key: str, definitions: Mapping[str, Mapping[str, object]]) -> Mapping[str, object]:
    """The metric definition of a key: the exact one, else the longest prefix that ends with a star."""
    if key in definitions:
        return definitions[key]
    prefixes = [name for name in definitions if name.endswith("*") and key.startswith(name[:-1])]
    return definitions[max(prefixes, key=len)] if prefixes else {}


_ABSENT = object()


def aggregate(item: Logged, definition: Mapping[str, object]) -> object:
    """What the summary shows for a logged key: extremes and mean of its finite numbers, NaN if none is finite."""
    kinds = definition.get("summary")
    if not isinstance(kinds, list) or not kinds:
        return item.last
    if "none" in kinds:
        return _ABSENT
    if not item.numeric:
        return item.last
    nan = tag(math.nan)
    low, high = (item.minimum, item.maximum) if item.finite else (nan, nan)
    values: dict[str, object] = {
        "min": low,
        "max": high,
        "mean": item.total / item.finite if item.finite else nan,
        "best": high if definition.get("goal") == "maximize" else low,
        "first": item.first,
        "last": item.last,
    }
    chosen = {kind: values[kind] for kind in kinds if kind in values}
    return item.last if not chosen or kinds == ["copy"] else chosen


def _logged_later(item: Logged, row: Row[tuple[object, ...]]) -> bool:
    if item.attempt != row.attempt:
        return item.attempt > int(row.attempt)
    return item.stream == row.stream and item.seq > int(row.seq)


def _definitions(connection: Connection, runs: list[int]) -> dict[int, dict[str, dict[str, object]]]:
    found: dict[int, dict[str, dict[str, object]]] = defaultdict(dict)
    for row in connection.execute(select(METRIC_DEFS).where(METRIC_DEFS.c.run.in_(runs))):
        found[row.run][row.name] = json.loads(row.definition)
    return found


def _by_hand(
    connection: Connection, runs: list[int], keys: Sequence[str] | None
) -> dict[int, dict[str, Row[tuple[object, ...]]]]:
    chosen = select(SUMMARY_VALUES).where(SUMMARY_VALUES.c.run.in_(runs))
    if keys is not None:
        chosen = chosen.where(SUMMARY_VALUES.c.digest.in_([digest(key) for key in keys]))
    found: dict[int, dict[str, Row[tuple[object, ...]]]] = defaultdict(dict)
    for row in connection.execute(chosen):
        found[row.run][row.key] = row
    return found
