"""From checked blocks to everything that is to be stored, before any store is touched. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from buoy_core.format import KIND_TABLES

from buoy_server.errors import Malformed
from buoy_server.ingest.body import Block
from buoy_server.ingest.changes import Changes, fold, select_fresh
from buoy_server.ingest.points import Points, SlotTable, Text, UnknownKey, collect, daemon_rank
from buoy_server.ingest.progress import Progress, progress_of
from buoy_server.ingest.streams import DAEMON_WRITER, StreamState


@dataclass(frozen=True)
class Prepared:
    """What is new in an upload, and the stream's tables as they will be.

    Attributes:
        changes: What the records say, points aside.
        points: New numbers.
        texts: New values that are no numbers.
        ranks: Rank of each writer.
        names: Key names of each writer.
        rank: Rank of the daemon's own samples.
        gaps: Blocks of the stream have been lost.
        progress: How far each writer is.
    """

    changes: Changes
    points: Points
    texts: list[Text]
    ranks: dict[str, int]
    names: dict[str, dict[int, str]]
    rank: int | None
    gaps: bool
    progress: dict[str, Progress]

    def key_names(self) -> set[tuple[bool, str]]:
        """(system, name) of every key in use."""
        return {series[:2] for series in self.points.slots} | {text.series[:2] for text in self.texts}


def prepare(blocks: list[Block], state: StreamState | None) -> Prepared | None:
    """What is new; None if nothing is.

    Raises:
        Conflict: Records before these are missing.
        Malformed: The records contradict each other or the stream's tables.
    """
    position = state.next_seq if state else 0
    fresh, next_seq = select_fresh(blocks, position)
    if state is None and all(item.block.header.kind == KIND_TABLES for item in fresh):
        # Tables repeat what a stream has said; a stream that has said nothing is not there.
        return None
    names = state.names if state else {}
    changes = fold(fresh, next_seq, names)
    if next_seq == position and not changes.names:
        return None
    ranks = (state.ranks if state else {}) | {
        writer: rank_of(start) for writer, start in changes.writers.items()
    }
    for event in changes.events:
        event["rank"] = ranks.get(str(event.pop("writer_id")))
    rank = daemon_rank(ranks, state.rank if state else None)
    gaps = bool(changes.gaps) or (state is not None and state.gaps)
    merged = _merged(names, changes.names)
    shown = {DAEMON_WRITER: rank or 0} | ranks
    try:
        points, texts = collect(fresh, SlotTable(merged, shown, lenient=gaps))
    except UnknownKey as error:
        raise Malformed("unknown_key", f"A row cannot be read: {error.args[0]}.") from error
    return Prepared(changes, points, texts, ranks, merged, rank, gaps, progress_of(fresh))


def rank_of(start: dict[str, object]) -> int:
    """Rank in a writer's start."""
    rank = start["rank"]
    assert isinstance(rank, int)
    return rank


def _merged(known: dict[str, dict[int, str]], new: dict[str, dict[int, str]]) -> dict[str, dict[int, str]]:
    """Key names with the new ones. Tables that do not change are shared, not copied: they may be large."""
    return known | {writer: known.get(writer, {}) | table for writer, table in new.items()}
