"""Blocks: what the log stores and what is uploaded, byte for byte the same.

    | header, 96 bytes, its own CRC | stored payload, its CRC in the header |

A block is checked from the outside in: magic, header CRC, version, sizes, payload CRC, then a decompression that can
give no more than the header says.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import pack
from zlib import crc32

import zstandard

from buoy_core.errors import CorruptBlock, UnsupportedVersion
from buoy_core.format import (
    BLOCK_HEADER,
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    BLOCK_RAW_BYTES_MAX,
    CODEC_STORED,
    CODEC_ZSTD,
    KIND_DATA,
    KIND_GAP,
    KIND_TABLES,
    SEQ_MAX,
    VERSION,
    ZERO_ID,
)

__all__ = [
    "BLOCK_HEADER_BYTES",
    "BLOCK_MAGIC",
    "KIND_DATA",
    "KIND_GAP",
    "KIND_TABLES",
    "ZERO_ID",
    "BlockHeader",
    "build_block",
    "open_block",
    "parse_header",
    "split_blocks",
]

_CRC_AT = BLOCK_HEADER_BYTES - 4
_per_thread = threading.local()


@dataclass(frozen=True)
class BlockHeader:
    """A block's header; see docs/format.md section 3.

    Attributes:
        kind: `KIND_DATA`, `KIND_TABLES` or `KIND_GAP`.
        codec: 0 stored as is, 1 zstd.
        raw_size: bytes of the payload.
        stored_size: bytes after the header.
        first_seq: number of the first record in the stream.
        records: records in the payload; for a gap, records lost.
        unsynced_bytes: so much of the log's segment before this block was not known to be on disk when it was
            written.
        stream_id, writer_id: 16 bytes each.
        spool_begin, spool_end: the writer's offsets of the frames that the block holds.
        time_us: when the block was closed, microseconds since the epoch.
        payload_crc: CRC-32 of the stored payload.
    """

    kind: int
    codec: int
    raw_size: int
    stored_size: int
    first_seq: int
    records: int
    unsynced_bytes: int
    stream_id: bytes
    writer_id: bytes
    spool_begin: int
    spool_end: int
    time_us: int
    payload_crc: int = field(default=0, compare=False)

    @property
    def next_seq(self) -> int:
        """The first sequence of the block that follows. Tables do not count."""
        return self.first_seq if self.kind == KIND_TABLES else self.first_seq + self.records

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole block."""
        return BLOCK_HEADER_BYTES + self.stored_size

    def pack(self, payload_crc: int) -> bytes:
        """The 96 bytes."""
        head = BLOCK_HEADER.pack(
            BLOCK_MAGIC,
            VERSION,
            self.kind,
            self.codec,
            0,
            self.raw_size,
            self.stored_size,
            self.first_seq,
            self.records,
            self.unsynced_bytes,
            self.stream_id,
            self.writer_id,
            self.spool_begin,
            self.spool_end,
            self.time_us,
            payload_crc,
        )
        return head + pack("<I", crc32(head))


def build_block(
    kind: int,
    payload: bytes,
    *,
    first_seq: int,
    records: int,
    stream_id: bytes,
    writer_id: bytes,
    spool_begin: int = 0,
    spool_end: int = 0,
    time_us: int,
    unsynced_bytes: int = 0,
    level: int = 3,
) -> bytes:
    """A whole block. The payload is compressed unless that makes it larger.

    Raises:
        ValueError: the payload is larger than a block can hold.
    """
    if len(payload) > BLOCK_RAW_BYTES_MAX:
        raise ValueError(f"a payload of {len(payload)} bytes; a block holds {BLOCK_RAW_BYTES_MAX}")
    codec, stored = CODEC_ZSTD, _compressor(level).compress(payload)
    if len(stored) >= len(payload):
        codec, stored = CODEC_STORED, payload
    header = BlockHeader(
        kind,
        codec,
        len(payload),
        len(stored),
        first_seq,
        records,
        unsynced_bytes,
        stream_id,
        writer_id,
        spool_begin,
        spool_end,
        time_us,
    )
    return header.pack(crc32(stored)) + stored


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """One per thread and level, because a compressor must not serve two threads and is costly to make."""
    compressor: zstandard.ZstdCompressor | None = getattr(_per_thread, f"level_{level}", None)
    if compressor is None:
        compressor = zstandard.ZstdCompressor(level=level, write_content_size=True, write_checksum=False)
        setattr(_per_thread, f"level_{level}", compressor)
    return compressor


def parse_header(data: bytes | bytearray | memoryview, offset: int = 0, *, path: str = "") -> BlockHeader:
    """Reads and checks the header at `offset`, but not whether the payload is all there.

    Raises:
        CorruptBlock: it is cut off, damaged, or says something impossible.
        UnsupportedVersion: it is undamaged and of a newer format.
    """
    head = bytes(data[offset : offset + BLOCK_HEADER_BYTES])
    if len(head) < BLOCK_HEADER_BYTES:
        raise CorruptBlock(path, offset, "the block's header is cut off")
    if head[:4] != BLOCK_MAGIC:
        raise CorruptBlock(path, offset, "no block begins here")
    if crc32(head[:_CRC_AT]) != int.from_bytes(head[_CRC_AT:], "little"):
        raise CorruptBlock(path, offset, "the header's checksum is wrong")
    _, version, kind, codec, reserved, *numbers = BLOCK_HEADER.unpack_from(head)
    if version != VERSION:
        raise UnsupportedVersion(
            f"{path or 'data'} has a block of format {version}; this buoy reads {VERSION}"
        )
    header = BlockHeader(kind, codec, *numbers)
    reason = _impossible(header) or (reserved and "a reserved byte is set")
    if reason:
        raise CorruptBlock(path, offset, reason)
    return header


def _impossible(header: BlockHeader) -> str:  # noqa: PLR0911 - a table
    """Why no sound writer made this header; empty if one may have."""
    if header.kind not in (KIND_DATA, KIND_TABLES, KIND_GAP):
        return f"unknown kind {header.kind}"
    if header.codec not in (CODEC_STORED, CODEC_ZSTD):
        return f"unknown codec {header.codec}"
    if header.raw_size > BLOCK_RAW_BYTES_MAX or header.stored_size > BLOCK_RAW_BYTES_MAX:
        return "it is larger than a block can be"
    if header.codec == CODEC_STORED and header.raw_size != header.stored_size:
        return "the sizes of an uncompressed payload differ"
    if header.spool_end < header.spool_begin:
        return "the spool range is upside down"
    if header.first_seq + header.records > SEQ_MAX:
        return "it counts further than a stream can"
    # A record needs at least two bytes of payload.
    if header.kind != KIND_GAP and header.records > header.raw_size // 2:
        return "more records than the payload can hold"
    return ""


def open_block(
    data: bytes | bytearray | memoryview, *, path: str = "", offset: int = 0
) -> tuple[BlockHeader, bytes]:
    """Checks the block at `offset` and gives its header and payload. Bytes after the block are not looked at.

    Raises:
        CorruptBlock: anything is wrong with it.
        UnsupportedVersion: it is of a newer format.
    """
    header = parse_header(data, offset, path=path)
    stored = memoryview(data)[offset + BLOCK_HEADER_BYTES : offset + header.size_bytes]
    check_payload(header, stored, path=path, offset=offset)
    return header, decompress(header, stored, path=path, offset=offset)


def check_payload(header: BlockHeader, stored: memoryview, *, path: str = "", offset: int = 0) -> None:
    """Raises CorruptBlock if the stored payload is cut off or its checksum is wrong."""
    if len(stored) < header.stored_size:
        raise CorruptBlock(path, offset, "the block is cut off")
    if crc32(stored) != header.payload_crc:
        raise CorruptBlock(path, offset, "the payload's checksum is wrong")


def decompress(header: BlockHeader, stored: memoryview, *, path: str = "", offset: int = 0) -> bytes:
    """The payload. Memory is bounded by the header's raw size, which `parse_header` bounds.

    Raises:
        CorruptBlock: it does not decompress to exactly that size.
    """
    if header.codec == CODEC_STORED:
        return bytes(stored)
    try:
        # The library allocates what the zstd frame promises, so that must be our own number.
        promised = zstandard.get_frame_parameters(stored).content_size
        if promised != header.raw_size:
            raise CorruptBlock(
                path, offset, f"the payload promises {promised} bytes, the header {header.raw_size}"
            )
        payload = zstandard.ZstdDecompressor().decompress(
            stored, max_output_size=header.raw_size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise CorruptBlock(path, offset, f"the payload does not decompress: {error}") from error
    if len(payload) != header.raw_size:
        raise CorruptBlock(
            path, offset, f"the payload has {len(payload)} bytes, the header says {header.raw_size}"
        )
    return payload


def split_blocks(body: bytes) -> Iterator[tuple[BlockHeader, memoryview]]:
    """The blocks of an upload's body, each with its header and its whole bytes; checksums are right.

    Raises:
        CorruptBlock: at the first block that is damaged or cut off; `offset` is its position in `body`.
        UnsupportedVersion: a block is of a newer format.
    """
    view, offset = memoryview(body), 0
    while offset < len(view):
        header = parse_header(view, offset)
        block = view[offset : offset + header.size_bytes]
        check_payload(header, block[BLOCK_HEADER_BYTES:], offset=offset)
        yield header, block
        offset += header.size_bytes
