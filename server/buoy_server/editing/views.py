"""How a project is looked at: JSON that belongs to the dashboard and is kept as it came, members and kinds that this
version does not know included. The server knows its name, its size and who changed it when.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, select

from buoy_server.errors import Malformed, Missing, Stale, TooLarge
from buoy_server.ingest.catalogue import next_rev
from buoy_server.jsonvalues import clean, dumps, untag
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import VIEWS
from buoy_server.query.catalogue import Project, find_project

BYTES_MAX = 1 << 20
VIEWS_MAX = 1000
NAME_CHARACTERS_MAX = 200
SCHEMA_MAX = 1 << 31
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def list_views(connection: Connection, project: Project) -> list[dict[str, object]]:
    """The views without their content, by name."""
    chosen = select(VIEWS).where(VIEWS.c.project == project.id).order_by(VIEWS.c.name, VIEWS.c.view_id)
    return [_about(row) for row in connection.execute(chosen)]


def find_view(connection: Connection, project: Project, view: str) -> dict[str, object]:
    """A view with its content.

    Raises:
        Missing: There is none of that id.
    """
    row = _row(connection, project, view)
    if row is None:
        raise Missing("no_such_view", f"The project {project.path} has no view {view}.")
    return _about(row) | {"content": json.loads(row.content)}


def put_view(
    metadata: Metadata,
    path: str,
    view: str,
    given: Mapping[str, object],
    match: list[str] | None,
    *,
    now_us: int,
) -> tuple[dict[str, object], bool]:
    """Stores a view.

    Args:
        metadata: The database.
        path: The project.
        view: Its id.
        given: `name`, `content` and `by`.
        match: Tags of which the stored view must have one; empty = there must be none yet; None = whatever there is.
        now_us: The server's time.

    Returns:
        The view without its content, and whether anything was changed.

    Raises:
        Malformed, TooLarge: It cannot be kept.
        Stale: The stored view is another.
    """
    row = _checked(view, given) | {"view_id": view, "changed_us": now_us}
    with metadata.write() as connection:
        project = find_project(connection, path)
        rev = next_rev(connection, project.id)
        before = _row(connection, project, view)
        _check_match(view, before, match)
        if before is None:
            count = select(func.count()).select_from(VIEWS).where(VIEWS.c.project == project.id)
            if int(connection.execute(count).scalar_one()) >= VIEWS_MAX:
                raise TooLarge("too_many_views", f"A project has at most {VIEWS_MAX} views; delete some.")
        elif (before.name, before.content) == (row["name"], row["content"]):
            return _about(before), False
        created_us = now_us if before is None else before.created_us
        row |= {"project": project.id, "created_us": created_us, "rev": rev}
        statement = metadata.upsert(VIEWS).values(row)
        changed = {
            name: statement.excluded[name] for name in ("name", "content", "changed_us", "changed_by", "rev")
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=["project", "view_id"], set_=changed)
        )
        stored = _row(connection, project, view)
        assert stored is not None
        return _about(stored), True


def delete_view(metadata: Metadata, path: str, view: str, match: list[str] | None) -> int | None:
    """Deletes a view; deleting it again changes nothing.

    Returns:
        The project's revision; None if there was no such view.

    Raises:
        Stale: The stored view is another than the one that was meant.
    """
    with metadata.write() as connection:
        project = find_project(connection, path)
        rev = next_rev(connection, project.id)
        before = _row(connection, project, view)
        if before is None:
            return None
        _check_match(view, before, match)
        connection.execute(VIEWS.delete().where(VIEWS.c.project == project.id, VIEWS.c.view_id == view))
        return rev


def view_tag(row: Any) -> str:
    """Stands for what a view has now."""
    return hashlib.blake2b(json.dumps([row.name, row.content]).encode(), digest_size=9).hexdigest()


def _checked(view: str, given: Mapping[str, object]) -> dict[str, object]:
    if not _ID.fullmatch(view):
        raise _bad("its id is 1 to 64 letters, digits, _ and -")
    name, content, by = given.get("name"), given.get("content"), given.get("by", "")
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARACTERS_MAX:
        raise _bad(f"name is a text of 1 to {NAME_CHARACTERS_MAX} characters")
    if not isinstance(by, str) or len(by) > NAME_CHARACTERS_MAX:
        raise _bad(f"by is a text of at most {NAME_CHARACTERS_MAX} characters")
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or not 1 <= schema < SCHEMA_MAX:
        raise _bad("content is an object with `schema`, the number of its form")
    text = dumps(untag(content))
    if not text.startswith("{"):
        raise _bad("content is nested too deeply")
    if len(text) > BYTES_MAX:
        raise TooLarge("view_too_large", f"The view has {len(text):,} bytes; {BYTES_MAX:,} are kept at most.")
    return {"name": clean(name), "content": text, "changed_by": clean(by)}


def _check_match(view: str, row: Row[Any] | None, match: list[str] | None) -> None:
    if match is None or (row is None and not match) or (row is not None and view_tag(row) in match):
        return
    about = {} if row is None else {"edit_tag": view_tag(row)}
    raise Stale(
        "changed_meanwhile",
        f"View {view} has been changed by somebody else meanwhile; nothing was changed.",
        **about,
    )


def _row(connection: Connection, project: Project, view: str) -> Row[Any] | None:
    chosen = select(VIEWS).where(VIEWS.c.project == project.id, VIEWS.c.view_id == clean(view))
    return connection.execute(chosen).one_or_none()


def _about(row: Row[Any]) -> dict[str, object]:
    return {
        "id": row.view_id, "name": row.name, "created_us": row.created_us, "changed_us": row.changed_us,
        "changed_by": row.changed_by, "rev": row.rev, "edit_tag": view_tag(row),
    }  # fmt: skip


def _bad(reason: str) -> Malformed:
    return Malformed("bad_view", f"The view is not kept: {reason}.")
