"""Folders with things in them that no writer has put there. Each test is something that went wrong once."""

from __future__ import annotations

import shutil
from pathlib import Path
from struct import pack_into
from types import ModuleType
from typing import Any

import pytest
from buoy_core.block import KIND_DATA, build_block, parse_header
from buoy_core.errors import CoreError, CorruptBlock, CorruptFrame
from buoy_core.format import SEQ_MAX
from buoy_core.wal import Block, Damage, WalReader, WalWriter

from tests.core.core_cases import WRITER_ID, Spool
from tests.fuzz.checksums import repair_log, repair_spool

STREAM_ID, OTHER_STREAM = bytes(range(16)), bytes(range(16, 32))


def log(folder: Path, stream_id: bytes, records: int = 3, **options: int) -> list[bytes]:
    """Writes one block per record and returns the blocks."""
    writer = WalWriter(str(folder), stream_id, **options)
    for number in range(records):
        writer.append_records([b"\x42record %d" % number], time_us=1)
    writer.close()
    return [item.data for item in WalReader(str(folder)).blocks() if isinstance(item, Block)]


def close(spool: Spool) -> list[Path]:
    for number in range(40):
        spool.writer.log({"n": number})
    spool.writer.close()
    return spool.segments()


def read_on(reader: Any) -> None:
    while reader.read() is not None:
        pass


def test_files_of_people_are_no_segments(core: ModuleType, tmp_path: Path) -> None:
    # A copy that somebody made stopped the reader, and with it the daemon, with a ValueError.
    spool = Spool(core, tmp_path / "spool", segment_bytes=4500)
    close(spool)
    log(tmp_path / "wal", STREAM_ID)
    for name in ("copy.seg", "00000000 (1).seg", "0.seg", "+0000001.seg", ".seg", "00000²00.seg"):
        (tmp_path / "spool" / name).write_bytes(b"x")
        (tmp_path / "wal" / name.replace(".seg", ".wal")).write_bytes(b"x")
    reader = core.SpoolReader(str(tmp_path / "spool"))
    read_on(reader)
    assert reader.sealed
    assert WalWriter(str(tmp_path / "wal")).next_seq == 3


def test_a_segment_under_another_name_is_damage(core: ModuleType, tmp_path: Path) -> None:
    # The reader took the place of a segment from its header and so came back to where it was, for ever.
    segments = close(Spool(core, tmp_path / "spool", segment_bytes=4500))
    shutil.copy(segments[0], segments[1])
    reader = core.SpoolReader(str(tmp_path / "spool"))
    with pytest.raises(CorruptFrame, match="not in its place: its header says 0"):
        read_on(reader)
    assert reader.skip_damage() > 0
    read_on(reader)
    assert reader.sealed


def test_a_flipped_bit_in_the_version_is_damage(core: ModuleType, tmp_path: Path) -> None:
    # It passed for a newer format, of which nothing may be touched, and so stopped everything behind it.
    segments = close(Spool(core, tmp_path / "spool", segment_bytes=4500))
    damaged = bytearray(segments[1].read_bytes())
    damaged[8] ^= 4
    segments[1].write_bytes(damaged)
    reader = core.SpoolReader(str(tmp_path / "spool"))
    with pytest.raises(CorruptFrame, match="checksum"):
        read_on(reader)
    assert reader.skip_damage() > 0
    read_on(reader)
    assert reader.sealed


def test_a_segment_of_a_newer_format_is_left_alone_but_what_is_before_it_is_read(
    core: ModuleType, tmp_path: Path
) -> None:
    # Asking how far the writer was raised, before anything was read.
    segments = close(Spool(core, tmp_path / "spool", segment_bytes=4500))
    reader = core.SpoolReader(str(tmp_path / "spool"))
    newer = bytearray(segments[-1].read_bytes())
    newer[8] = 2
    segments[-1].write_bytes(repair_spool(bytes(newer)))
    assert reader.committed > 0
    assert reader.read(1) is not None
    assert reader.release(1 << 40) > 0
    assert segments[-1].exists()


def test_a_log_of_two_streams_is_not_cut(tmp_path: Path) -> None:
    # To one stream the blocks of another were a torn tail: opening the log deleted them.
    log(tmp_path / "one", STREAM_ID)
    log(tmp_path / "two", OTHER_STREAM)
    last = tmp_path / "one" / "00000001.wal"
    shutil.copy(tmp_path / "two" / "00000000.wal", last)
    before = last.read_bytes()
    for stream_id in (STREAM_ID, OTHER_STREAM, None):
        with pytest.raises(CoreError, match=f"belongs to stream {OTHER_STREAM.hex()}.*nothing was changed"):
            WalWriter(str(tmp_path / "one"), stream_id)
    assert last.read_bytes() == before


def test_a_segment_without_a_header_has_blocks_of_this_stream_only(tmp_path: Path) -> None:
    # The reader believed any block there, recovery only the stream's own; so they saw two different logs.
    log(tmp_path / "wal", STREAM_ID, segment_bytes=100)
    (foreign,) = log(tmp_path / "other", OTHER_STREAM, records=1)
    segments = sorted((tmp_path / "wal").glob("*.wal"))
    segments[1].write_bytes(b"BUOYWAL?" + segments[1].read_bytes()[8:] + foreign)
    items = list(WalReader(str(tmp_path / "wal")).blocks())
    assert [item.header.stream_id for item in items if isinstance(item, Block)] == [STREAM_ID] * 3
    reasons = [item.reason for item in items if isinstance(item, Damage)]
    assert reasons == ["the segment's header is damaged", "the block is of another stream"]
    assert WalWriter(str(tmp_path / "wal")).next_seq == 3


def test_no_stream_counts_beyond_what_a_database_holds(tmp_path: Path) -> None:
    # The next append raised struct.error, for ever.
    common = {"records": 1, "stream_id": STREAM_ID, "writer_id": WRITER_ID, "time_us": 1}
    last = build_block(KIND_DATA, b"\x01\x42", first_seq=SEQ_MAX - 1, **common)
    assert parse_header(last).next_seq == SEQ_MAX
    for first_seq in (SEQ_MAX, (1 << 64) - 1):
        with pytest.raises(CorruptBlock, match="further than a stream can"):
            parse_header(build_block(KIND_DATA, b"\x01\x42", first_seq=first_seq, **common))
    log(tmp_path / "wal", STREAM_ID)
    segment = tmp_path / "wal" / "00000000.wal"
    data = bytearray(segment.read_bytes())
    pack_into("<Q", data, 40, (1 << 64) - 1)
    segment.write_bytes(repair_log(bytes(data)))
    writer = WalWriter(str(tmp_path / "wal"), STREAM_ID)
    assert writer.next_seq == 3
    writer.append_records([b"\x42more"], time_us=1)
    writer.close()
