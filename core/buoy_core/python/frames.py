"""Records in a row: spool frames (length, CRC, record) and payloads (varint length, record)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zlib import crc32

from buoy_core.chunk import Chunk
from buoy_core.errors import CorruptFrame
from buoy_core.format import (
    FRAME_HEADER,
    FRAME_HEADER_BYTES,
    RECORD_BYTES_MAX,
    TABLE_TAGS,
    encode_varint,
)

Buffer = bytes | bytearray | memoryview


def check_record(record: bytes) -> None:
    """Raises ValueError unless `record` has a length that a frame can have."""
    if not record:
        raise ValueError("a record has at least one byte")
    if len(record) > RECORD_BYTES_MAX:
        raise ValueError(f"a record of {len(record)} bytes; at most {RECORD_BYTES_MAX} are possible")


def frame_record(record: bytes) -> bytes:
    """One spool frame."""
    return FRAME_HEADER.pack(len(record), crc32(record)) + record


def frame_records(records: Iterable[bytes]) -> bytes:
    """Spool frames of `records`, in order.

    Raises:
        ValueError: one of them is empty or larger than 64 MiB.
    """
    frames = bytearray()
    for record in records:
        check_record(record)
        frames += frame_record(record)
    return bytes(frames)


def walk_frames(data: Buffer, begin: int, end: int) -> int:
    """The position after the last frame from `begin` on whose length and CRC are right."""
    while not _frame_fault(data, begin, end):
        begin += FRAME_HEADER_BYTES + FRAME_HEADER.unpack_from(data, begin)[0]
    return begin


def _frame_fault(data: Buffer, position: int, end: int) -> str:
    """Why there is no good frame at `position`; empty if there is one."""
    if end - position < FRAME_HEADER_BYTES:
        return "the frame's header is cut off"
    size, crc = FRAME_HEADER.unpack_from(data, position)
    if not 1 <= size <= RECORD_BYTES_MAX:
        return "the frame's length is impossible"
    begin = position + FRAME_HEADER_BYTES
    if size > end - begin:
        return "the frame is cut off"
    return "" if crc32(data[begin : begin + size]) == crc else "the frame's checksum is wrong"


def scan_frames(data: Buffer, begin: int, end: int, bytes_max: int) -> tuple[bytes, bytes, int, int, str]:
    """Turns frames into a payload.

    Args:
        data: where the frames are; only read, and not kept.
        begin: position of the first frame.
        end: position after the last one.
        bytes_max: stop before the frames have more bytes than this, but not before the first.

    Returns:
        The payload, those of its records that are tables, the number of records, the position after the last frame
        taken, and why it stopped there (empty: enough bytes, or the end).
    """
    payload, tables = bytearray(), bytearray()
    records, position, fault = 0, begin, ""
    while position < end:
        fault = _frame_fault(data, position, end)
        if fault:
            break
        size = FRAME_HEADER.unpack_from(data, position)[0]
        stop = position + FRAME_HEADER_BYTES + size
        if records and stop - begin > bytes_max:
            break
        record = bytes(data[position + FRAME_HEADER_BYTES : stop])
        item = encode_varint(size) + record
        payload += item
        if record[0] in TABLE_TAGS:
            tables += item
        records, position = records + 1, stop
    return bytes(payload), bytes(tables), records, position, fault


def parse_frames(frames: bytes, begin: int) -> Chunk:
    """The records of whole spool frames; `begin` is the writer's offset of the first.

    Raises:
        CorruptFrame: a frame is damaged or cut off; `offset` is the position in `frames`. Nothing is returned then.
        ValueError: there are no frames.
    """
    if not frames:
        raise ValueError("there are no frames")
    payload, tables, records, stop, fault = scan_frames(frames, 0, len(frames), len(frames))
    if fault:
        raise CorruptFrame("", stop, fault)
    return Chunk(begin, begin + len(frames), records, payload, tables, bytes(frames))


def join_records(records: Iterable[bytes]) -> bytes:
    """A payload: each record after its length as a varint.

    Raises:
        ValueError: one of them is empty or larger than 64 MiB.
    """
    payload = bytearray()
    for record in records:
        check_record(record)
        payload += encode_varint(len(record))
        payload += record
    return bytes(payload)


def split_records(payload: Buffer) -> list[bytes]:
    """The records of a payload.

    Raises:
        ValueError: a length is malformed, zero, or reaches past the end.
    """
    return [bytes(payload[begin:end]) for begin, end in record_spans(payload)]


def count_records(payload: Buffer) -> int:
    """How many records a payload has.

    Raises:
        ValueError: as for `split_records`.
    """
    return sum(1 for _ in record_spans(payload))


def record_spans(payload: Buffer) -> Iterator[tuple[int, int]]:
    """Begin and end of each record in a payload; raises ValueError where the next is malformed."""
    position, total = 0, len(payload)
    while position < total:
        size, begin = read_varint(payload, position, total)
        if not 1 <= size <= RECORD_BYTES_MAX or size > total - begin:
            raise ValueError(f"malformed payload: a record of {size} bytes at byte {position} of {total}")
        position = begin + size
        yield begin, position


def read_varint(data: Buffer, position: int, end: int) -> tuple[int, int]:
    """The varint at `position`, as an unsigned 64-bit number, and the position after it.

    Raises:
        ValueError: it is cut off or longer than ten bytes.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise ValueError(f"malformed: a varint is cut off at byte {position}")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError(f"malformed: a varint of more than ten bytes before byte {position}")


def table_records(payload: Buffer) -> bytes:
    """The records of a payload that a tables block repeats, as a payload.

    Raises:
        ValueError: the payload is malformed.
    """
    tables = bytearray()
    for begin, end in record_spans(payload):
        if payload[begin] in TABLE_TAGS:
            tables += encode_varint(end - begin)
            tables += payload[begin:end]
    return bytes(tables)
