"""A log's segment file: its header, and the blocks in it, damaged ones told from good ones.

Files are read with `pread`, never mapped: another process may cut a torn tail at any time, and a mapping of what is
no longer there kills the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from struct import pack
from zlib import crc32

from buoy_core.block import BlockHeader, check_payload, decompress, parse_header
from buoy_core.errors import CorruptBlock, UnsupportedVersion
from buoy_core.format import (
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    KIND_TABLES,
    SEQ_MAX,
    VERSION,
    WAL_HEADER,
    WAL_HEADER_BYTES,
    WAL_MAGIC,
    wal_segment_name,
)
from buoy_core.segment_names import indices_in

ALL_SEQUENCES = 1 << 64
"""Above every sequence: as `unread_below`, block headers are enough."""

_CRC_AT = WAL_HEADER_BYTES - 4
_SECTOR_BYTES = 512
"""No disk writes less at a time."""

_SUFFIX = ".wal"


@dataclass(frozen=True)
class SegmentHeader:
    """A log segment's header; see docs/format.md section 4."""

    stream_id: bytes
    index: int
    first_seq: int
    time_us: int

    def pack(self) -> bytes:
        """The 64 bytes."""
        head = WAL_HEADER.pack(
            WAL_MAGIC,
            VERSION,
            WAL_HEADER_BYTES,
            self.stream_id,
            self.index,
            self.first_seq,
            self.time_us,
            0,
        )
        return head + pack("<I", crc32(head))


@dataclass(frozen=True)
class Block:
    """A good block: `data` is the whole block, header included; it begins at `offset` of the file `path`."""

    header: BlockHeader
    data: bytes
    path: str
    offset: int

    def payload(self) -> bytes:
        """The records, each after its length as a varint.

        Raises:
            CorruptBlock: the payload does not decompress, though its checksum is right.
        """
        stored = memoryview(self.data)[BLOCK_HEADER_BYTES:]
        return decompress(self.header, stored, path=self.path, offset=self.offset)


@dataclass(frozen=True)
class Fault:
    """Bytes that are no good block. `end` is where the next good header is; None if there is none in the file."""

    offset: int
    end: int | None
    size: int
    reason: str


def segment_indices(directory: str) -> list[int]:
    """The segments in a log's folder, ascending."""
    return indices_in(directory, _SUFFIX)


def segment_path(directory: str, index: int) -> str:
    """The file of a segment."""
    return f"{directory}/{wal_segment_name(index)}"


def read_segment_header(descriptor: int, path: str) -> SegmentHeader | None:
    """The header; None if it is damaged, or counts further than a stream can.

    Raises:
        UnsupportedVersion: the segment is of a newer format.
    """
    head = os.pread(descriptor, WAL_HEADER_BYTES, 0)
    if len(head) < WAL_HEADER_BYTES or head[:8] != WAL_MAGIC:
        return None
    if crc32(head[:_CRC_AT]) != int.from_bytes(head[_CRC_AT:], "little"):
        return None
    _, version, _, stream_id, index, first_seq, time_us, _ = WAL_HEADER.unpack_from(head)
    if version != VERSION:
        raise UnsupportedVersion(f"{path} is a log of format {version}; this buoy reads {VERSION}")
    return SegmentHeader(stream_id, index, first_seq, time_us) if first_seq <= SEQ_MAX else None


def segment_header(directory: str, index: int) -> SegmentHeader | None:
    """As `read_segment_header`, of a segment that is not open."""
    path = segment_path(directory, index)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_segment_header(descriptor, path)
    finally:
        os.close(descriptor)


def scan_blocks(
    descriptor: int,
    path: str,
    offset: int,
    *,
    complete: bool,
    stream_id: bytes | None = None,
    unread_below: int = 0,
) -> Iterator[Block | Fault]:
    """The blocks of a segment file from `offset` on, and what lies between them.

    Args:
        descriptor: the file; its position is not used.
        path: for messages.
        offset: where a block begins.
        complete: another segment follows, so all of this one has been synced. Otherwise blocks that a power cut has
            kept behind a hole count as lost: see `_is_torn`.
        stream_id: blocks of any other stream are faults; None accepts all.
        unread_below: data blocks whose records are all below this sequence come without their bytes, and their
            payload's checksum is not looked at.

    Raises:
        UnsupportedVersion: a block is of a newer format.
    """
    while head := os.pread(descriptor, BLOCK_HEADER_BYTES, offset):
        header: BlockHeader | None = None
        try:
            header = parse_header(head, path=path)
            if stream_id is not None and header.stream_id != stream_id:
                raise CorruptBlock(path, offset, "the block is of another stream")
            unread = header.kind != KIND_TABLES and header.next_seq <= unread_below
            data = _read_block(descriptor, path, offset, header, unread)
        except CorruptBlock as error:
            fault = _fault(descriptor, path, offset, header, error.reason)
            if not complete and _is_torn(descriptor, path, fault, stream_id):
                size_bytes = os.fstat(descriptor).st_size - offset
                fault = Fault(offset, None, size_bytes, fault.reason)
            yield fault
            if fault.end is None:
                return
            offset = fault.end
            continue
        yield Block(header, data, path, offset)
        offset += header.size_bytes


def _read_block(descriptor: int, path: str, offset: int, header: BlockHeader, unread: bool) -> bytes:
    if unread:
        if os.fstat(descriptor).st_size < offset + header.size_bytes:
            raise CorruptBlock(path, offset, "the block is cut off")
        return b""
    data = os.pread(descriptor, header.size_bytes, offset)
    check_payload(header, memoryview(data)[BLOCK_HEADER_BYTES:], path=path, offset=offset)
    return data


def _fault(descriptor: int, path: str, offset: int, header: BlockHeader | None, reason: str) -> Fault:
    """Looks for the next header whose checksum is right.

    An undamaged header tells where the next block is, and that is believed first: a payload may hold anything, even
    blocks.
    """
    rest = os.pread(descriptor, max(os.fstat(descriptor).st_size - offset, 0), offset)
    if header is not None and _is_header(rest, header.size_bytes, path):
        return Fault(offset, offset + header.size_bytes, header.size_bytes, reason)
    at = rest.find(BLOCK_MAGIC, 1)
    while at >= 0 and not _is_header(rest, at, path):
        at = rest.find(BLOCK_MAGIC, at + 1)
    return Fault(offset, offset + at, at, reason) if at >= 0 else Fault(offset, None, len(rest), reason)


def _is_torn(descriptor: int, path: str, fault: Fault, stream_id: bytes | None) -> bool:
    """Whether a fault with good blocks behind it is what a power cut makes of blocks that had not been synced.

    The disk writes pages in any order: of two blocks it may have kept the second only. What it has not written reads as
    zeros up to the end of a sector, and then no later block can say that the place was synced when it was written.
    """
    if fault.end is None or not _never_written(descriptor, fault):
        return False
    later = scan_blocks(
        descriptor, path, fault.end, complete=True, stream_id=stream_id, unread_below=ALL_SEQUENCES
    )
    vouched = (item.offset - item.header.unsynced_bytes for item in later if isinstance(item, Block))
    return all(synced < fault.end for synced in vouched)


def _never_written(descriptor: int, fault: Fault) -> bool:
    """Whether any of the fault's sectors is empty. The one that the next block begins in has been written."""
    data = os.pread(descriptor, fault.size, fault.offset)
    first_end = _SECTOR_BYTES - fault.offset % _SECTOR_BYTES
    ends = range(first_end, fault.size + 1, _SECTOR_BYTES)
    return any(not any(data[max(end - _SECTOR_BYTES, 0) : end]) for end in ends)


def _is_header(data: bytes, at: int, path: str) -> bool:
    try:
        parse_header(data, at, path=path)
    except (CorruptBlock, UnsupportedVersion):
        return False
    return True
