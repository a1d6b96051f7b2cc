"""What lists show of runs: the asked columns, as SQL has them, exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Row, select

from buoy_server.jsonvalues import untag
from buoy_server.metadata.schema import RUNS
from buoy_server.query.logged import Logged
from buoy_server.query.summaries import Summaries
from buoy_server.table.column import GONE
from buoy_server.table.configs import walk

_SQL_NAMES = {"id": "run_id", "group": "group_name"}
_IN_MAX = 500


def shown(
    connection: Connection, summaries: Summaries, keys: Sequence[int], names: Sequence[str]
) -> list[dict[str, object]]:
    """The id and the asked columns of runs.

    Args:
        connection: In whose transaction the runs are there.
        summaries: Knows what was logged.
        keys: SQL's ids of the runs, in the order of the answer.
        names: Canonical names of columns.
    """
    rows: dict[int, Row[tuple[object, ...]]] = {}
    for begin in range(0, len(keys), _IN_MAX):
        found = connection.execute(select(RUNS).where(RUNS.c.id.in_(keys[begin : begin + _IN_MAX])))
        rows |= {row.id: row for row in found}
    wanted = _metric_names(names)
    facts = (
        {run: (logged, summary) for run, logged, summary in summaries.facts(connection, keys, wanted)}
        if wanted
        else {}
    )
    wants_config = any(name.startswith("config.") for name in names)
    answers = []
    for key in keys:
        row = rows[key]
        config = json.loads(row.config) if wants_config else {}
        logged, summary = facts.get(key, ({}, {}))
        answer: dict[str, object] = {"id": row.run_id}
        for name in names:
            answer[name] = _value(row, name, config, summary, logged)
        answers.append(answer)
    return answers


def alive(connection: Connection, keys: Sequence[int]) -> list[int]:
    """Those of the runs that are not deleted, in the same order."""
    found: set[int] = set()
    for begin in range(0, len(keys), _IN_MAX):
        chosen = select(RUNS.c.id).where(
            RUNS.c.id.in_(keys[begin : begin + _IN_MAX]), RUNS.c.deleted_us.is_(None)
        )
        found.update(connection.execute(chosen).scalars())
    return [key for key in keys if key in found]


def _metric_names(names: Iterable[str]) -> list[str]:
    """The keys that columns may come from: `summary.a.b` may be key "a.b", or part "b" of the summary of key "a"."""
    found = set()
    for name in names:
        kind, dot, rest = name.partition(".")
        if kind == "summary" and dot:
            parts = rest.split(".")
            found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        elif name.endswith(")"):
            found.add(name.partition("(")[2][:-1])
    return sorted(found)


def _value(
    row: Row[tuple[object, ...]],
    name: str,
    config: Mapping[str, object],
    summary: Mapping[str, object],
    logged: Mapping[str, Logged],
) -> object:
    kind, dot, rest = name.partition(".")
    if dot and kind in ("config", "summary"):
        value = untag(walk(config if kind == "config" else summary, rest))
        return None if value is GONE else value
    if name.endswith(")"):
        kind, _, key = name[:-1].partition("(")
        return _aggregate(kind, logged.get(key))
    return _own(row, name)


def _aggregate(kind: str, item: Logged | None) -> object:
    if item is None:
        return None
    if kind == "mean":
        return item.total / item.finite if item.finite else None
    return untag({"min": item.minimum, "max": item.maximum, "first": item.first, "last": item.last}[kind])


def _own(row: Row[tuple[object, ...]], name: str) -> object:
    if name == "tags":
        return json.loads(row.tags)
    if name == "archived":
        return row.archived_us is not None
    if name == "duration":
        end = row.heartbeat_us if row.ended_us is None else row.ended_us
        return max(0.0, (end - row.started_us) / 1e6)
    return getattr(row, _SQL_NAMES.get(name, name))
