"""Lists runs: filter, sort, cut, and only the asked columns, column by column."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from buoy_core.values import nearest_double
from sqlalchemy import Connection, Row, select

from buoy_server.errors import Malformed
from buoy_server.jsonvalues import untag
from buoy_server.metadata.schema import RUNS
from buoy_server.query.catalogue import Project
from buoy_server.query.filters import ABSENT, check_key, compile_filter, keys_of
from buoy_server.query.summaries import Summaries

LIMIT_MAX = 1000
DEFAULT_COLUMNS = (
    "name", "state", "created_us", "started_us", "ended_us", "heartbeat_us", "tags", "notes", "group", "job_type",
    "host", "attempts", "rev",
)  # fmt: skip

_SQL_NAMES = {"id": "run_id", "group": "group_name"}


@dataclass(frozen=True)
class RunsRequest:
    """What a list of runs shows.

    Attributes:
        filter: Mongo-like; None = all.
        sort: (key, descending), the first decides.
        columns: See `filters.COLUMNS`, `config.<path>` and `summary.<key>`.
        offset: Runs passed over.
        limit: Runs returned at most.
    """

    filter: object = None
    sort: Sequence[tuple[str, bool]] = (("created_us", True),)
    columns: Sequence[str] = DEFAULT_COLUMNS
    offset: int = 0
    limit: int = 100


def list_runs(
    connection: Connection, summaries: Summaries, project: Project, request: RunsRequest
) -> dict[str, object]:
    """The matching runs: total, ids, and the columns with tagged JSON values, null where a run has none.

    Raises:
        Malformed: The filter or a column cannot be used.
    """
    if not 0 <= request.limit <= LIMIT_MAX or request.offset < 0:
        raise Malformed("bad_limit", f"limit is from 0 to {LIMIT_MAX}, offset not negative.")
    matches = compile_filter(request.filter)
    columns = [check_key(column) for column in request.columns]
    asked = keys_of(request.filter) | {check_key(key) for key, _ in request.sort}
    living = select(RUNS).where(RUNS.c.project == project.id, RUNS.c.deleted_us.is_(None))
    rows = list(connection.execute(living))
    lookups = {
        row.id: lookup for row, lookup in zip(rows, _lookups(connection, summaries, rows, asked), strict=True)
    }
    chosen = [row for row in rows if matches(lookups[row.id])]
    # The last key of the list is the least important; sorting is stable, so it goes first. The id settles the rest.
    chosen.sort(key=lambda row: row.run_id)
    for key, descending in reversed(request.sort):
        chosen.sort(key=_order(lookups, key), reverse=descending)
    page = chosen[request.offset : request.offset + request.limit]
    shown = _lookups(connection, summaries, page, set(columns))
    return {
        "rev": project.rev,
        "total": len(chosen),
        "ids": [row.run_id for row in page],
        "columns": {column: [_or_none(lookup(column)) for lookup in shown] for column in columns},
    }


def _or_none(value: object) -> object:
    return None if value is ABSENT else value


def _order(
    lookups: Mapping[int, Callable[[str], object]], key: str
) -> Callable[[Row[tuple[object, ...]]], tuple[int, float, str]]:
    """Numbers before texts, and what is absent first when ascending, so last when descending."""

    def order(row: Row[tuple[object, ...]]) -> tuple[int, float, str]:
        value = lookups[row.id](key)
        if isinstance(value, (int, float)):
            return (0, 0.0, "") if value != value else (1, nearest_double(value), "")  # noqa: PLR0124 - NaN
        if value is ABSENT or value is None:
            return 0, 0.0, ""
        return 2, 0.0, value if isinstance(value, str) else json.dumps(value)

    return order


def _lookups(
    connection: Connection,
    summaries: Summaries,
    rows: Sequence[Row[tuple[object, ...]]],
    keys: set[str],
) -> list[Callable[[str], object]]:
    """For each run a function from key to value. Configs are parsed and summaries read only if a key asks for them."""
    wants_config = any(key.startswith("config.") for key in keys)
    wanted = [key.removeprefix("summary.") for key in keys if key.startswith("summary.")]
    # `summary.a.b` may be key "a.b", or part "b" of the aggregates or the value of key "a".
    names = sorted(
        {
            ".".join(parts[:n])
            for parts in (key.split(".") for key in wanted)
            for n in range(1, len(parts) + 1)
        }
    )
    found = summaries.of(connection, [row.id for row in rows], names) if names else {}
    return [
        _lookup(row, json.loads(row.config) if wants_config else {}, found.get(row.id, {})) for row in rows
    ]


def _lookup(
    row: Row[tuple[object, ...]], config: Mapping[str, object], summary: Mapping[str, object]
) -> Callable[[str], object]:
    def lookup(key: str) -> object:
        if key.startswith("config."):
            return untag(walk(config, key.removeprefix("config.")))
        if key.startswith("summary."):
            return untag(walk(summary, key.removeprefix("summary.")))
        value = getattr(row, _SQL_NAMES.get(key, key))
        return json.loads(value) if key == "tags" else value

    return lookup


def walk(value: object, path: str) -> object:
    """The member of nested objects at a dotted path, `ABSENT` if there is none. Keys may have dots themselves."""
    if not isinstance(value, Mapping):
        return ABSENT
    if path in value:
        return value[path]
    head, separator, rest = path.partition(".")
    while separator:
        if head in value:
            found = walk(value[head], rest)
            if found is not ABSENT:
                return found
        more, separator, rest = rest.partition(".")
        head = f"{head}.{more}"
    return ABSENT
