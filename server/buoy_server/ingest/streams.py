"""What the server knows about a stream while its blocks arrive: position, run, writers and their key tables.

The truth is in SQL; this is a copy that spares questions. A copy is used by one thread at a time and dropped
whenever work on the stream fails, so it is never ahead of the truth.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from buoy_core.format import ZERO_ID
from sqlalchemy import Connection, func, select

from buoy_server.metadata.schema import GAPS, PROJECTS, RUNS, STREAMS, WRITER_KEYS, WRITERS

DAEMON_WRITER = ZERO_ID.hex()
"""Writer id of what the daemon itself records."""

_STREAMS_MAX = 4096


@dataclass(frozen=True)
class Owner:
    """The run and attempt a stream belongs to, by their ids in SQL and by their names."""

    stream: int
    stream_id: str
    run: int
    attempt: int
    project: int
    project_name: str
    run_id: str


@dataclass
class StreamState:
    """A stream's position and tables.

    Attributes:
        owner: Whose it is.
        next_seq: The record expected next.
        rank: Rank that the daemon's own samples are shown under; None until a writer is known.
        gaps: Blocks were lost, so rows may use keys that were never named.
        stored: The sequences up to which points and texts are in the metrics store already, whatever the position
            says: what a crash left behind. None = not asked yet.
        ranks: Rank of each writer.
        names: Key names of each writer by key id.
        keys: Catalogue ids of names, for (system, name).
        deleted: The run is deleted: what comes is stored, and nobody is shown it.
        removed: Its data is removed too: what comes is acknowledged, and not stored.
    """

    owner: Owner
    next_seq: int = 0
    rank: int | None = None
    gaps: bool = False
    stored: tuple[int, int] | None = None
    ranks: dict[str, int] = field(default_factory=dict)
    names: dict[str, dict[int, str]] = field(default_factory=dict)
    keys: dict[tuple[bool, str], int] = field(default_factory=dict)
    deleted: bool = False
    removed: bool = False

    @property
    def replays(self) -> bool:
        """Some of what comes next is in the metrics store already."""
        return self.stored is not None and max(self.stored) > self.next_seq


class StreamCache:
    """The streams in use, least recently used dropped first; and a lock for each."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, StreamState] = OrderedDict()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._guard = threading.Lock()

    @contextmanager
    def turn(self, stream_id: str) -> Iterator[None]:
        """One thread at a time works on a stream."""
        with self._guard:
            lock, waiting = self._locks.get(stream_id, (threading.Lock(), 0))
            self._locks[stream_id] = lock, waiting + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._locks.pop(stream_id)
                if waiting > 1:
                    self._locks[stream_id] = lock, waiting - 1

    def get(self, stream_id: str) -> StreamState | None:
        """The copy of a stream's state, if there is one."""
        with self._guard:
            state = self._states.get(stream_id)
            if state is not None:
                self._states.move_to_end(stream_id)
            return state

    def put(self, state: StreamState) -> None:
        """Keeps a state that agrees with SQL."""
        with self._guard:
            self._states[state.owner.stream_id] = state
            if len(self._states) > _STREAMS_MAX:
                self._states.popitem(last=False)

    def drop(self, stream_id: str) -> None:
        """Forgets a state; the next use loads it."""
        with self._guard:
            self._states.pop(stream_id, None)


def load_position(connection: Connection, stream_id: str) -> int:
    """The next sequence of a stream; 0 for an unknown one."""
    found = connection.execute(select(STREAMS.c.next_seq).where(STREAMS.c.stream_id == stream_id)).scalar()
    return int(found or 0)


def load_state(connection: Connection, stream_id: str) -> StreamState | None:
    """Reads a stream from SQL."""
    row = connection.execute(
        select(
            STREAMS,
            RUNS.c.run_id,
            RUNS.c.deleted_us,
            RUNS.c.removed_us,
            PROJECTS.c.id.label("project"),
            PROJECTS.c.entity,
            PROJECTS.c.name,
        )
        .join(RUNS, RUNS.c.id == STREAMS.c.run)
        .join(PROJECTS, PROJECTS.c.id == RUNS.c.project)
        .where(STREAMS.c.stream_id == stream_id)
    ).one_or_none()
    if row is None:
        return None
    owner = Owner(
        row.id, stream_id, row.run, row.attempt, row.project, f"{row.entity}:{row.name}", row.run_id
    )
    gaps = connection.execute(
        select(func.count()).select_from(GAPS).where(GAPS.c.stream == row.id)
    ).scalar_one()
    state = StreamState(
        owner,
        row.next_seq,
        row.rank,
        gaps=bool(gaps),
        deleted=row.deleted_us is not None,
        removed=row.removed_us is not None,
    )
    for writer in connection.execute(
        select(WRITERS.c.writer_id, WRITERS.c.rank).where(WRITERS.c.stream == row.id)
    ):
        state.ranks[writer.writer_id] = writer.rank
    for key in connection.execute(select(WRITER_KEYS).where(WRITER_KEYS.c.stream == row.id)):
        state.names.setdefault(key.writer_id, {})[key.key_id] = key.name
    return state
