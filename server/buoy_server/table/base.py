"""The columns that every table has: those of the row that SQL keeps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.sql.selectable import Select

from buoy_server.metadata.schema import RUNS
from buoy_server.table.column import GONE, Column
from buoy_server.table.fetching import fetch

_SQL_NAMES = {"id": "run_id", "group": "group_name"}
_PLAIN = (
    "id", "name", "state", "group", "job_type", "notes", "host", "parent", "attempts", "rev", "exit_code",
    "created_us", "started_us", "ended_us", "heartbeat_us", "archived_us",
)  # fmt: skip
_FETCHED = (*_PLAIN, "tags", "deleted_us")
_PLACE = {name: place for place, name in enumerate(("key", *_FETCHED))}

Record = tuple[Any, ...]


def fetch_base(connection: Connection, project: int, after_rev: int) -> list[Record]:
    """What SQL has of the runs that have changed after a revision. Those that nothing was heard of yet have 0."""
    columns = [RUNS.c[_SQL_NAMES.get(name, name)] for name in _FETCHED]
    chosen: Select[Any] = select(RUNS.c.id, *columns).where(RUNS.c.project == project, RUNS.c.rev > after_rev)
    return fetch(connection, chosen.order_by(RUNS.c.id))


def key_of(record: Record) -> int:
    """The id in SQL."""
    return int(record[0])


def is_deleted(record: Record) -> bool:
    """Whether nobody is shown the run."""
    return record[_PLACE["deleted_us"]] is not None


def run_id_of(record: Record) -> str:
    """The id that people know."""
    return str(record[_PLACE["id"]])


def base_columns(records: Sequence[Record]) -> dict[str, Column]:
    """The columns of a table that begins with these runs."""
    taken = list(zip(*records, strict=True)) if records else [() for _ in _PLACE]
    columns = {name: Column(len(records)) for name in (*_PLAIN, "tags", "duration", "archived")}
    if not records:
        return columns
    for name in _PLAIN:
        values = taken[_PLACE[name]]
        columns[name].fill(
            None, [GONE if value is None else value for value in values] if None in values else values
        )
    columns["tags"].fill_json(taken[_PLACE["tags"]])
    columns["duration"].fill(None, list(map(_duration_s, records)))
    columns["archived"].fill(None, [record[_PLACE["archived_us"]] is not None for record in records])
    return columns


def put_base(columns: dict[str, Column], row: int, record: Record) -> None:
    """Sets one run."""
    for name in _PLAIN:
        value = record[_PLACE[name]]
        columns[name].put(row, GONE if value is None else value)
    columns["tags"].put_json(row, record[_PLACE["tags"]])
    columns["duration"].put(row, _duration_s(record))
    columns["archived"].put(row, record[_PLACE["archived_us"]] is not None)


def _duration_s(record: Record) -> float:
    ended = record[_PLACE["ended_us"]]
    last = record[_PLACE["heartbeat_us"]] if ended is None else ended
    return max(0.0, float(last - record[_PLACE["started_us"]]) / 1e6)
