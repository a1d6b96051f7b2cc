"""Reads a log from any sequence on, while it is written or long after, and says what is damaged in it."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from buoy_core.format import WAL_HEADER_BYTES
from buoy_core.wal_segment import (
    Block,
    Fault,
    SegmentHeader,
    read_segment_header,
    scan_blocks,
    segment_header,
    segment_indices,
    segment_path,
)

_MARKS_MAX = 4096


@dataclass(frozen=True)
class Damage:
    """Bytes of a log that are no block any more, and the records that were in them.

    Attributes:
        path, offset, size: where; size 0 = nothing is there, but records are missing before this place.
        reason: what is wrong, for people.
        first_seq: the first record lost.
        records: how many; 0 if none, or if it is unknown.
    """

    path: str
    offset: int
    size: int
    reason: str
    first_seq: int
    records: int

    def __str__(self) -> str:
        lost = f"; {self.records} record{'s' * (self.records != 1)} lost" if self.records else ""
        return f"{self.path} is damaged at byte {self.offset}: {self.reason}{lost}"


class WalReader:
    """Reads the log in `directory`. For one thread at a time; any number of readers and one writer may be active.

    Attributes:
        stream_id: of the first segment that has an undamaged header; zero bytes if none.
    """

    def __init__(self, directory: str) -> None:
        self.directory = os.fspath(directory)
        self.stream_id = bytes(16)
        self._knows_stream = False
        self._first_seqs: dict[int, int] = {}
        # Where the block with a sequence begins, for the latest blocks: `blocks()` is called again and again.
        self._marks: OrderedDict[int, tuple[int, int]] = OrderedDict()

    def blocks(self, first_seq: int = 0) -> Iterator[Block | Damage]:
        """Blocks in order, from the one that holds record `first_seq` on, tables blocks included, and damage.

        A call that continues an earlier one starts right there; any other starts with the tables of the segment. It
        ends at the end of the log as it is now. A torn tail is the end: whatever it was is still in a spool.

        Raises:
            UnsupportedVersion: the log, or a part of it, is of a newer format.
            OSError: it cannot be read.
        """
        place = self._start(first_seq)
        if place is None:
            return
        index, offset, expected = place
        pending: tuple[str, Fault] | None = None
        while True:
            # Looked up first: once a later segment exists, nothing is appended to this one any more.
            following = self._following(index)
            path = segment_path(self.directory, index)
            for item in self._scan(path, index, offset, first_seq, complete=following is not None):
                if isinstance(item, Fault):
                    pending = pending or (path, item)
                    continue
                sequence = item.header.first_seq
                if pending or sequence > expected:
                    damage = _damage(pending, item, expected)
                    pending = None
                    if damage.first_seq + damage.records > first_seq or not damage.records:
                        yield damage
                expected = item.header.next_seq
                self._mark(sequence, index, item.offset)
                self._mark(expected, index, item.offset + item.header.size_bytes)
                if item.data:
                    yield item
            if following is None:
                return
            index, offset = following, 0

    def _scan(
        self, path: str, index: int, offset: int, first_seq: int, *, complete: bool
    ) -> Iterator[Block | Fault]:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            header = read_segment_header(descriptor, path)
            if header is None and not offset:
                yield Fault(0, WAL_HEADER_BYTES, WAL_HEADER_BYTES, "the segment's header is damaged")
            if header is not None:
                self._note(index, header)
            stream_id = self.stream_id if self._knows_stream else None
            yield from scan_blocks(
                descriptor,
                path,
                offset or WAL_HEADER_BYTES,
                complete=complete,
                stream_id=stream_id,
                unread_below=first_seq,
            )
        finally:
            os.close(descriptor)

    def _start(self, first_seq: int) -> tuple[int, int, int] | None:
        """Segment, offset and expected sequence where to begin; None if there is no log yet."""
        if first_seq in self._marks:
            index, offset = self._marks[first_seq]
            return index, offset, first_seq
        best = None
        for index in segment_indices(self.directory):
            sequence = self._first_seq(index)
            if best is None or (sequence is not None and sequence <= first_seq):
                best = index, 0, sequence or 0
        return best

    def _first_seq(self, index: int) -> int | None:
        if index not in self._first_seqs:
            header = segment_header(self.directory, index)
            if header is None:
                return None
            self._note(index, header)
        return self._first_seqs[index]

    def _note(self, index: int, header: SegmentHeader) -> None:
        self._first_seqs[index] = header.first_seq
        if not self._knows_stream:
            self.stream_id, self._knows_stream = header.stream_id, True

    def _following(self, index: int) -> int | None:
        if os.path.exists(segment_path(self.directory, index + 1)):  # noqa: PTH110
            return index + 1
        return next((other for other in segment_indices(self.directory) if other > index), None)

    def _mark(self, sequence: int, index: int, offset: int) -> None:
        self._marks.setdefault(sequence, (index, offset))
        if len(self._marks) > _MARKS_MAX:
            self._marks.popitem(last=False)


def _damage(pending: tuple[str, Fault] | None, block: Block, expected: int) -> Damage:
    """What is wrong before `block`, where record `expected` should have come next."""
    lost = max(block.header.first_seq - expected, 0)
    if pending is None:
        return Damage(block.path, block.offset, 0, "records are missing before this block", expected, lost)
    path, fault = pending
    return Damage(path, fault.offset, fault.size, fault.reason, expected, lost)


__all__ = ["Block", "Damage", "WalReader"]
