"""What waits on machines, as their heartbeats say: written down beside what has arrived.

A backlog is a difference, taken when somebody asks, so it shrinks with every upload and needs nobody to say that it is
over. Machines without one say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, select, update

from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import STREAMS, WRITERS


@dataclass(frozen=True)
class Backlog:
    """How far a stream is on its machine.

    Attributes:
        next_seq: The next sequence of its log.
        handed: What writers have handed over, as offsets of their spools; of those that wait.
    """

    next_seq: int
    handed: Mapping[str, int]


Backlogs = dict[str, Backlog]
"""By the stream's id."""

_STREAM = (
    update(STREAMS)
    .where(STREAMS.c.stream_id == bindparam("of_stream"))
    .values(log_seq=bindparam("seq", type_=BigInteger))
)
_WRITER = (
    update(WRITERS)
    .where(WRITERS.c.writer_id == bindparam("of_writer"))
    .where(
        WRITERS.c.stream
        == select(STREAMS.c.id).where(STREAMS.c.stream_id == bindparam("of_stream")).scalar_subquery()
    )
    .values(handed=bindparam("offset", type_=BigInteger))
)


def note_backlogs(metadata: Metadata, behind: Backlogs) -> None:
    """Writes down what machines have said."""
    if not behind:
        return
    writers = [
        {"of_stream": stream, "of_writer": writer, "offset": offset}
        for stream, backlog in sorted(behind.items())
        for writer, offset in sorted(backlog.handed.items())
    ]
    with metadata.write() as connection:
        connection.execute(
            _STREAM, [{"of_stream": stream, "seq": item.next_seq} for stream, item in sorted(behind.items())]
        )
        if writers:
            connection.execute(_WRITER, writers)
