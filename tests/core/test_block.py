"""Blocks: what is damaged, truncated, mislabelled or a bomb is refused, and memory stays bounded."""

from __future__ import annotations

import random
import struct
import tracemalloc
from dataclasses import replace
from typing import Any
from zlib import crc32

import buoy_core
import pytest
import zstandard
from buoy_core.block import (
    BLOCK_HEADER_BYTES,
    KIND_DATA,
    KIND_GAP,
    KIND_TABLES,
    BlockHeader,
    build_block,
    open_block,
    parse_header,
    split_blocks,
)
from buoy_core.errors import CorruptBlock, UnsupportedVersion
from buoy_core.format import BLOCK_RAW_BYTES_MAX, CODEC_STORED, CODEC_ZSTD

from tests.core.core_cases import STREAM_ID, WRITER_ID

RECORDS = [b"\x42record %d" % number for number in range(20)]
PAYLOAD = buoy_core.join_records(RECORDS)


def block(payload: bytes = PAYLOAD, kind: int = KIND_DATA, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "first_seq": 7,
        "records": 20,
        "stream_id": STREAM_ID,
        "writer_id": WRITER_ID,
        "spool_begin": 100,
        "spool_end": 900,
        "time_us": 5,
        "unsynced_bytes": 300,
    }
    return build_block(kind, payload, **{**fields, **changes})


def forged(stored: bytes, **changes: Any) -> bytes:
    """A block with right checksums around anything."""
    header = BlockHeader(
        KIND_DATA, CODEC_ZSTD, len(PAYLOAD), len(stored), 0, 20, 0, STREAM_ID, WRITER_ID, 0, 0, 0
    )
    return replace(header, **changes).pack(crc32(stored)) + stored


def test_there_and_back() -> None:
    data = block()
    header, payload = open_block(data)
    assert payload == PAYLOAD
    assert header == BlockHeader(
        KIND_DATA, CODEC_ZSTD, len(PAYLOAD), len(data) - 96, 7, 20, 300, STREAM_ID, WRITER_ID, 100, 900, 5
    )
    assert header.size_bytes == len(data) < len(PAYLOAD) + 96
    assert header.pack(header.payload_crc) == data[:96]


def test_what_does_not_compress_is_stored() -> None:
    noise = random.Random(1).randbytes(500)
    for payload in (b"", b"\x01x", noise):
        header, found = open_block(block(payload, records=len(payload) // 500))
        assert found == payload
        assert header.codec == CODEC_STORED
    with pytest.raises(ValueError, match="a block holds"):
        block(bytes(BLOCK_RAW_BYTES_MAX + 1))


def test_what_counts() -> None:
    assert parse_header(block()).next_seq == 27
    assert parse_header(block(kind=KIND_TABLES)).next_seq == 7
    assert parse_header(block(b"\x01x", kind=KIND_GAP, records=1000)).next_seq == 1007


def test_every_flipped_bit_is_noticed() -> None:
    data = block()
    for at in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[at] ^= 1 << bit
            with pytest.raises(CorruptBlock) as error:
                open_block(broken, path="file", offset=0)
            assert (error.value.path, error.value.offset) == ("file", 0)


def test_every_cut_is_noticed() -> None:
    data = block()
    for size in range(len(data)):
        with pytest.raises(CorruptBlock):
            open_block(data[:size])
        if size:
            with pytest.raises(CorruptBlock) as error:
                list(split_blocks(data + data[:size]))
            assert error.value.offset == len(data)


def test_a_body_of_blocks() -> None:
    blocks = [block(first_seq=number) for number in range(5)]
    found = list(split_blocks(b"".join(blocks)))
    assert [bytes(view) for _, view in found] == blocks
    assert [header.first_seq for header, _ in found] == list(range(5))
    assert list(split_blocks(b"")) == []
    damaged = bytearray(b"".join(blocks))
    damaged[len(blocks[0]) + 100] ^= 1
    survivors = split_blocks(bytes(damaged))
    assert next(survivors)[0].first_seq == 0
    with pytest.raises(CorruptBlock, match="checksum") as error:
        next(survivors)
    assert error.value.offset == len(blocks[0])


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"kind": 0}, "unknown kind 0"),
    ({"kind": 4}, "unknown kind 4"),
    ({"codec": 2}, "unknown codec 2"),
    ({"raw_size": BLOCK_RAW_BYTES_MAX + 1}, "larger than"),
    ({"stored_size": BLOCK_RAW_BYTES_MAX + 1}, "larger than"),
    ({"codec": CODEC_STORED}, "differ"),
    ({"spool_begin": 5, "spool_end": 4}, "upside down"),
    ({"records": 10_000}, "more records"),
]


@pytest.mark.parametrize(("changes", "reason"), IMPOSSIBLE)
def test_impossible_headers_with_right_checksums(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(CorruptBlock, match=reason):
        open_block(forged(zstandard.compress(PAYLOAD), **changes))


def test_reserved_bytes_and_newer_versions() -> None:
    for at, value, expected in ((7, 1, CorruptBlock), (4, 2, UnsupportedVersion)):
        data = bytearray(block())
        data[at] = value
        data[92:96] = struct.pack("<I", crc32(data[:92]))
        with pytest.raises(expected):
            open_block(data)


def with_content_size(size: int) -> bytes:
    """A zstd frame header that promises `size` bytes (8-byte field, single segment)."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size)


BOMBS = {
    "more than promised": zstandard.compress(bytes(len(PAYLOAD) + 1)),
    "less than promised": zstandard.compress(PAYLOAD[:-1]),
    "a gigabyte": zstandard.compress(bytes(1 << 30), 1),
    "no promise": zstandard.ZstdCompressor(write_content_size=False).compress(PAYLOAD),
    "no promise, a gigabyte": zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 30)),
    "a terabyte promised": with_content_size(1 << 40) + b"\x03\x00\x00",
    "a lie about a gigabyte": with_content_size(len(PAYLOAD)) + zstandard.compress(bytes(1 << 30), 1)[9:],
    "two frames": zstandard.compress(PAYLOAD) * 2,
    "bytes after the frame": zstandard.compress(PAYLOAD) + b"x",
    "a skippable frame first": b"\x50\x2a\x4d\x18\x01\0\0\0x" + zstandard.compress(PAYLOAD),
    "nothing": b"",
    "noise": random.Random(2).randbytes(100),
    "cut": zstandard.compress(PAYLOAD)[:-1],
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_without_using_memory(name: str) -> None:
    data = forged(BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(CorruptBlock):
            open_block(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_random_bytes_are_refused() -> None:
    dice = random.Random(3)
    for size in (0, 1, BLOCK_HEADER_BYTES, 200):
        for _ in range(200):
            data = dice.randbytes(size)
            for attempt in (data, b"BYBK" + data):
                with pytest.raises(CorruptBlock):
                    open_block(attempt)
