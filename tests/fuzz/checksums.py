"""Puts the checksums of damaged artefacts right again, so that a fuzzer gets to what lies behind them.

Each function walks as its reader would, but believes every length that fits, and leaves what it cannot follow alone.
"""

from __future__ import annotations

from struct import pack_into, unpack_from
from zlib import crc32

from buoy_core.format import (
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    FRAME_HEADER,
    FRAME_HEADER_BYTES,
    SPOOL_CRC_AT,
    SPOOL_HEADER_BYTES,
    SPOOL_MAGIC,
    WAL_HEADER_BYTES,
    WAL_MAGIC,
)


def repair_frames(data: bytes, begin: int = 0) -> bytes:
    """Spool frames in a row."""
    out = bytearray(data)
    while begin + FRAME_HEADER_BYTES <= len(out):
        size = FRAME_HEADER.unpack_from(out, begin)[0]
        end = begin + FRAME_HEADER_BYTES + size
        if not size or end > len(out):
            break
        pack_into("<I", out, begin + 4, crc32(out[begin + FRAME_HEADER_BYTES : end]))
        begin = end
    return bytes(out)


def repair_blocks(data: bytes, begin: int = 0) -> bytes:
    """Blocks, wherever one begins."""
    out = bytearray(data)
    at = out.find(BLOCK_MAGIC, begin)
    while at >= 0 and at + BLOCK_HEADER_BYTES <= len(out):
        stored_size = unpack_from("<I", out, at + 12)[0]
        stored = at + BLOCK_HEADER_BYTES
        end = min(stored + stored_size, len(out))
        pack_into("<I", out, at + 88, crc32(out[stored:end]))
        pack_into("<I", out, at + 92, crc32(out[at : at + 92]))
        at = out.find(BLOCK_MAGIC, end)
    return bytes(out)


def repair_spool(data: bytes) -> bytes:
    """Spool segments in a row: their headers, and the frames that follow each."""
    return b"".join(_spool_segment(part) for part in split_at(data, SPOOL_MAGIC))


def _spool_segment(data: bytes) -> bytes:
    if len(data) < SPOOL_HEADER_BYTES or not data.startswith(SPOOL_MAGIC):
        return data
    out = bytearray(repair_frames(data, SPOOL_HEADER_BYTES))
    pack_into("<I", out, SPOOL_CRC_AT, crc32(out[:SPOOL_CRC_AT]))
    return bytes(out)


def repair_log(data: bytes) -> bytes:
    """Log segments in a row: their headers and their blocks."""
    return b"".join(_log_segment(part) for part in split_at(data, WAL_MAGIC))


def _log_segment(data: bytes) -> bytes:
    if len(data) < WAL_HEADER_BYTES or not data.startswith(WAL_MAGIC):
        return repair_blocks(data)
    out = bytearray(repair_blocks(data, WAL_HEADER_BYTES))
    pack_into("<I", out, WAL_HEADER_BYTES - 4, crc32(out[: WAL_HEADER_BYTES - 4]))
    return bytes(out)


def repair_position(data: bytes) -> bytes:
    """A log's position: one line behind the checksum of its text."""
    line, newline, rest = data.partition(b"\n")
    if not newline or line[8:9] != b" ":
        return data
    return b"%08x %s\n%s" % (crc32(line[9:]), line[9:], rest)


def split_at(data: bytes, magic: bytes) -> list[bytes]:
    """`data` in parts of which each but the first begins with `magic`. Together they are `data`."""
    parts, begin = [], 0
    at = data.find(magic, 1)
    while at >= 0:
        parts.append(data[begin:at])
        begin, at = at, data.find(magic, at + 1)
    return [*parts, data[begin:]]
