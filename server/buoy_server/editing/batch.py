"""Changes many runs at once, each for itself: one that cannot be changed stops no other.

The token that takes it back holds what each run had before and has now. A run that somebody has changed since is left
as it is then, and said so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from buoy_server.deletion.marks import delete_run, restore_run
from buoy_server.editing.edits import apply
from buoy_server.editing.fields import Edit, read_edit, read_tags
from buoy_server.errors import Conflict, Malformed, Refused
from buoy_server.ingest.catalogue import next_rev
from buoy_server.jsonvalues import dumps
from buoy_server.liveness.signs import Changed
from buoy_server.metadata.engine import Metadata
from buoy_server.query.catalogue import Project, find_project, find_run

RUNS_MAX = 10_000
ACTIONS = ("tag", "untag", "group", "archive", "unarchive", "delete", "restore", "undo")
_COLUMNS = {"tags": "tags", "group": "group_name"}


@dataclass
class Outcome:
    """What became of a batch: a result for each run, what changed, and the token that takes it back."""

    results: list[dict[str, object]] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    undo: list[dict[str, object]] = field(default_factory=list)


def change_runs(
    metadata: Metadata,
    path: str,
    action: str,
    runs: Sequence[str],
    given: Mapping[str, object],
    *,
    now_us: int,
) -> Outcome:
    """Does the same to many runs.

    Args:
        metadata: The database.
        path: The project.
        action: One of `ACTIONS`.
        runs: Ids; for `undo` none, the token has them.
        given: `tags`, `group` or `undo`, as the action wants it, and `by`.
        now_us: The server's time.

    Raises:
        Missing: There is no such project.
        Malformed: The action lacks what it wants.
    """
    if action == "undo":
        return _undo(metadata, path, _undo_token(given.get("undo")), now_us)
    if action in ("delete", "restore"):
        return _marks(metadata, path, action, runs, by=str(given.get("by", "")), now_us=now_us)
    edit_of = _edit_of(action, given)
    return _edit_all(metadata, path, ((run, edit_of) for run in runs), now_us)


_EditOf = Callable[[Row[Any]], Edit]


def _edit_of(action: str, given: Mapping[str, object]) -> _EditOf:
    if action in ("archive", "unarchive"):
        return lambda _: Edit(archived=action == "archive")
    if action == "group":
        edit = read_edit({"group": given.get("group")})
        return lambda _: edit
    tags = read_tags(given.get("tags"))
    if action == "tag":
        return lambda row: read_edit({"tags": [*json.loads(row.tags), *tags]})
    return lambda row: Edit({"tags": dumps([tag for tag in json.loads(row.tags) if tag not in tags])})


def _edit_all(metadata: Metadata, path: str, edits: Iterable[tuple[str, _EditOf]], now_us: int) -> Outcome:
    outcome = Outcome()
    with metadata.write() as connection:
        project = find_project(connection, path)
        rev = next_rev(connection, project.id)
        for run, edit_of in edits:
            outcome.results.append(
                _edit_one(connection, project, run, edit_of, at=(rev, now_us), outcome=outcome)
            )
    return outcome


def _edit_one(
    connection: Connection,
    project: Project,
    run: str,
    edit_of: _EditOf,
    *,
    at: tuple[int, int],
    outcome: Outcome,
) -> dict[str, object]:
    try:
        row = find_run(connection, project, run)
        edit = edit_of(row)
        kept = Edit(
            {column: value for column, value in edit.values.items() if value != getattr(row, column)},
            edit.archived,
        )
        if not apply(connection, row, kept, *at):
            return {"run": run, "status": "unchanged"}
    except Refused as refusal:
        return {"run": run, "status": "refused", "code": refusal.code, "detail": refusal.detail}
    outcome.changed.append(Changed(project.path, row.run_id, at[0]))
    outcome.undo.append({"run": row.run_id, "from": _state(row, kept), "to": _wish(kept)})
    return {"run": run, "status": "changed"}


def _state(row: Row[Any], edit: Edit) -> dict[str, object]:
    """What the run has of what the edit changes."""
    found: dict[str, object] = {
        name: json.loads(row.tags) if name == "tags" else getattr(row, column)
        for name, column in _COLUMNS.items()
        if column in edit.values
    }
    return found if edit.archived is None else found | {"archived": row.archived_us is not None}


def _wish(edit: Edit) -> dict[str, object]:
    found: dict[str, object] = {
        name: json.loads(edit.values[column]) if name == "tags" else edit.values[column]
        for name, column in _COLUMNS.items()
        if column in edit.values
    }
    return found if edit.archived is None else found | {"archived": edit.archived}


def _undo_token(given: object) -> list[dict[str, Any]]:
    if (
        isinstance(given, list)
        and len(given) <= RUNS_MAX
        and all(
            isinstance(each, dict)
            and isinstance(each.get("run"), str)
            and isinstance(each.get("from"), dict)
            and isinstance(each.get("to"), dict)
            for each in given
        )
    ):
        return given
    raise Malformed("bad_undo", "undo is what an earlier batch gave, as it was.")


def _undo(metadata: Metadata, path: str, token: list[dict[str, Any]], now_us: int) -> Outcome:
    marks = [each for each in token if "deleted" in each["to"]]
    edits = [each for each in token if "deleted" not in each["to"]]
    outcome = _edit_all(metadata, path, ((each["run"], _back(each)) for each in edits), now_us)
    for action, wanted in (("restore", True), ("delete", False)):
        runs = [each["run"] for each in marks if bool(each["to"]["deleted"]) == wanted]
        more = _marks(metadata, path, action, runs, by="", now_us=now_us)
        outcome.results += more.results
        outcome.changed += more.changed
        outcome.undo += more.undo
    return outcome


def _back(each: Mapping[str, Any]) -> _EditOf:
    back, done = read_edit(each["from"]), read_edit(each["to"])

    def edit(row: Row[Any]) -> Edit:
        if _state(row, done) != each["to"]:
            raise Conflict(
                "changed_meanwhile",
                f"Run {row.run_id} has been changed since; it stays as it is.",
            )
        return back

    return edit


def _marks(
    metadata: Metadata, path: str, action: str, runs: Sequence[str], *, by: str, now_us: int
) -> Outcome:
    """Deletes or restores, each run in a transaction of its own."""
    outcome = Outcome()
    with metadata.read() as connection:
        find_project(connection, path)
    for run in runs:
        try:
            changed = (
                delete_run(metadata, path, run, by, now_us)[1]
                if action == "delete"
                else restore_run(metadata, path, run, by, now_us)
            )
        except Refused as refusal:
            outcome.results.append(
                {"run": run, "status": "refused", "code": refusal.code, "detail": refusal.detail}
            )
            continue
        outcome.results.append({"run": run, "status": "unchanged" if changed is None else "changed"})
        if changed is not None:
            deleted = action == "delete"
            outcome.changed.append(changed)
            outcome.undo.append({"run": run, "from": {"deleted": not deleted}, "to": {"deleted": deleted}})
    return outcome
