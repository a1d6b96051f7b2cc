"""A run's own row: names, config, writers, and the state that follows from the writers of its latest attempt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)

from buoy_server.editing.fields import counting
from buoy_server.ingest.addition import Addition
from buoy_server.ingest.changes import JsonUpdate
from buoy_server.ingest.streams import DAEMON_WRITER
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import ATTEMPTS, RUNS, STOPS, STREAMS, WRITERS

_WORST_FIRST = ("running", "crashed", "killed", "failed", "finished")


def run_state(writers: Iterable[Row[Any]]) -> str:
    """The state of a run from its latest attempt's writers: running while any is, then the worst.

    A forked process has no say, because it usually leaves through `os._exit`, which says nothing.
    """
    present = {writer_state(writer) for writer in writers if not writer.forked}
    return next((state for state in _WORST_FIRST if state in present), "running")


def writer_state(writer: Row[Any]) -> str:
    """The state of a process: one of a machine that is missing has crashed, as far as anybody can tell."""
    state: str = writer.state
    return "crashed" if state == "running" and writer.missing_us is not None else state


def apply_run(metadata: Metadata, connection: Connection, addition: Addition, rev: int) -> None:
    """Brings the writers and the run up to date."""
    changes = addition.changes
    _store_writers(metadata, connection, addition)
    _store_progress(connection, addition)
    run = addition.owner.run
    before = connection.execute(select(RUNS).where(RUNS.c.id == run).with_for_update()).one()
    values: dict[str, Any] = {}
    if changes.run:
        values, edited = counting(before.edited, changes.run)
        if edited != before.edited:
            values["edited"] = edited
    values["heartbeat_us"] = max(before.heartbeat_us, changes.last_us)
    if changes.config:
        values["config"] = _updated(before.config, changes.config)
    if changes.metadata:
        parts = {rank: json.loads(str(text)) for rank, text in changes.metadata.items()}
        values["metadata"] = json.dumps(json.loads(before.metadata) | parts)
    if changes.ended:
        _close_stop(connection, run, addition.owner.attempt)
    if changes.writers or changes.ended or changes.start is not None:
        values |= _derived(connection, run, values["heartbeat_us"])
    starts = [writer["started_us"] for writer in changes.writers.values()]
    values["created_us"] = min([before.created_us, *starts])
    values["started_us"] = min([before.started_us, *starts])
    connection.execute(update(RUNS).where(RUNS.c.id == run).values(rev=rev, **values))


def refresh_run(connection: Connection, run: int, rev: int) -> None:
    """Brings the run up to date when only what is known of its machines has changed."""
    before = connection.execute(select(RUNS.c.heartbeat_us).where(RUNS.c.id == run).with_for_update()).one()
    values = _derived(connection, run, before.heartbeat_us)
    connection.execute(update(RUNS).where(RUNS.c.id == run).values(rev=rev, **values))


def _store_writers(metadata: Metadata, connection: Connection, addition: Addition) -> None:
    stream, changes = addition.owner.stream, addition.changes
    for writer_id, writer in changes.writers.items():
        row = {"stream": stream, "writer_id": writer_id, "state": "running", "records_dropped": 0, **writer}
        statement = metadata.upsert(WRITERS).values(row)
        # What a repeated start says is what the first one said; the end, if any, stays.
        connection.execute(statement.on_conflict_do_nothing(index_elements=["stream", "writer_id"]))
    for writer_id, dropped in changes.dropped.items():
        mine = and_(WRITERS.c.stream == stream, WRITERS.c.writer_id == writer_id)
        fewer = WRITERS.c.records_dropped < dropped
        connection.execute(update(WRITERS).where(mine, fewer).values(records_dropped=dropped))
    for writer_id, end in changes.ended.items():
        mine = and_(WRITERS.c.stream == stream, WRITERS.c.writer_id == writer_id)
        connection.execute(update(WRITERS).where(mine).values(end))


def _store_progress(connection: Connection, addition: Addition) -> None:
    """One statement for all writers: of a large job, an upload may hold records of hundreds."""
    rows = [
        {
            "of_stream": addition.owner.stream,
            "of_writer": writer_id,
            "step": progress.last_step,
            "row": progress.row_us,
            "heard": None if progress.last_step is None else addition.now_us,
            "offset": progress.arrived,
        }
        for writer_id, progress in addition.progress.items()
    ]
    if rows:
        connection.execute(_PROGRESS, rows)


def _raised(column: Column[Any], name: str) -> ColumnElement[Any]:
    """The larger of what is there and the parameter `name`; either may be null."""
    new = bindparam(name, type_=BigInteger)
    return case((or_(column.is_(None), column < new), new), else_=column)


_PROGRESS = (
    update(WRITERS)
    .where(WRITERS.c.stream == bindparam("of_stream"), WRITERS.c.writer_id == bindparam("of_writer"))
    .values(
        last_step=_raised(WRITERS.c.last_step, "step"),
        row_us=_raised(WRITERS.c.row_us, "row"),
        heard_us=_raised(WRITERS.c.heard_us, "heard"),
        arrived=_raised(WRITERS.c.arrived, "offset"),
    )
)


def _close_stop(connection: Connection, run: int, attempt: int) -> None:
    """A request to stop is over when all processes of its attempt have ended."""
    running = (
        select(WRITERS.c.stream)
        .join(STREAMS, STREAMS.c.id == WRITERS.c.stream)
        .where(STREAMS.c.run == run, STREAMS.c.attempt == attempt, WRITERS.c.state == "running")
    )
    mine = and_(STOPS.c.run == run, STOPS.c.attempt == attempt, STOPS.c.open == 1)
    connection.execute(update(STOPS).where(mine, ~running.exists()).values(open=0))


def _derived(connection: Connection, run: int, heartbeat_us: int) -> dict[str, object]:
    """What the run's row says of its attempts and writers.

    A run that ends because a machine is missing has ended when it was last heard of, by the machine's own clock.
    """
    latest = connection.execute(
        select(func.max(ATTEMPTS.c.attempt), func.count(), func.min(ATTEMPTS.c.started_us)).where(
            ATTEMPTS.c.run == run
        )
    ).one()
    writers = connection.execute(
        select(WRITERS, STREAMS.c.missing_us)
        .join(STREAMS, STREAMS.c.id == WRITERS.c.stream)
        .where(STREAMS.c.run == run, STREAMS.c.attempt == latest[0], WRITERS.c.writer_id != DAEMON_WRITER)
        .order_by(WRITERS.c.rank, WRITERS.c.started_us)
    ).all()
    state = run_state(writers)
    codes = [writer.exit_code for writer in writers if writer.exit_code is not None]
    ends = [
        heartbeat_us if writer_state(writer) != writer.state else writer.ended_us
        for writer in writers
        if writer_state(writer) != "running" and (writer.ended_us is not None or writer.state == "running")
    ]
    return {
        "state": state,
        "exit_code": None
        if state == "running"
        else next((code for code in codes if code), codes[0] if codes else None),
        "ended_us": None if state == "running" or not ends else max(ends),
        "attempts": latest[1],
        "host": writers[0].host if writers else "",
    }


def _updated(before: str, updates: list[JsonUpdate]) -> str:
    config = json.loads(before)
    for change in updates:
        config |= {key: json.loads(value) for key, value in change.replaced.items()}
        for key in change.removed:
            config.pop(key, None)
    return json.dumps(config, separators=(",", ":"))
