"""Which attempt of its run a stream belongs to.

Machines do not know of each other, so what a daemon counts is no number for the whole run. Streams of the same launch
of a job are one attempt, whichever comes first; launches are ordered by when they started, because an older one may be
uploaded later. So an attempt's number is the second in which it started: numbers ascend as attempts do, and none
ever has to change. People are shown first, second, third.
"""

from __future__ import annotations

from buoy_proto import v1
from sqlalchemy import Connection, select, update

from buoy_server.errors import Malformed
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import ATTEMPTS, RUNS

EPOCH_S = 1_577_836_800
"""2020-01-01. Attempts that a daemon has numbered itself (no launch is known) are far below any later second."""

_ATTEMPT_MAX = (1 << 31) - 1


def find_attempt(
    metadata: Metadata,
    connection: Connection,
    run: int,
    start: v1.StreamStart,
    *,
    started_us: int,
    first_step: int | None,
) -> int:
    """The number of a stream's attempt, which is made if needed.

    Args:
        metadata: For the dialect.
        connection: In a transaction that writes.
        run: The run's id in SQL.
        start: What the daemon says of the stream.
        started_us: When, no larger than SQL can hold.
        first_step: Where a rewind begins: what it takes back is superseded at once. None = where it logs first.

    Raises:
        Malformed: The stream names an attempt that cannot be.
    """
    if start.attempt > _ATTEMPT_MAX:
        raise Malformed("bad_record", f"{start.attempt} is too large for an attempt.")
    # Two machines of one launch may come at once, to different servers.
    connection.execute(select(RUNS.c.id).where(RUNS.c.id == run).with_for_update())
    launch = start.launch_id.hex()
    rows = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.run == run)).all()
    taken = {row.attempt: row.launch for row in rows}
    number = number_of(taken, launch, start.attempt, started_us)
    if number in taken:
        earlier = (ATTEMPTS.c.run == run, ATTEMPTS.c.attempt == number, ATTEMPTS.c.started_us > started_us)
        connection.execute(update(ATTEMPTS).where(*earlier).values(started_us=started_us))
        return number
    fresh = {
        "run": run,
        "attempt": number,
        "started_us": started_us,
        "first_step": first_step,
        "launch": launch,
    }
    connection.execute(
        metadata.upsert(ATTEMPTS).values(fresh).on_conflict_do_nothing(index_elements=["run", "attempt"])
    )
    return number


def number_of(taken: dict[int, str], launch: str, counted: int, started_us: int) -> int:
    """The rule. `taken` has the launch of each attempt so far, `counted` is the daemon's own number."""
    if not launch:
        return max(1, counted)
    for number, known in taken.items():
        if known == launch:
            return number
    number = min(max(1, started_us // 1_000_000 - EPOCH_S), _ATTEMPT_MAX - len(taken))
    while number in taken:
        number += 1
    return number
