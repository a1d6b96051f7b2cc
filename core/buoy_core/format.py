"""The numbers of docs/format.md: magics, sizes, offsets and limits. Nothing here does any work."""

from __future__ import annotations

import sys
from struct import Struct

# Frames, blocks and columns are read and written in the machine's own order.
assert sys.byteorder == "little", "buoy runs on little-endian machines only"

VERSION = 1
ZERO_ID = bytes(16)

# Records. The first byte of a record is the tag of its kind, because a record has exactly one field.
RECORD_BYTES_MAX = 64 << 20
KEY_BYTES_MAX = 4096
EXACT_INT_MAX = 1 << 53
STEP_MIN = -(1 << 63)
STEP_MAX = (1 << 63) - 2
TAG_ROW = 0x0A
TAG_KEY = 0x12
TAG_SYSTEM = 0x1A
TAG_WRITER_START = 0x4A
TAG_WRITER_END = 0x52
TAG_STREAM_START = 0x5A
TABLE_TAGS = frozenset((TAG_KEY, TAG_WRITER_START, TAG_STREAM_START))

# Spool segments.
SPOOL_MAGIC = b"BUOYSPL1"
SPOOL_HEADER_BYTES = 4096
SPOOL_SEGMENT_BYTES = 4 << 20
SPOOL_BYTES_MAX = 16 << 30
FREE_BYTES_MIN = 64 << 20
SPOOL_FIXED = Struct("<8sIIQQQ16s16sI")  # up to the CRC at byte 76
SPOOL_CRC_AT = 76
SPOOL_START_AT = 80
SPOOL_PID_NAMESPACE_AT = 88
SPOOL_COMMITTED_AT = 128
SPOOL_SEALED_AT = 136
SPOOL_LAST_AT = 140
SPOOL_DROPPED_AT = 144
SPOOL_CONTROL_AT = 192
SPOOL_STOP_SEEN_AT = 196
SPOOL_SEEN_AT = 200
FRAME_HEADER = Struct("<II")
FRAME_HEADER_BYTES = 8
CONTROL_ALIVE = 1
CONTROL_STOP = 2
CONTROL_WAITING = 4

# After a failed attempt to make a segment the writer waits this long before it tries again.
ROLL_RETRY_NS = 500_000_000

# Points kept for the sparkline of each key.
HISTORY_POINTS_MAX = 64

# Kinds of values in decoded columns.
VALUE_FLOAT = 0
VALUE_INT = 1
VALUE_BOOL = 2
VALUE_BIG_INT = 3

# Sequences count records; databases have signed numbers.
SEQ_MAX = (1 << 63) - 1

# Blocks.
BLOCK_MAGIC = b"BYBK"
BLOCK_HEADER = Struct("<4sBBBBIIQII16s16sQQQI")  # up to the CRC at byte 92
BLOCK_HEADER_BYTES = 96
BLOCK_RAW_BYTES_MAX = RECORD_BYTES_MAX + 16
KIND_DATA = 1
KIND_TABLES = 2
KIND_GAP = 3
CODEC_STORED = 0
CODEC_ZSTD = 1

# Write-ahead log.
WAL_MAGIC = b"BUOYWAL1"
WAL_HEADER = Struct("<8sII16sQQQI")  # up to the CRC at byte 60
WAL_HEADER_BYTES = 64
WAL_SEGMENT_BYTES = 64 << 20


def end_room(capacity: int) -> int:
    """Bytes of a spool segment that are kept free for the record that ends the spool."""
    return 128 if capacity >= 4096 else 0


def spool_segment_name(index: int) -> str:
    """The file name of a spool's segment."""
    return f"{index:08d}.seg"


def wal_segment_name(index: int) -> str:
    """The file name of a log's segment."""
    return f"{index:08d}.wal"


def encode_varint(value: int) -> bytes:
    """`value`, 0 to 2**64-1, as a protobuf varint."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
