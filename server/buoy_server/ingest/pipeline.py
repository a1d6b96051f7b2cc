"""Takes uploads in, each record exactly once.

    body -> check all of it -> take the stream's turn -> pick what is new
         -> ids in SQL -> points and texts -> one SQL transaction with the stream's new position -> answer

Whatever fails before the last step leaves the position where it was, and the client sends the same records again.
Points that a crash left behind are found by their sequences and not inserted twice; the engine's token catches a
repetition that is still under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from buoy_core import faults

from buoy_server.errors import Malformed
from buoy_server.ingest import catalogue
from buoy_server.ingest.addition import Addition, SeriesTally
from buoy_server.ingest.arrivals import Arrival, arrivals
from buoy_server.ingest.body import Block, read_body
from buoy_server.ingest.changes import Changes, select_fresh
from buoy_server.ingest.commit import Committed, commit, pass_over
from buoy_server.ingest.points import text_rows
from buoy_server.ingest.prepare import Prepared, prepare
from buoy_server.ingest.statistics import tallies
from buoy_server.ingest.streams import Owner, StreamCache, StreamState, load_position, load_state
from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.store import MetricsStore
from buoy_server.storage import Storage

BITS_METRICS, BITS_STATE, BITS_CONFIG, BITS_SYSTEM, BITS_EVENTS = 1, 2, 4, 32, 64

Listener = Callable[[Owner, int, int], None]
"""Told about each upload that changed something: whose it was, the project's new revision, what changed (bits); of a
deleted run nothing that anybody could see, 0."""


Feed = Callable[[Iterable[Arrival]], None]
"""Told about the points of each upload that are behind all that their attempt had, once they count."""


@dataclass
class Counters:
    """What has been taken in since the start."""

    uploads: int = 0
    blocks: int = 0
    bytes: int = 0
    points: int = 0
    refused: int = 0


@dataclass
class Ingest:
    """The entrance. Thread-safe; how many threads come in at once is for the caller to bound."""

    metadata: Metadata
    metrics: MetricsStore
    listener: Listener
    storage: Storage = field(default_factory=lambda: Storage(()))
    feed: Feed = lambda _: None
    counters: Counters = field(default_factory=Counters)
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000

    def __post_init__(self) -> None:
        self._streams = StreamCache()

    def position(self, stream_id: str) -> int:
        """The sequence that the server expects next; 0 for a stream it does not know."""
        with self.metadata.read() as connection:
            return load_position(connection, stream_id)

    def is_deleted(self, stream_id: str) -> bool:
        """Whether the run of a stream that has just been appended to is deleted."""
        state = self._streams.get(stream_id)
        return state is not None and state.deleted

    def append(self, stream_id: str, body: bytes) -> int:
        """Stores the new records of an upload durably.

        Returns:
            The sequence that the server expects next.

        Raises:
            Refused: See its subclasses; nothing was changed.
        """
        blocks = read_body(bytes.fromhex(stream_id), body)
        with (
            self._streams.turn(stream_id),
            self.storage.watched(),
            self.metadata.stream_turn(stream_id),
        ):
            next_seq = self._append(stream_id, blocks)
        self.counters.uploads += 1
        self.counters.blocks += len(blocks)
        self.counters.bytes += len(body)
        return next_seq

    def _append(self, stream_id: str, blocks: list[Block]) -> int:
        state = self._load(stream_id)
        if state is not None and state.removed:
            return self._pass_over(state, blocks)
        prepared = prepare(blocks, state)
        if prepared is None:
            return state.next_seq if state else 0
        if state is None:
            state = self._create(stream_id, prepared.changes)
        try:
            committed = self._store(state, prepared)
        except BaseException:
            # Whatever was inserted is found by its sequences when the records come again.
            self._streams.drop(stream_id)
            raise
        state.next_seq, state.rank, state.ranks = prepared.changes.next_seq, prepared.rank, prepared.ranks
        state.names, state.gaps = prepared.names, prepared.gaps
        state.deleted, state.removed = committed.deleted, committed.removed
        self._streams.put(state)
        self.counters.points += len(prepared.points.slot)
        self.feed(arrivals(state, prepared.points))
        self.listener(state.owner, committed.rev, 0 if committed.deleted else changed_bits(prepared))
        return state.next_seq

    def _pass_over(self, state: StreamState, blocks: list[Block]) -> int:
        """Acknowledges what belongs to a run whose data is removed: its daemon would send it for ever."""
        _, next_seq = select_fresh(blocks, state.next_seq)
        if next_seq != state.next_seq:
            try:
                pass_over(self.metadata, state, next_seq)
            except BaseException:
                self._streams.drop(state.owner.stream_id)
                raise
            state.next_seq = next_seq
        self._streams.put(state)
        return next_seq

    def _load(self, stream_id: str) -> StreamState | None:
        state = self._streams.get(stream_id)
        if state is not None and not self.metadata.shared:
            return state
        with self.metadata.read() as connection:
            if state is not None and load_position(connection, stream_id) == state.next_seq:
                return state
            return load_state(connection, stream_id)

    def _create(self, stream_id: str, changes: Changes) -> StreamState:
        if changes.start is None:
            raise Malformed("no_stream_start", "The stream's first record is not a StreamStart.")
        catalogue.check_start(changes.start, stream_id)
        state = catalogue.create_stream(self.metadata, changes.start, time.time_ns() // 1000)
        faults.point("ingest.after_stream")
        return state

    def _store(self, state: StreamState, prepared: Prepared) -> Committed:
        catalogue.resolve_keys(self.metadata, state, prepared.key_names())
        faults.point("ingest.before_insert")
        self._insert(state, prepared)
        faults.point("ingest.after_insert")
        series = [
            SeriesTally(state.keys[name[:2]], name[2], name[0], tally)
            for name, tally in tallies(prepared.points, prepared.texts)
        ]
        addition = Addition(
            state, prepared.changes, series, prepared.rank, prepared.progress, now_us=self.clock_us()
        )
        return commit(self.metadata, addition)

    def _insert(self, state: StreamState, prepared: Prepared) -> None:
        owner, points = state.owner, prepared.points
        if state.stored is None:
            state.stored = self.metrics.stored_until(owner.run, owner.stream, state.next_seq)
        points_from, texts_from = state.stored
        # Another cut of the same records has another token: then their sequences tell what is there.
        token = f"{owner.stream_id}:{state.next_seq}:{prepared.changes.next_seq}"
        if len(points.slot):
            key_ids = np.array([state.keys[name[:2]] for name in points.slots], dtype=np.uint32)
            columns = points.columns(owner.run, owner.attempt, owner.stream, key_ids)
            if points_from > state.next_seq:
                columns = columns.take(columns.seq >= points_from)
            if len(columns):
                self.metrics.insert_points(columns, token)
        faults.point("ingest.after_points")
        rows = [row for row in text_rows(prepared.texts, state.keys) if row.seq >= texts_from]
        if rows:
            self.metrics.insert_texts(owner.run, owner.attempt, owner.stream, rows, token)


def changed_bits(prepared: Prepared) -> int:
    """What an upload changed, as the events tell it."""
    changes, systems = prepared.changes, {system for system, _ in prepared.key_names()}
    bits = BITS_METRICS * (False in systems) | BITS_SYSTEM * (True in systems)
    bits |= BITS_STATE * bool(
        changes.writers or changes.ended or changes.dropped or changes.run or changes.start
    )
    bits |= BITS_CONFIG * bool(changes.config or changes.summary or changes.metrics)
    return bits | BITS_EVENTS * bool(changes.events or changes.gaps)
