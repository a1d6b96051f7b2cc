"""What a log says about itself: where it ends, how far each writer has got, which tables its live writers need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import buoy_core
from buoy_core.errors import CoreError, CorruptBlock
from buoy_core.format import KIND_TABLES, WAL_HEADER_BYTES
from buoy_core.wal_segment import (
    ALL_SEQUENCES,
    Block,
    Fault,
    read_segment_header,
    scan_blocks,
    segment_header,
    segment_indices,
    segment_path,
)


@dataclass
class Tables:
    """The table records of each live writer, in order and each once."""

    by_writer: dict[bytes, dict[bytes, None]] = field(default_factory=dict)

    def add(self, writer_id: bytes, payload: bytes) -> None:
        """Remembers the records of a payload that consists of tables."""
        if payload:
            self.by_writer.setdefault(writer_id, {}).update(dict.fromkeys(buoy_core.split_records(payload)))

    def forget(self, writer_id: bytes) -> None:
        """The writer has ended."""
        self.by_writer.pop(writer_id, None)


@dataclass
class Recovered:
    """The state of a log.

    Attributes:
        stream_id: None if there is no log.
        index: the last segment; -1 if there is none.
        end: bytes of the last segment that are good; what follows is torn.
        sound: the last segment's header is good and nothing in the segment is damaged.
        next_seq: the sequence of the next record.
        offsets: for each writer, the largest spool end.
        size_bytes: of all segments together, torn tail left out.
        tables: of the writers named in the last segment.
    """

    stream_id: bytes | None = None
    index: int = -1
    end: int = WAL_HEADER_BYTES
    sound: bool = True
    next_seq: int = 0
    offsets: dict[bytes, int] = field(default_factory=dict)
    size_bytes: int = 0
    tables: Tables = field(default_factory=Tables)

    def take(self, block: Block) -> None:
        """Takes note of a block's header."""
        header = block.header
        self.next_seq = max(self.next_seq, header.next_seq)
        self.offsets[header.writer_id] = max(self.offsets.get(header.writer_id, 0), header.spool_end)


def recover(directory: str) -> Recovered:
    """Reads the headers of all blocks, and the whole of the last segment.

    Raises:
        UnsupportedVersion: the log is of a newer format. Nothing was changed; nothing ever is by this function.
        CoreError: its segments are of several streams: to one of them the blocks of another would be a torn tail.
    """
    indices = segment_indices(directory)
    state = Recovered(stream_id=_stream_of(directory, indices))
    for index in indices[:-1]:
        path = segment_path(directory, index)
        state.size_bytes += os.stat(path).st_size  # noqa: PTH116
        for item in _items(state, path, payloads=False, complete=True):
            if isinstance(item, Block):
                state.take(item)
    if not indices:
        return state
    state.index = indices[-1]
    _recover_last(state, segment_path(directory, state.index))
    if not state.sound:
        # The tables at its head may be what is damaged. Older segments have them too.
        for index in indices[:-1]:
            for item in _items(state, segment_path(directory, index), payloads=True, complete=True):
                _take_tables(state, item)
    return state


def _stream_of(directory: str, indices: list[int]) -> bytes | None:
    """The stream that all segments belong to, those with a damaged header aside."""
    found: bytes | None = None
    for index in indices:
        header = segment_header(directory, index)
        if header is None:
            continue
        if found is not None and found != header.stream_id:
            raise CoreError(
                f"{segment_path(directory, index)} belongs to stream {header.stream_id.hex()}, "
                f"the segments before it to {found.hex()}; nothing was changed"
            )
        found = header.stream_id
    return found


def _recover_last(state: Recovered, path: str) -> None:
    fault = False
    for item in _items(state, path, payloads=True, complete=False):
        if isinstance(item, Fault):
            fault = True
            continue
        # Only a good block after the fault makes it damage; else it is the torn tail.
        state.sound = state.sound and not fault
        state.end = item.offset + item.header.size_bytes
        state.take(item)
        _take_tables(state, item)
    state.size_bytes += state.end


def _take_tables(state: Recovered, item: Block | Fault) -> None:
    if isinstance(item, Fault):
        return
    try:
        payload = item.payload()
        tables = payload if item.header.kind == KIND_TABLES else buoy_core.table_records(payload)
        state.tables.add(item.header.writer_id, tables)
    except (CorruptBlock, ValueError):
        # A right checksum over a wrong payload is a bug of whoever wrote it. The log must open nevertheless.
        state.sound = False


def _items(state: Recovered, path: str, *, payloads: bool, complete: bool) -> Iterator[Block | Fault]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = read_segment_header(descriptor, path)
        if header is None:
            state.sound = False
        else:
            state.next_seq = max(state.next_seq, header.first_seq)
        yield from scan_blocks(
            descriptor,
            path,
            WAL_HEADER_BYTES,
            complete=complete,
            stream_id=state.stream_id,
            unread_below=0 if payloads else ALL_SEQUENCES,
        )
    finally:
        os.close(descriptor)
