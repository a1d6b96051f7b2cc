"""Deletes runs and brings them back: marks in SQL, nothing else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from buoy_server.ingest.catalogue import next_rev
from buoy_server.liveness.signs import Changed, Notice, tell
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import RUNS
from buoy_server.query.catalogue import Project, find_deleted_or_not, find_project


def delete_run(
    metadata: Metadata, path: str, run_id: str, by: str, now_us: int
) -> tuple[int, Changed | None]:
    """Hides a run. Deleting it again changes nothing.

    Returns:
        When it was deleted, and what changed.

    Raises:
        Missing: There is no such run, or its data is removed.
    """
    with metadata.write() as connection:
        row = _turn(connection, path, run_id)
        if row.deleted_us is not None:
            return row.deleted_us, None
        text = f"Deleted{_by(by)}."
        changed = tell(connection, row.id, Notice("run_deleted", "warn", text, {"by": by}), now_us)
        connection.execute(update(RUNS).where(RUNS.c.id == row.id).values(deleted_us=now_us))
    return now_us, changed


def restore_run(metadata: Metadata, path: str, run_id: str, by: str, now_us: int) -> Changed | None:
    """Brings a deleted run back as it was, with what has arrived meanwhile; None if it is not deleted.

    Raises:
        Missing: There is no such run, or its data is removed.
    """
    with metadata.write() as connection:
        row = _turn(connection, path, run_id)
        if row.deleted_us is None:
            return None
        connection.execute(update(RUNS).where(RUNS.c.id == row.id).values(deleted_us=None))
        return tell(
            connection, row.id, Notice("run_restored", "info", f"Restored{_by(by)}.", {"by": by}), now_us
        )


def list_deleted(connection: Connection, project: Project, removed_after_us: int) -> list[dict[str, object]]:
    """The deleted runs of a project that can be restored, the latest deleted first."""
    chosen = (
        select(RUNS)
        .where(RUNS.c.project == project.id, RUNS.c.deleted_us.is_not(None), RUNS.c.removed_us.is_(None))
        .order_by(RUNS.c.deleted_us.desc(), RUNS.c.run_id)
    )
    return [
        {
            "id": row.run_id,
            "name": row.name,
            "state": row.state,
            "created_us": row.created_us,
            "deleted_us": row.deleted_us,
            "removed_us": row.deleted_us + removed_after_us,
        }
        for row in connection.execute(chosen)
    ]


def _turn(connection: Connection, path: str, run_id: str) -> Row[Any]:
    """The run's row, once nobody else changes it."""
    project = find_project(connection, path)
    find_deleted_or_not(connection, project, run_id)
    # Whoever moves the revision has the project to itself; rows are taken in the order of ingest.
    next_rev(connection, project.id)
    return find_deleted_or_not(connection, project, run_id)


def _by(by: str) -> str:
    return f" by {by}" if by else ""
