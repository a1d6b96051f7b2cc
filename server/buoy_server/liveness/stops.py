"""Requests to stop a run: of its present attempt, so that a later resume goes on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from buoy_server.errors import Conflict
from buoy_server.ingest.streams import DAEMON_WRITER
from buoy_server.liveness.signs import Changed, Notice, tell
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import ATTEMPTS, STOPS, STREAMS, WRITERS
from buoy_server.query.catalogue import find_project, find_run

VIAS = {"dashboard": "from the dashboard", "api": "by the API", "cli": "by `buoy stop`"}
"""The ways a request can take, and how an event says it."""

BY_CHARACTERS_MAX = 200


@dataclass(frozen=True)
class Wish:
    """Who wants a run to stop, as the client says it: the token is everybody's."""

    via: str = "api"
    by: str = ""

    @property
    def text(self) -> str:
        """From where, and by whom if that is known."""
        return VIAS[self.via] + (f" ({self.by})" if self.by else "")


def request_stop(
    metadata: Metadata, project: str, run_id: str, wish: Wish, now_us: int
) -> tuple[dict[str, object], Changed | None]:
    """Asks the processes of a run's present attempt to stop. Asking again changes nothing.

    Returns:
        The request that stands, and what changed.

    Raises:
        Missing: There is no such run.
        Conflict: All processes of the run have ended.
    """
    with metadata.write() as connection:
        run = find_run(connection, find_project(connection, project), run_id)
        attempt = connection.execute(
            select(func.max(ATTEMPTS.c.attempt)).where(ATTEMPTS.c.run == run.id)
        ).scalar_one()
        _check_running(connection, run.id, attempt, run_id, run.state)
        request = {"run": run.id, "attempt": attempt, "requested_us": now_us}
        request |= {"via": wish.via, "requested_by": wish.by, "open": 1}
        statement = metadata.upsert(STOPS).values(request)
        made = connection.execute(
            statement.on_conflict_do_nothing(index_elements=["run", "attempt"]).returning(STOPS.c.run)
        ).one_or_none()
        changed = None
        if made is not None:
            text = f"Stop requested {wish.text}."
            details: dict[str, object] = {"via": wish.via, "by": wish.by}
            changed = tell(connection, run.id, Notice("stop_requested", "warn", text, details), now_us)
        stop = describe_stop(connection, run.id, attempt)
    assert stop is not None
    return stop, changed


def _check_running(connection: Connection, run: int, attempt: int, run_id: str, state: str) -> None:
    states = connection.execute(
        select(WRITERS.c.state)
        .join(STREAMS, STREAMS.c.id == WRITERS.c.stream)
        .where(STREAMS.c.run == run, STREAMS.c.attempt == attempt)
        .where(WRITERS.c.writer_id != DAEMON_WRITER, WRITERS.c.forked == 0)
    ).scalars()
    # A missing machine may come back, and then its processes are told. Before its first writer a run has none.
    found = set(states)
    if found and "running" not in found:
        raise Conflict("run_not_running", f"Run {run_id} has ended ({state}); there is nothing to stop.")


def describe_stop(connection: Connection, run: int, attempt: int) -> dict[str, object] | None:
    """The request to stop an attempt, if there is one."""
    row = connection.execute(
        select(STOPS).where(STOPS.c.run == run, STOPS.c.attempt == attempt)
    ).one_or_none()
    if row is None:
        return None
    return {
        "requested_us": row.requested_us,
        "via": row.via,
        "by": row.requested_by,
        "open": bool(row.open),
    }


def open_stops(connection: Connection) -> dict[str, str]:
    """For each stream that has to stop, in words who wants it."""
    chosen = (
        select(STREAMS.c.stream_id, STOPS.c.via, STOPS.c.requested_by)
        .join(STOPS, (STOPS.c.run == STREAMS.c.run) & (STOPS.c.attempt == STREAMS.c.attempt))
        .where(STOPS.c.open == 1)
    )
    return {
        row.stream_id: f"Stop requested {Wish(row.via, row.requested_by).text}."
        for row in connection.execute(chosen)
    }
