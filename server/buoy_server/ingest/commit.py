"""The one transaction that makes an upload count: position, revisions and all metadata move together or not at all."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from buoy_core import faults
from sqlalchemy import ColumnElement, Connection, and_, case, or_, select, update

from buoy_server.errors import Busy
from buoy_server.ingest.addition import Addition
from buoy_server.ingest.catalogue import next_rev
from buoy_server.ingest.changes import Changes
from buoy_server.ingest.run_state import apply_run
from buoy_server.ingest.streams import StreamState
from buoy_server.metadata.engine import Metadata, digest
from buoy_server.metadata.schema import (
    ATTEMPTS,
    EVENTS,
    GAPS,
    KEYS,
    METRIC_DEFS,
    PROJECTS,
    RUNS,
    SERIES,
    STREAMS,
    SUMMARY_VALUES,
    WRITER_KEYS,
)


@dataclass(frozen=True)
class Committed:
    """The project's new revision, and what is known of the run: whether it is deleted, and its data removed."""

    rev: int
    deleted: bool
    removed: bool


def commit(metadata: Metadata, addition: Addition) -> Committed:
    """Stores an addition; of one to a run whose data is removed only how far the stream is.

    Raises:
        Busy: Another replica has moved the stream meanwhile; nothing is stored, the client sends again.
    """
    with metadata.write() as connection:
        committed = _commit(metadata, connection, addition)
        faults.point("ingest.before_commit")
    faults.point("ingest.after_commit")
    return committed


def pass_over(metadata: Metadata, state: StreamState, next_seq: int) -> None:
    """Moves the position of a stream whose run's data is removed; raises Busy as `commit` does."""
    with metadata.write() as connection:
        _move(connection, state, next_seq=next_seq)


def _move(connection: Connection, state: StreamState, **values: int | None) -> None:
    moved = connection.execute(
        update(STREAMS)
        .where(STREAMS.c.id == state.owner.stream, STREAMS.c.next_seq == state.next_seq)
        .values(values)
    )
    if moved.rowcount != 1:
        raise Busy("stream_moved", "Another server works on this stream; send again.")


def _commit(metadata: Metadata, connection: Connection, addition: Addition) -> Committed:
    owner, changes = addition.owner, addition.changes
    _move(connection, addition.state, next_seq=changes.next_seq, rank=addition.rank)
    rev = next_rev(connection, owner.project)
    run = connection.execute(
        select(RUNS.c.deleted_us, RUNS.c.removed_us).where(RUNS.c.id == owner.run).with_for_update()
    ).one()
    if run.removed_us is not None:
        # The points have been inserted before anybody could know: they are to be looked for once more.
        connection.execute(update(RUNS).where(RUNS.c.id == owner.run).values(leftover=RUNS.c.leftover + 1))
        return Committed(rev, deleted=True, removed=True)
    activity = case((PROJECTS.c.activity_us < changes.last_us, changes.last_us), else_=PROJECTS.c.activity_us)
    connection.execute(update(PROJECTS).where(PROJECTS.c.id == owner.project).values(activity_us=activity))
    _store_names(metadata, connection, owner.stream, changes)
    _store_series(metadata, connection, addition, rev)
    _store_first_step(connection, addition, rev)
    for gap in changes.gaps:
        connection.execute(metadata.upsert(GAPS).values(stream=owner.stream, **gap).on_conflict_do_nothing())
    for event in changes.events:
        row = {"stream": owner.stream, "run": owner.run, **event}
        connection.execute(metadata.upsert(EVENTS).values(row).on_conflict_do_nothing())
    _store_metrics(metadata, connection, owner.run, changes)
    _store_summary(metadata, connection, addition)
    apply_run(metadata, connection, addition, rev)
    return Committed(rev, deleted=run.deleted_us is not None, removed=False)


def _store_names(metadata: Metadata, connection: Connection, stream: int, changes: Changes) -> None:
    rows = [
        {"stream": stream, "writer_id": writer_id, "key_id": key_id, "name": name}
        for writer_id, names in changes.names.items()
        for key_id, name in names.items()
    ]
    if rows:
        connection.execute(metadata.upsert(WRITER_KEYS).on_conflict_do_nothing(), rows)


def _store_series(metadata: Metadata, connection: Connection, addition: Addition, rev: int) -> None:
    if not addition.series:
        return
    owner = addition.owner
    rows = []
    for item in addition.series:
        row = {"run": owner.run, "key": item.key, "rank": item.rank, "attempt": owner.attempt} | asdict(
            item.tally
        )
        # After a crash the engine may hold points twice; readers of this series must look for duplicates.
        row["ascending"] = int(item.tally.ascending and not addition.state.replays)
        rows.append(row | {"last_stream": owner.stream, "gen": 0, "rev": rev})
    connection.execute(_series_statement(metadata), rows)


@functools.lru_cache(maxsize=4)
def _series_statement(metadata: Metadata) -> Any:
    """Made once: building it takes longer than executing it."""
    statement = metadata.upsert(SERIES)
    merged = _merge(SERIES.c, statement.excluded)
    return statement.on_conflict_do_update(index_elements=["run", "key", "rank", "attempt"], set_=merged)


def _merge(old: Any, new: Any) -> dict[str, ColumnElement[Any]]:
    """A series' statistics after an addition, as SQL, so that no reader's copy can be stale."""
    later, earlier = new.last_step >= old.last_step, new.first_step < old.first_step
    onward = new.first_step > old.last_step
    merged: dict[str, ColumnElement[Any]] = {
        name: old[name] + new[name] for name in ("n", "texts", "total", "finite")
    }
    for name, condition in (("first_value", earlier), ("last_value", later)):
        merged[name] = case((condition, new[name]), else_=old[name])
    for name in ("first_step", "first_us", "minimum"):
        merged[name] = case((or_(old[name].is_(None), new[name] < old[name]), new[name]), else_=old[name])
    for name in ("last_step", "last_us", "maximum"):
        merged[name] = case((or_(old[name].is_(None), new[name] > old[name]), new[name]), else_=old[name])
    merged["last_stream"], merged["last_seq"], merged["rev"] = new.last_stream, new.last_seq, new.rev
    merged["ascending"] = case((and_(old.ascending == 1, new.ascending == 1, onward), 1), else_=0)
    merged["gen"] = case((and_(new.ascending == 1, onward), old.gen), else_=old.gen + 1)
    return merged


def _store_first_step(connection: Connection, addition: Addition, rev: int) -> None:
    steps = [item.tally.first_step for item in addition.series if not item.system]
    if steps:
        owner, first = addition.owner, min(steps)
        lower = or_(ATTEMPTS.c.first_step.is_(None), ATTEMPTS.c.first_step > first)
        mine = and_(ATTEMPTS.c.run == owner.run, ATTEMPTS.c.attempt == owner.attempt)
        lowered = connection.execute(update(ATTEMPTS).where(mine, lower).values(first_step=first)).rowcount
        # An attempt that goes on from a step has that as its first one from the start.
        if lowered or addition.state.next_seq == 0:
            _mark_superseded(connection, addition, rev)


def _mark_superseded(connection: Connection, addition: Addition, rev: int) -> None:
    """Series of earlier attempts end where this one begins, also those of keys that it has not logged yet."""
    owner = addition.owner
    first = select(ATTEMPTS.c.first_step).where(
        ATTEMPTS.c.run == owner.run, ATTEMPTS.c.attempt == owner.attempt
    )
    logged = select(KEYS.c.id).where(KEYS.c.project == owner.project, KEYS.c.system == 0)
    cut = and_(
        SERIES.c.run == owner.run,
        SERIES.c.attempt < owner.attempt,
        SERIES.c.last_step >= first.scalar_subquery(),
        SERIES.c.key.in_(logged),
    )
    connection.execute(update(SERIES).where(cut).values(rev=rev, gen=SERIES.c.gen + 1))


def _store_metrics(metadata: Metadata, connection: Connection, run: int, changes: Changes) -> None:
    for definition, overwrite in changes.metrics:
        name = str(definition["name"])
        mine = and_(METRIC_DEFS.c.run == run, METRIC_DEFS.c.digest == digest(name))
        before = connection.execute(select(METRIC_DEFS.c.definition).where(mine)).scalar()
        merged: Mapping[str, object] = (
            definition if overwrite or before is None else json.loads(before) | definition
        )
        row = {"run": run, "name": name, "digest": digest(name), "definition": json.dumps(merged)}
        statement = metadata.upsert(METRIC_DEFS).values(row)
        changed = {"definition": statement.excluded.definition}
        connection.execute(statement.on_conflict_do_update(index_elements=["run", "digest"], set_=changed))


def _store_summary(metadata: Metadata, connection: Connection, addition: Addition) -> None:
    owner = addition.owner
    for change in addition.changes.summary:
        for key, value in change.replaced.items():
            row = {
                "run": owner.run,
                "key": key,
                "digest": digest(key),
                "value": value,
                "attempt": owner.attempt,
                "stream": owner.stream,
                "seq": change.seq,
            }
            statement = metadata.upsert(SUMMARY_VALUES).values(row)
            changed = {name: statement.excluded[name] for name in ("value", "attempt", "stream", "seq")}
            connection.execute(
                statement.on_conflict_do_update(index_elements=["run", "digest"], set_=changed)
            )
        for key in change.removed:
            mine = and_(SUMMARY_VALUES.c.run == owner.run, SUMMARY_VALUES.c.digest == digest(key))
            connection.execute(SUMMARY_VALUES.delete().where(mine))
