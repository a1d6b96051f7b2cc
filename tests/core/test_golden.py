"""Files of each released format are read as they were meant, and what is written today has the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from buoy_core.block import KIND_DATA, split_blocks
from buoy_core.wal import Block, WalReader, WalWriter

from tests.core.core_cases import chunks, decode_points, same
from tests.golden.make_golden import ROWS, STREAM_ID, TIME_US, WRITER_ID, records

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=["v1"])
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, because readers write the daemon's word and writers recover."""
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / request.param))


def expected(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "expected.json").read_text()))


def test_the_spool(core: ModuleType, golden: Path) -> None:
    reader = core.SpoolReader(str(golden / "spool"), boot_id=bytes(16))
    assert reader.writer_id == WRITER_ID
    assert reader.foreign_boot
    payload = b"".join(chunk.payload for chunk in chunks(reader))
    wanted = expected(golden)
    assert [record.hex() for record in core.split_records(payload)] == wanted["spool"]
    assert reader.committed == reader.offset == wanted["committed"]
    assert reader.sealed
    flat = [
        ("loss", 0, 0.5),
        ("epoch", 0, 0),
        ("loss", 1, float("nan")),
        ("inf", 1, float("-inf")),
        ("zero", 1, -0.0),
        ("tiny", 1, 5e-324),
        ("val.loss", 10, 0.25),
        ("val.acc", 10, 1),
        ("ok", 10, True),
        ("none", 10, None),
        ("text", 3, "naïve ☃ 😀"),
        ("half", 3, "\ud800"),
        ("list", 3, [1, 2.5, "x", None]),
        ("\\udc80key", -7, 1),
        ("large", -7, 2**53 + 1),
        ("larger", -7, -(2**63)),
        ("largest", -7, 2**100),
    ]
    points = decode_points(core, payload)
    assert [point[:2] for point in points] == [point[:2] for point in flat]
    assert all(same(a[2], b[2]) for a, b in zip(points, flat, strict=True))


def test_what_is_written_today_is_the_same(core: ModuleType, golden: Path, tmp_path: Path) -> None:
    writer = core.Writer(str(tmp_path / "spool"), writer_id=WRITER_ID, segment_bytes=4096 + 256)
    writer.fixed_time_us = TIME_US
    for record in records()[:-1]:
        writer.append(record)
    for data, step in ROWS:
        writer.log(data, step=step)
    writer.append(records()[-1])
    writer.close()
    old, new = (sorted((folder / "spool").glob("*.seg")) for folder in (golden, tmp_path))
    assert [path.name for path in old] == [path.name for path in new]
    for a, b in zip(old, new, strict=True):
        before, after = a.read_bytes(), b.read_bytes()
        # Boot id, pid, their checksum, the start of the process and its namespace differ.
        assert before[:56] == after[:56]
        assert before[96:] == after[96:]


def test_the_log(golden: Path) -> None:
    found = [block for block in WalReader(str(golden / "wal")).blocks() if isinstance(block, Block)]
    wanted = expected(golden)["blocks"]
    assert len(found) == len(wanted)
    for block, fields in zip(found, wanted, strict=True):
        header = block.header
        assert (Path(block.path).name, block.offset) == (fields["file"], fields["offset"])
        assert (header.kind, header.first_seq, header.records) == (
            fields["kind"],
            fields["first_seq"],
            fields["records"],
        )
        assert header.writer_id.hex() == fields["writer_id"]
        assert [header.spool_begin, header.spool_end] == fields["spool"]
        assert header.stream_id == STREAM_ID
        assert header.time_us == TIME_US or header.kind != KIND_DATA
    body = b"".join(block.data for block in found)
    assert [header for header, _ in split_blocks(body)] == [block.header for block in found]


def test_an_old_log_is_continued(golden: Path) -> None:
    wanted = expected(golden)
    log = WalWriter(str(golden / "wal"))
    last = wanted["blocks"][-1]
    assert log.next_seq == last["first_seq"] + last["records"]
    assert log.offset_of(WRITER_ID) == wanted["committed"]
    assert log.stream_id == STREAM_ID
