"""Takes uploads in, each record exactly once.

    body -> check all of it -> take the stream's turn -> pick what is new
         -> ids in SQL -> points and texts -> one SQL transaction with the stream's new position -> answer

Whatever fails before the last step leaves the position where it was, and the client sends the same records again. Points that a crash
left behind are found by their sequences and not inserted twice; the engine's token catches a repetition that is still under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from buoy_core.format import KIND_TABLES

from buoy_server import faults
from buoy_server.errors import Malformed
from buoy_server.ingest import catalogue
from buoy_server.ingest.body import Block, read_body
from buoy_server.ingest.changes import Changes, fold, select_fresh
from buoy_server.ingest.commit import SeriesTallies, commit
from buoy_server.ingest.points import Points, SlotTable, Text, UnknownKey, collect, daemon_rank, text_rows
from buoy_server.ingest.statistics import tallies
from buoy_server.ingest.streams import (
    DAEMON_WRITER,
    Owner,
    StreamCache,
    StreamState,
    load_position,
    load_state,
)
from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.store import MetricsStore

BITS_METRICS, BITS_STATE, BITS_CONFIG, BITS_SYSTEM, BITS_EVENTS = 1, 2, 4, 32, 64

Listener = Callable[[Owner, int, int], None]
"""Told about each upload that changed something: whose it was, the project's new revision, what changed (bits)."""


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
    """The entrance. Thread-safe; at most `uploads_max` uploads are worked on at once, which bounds the memory."""

    metadata: Metadata
    metrics: MetricsStore
    listener: Listener
    uploads_max: int = 2
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self._streams = StreamCache()
        self._room = threading.BoundedSemaphore(self.uploads_max)

    def position(self, stream_id: str) -> int:
        """The sequence that the server expects next; 0 for a stream it does not know."""
        with self.metadata.read() as connection:
            return load_position(connection, stream_id)

    def append(self, stream_id: str, body: bytes | bytearray) -> int:
        """Stores the new records of an upload durably.

        Returns:
            The sequence that the server expects next.

        Raises:
            Refused: See its subclasses; nothing was changed.
        """
        with self._room:
            blocks = read_body(bytes.fromhex(stream_id), body)
            with self._streams.turn(stream_id), self.metadata.stream_turn(stream_id):
                upload = _Upload(self, stream_id)
                next_seq = upload.run(blocks)
        self.counters.uploads += 1
        self.counters.blocks += len(blocks)
        self.counters.bytes += len(body)
        return next_seq

    def load(self, stream_id: str) -> StreamState | None:
        """The state of a stream; None if it does not exist."""
        state = self._streams.get(stream_id)
        if state is None:
            with self.metadata.read() as connection:
                state = load_state(connection, stream_id)
        return state

    def keep(self, state: StreamState) -> None:
        """Remembers a state that agrees with SQL."""
        self._streams.put(state)

    def forget(self, stream_id: str) -> None:
        """Lets the next upload load the state again."""
        self._streams.drop(stream_id)


class _Upload:
    """One upload on its way; holds its stream's turn."""

    def __init__(self, ingest: Ingest, stream_id: str) -> None:
        self._ingest = ingest
        self._metadata = ingest.metadata
        self._metrics = ingest.metrics
        self._stream_id = stream_id

    def run(self, blocks: list[Block]) -> int:
        state = self._ingest.load(self._stream_id)
        fresh, next_seq = select_fresh(blocks, state.next_seq if state else 0)
        names = state.names if state else {}
        changes = fold(fresh, next_seq, names)
        if state is not None and next_seq == state.next_seq and not changes.names:
            return next_seq
        if all(item.block.header.kind == KIND_TABLES for item in fresh) and state is None:
            return next_seq
        ranks = dict(state.ranks) if state else {}
        ranks |= {writer: int(str(fields["rank"])) for writer, fields in changes.writers.items()}
        rank = daemon_rank(ranks, state.rank if state else None)
        known = {writer: dict(table) for writer, table in names.items()}
        for writer, table in changes.names.items():
            known.setdefault(writer, {}).update(table)
        lenient = bool(changes.gaps) or (state is not None and state.gaps)
        try:
            points, texts = collect(fresh, SlotTable(known, _shown(ranks, rank), lenient=lenient))
        except UnknownKey as error:
            raise Malformed("unknown_key", f"{str(error).capitalize()}.") from error
        if state is None:
            state = self._create(changes)
        try:
            rev = self._store(state, changes, points, texts, rank)
        except BaseException:
            # Whatever was inserted is found by its sequences when the records come again.
            self._ingest.forget(self._stream_id)
            raise
        state.next_seq, state.rank, state.ranks, state.names = next_seq, rank, ranks, known
        state.gaps, state.doubtful = lenient, False
        self._ingest.keep(state)
        self._ingest.counters.points += len(points.slot)
        self._ingest.listener(state.owner, rev, _bits(changes, points, texts))
        return next_seq

    def _create(self, changes: Changes) -> StreamState:
        if changes.start is None:
            raise Malformed("no_stream_start", "The stream's first record is not a StreamStart.")
        catalogue.check_start(changes.start, self._stream_id)
        return catalogue.create_stream(self._metadata, changes.start)

    def _store(
        self, state: StreamState, changes: Changes, points: Points, texts: list[Text], rank: int | None
    ) -> int:
        wanted = {series[:2] for series in points.slots} | {text.series[:2] for text in texts}
        catalogue.resolve_keys(self._metadata, state, wanted)
        faults.point(faults.CATALOGUE_READY)
        self._insert(state, changes.next_seq, points, texts)
        faults.point(faults.METRICS_INSERTED)
        found: SeriesTallies = [
            (state.keys[series[:2]], series[2], series[0], tally) for series, tally in tallies(points, texts)
        ]
        return commit(self._metadata, state, changes, found, rank)

    def _insert(self, state: StreamState, next_seq: int, points: Points, texts: list[Text]) -> None:
        owner = state.owner
        stored = self._stored(state)
        token = f"{owner.stream_id}:{state.next_seq}:{next_seq}"
        if len(points.slot):
            key_ids = np.array([state.keys[series[:2]] for series in points.slots], dtype=np.uint32)
            columns = points.columns(owner.run, owner.attempt, owner.stream, key_ids)
            if stored[0] > state.next_seq:
                columns = columns.take(columns.seq >= stored[0])
            if len(columns):
                self._metrics.insert_points(columns, token)
        faults.point(faults.POINTS_INSERTED)
        rows = [row for row in text_rows(texts, state.keys) if row.seq >= stored[1]]
        if rows:
            self._metrics.insert_texts(owner.run, owner.attempt, owner.stream, rows, token)

    def _stored(self, state: StreamState) -> tuple[int, int]:
        """Where the stored points and texts end. Only asked when a crash may have left some beyond the position."""
        if not state.doubtful:
            return state.next_seq, state.next_seq
        stored = self._metrics.stored_until(state.owner.run, state.owner.stream, state.next_seq)
        state.doubtful = max(stored) > state.next_seq
        return stored


def _shown(ranks: dict[str, int], daemon: int | None) -> dict[str, int]:
    """Ranks for the catalogue: the daemon's own samples go under one of its writers'."""
    from_daemon = {DAEMON_WRITER: daemon or 0}
    return from_daemon | ranks


def _bits(changes: Changes, points: Points, texts: list[Text]) -> int:
    """What an upload changed, as the events tell it."""
    systems = {system for system, _, _ in points.slots} | {text.series[0] for text in texts}
    bits = BITS_METRICS * (False in systems) | BITS_SYSTEM * (True in systems)
    bits |= BITS_STATE * bool(changes.writers or changes.ended or changes.run or changes.start)
    bits |= BITS_CONFIG * bool(changes.config or changes.summary or changes.metrics)
    return bits | BITS_EVENTS * bool(changes.events or changes.gaps)
