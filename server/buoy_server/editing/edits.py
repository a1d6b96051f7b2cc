"""Changes one run in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, update

from buoy_server.editing.fields import Edit, edit_tag, noted
from buoy_server.errors import Stale
from buoy_server.ingest.catalogue import next_rev
from buoy_server.liveness.signs import Changed
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import RUNS
from buoy_server.query.catalogue import find_project, find_run


def edit_run(
    metadata: Metadata, path: str, run_id: str, edit: Edit, match: Sequence[str] | None, *, now_us: int
) -> Changed | None:
    """Changes a run, unless it has been changed meanwhile.

    Args:
        metadata: The database.
        path: The project.
        run_id: The run.
        edit: What to change.
        match: Tags (`edit_tag`) of which the run must have one; None = whatever it has.
        now_us: The server's time.

    Returns:
        What changed; None if it was so already.

    Raises:
        Missing: There is no such run, or it is deleted.
        Stale: It has none of the tags.
    """
    with metadata.write() as connection:
        project = find_project(connection, path)
        find_run(connection, project, run_id)
        # Whoever moves the revision has the project to itself; rows are taken in the order of ingest.
        rev = next_rev(connection, project.id)
        row = find_run(connection, project, run_id)
        if match is not None and edit_tag(row) not in match:
            raise Stale(
                "changed_meanwhile",
                f"Run {run_id} has been changed by somebody else meanwhile; read it again. Nothing was changed.",
                edit_tag=edit_tag(row),
            )
        if not apply(connection, row, edit, rev, now_us):
            return None
        return Changed(path, row.run_id, rev)


def apply(connection: Connection, row: Row[Any], edit: Edit, rev: int, now_us: int) -> bool:
    """Changes a run whose row is locked; says whether anything was changed."""
    before = {column: getattr(row, column) for column in edit.values}
    values: dict[str, object] = {
        column: value for column, value in edit.values.items() if value != before[column]
    }
    if edit.values:
        # Also what was set to what it was already: a person has said so, now.
        values["edited"] = noted(row.edited, before, edit.values, now_us)
    if edit.archived is not None and edit.archived != (row.archived_us is not None):
        values["archived_us"] = now_us if edit.archived else None
    if edit.config:
        config = json.loads(row.config) | edit.config
        values["config"] = json.dumps(config, separators=(",", ":"))
    if values:
        connection.execute(update(RUNS).where(RUNS.c.id == row.id).values(rev=rev, **values))
    return bool(values)
