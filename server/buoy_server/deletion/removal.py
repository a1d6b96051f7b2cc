"""Removes what deleted runs have left, once nobody can want it back.

In SQL first, so that a crash at any moment leaves nothing that could be shown; then in the engine, again and again
until it has nothing left that no fork needs. Everything can be done twice, and by several replicas at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from buoy_core import faults
from sqlalchemy import Connection, Row, and_, exists, not_, or_, select, update

from buoy_server.ingest.catalogue import next_rev
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import (
    ATTEMPTS,
    EVENTS,
    GAPS,
    KEYS,
    METRIC_DEFS,
    NOTICES,
    RUNS,
    SERIES,
    STOPS,
    STREAMS,
    SUMMARY_VALUES,
    WATCHES,
    WRITER_KEYS,
    WRITERS,
)
from buoy_server.metrics.remover import MetricsRemover, Unneeded
from buoy_server.query.lineage import name_when_removed, needed, needs_of_forks

_RUNS_MAX = 100
"""How many runs one sweep removes; the next goes on."""

_BLANK = dict.fromkeys(("name", "notes", "group_name", "job_type", "host"), "") | {
    "tags": "[]",
    "config": "{}",
    "metadata": "{}",
    "edited": "{}",
}

_HEARD_OF_LATER = exists().where(STREAMS.c.run == RUNS.c.id)


def sweep(metadata: Metadata, remover: MetricsRemover, limit_us: int, now_us: int) -> None:
    """Removes the runs that were deleted, and last heard of, before `limit_us`, as far as that goes now."""
    with metadata.read() as connection:
        due = _due(connection, limit_us)
    for run in due:
        _take_from_lists(metadata, run, limit_us, now_us)
        faults.point("removal.after_marks")
    with metadata.read() as connection:
        unsettled = _unsettled(connection)
        needs = {
            project: needs_of_forks(connection, project, deleted_too=True)
            for project in {run.project for run in unsettled}
        }
    found = [_settle(metadata, remover, run, needs[run.project].get(run.id, {})) for run in unsettled]
    unneeded = [item for item in found if item is not None]
    if unneeded and not remover.is_busy():
        remover.remove(unneeded)
        faults.point("removal.after_request")


def _due(connection: Connection, limit_us: int) -> list[Row[Any]]:
    chosen = (
        select(RUNS.c.id, RUNS.c.project)
        .where(_is_due(limit_us))
        .order_by(RUNS.c.deleted_us)
        .limit(_RUNS_MAX)
    )
    return list(connection.execute(chosen))


def _is_due(limit_us: int) -> Any:
    """Whoever goes on with a deleted run gets as long from then on: what is accepted shall not go while it comes in."""
    return and_(
        RUNS.c.deleted_us < limit_us,
        RUNS.c.removed_us.is_(None),
        ~_HEARD_OF_LATER.where(STREAMS.c.seen_us >= limit_us),
    )


def _take_from_lists(metadata: Metadata, run: Row[Any], limit_us: int, now_us: int) -> None:
    """Has SQL forget the run, but for its streams and what its forks have from it."""
    with metadata.write() as connection:
        next_rev(connection, run.project)
        locked = connection.execute(select(RUNS.c.run_id).where(RUNS.c.id == run.id).with_for_update()).one()
        removed = connection.execute(
            update(RUNS)
            .where(RUNS.c.id == run.id, _is_due(limit_us))
            .values(
                run_id=name_when_removed(locked.run_id, run.id),
                removed_us=now_us,
                leftover=RUNS.c.leftover + 1,
                **_BLANK,
            )
        )
        if removed.rowcount != 1:
            # Restored meanwhile, or heard of again.
            return
        mine = and_(RUNS.c.project == run.project, RUNS.c.parent == locked.run_id)
        connection.execute(update(RUNS).where(mine).values(parent=name_when_removed(locked.run_id, run.id)))
        _keep(connection, run, needs_of_forks(connection, run.project, deleted_too=True).get(run.id, {}))
        _forget(connection, run.id)


def _forget(connection: Connection, run: int) -> None:
    """Deletes what has no bearing on forks, and does not tell where streams stand."""
    streams = select(STREAMS.c.id).where(STREAMS.c.run == run)
    for table in (WRITER_KEYS, WRITERS, GAPS, EVENTS):
        connection.execute(table.delete().where(table.c.stream.in_(streams)))
    for table in (METRIC_DEFS, SUMMARY_VALUES, STOPS, NOTICES, WATCHES):
        connection.execute(table.delete().where(table.c.run == run))
    system = select(KEYS.c.id).where(KEYS.c.system == 1, KEYS.c.id == SERIES.c.key)
    connection.execute(SERIES.delete().where(SERIES.c.run == run, system.exists()))


def _keep(connection: Connection, run: Row[Any], needs: Mapping[int, int]) -> None:
    """Notes what forks need of the run; the statistics of everything else go."""
    kept = needed({run.id: needs})
    connection.execute(SERIES.delete().where(SERIES.c.run == run.id, not_(kept)))
    if not needs:
        connection.execute(ATTEMPTS.delete().where(ATTEMPTS.c.run == run.id))
    connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(kept=_text(needs)))


def _text(needs: Mapping[int, int]) -> str:
    return json.dumps(dict(sorted(needs.items()))) if needs else ""


def _unsettled(connection: Connection) -> list[Row[Any]]:
    """Removed runs of which there may be more than anybody needs."""
    chosen = select(RUNS.c.id, RUNS.c.project, RUNS.c.leftover, RUNS.c.kept).where(
        RUNS.c.deleted_us.is_not(None), RUNS.c.removed_us.is_not(None)
    )
    return list(
        connection.execute(chosen.where(or_(RUNS.c.leftover > 0, RUNS.c.kept != "")).order_by(RUNS.c.id))
    )


def _settle(
    metadata: Metadata, remover: MetricsRemover, run: Row[Any], needs: Mapping[int, int]
) -> Unneeded | None:
    """What the engine has to remove of a run; None if there is nothing, which is noted."""
    leftover: int = run.leftover
    if _text(needs) != run.kept:
        with metadata.write() as connection:
            # A fork that was the last to need something is removed, or has begun again at an earlier step.
            next_rev(connection, run.project)
            _keep(connection, run, needs)
            connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(leftover=leftover + 1))
        leftover += 1
    if not leftover:
        return None
    unneeded = Unneeded(run.id, needs)
    if remover.count(unneeded):
        return unneeded
    with metadata.write() as connection:
        # Unless more has come in meanwhile.
        done = update(RUNS).where(RUNS.c.id == run.id, RUNS.c.leftover == leftover)
        connection.execute(done.values(leftover=0))
    return None
