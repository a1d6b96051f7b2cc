"""Everything about one run, for its page."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, select

from buoy_server.editing.fields import edit_tag
from buoy_server.ingest.run_state import run_state, writer_state
from buoy_server.ingest.streams import DAEMON_WRITER
from buoy_server.liveness.stops import describe_stop
from buoy_server.liveness.watch import DEAD, LOST
from buoy_server.liveness.watched import Place, marks_of
from buoy_server.metadata.schema import ATTEMPTS, EVENTS, GAPS, METRIC_DEFS, NOTICES, STREAMS, WRITERS
from buoy_server.query.catalogue import Project, find_run
from buoy_server.query.lineage import id_of
from buoy_server.query.summaries import Summaries

_EVENTS_MAX = 1000


def describe_run(
    connection: Connection, summaries: Summaries, project: Project, run_id: str
) -> dict[str, object]:
    """A run with its config, summary, attempts, writers, losses and events. Values are tagged JSON.

    Raises:
        Missing: The project has no such run.
    """
    run = find_run(connection, project, run_id)
    writers = _writers(connection, run.id)
    attempts = _attempts(connection, run.id, writers)
    # In SQL an attempt's number says when it started; people count from one.
    ordinals = {number: position for position, (number, _) in enumerate(attempts, 1)}
    marks = marks_of(connection, Place(run.id, attempts[-1][0])) if attempts else {}
    return {
        "id": run.run_id,
        "entity": project.entity,
        "project": project.name,
        "name": run.name,
        "notes": run.notes,
        "tags": json.loads(run.tags),
        "group": run.group_name,
        "job_type": run.job_type,
        "host": run.host,
        "state": run.state,
        "exit_code": run.exit_code,
        "created_us": run.created_us,
        "started_us": run.started_us,
        "ended_us": run.ended_us,
        "heartbeat_us": run.heartbeat_us,
        "rev": run.rev,
        "archived": run.archived_us is not None,
        "edit_tag": edit_tag(run),
        "config": json.loads(run.config),
        "summary": summaries.of(connection, [run.id])[run.id],
        "metrics": [
            json.loads(row.definition)
            for row in connection.execute(
                select(METRIC_DEFS).where(METRIC_DEFS.c.run == run.id).order_by(METRIC_DEFS.c.name)
            )
        ],
        "metadata": _metadata(run.metadata),
        "fork": {"run": id_of(run.parent), "step": run.parent_step} if run.parent else None,
        "attempts": [{"attempt": ordinals[number]} | about for number, about in attempts],
        "stop": describe_stop(connection, run.id, attempts[-1][0]) if attempts else None,
        "machines": _machines(connection, run.id, ordinals),
        "writers": [
            _writer(row) | _trouble(row, marks) | {"attempt": ordinals[row.attempt]} for row in writers
        ],
        "gaps": _gaps(connection, run.id),
        "events": _events(connection, run.id),
    }


def _metadata(text: str) -> object:
    """What the lowest rank says about its process; the others say much the same."""
    ranks = json.loads(text)
    return ranks[min(ranks, key=int)] if ranks else {}


def _writers(connection: Connection, run: int) -> list[Row[tuple[object, ...]]]:
    chosen = (
        select(WRITERS, STREAMS.c.attempt, STREAMS.c.missing_us, STREAMS.c.seen_us)
        .join(STREAMS, STREAMS.c.id == WRITERS.c.stream)
        .where(STREAMS.c.run == run, WRITERS.c.writer_id != DAEMON_WRITER)
        .order_by(STREAMS.c.attempt, WRITERS.c.rank, WRITERS.c.started_us)
    )
    return list(connection.execute(chosen))


def _writer(row: Row[tuple[object, ...]]) -> dict[str, object]:
    names = (
        "rank",
        "local_rank",
        "world_size",
        "host",
        "pid",
        "exit_code",
        "last_step",
        "started_us",
        "ended_us",
    )
    running = row.state == "running"
    found = {
        "id": row.writer_id,
        "records_dropped": row.records_dropped,
        "state": writer_state(row),
        "forked": bool(row.forked),
        "logged_us": row.row_us,
        # As long as it runs, its machine's word for that counts too.
        "seen_us": max(row.heard_us or 0, row.seen_us if running else 0) or None,
        "backlog_bytes": max(0, row.handed - row.arrived) if running else 0,
    }
    return found | {name: getattr(row, name) for name in names}


def _trouble(row: Row[tuple[object, ...]], marks: dict[str, tuple[str, int]]) -> dict[str, object]:
    """A process's mark, as far as it still makes sense: nobody judges the ranks of an attempt that is over."""
    mark, since_us = marks.get(row.writer_id[:8], ("", 0))
    if row.state == "running" and row.missing_us is not None:
        mark, since_us = LOST, row.missing_us
    elif (mark == DEAD) == (row.state == "running") or mark == LOST:
        mark = ""
    return {"mark": mark or None, "mark_us": since_us if mark else None}


def _attempts(
    connection: Connection, run: int, writers: list[Row[tuple[object, ...]]]
) -> list[tuple[int, dict[str, object]]]:
    rows = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.run == run).order_by(ATTEMPTS.c.attempt))
    return [
        (
            row.attempt,
            {
                "started_us": row.started_us,
                "first_step": row.first_step,
                "launch": row.launch,
                "state": run_state(writer for writer in writers if writer.attempt == row.attempt),
            },
        )
        for row in rows
    ]


def _machines(connection: Connection, run: int, ordinals: dict[int, int]) -> list[dict[str, object]]:
    """What the server has heard of them, by its own clock."""
    chosen = select(STREAMS).where(STREAMS.c.run == run).order_by(STREAMS.c.attempt, STREAMS.c.id)
    return [
        {
            "host": row.host,
            "attempt": ordinals[row.attempt],
            "rank": row.rank,
            "seen_us": row.seen_us or None,
            "missing_us": row.missing_us,
            "backlog_records": max(0, row.log_seq - row.next_seq),
        }
        for row in connection.execute(chosen)
    ]


def _gaps(connection: Connection, run: int) -> list[dict[str, object]]:
    chosen = select(GAPS).join(STREAMS, STREAMS.c.id == GAPS.c.stream).where(STREAMS.c.run == run)
    return [
        {"first_seq": row.first_seq, "records": row.records, "text": row.text}
        for row in connection.execute(chosen.order_by(GAPS.c.stream, GAPS.c.first_seq))
    ]


def _events(connection: Connection, run: int) -> list[dict[str, object]]:
    """What the streams tell, and what the server adds; the newest if there are very many."""
    told = select(EVENTS, STREAMS.c.host).join(STREAMS, STREAMS.c.id == EVENTS.c.stream)
    rows: list[Row[Any]] = []
    for table, chosen in ((EVENTS, told), (NOTICES, select(NOTICES))):
        newest = chosen.where(table.c.run == run).order_by(table.c.time_us.desc()).limit(_EVENTS_MAX)
        rows += connection.execute(newest)
    rows.sort(key=lambda row: int(row.time_us))
    return [_event(row) for row in rows[-_EVENTS_MAX:]]


def _event(row: Row[Any]) -> dict[str, object]:
    """An event with its machine and rank: a stream's are those of its writer; the server's own name them in details."""
    details = json.loads(row.details)
    if "stream" in row._mapping:
        host, rank = row.host or None, row.rank
    else:
        host, rank = _only(details, "host"), _only(details, "rank")
    return {
        "time_us": row.time_us,
        "level": row.level,
        "code": row.code,
        "text": row.text,
        "host": host,
        "rank": rank,
        "details": details,
    }


def _only(details: dict[str, Any], name: str) -> Any:
    """The one machine or rank that a notice is about; None if it is about none, or several."""
    several = details.get(f"{name}s", [])
    found = several[0] if len(several) == 1 else details.get(name)
    return None if found == "" else found
