"""Signs of life in SQL, and the run states that follow from them.

Everything can be done by several replicas at once, and twice: each change is conditional, and only the replica that
made it tells of it. A transaction takes its rows in the order of ingest (stream, project, run).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select, update

from buoy_server.ingest.catalogue import next_rev
from buoy_server.ingest.run_state import refresh_run
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import NOTICES, PROJECTS, RUNS, STREAMS, WRITERS

_IN_MAX = 500
SWEEP_MAX = 500
"""How many streams one sweep marks; the next goes on."""

_RUNNING = exists().where(WRITERS.c.stream == STREAMS.c.id, WRITERS.c.state == "running")


@dataclass(frozen=True)
class Changed:
    """A run whose page has something new."""

    project: str
    run_id: str
    rev: int


@dataclass(frozen=True)
class Notice:
    """An event of the server's own."""

    code: str
    level: str
    text: str
    details: dict[str, object]


def note_signs(
    metadata: Metadata, uploads: Collection[str], beats: Collection[str], now_us: int
) -> tuple[set[str], list[int]]:
    """Notes who was heard of.

    Args:
        metadata: The database.
        uploads: Ids of streams that have sent something.
        beats: Ids of streams whose daemons say that their writers live.
        now_us: The server's time.

    Returns:
        The ids of `beats` that are known, and the rows of those streams that counted as missing.
    """
    known: set[str] = set()
    back: list[int] = []
    with metadata.write() as connection:
        for ids, values in (
            (uploads, {"seen_us": now_us}),
            (beats, {"seen_us": now_us, "beat_us": now_us}),
        ):
            for part in _parts(sorted(ids)):
                noted = connection.execute(
                    update(STREAMS)
                    .where(STREAMS.c.stream_id.in_(part))
                    .values(values)
                    .returning(STREAMS.c.id, STREAMS.c.stream_id, STREAMS.c.missing_us)
                ).all()
                known.update(row.stream_id for row in noted)
                back += [row.id for row in noted if row.missing_us is not None]
    return known, sorted(set(back))


def find_silent(connection: Connection, limit_us: int) -> list[int]:
    """Streams with live writers that have beaten before, and were last heard of before `limit_us`."""
    chosen = (
        select(STREAMS.c.id)
        .where(STREAMS.c.beat_us.is_not(None), STREAMS.c.missing_us.is_(None), STREAMS.c.seen_us < limit_us)
        .where(STREAMS.c.id.in_(select(WRITERS.c.stream).where(WRITERS.c.state == "running")))
        .order_by(STREAMS.c.id)
        .limit(SWEEP_MAX)
    )
    return [row.id for row in connection.execute(chosen)]


def mark_missing(metadata: Metadata, stream: int, limit_us: int, now_us: int) -> Changed | None:
    """Counts a stream's writers as crashed, unless something was heard meanwhile."""
    with metadata.write() as connection:
        row = connection.execute(
            update(STREAMS)
            .where(STREAMS.c.id == stream, STREAMS.c.missing_us.is_(None), STREAMS.c.seen_us < limit_us)
            .where(_RUNNING)
            .values(missing_us=now_us)
            .returning(STREAMS.c.run, STREAMS.c.host, STREAMS.c.seen_us)
        ).one_or_none()
        if row is None:
            return None
        silent_s = round((now_us - row.seen_us) / 1e6)
        text = (
            f"Nothing has been heard of machine {row.host or '?'} for {silent_s} s; its processes count as crashed "
            "until it is back."
        )
        details: dict[str, object] = {"host": row.host, "seen_us": row.seen_us}
        return tell(connection, row.run, Notice("machine_missing", "error", text, details), now_us)


def mark_back(metadata: Metadata, stream: int, now_us: int) -> Changed | None:
    """Takes a missing stream back; says so if its writers still run."""
    with metadata.write() as connection:
        row = connection.execute(
            update(STREAMS)
            .where(STREAMS.c.id == stream, STREAMS.c.missing_us.is_not(None))
            .values(missing_us=None)
            .returning(STREAMS.c.run, STREAMS.c.host)
        ).one_or_none()
        if row is None or not connection.execute(select(_RUNNING).where(STREAMS.c.id == stream)).scalar_one():
            return None
        text = f"Machine {row.host or '?'} is back; its processes run."
        details: dict[str, object] = {"host": row.host}
        return tell(connection, row.run, Notice("machine_back", "info", text, details), now_us)


def tell(connection: Connection, run: int, notice: Notice, now_us: int) -> Changed | None:
    """Adds an event of the server's own to a run, and brings the run's state up to date.

    Returns:
        What changed; None if nobody is shown it, because the run is deleted.
    """
    owner = connection.execute(
        select(RUNS.c.run_id, RUNS.c.deleted_us, PROJECTS.c.id, PROJECTS.c.entity, PROJECTS.c.name)
        .join(PROJECTS, PROJECTS.c.id == RUNS.c.project)
        .where(RUNS.c.id == run)
    ).one()
    rev = next_rev(connection, owner.id)
    row = {"run": run, "time_us": now_us, "level": notice.level, "code": notice.code, "text": notice.text}
    connection.execute(NOTICES.insert().values(row | {"details": json.dumps(notice.details)}))
    refresh_run(connection, run, rev)
    if owner.deleted_us is not None:
        return None
    return Changed(f"{owner.entity}:{owner.name}", owner.run_id, rev)


def _parts(ids: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(ids), _IN_MAX):
        yield ids[begin : begin + _IN_MAX]
