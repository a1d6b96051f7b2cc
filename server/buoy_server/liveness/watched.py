"""Ranks in SQL: who is watched, what is known of them, and what a judgement leaves.

Several replicas may judge at once: the one that moves `judged_us` on has judged, and tells; the others begin from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from buoy_server.ingest.streams import DAEMON_WRITER
from buoy_server.liveness.signs import Changed, tell
from buoy_server.liveness.watch import Limits, Rank, Watch, changes, judge
from buoy_server.liveness.watch_text import Process, notice_of, read_watch, write_watch
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import ATTEMPTS, STOPS, STREAMS, WATCHES, WRITERS

RUNS_A_TRANSACTION = 50
"""How many attempts are judged in one transaction: enough to share its fsync, few enough not to hold up uploads."""


class Place(NamedTuple):
    """An attempt of a run, by their numbers in SQL."""

    run: int
    attempt: int


@dataclass(frozen=True)
class Roster:
    """An attempt's ranks, and their processes as people know them."""

    ranks: list[Rank]
    processes: dict[int, Process]


def find_watched(connection: Connection) -> list[Place]:
    """The latest attempts of several ranks, one of which runs on a machine that is not missing."""
    latest = (
        select(func.max(ATTEMPTS.c.attempt)).where(ATTEMPTS.c.run == STREAMS.c.run).correlate(STREAMS)
    ).scalar_subquery()
    chosen = (
        select(STREAMS.c.run, STREAMS.c.attempt)
        .distinct()
        .join(WRITERS, WRITERS.c.stream == STREAMS.c.id)
        .where(WRITERS.c.state == "running", WRITERS.c.world_size > 1, WRITERS.c.forked == 0)
        .where(STREAMS.c.missing_us.is_(None), STREAMS.c.attempt == latest)
        .order_by(STREAMS.c.run)
    )
    return [Place(row.run, row.attempt) for row in connection.execute(chosen)]


def judge_all(metadata: Metadata, limits: Limits, now_us: int) -> list[Changed]:
    """Judges every attempt that is due, and tells what has changed."""
    with metadata.read() as connection:
        watched = find_watched(connection)
    told: list[Changed] = []
    for begin in range(0, len(watched), RUNS_A_TRANSACTION):
        with metadata.write() as connection:
            for place in watched[begin : begin + RUNS_A_TRANSACTION]:
                told += _judge(metadata, connection, place, limits, now_us)
    return told


def _judge(
    metadata: Metadata, connection: Connection, place: Place, limits: Limits, now_us: int
) -> list[Changed]:
    mine = (WATCHES.c.run == place.run, WATCHES.c.attempt == place.attempt)
    row = connection.execute(select(WATCHES).where(*mine)).one_or_none()
    if row is not None and now_us - row.judged_us < limits.interval_us * 3 // 4:
        return []
    roster = load_roster(connection, place)
    if len(roster.ranks) < 2:
        return []
    before = read_watch(row.state) if row is not None else None
    after = judge(before, roster.ranks, limits, now_us, stopping=_stopping(connection, place))
    if not _store(metadata, connection, place, after, None if row is None else row.judged_us):
        return []
    found = changes(before, after, roster.ranks)
    notices = [notice_of(change, roster.ranks, roster.processes, now_us) for change in found]
    told = [tell(connection, place.run, notice, now_us) for notice in notices]
    return [changed for changed in told if changed is not None]


def _store(
    metadata: Metadata, connection: Connection, place: Place, watch: Watch, judged_us: int | None
) -> bool:
    """Keeps a watch that follows the one of `judged_us`; False if another replica has judged meanwhile."""
    values = {"judged_us": watch.judged_us, "state": write_watch(watch)}
    if judged_us is None:
        fresh = metadata.upsert(WATCHES).values(run=place.run, attempt=place.attempt, **values)
        fresh = fresh.on_conflict_do_nothing(index_elements=["run", "attempt"])
        return connection.execute(fresh.returning(WATCHES.c.run)).one_or_none() is not None
    mine = (WATCHES.c.run == place.run, WATCHES.c.attempt == place.attempt, WATCHES.c.judged_us == judged_us)
    moved = update(WATCHES).where(*mine).values(values).returning(WATCHES.c.run)
    return connection.execute(moved).one_or_none() is not None


def _stopping(connection: Connection, place: Place) -> bool:
    chosen = select(STOPS.c.run).where(
        STOPS.c.run == place.run, STOPS.c.attempt == place.attempt, STOPS.c.open == 1
    )
    return connection.execute(chosen).one_or_none() is not None


def load_roster(connection: Connection, place: Place) -> Roster:
    """The ranks of an attempt, each with the process that has it now. Forked processes do not count."""
    rows = connection.execute(
        select(WRITERS, STREAMS.c.missing_us, STREAMS.c.seen_us, STREAMS.c.next_seq, STREAMS.c.log_seq)
        .join(STREAMS, STREAMS.c.id == WRITERS.c.stream)
        .where(STREAMS.c.run == place.run, STREAMS.c.attempt == place.attempt)
        .where(WRITERS.c.writer_id != DAEMON_WRITER, WRITERS.c.forked == 0)
        .order_by(WRITERS.c.rank, WRITERS.c.started_us, WRITERS.c.writer_id)
    ).all()
    latest = {row.rank: row for row in rows}
    ranks = [
        Rank(
            rank,
            writer=row.writer_id[:8],
            state=row.state,
            missing=row.missing_us is not None,
            late=row.log_seq > row.next_seq or row.handed > row.arrived,
            step=row.last_step,
            heard_us=row.heard_us,
            machine_us=row.seen_us,
        )
        for rank, row in latest.items()
    ]
    processes = {rank: Process(row.host, row.pid, row.state, row.exit_code) for rank, row in latest.items()}
    return Roster(ranks, processes)


def marks_of(connection: Connection, place: Place) -> dict[str, tuple[str, int]]:
    """The mark of each process that has one, and since when; by the beginning of the writer's id."""
    state = connection.execute(
        select(WATCHES.c.state).where(WATCHES.c.run == place.run, WATCHES.c.attempt == place.attempt)
    ).scalar()
    watch: Watch | None = read_watch(state) if state is not None else None
    seen = watch.ranks.values() if watch else ()
    return {item.writer: (item.mark, item.since_us) for item in seen if item.mark}
