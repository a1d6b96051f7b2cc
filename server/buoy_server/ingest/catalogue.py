"""Gives ids to projects, runs, streams and keys. All of it can be repeated: what exists is found, never made twice.

These rows are committed before the points that use their ids are inserted. A crash in between leaves an id without
points, which a replay then uses.
"""

from __future__ import annotations

from collections.abc import Iterable

from buoy_proto import v1
from sqlalchemy import Connection, select, update

from buoy_server.errors import Malformed
from buoy_server.ingest.attempts import find_attempt
from buoy_server.ingest.streams import StreamState, load_state
from buoy_server.jsonvalues import clean
from buoy_server.metadata.engine import Metadata, digest
from buoy_server.metadata.schema import KEYS, PROJECTS, RUNS, STREAMS

DEFAULT_ENTITY = "local"
DEFAULT_PROJECT = "uncategorized"
_NAME_CHARACTERS_MAX = 256
_INT64_MAX = (1 << 63) - 1


def create_stream(metadata: Metadata, start: v1.StreamStart, now_us: int) -> StreamState:
    """The stream that a StreamStart announces, with its run, attempt and project made if needed.

    Args:
        metadata: The database.
        start: What the daemon says of the stream.
        now_us: The server's time.
    """
    stream_id = start.stream_id.hex()
    started_us = min(start.time_unix_us, _INT64_MAX)
    source = path_name(start.branch.run_id) if start.HasField("branch") else ""
    rewinds = source != "" and source == path_name(start.run.run_id)
    with metadata.write() as connection:
        project = _project(metadata, connection, start.run, started_us)
        run = _run(metadata, connection, project, start, started_us, parent="" if rewinds else source)
        attempt = find_attempt(
            metadata,
            connection,
            run,
            start,
            started_us=started_us,
            first_step=min(start.branch.step, _INT64_MAX - 1) + 1 if rewinds else None,
        )
        stream = {
            "stream_id": stream_id,
            "run": run,
            "attempt": attempt,
            "next_seq": 0,
            "machine_id": clean(start.machine_id),
            "host": clean(start.host),
            "daemon_version": clean(start.daemon_version),
            "started_us": started_us,
            "seen_us": now_us,
        }
        connection.execute(
            metadata.upsert(STREAMS).values(stream).on_conflict_do_nothing(index_elements=["stream_id"])
        )
        state = load_state(connection, stream_id)
    assert state is not None
    return state


def check_start(start: v1.StreamStart, stream_id: str) -> None:
    """Raises Malformed if a stream cannot begin like this."""
    if start.stream_id.hex() != stream_id:
        raise Malformed(
            "mislabelled_block", f"The stream's first record belongs to stream {start.stream_id.hex()}."
        )
    if not path_name(start.run.run_id):
        raise Malformed("bad_record", "The stream's first record names no run.")


def resolve_keys(metadata: Metadata, state: StreamState, wanted: Iterable[tuple[bool, str]]) -> None:
    """Puts the catalogue ids of (system, name) into the state, making those that are new."""
    missing = sorted({name for name in wanted if name not in state.keys})
    if not missing:
        return
    by_digest = {(system, digest(name)): (system, name) for system, name in missing}
    with metadata.read() as connection:
        _find_keys(connection, state, by_digest)
    absent = {mark: name for mark, name in by_digest.items() if name not in state.keys}
    if not absent:
        return
    with metadata.write() as connection:
        rev = next_rev(connection, state.owner.project)
        rows = [
            {"project": state.owner.project, "system": int(system), "name": name, "digest": mark, "rev": rev}
            for (system, mark), (_, name) in absent.items()
        ]
        statement = metadata.upsert(KEYS).on_conflict_do_nothing(
            index_elements=["project", "system", "digest"]
        )
        connection.execute(statement, rows)
        _find_keys(connection, state, absent)


def next_rev(connection: Connection, project: int) -> int:
    """Moves a project's revision on. Whoever does holds the project's row until the transaction ends."""
    moved = (
        update(PROJECTS)
        .where(PROJECTS.c.id == project)
        .values(rev=PROJECTS.c.rev + 1)
        .returning(PROJECTS.c.rev)
    )
    return int(connection.execute(moved).scalar_one())


def _find_keys(
    connection: Connection, state: StreamState, by_digest: dict[tuple[bool, str], tuple[bool, str]]
) -> None:
    marks = [mark for _, mark in by_digest]
    for begin in range(0, len(marks), 500):
        rows = connection.execute(
            select(KEYS.c.id, KEYS.c.system, KEYS.c.digest)
            .where(KEYS.c.project == state.owner.project)
            .where(KEYS.c.digest.in_(marks[begin : begin + 500]))
        )
        for row in rows:
            name = by_digest.get((bool(row.system), row.digest))
            if name is not None:
                state.keys[name] = row.id


def _project(metadata: Metadata, connection: Connection, info: v1.RunInfo, now_us: int) -> int:
    entity = path_name(info.entity) or DEFAULT_ENTITY
    name = path_name(info.project) or DEFAULT_PROJECT
    fresh = {"entity": entity, "name": name, "created_us": now_us, "activity_us": now_us, "rev": 0}
    connection.execute(
        metadata.upsert(PROJECTS).values(fresh).on_conflict_do_nothing(index_elements=["entity", "name"])
    )
    found = select(PROJECTS.c.id).where(PROJECTS.c.entity == entity, PROJECTS.c.name == name)
    return int(connection.execute(found).scalar_one())


def _run(
    metadata: Metadata,
    connection: Connection,
    project: int,
    start: v1.StreamStart,
    now_us: int,
    *,
    parent: str,
) -> int:
    info = start.run
    run_id = path_name(info.run_id)
    fresh = {
        "project": project,
        "run_id": run_id,
        "name": clean(info.name) or run_id,
        "notes": "",
        "tags": "[]",
        "group_name": "",
        "job_type": "",
        "host": "",
        "state": "running",
        "attempts": 1,
        "created_us": now_us,
        "started_us": now_us,
        "heartbeat_us": now_us,
        "config": "{}",
        "metadata": "{}",
        "rev": 0,
        "parent": "",
        "parent_us": 0,
    }
    made = metadata.upsert(RUNS).values(fresh).on_conflict_do_nothing(index_elements=["project", "run_id"])
    found = select(RUNS.c.id).where(RUNS.c.project == project, RUNS.c.run_id == run_id).with_for_update()
    run = None
    while run is None:
        # A deleted run of that name may just be losing it: then it is gone once its row can be locked.
        connection.execute(made)
        run = connection.execute(found).scalar_one_or_none()
    if parent:
        # A later attempt, which says nothing of the fork, may have come first.
        fork = {
            "parent": parent,
            "parent_step": min(start.branch.step, _INT64_MAX - 1),
            "parent_us": min(start.branch.attempt_unix_us, _INT64_MAX),
        }
        connection.execute(update(RUNS).where(RUNS.c.id == run, RUNS.c.parent == "").values(fork))
    return int(run)


def path_name(name: str) -> str:
    """A name as it can stand in an address: separators and control characters become dashes, and so do mere dots."""
    safe = "".join(
        "-" if character in "/:\\?#" or not character.isprintable() else character for character in name
    )
    safe = safe.strip()[:_NAME_CHARACTERS_MAX]
    return "-" * len(safe) if safe.strip(".") == "" else safe
