"""The log: repair, append, read again. Survivors are counted in every table."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import buoy_core
import pytest
from buoy_core import Chunk
from buoy_core.block import KIND_DATA, KIND_GAP, KIND_TABLES
from buoy_core.errors import CoreError, UnsupportedVersion
from buoy_core.format import ZERO_ID
from buoy_core.wal import Block, Damage, WalReader, WalWriter

from tests.core.core_cases import STREAM_ID, WRITER_ID

OTHER_WRITER = bytes(reversed(WRITER_ID))


class Log:
    """A log whose records are numbered, so that every survivor can be named."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory = directory
        self.writer = WalWriter(str(directory), STREAM_ID, **options)
        self.offset = self.writer.offset_of(WRITER_ID)

    def append(self, count: int = 1, tables: bytes = b"") -> None:
        """Appends `count` records as one block of the writer."""
        first = self.writer.next_seq
        payload = buoy_core.join_records(
            [b"\x42record %d" % number for number in range(first, first + count)]
        )
        chunk = Chunk(self.offset, self.offset + len(payload), count, payload, tables)
        self.offset = chunk.end
        self.writer.append(chunk, WRITER_ID, time_us=first)

    def define(self, writer_id: bytes, *records: bytes) -> None:
        payload = buoy_core.join_records(records)
        self.writer.append(Chunk(0, 50, len(records), payload, payload), writer_id, time_us=1)

    def segments(self) -> list[Path]:
        return sorted(self.directory.glob("*.wal"))

    def reopen(self, **options: Any) -> Log:
        self.writer.close()
        return Log(self.directory, **options)


def read(directory: Path, first_seq: int = 0) -> tuple[list[int], list[Damage]]:
    """The numbers of the records in data blocks, and the damage."""
    found: list[int] = []
    damage: list[Damage] = []
    for item in WalReader(str(directory)).blocks(first_seq):
        if isinstance(item, Damage):
            damage.append(item)
        elif item.header.kind == KIND_DATA:
            found += numbers(item)
    return found, damage


def numbers(block: Block) -> list[int]:
    return [
        int(record.split()[1]) for record in buoy_core.split_records(block.payload()) if record[0] == 0x42
    ]


def blocks(directory: Path, first_seq: int = 0) -> list[Block]:
    return [item for item in WalReader(str(directory)).blocks(first_seq) if isinstance(item, Block)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "wal")


@pytest.fixture
def long_log(tmp_path: Path) -> Log:
    """Several segments of several blocks, with tables of two writers."""
    log = Log(tmp_path / "wal", segment_bytes=1000)
    log.define(WRITER_ID, b"\x4astart", b"\x12key a")
    log.define(OTHER_WRITER, b"\x4aother start")
    for number in range(40):
        log.append(number % 3 + 1)
    assert len(log.segments()) > 4
    return log


def test_append_and_read(log: Log) -> None:
    for count in (1, 5, 100):
        log.append(count)
    assert read(log.directory) == (list(range(106)), [])
    assert log.writer.next_seq == 106
    assert log.writer.offset_of(WRITER_ID) == log.offset
    assert log.writer.offset_of(OTHER_WRITER) == 0
    found = blocks(log.directory)
    assert [block.header.records for block in found] == [1, 5, 100]
    assert found[-1].header.spool_end == log.offset
    assert all(block.header.stream_id == STREAM_ID for block in found)
    assert log.writer.size_bytes == sum(path.stat().st_size for path in log.segments())
    assert log.writer.path == str(log.segments()[-1])


def test_sync_counts(log: Log) -> None:
    assert log.writer.synced_seq == 0
    log.append(3)
    assert log.writer.synced_seq == 0
    log.writer.sync()
    assert log.writer.synced_seq == 3
    log.writer.sync()
    log.append(1)
    log.writer.close()
    log.writer.close()
    assert log.writer.synced_seq == 4
    with pytest.raises(CoreError, match="closed"):
        log.append()


def test_a_log_is_found_again(long_log: Log) -> None:
    again = long_log.reopen()
    assert again.writer.next_seq == long_log.writer.next_seq
    assert again.writer.offset_of(WRITER_ID) == long_log.offset
    assert again.writer.offset_of(OTHER_WRITER) == 50
    assert again.writer.size_bytes == long_log.writer.size_bytes
    without_id = WalWriter(str(long_log.directory))
    assert without_id.stream_id == STREAM_ID
    without_id.close()
    with pytest.raises(CoreError, match="holds stream"):
        WalWriter(str(long_log.directory), WRITER_ID)
    with pytest.raises(FileNotFoundError):
        WalWriter(str(long_log.directory.parent / "none"))
    (long_log.directory.parent / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no log"):
        WalWriter(str(long_log.directory.parent / "empty"))


def test_every_segment_opens_with_the_tables_of_live_writers(long_log: Log) -> None:
    expected = {WRITER_ID: [b"\x4astart", b"\x12key a"], OTHER_WRITER: [b"\x4aother start"]}

    def tables_of(path: Path) -> dict[bytes, list[bytes]]:
        return {
            block.header.writer_id: buoy_core.split_records(block.payload())
            for block in blocks(long_log.directory)
            if block.path == str(path) and block.header.kind == KIND_TABLES
        }

    for path in long_log.segments()[1:]:
        assert tables_of(path) == expected
    # A new process knows them, tables go on growing, and those of ended writers go.
    again = long_log.reopen(segment_bytes=1000)
    again.append(1, buoy_core.join_records([b"\x12key b", b"\x12key a"]))
    again.writer.forget(OTHER_WRITER)
    count = len(again.segments())
    while len(again.segments()) == count:
        again.append(10)
    assert tables_of(again.segments()[-1]) == {WRITER_ID: [b"\x4astart", b"\x12key a", b"\x12key b"]}


def test_the_daemons_own_records(log: Log) -> None:
    log.writer.append_records([b"\x5astream start", b"\x42x"], time_us=1)
    log.writer.append_records([], time_us=1)
    log.writer.append_gap(17, b"\x42 0 lost", WRITER_ID, time_us=2, spool_begin=5, spool_end=900)
    assert log.writer.next_seq == 19
    assert log.writer.offset_of(WRITER_ID) == 900
    first, gap = blocks(log.directory)
    assert (first.header.writer_id, first.header.records) == (ZERO_ID, 2)
    assert (gap.header.kind, gap.header.records, gap.header.first_seq) == (KIND_GAP, 17, 2)
    assert log.reopen().writer.next_seq == 19


def test_reading_from_any_sequence(long_log: Log) -> None:
    total = long_log.writer.next_seq
    for first in range(total + 2):
        found = blocks(long_log.directory, first)
        data = [block for block in found if block.header.kind == KIND_DATA]
        if first < total:
            assert data[0].header.first_seq <= first < data[0].header.next_seq
            assert data[-1].header.next_seq == total
        else:
            assert data == []


def test_a_reader_goes_on_where_it_was(long_log: Log) -> None:
    reader = WalReader(str(long_log.directory))
    found: list[int] = []
    sequence = 0
    while True:
        # As the uploader does it: a few blocks, then a new call.
        items = reader.blocks(sequence)
        got = [item for item, _ in zip(items, range(3), strict=False) if isinstance(item, Block)]
        if not got:
            break
        found += [number for block in got if block.header.kind == KIND_DATA for number in numbers(block)]
        sequence = got[-1].header.next_seq
        if got[-1].header.kind == KIND_TABLES and len(got) < 3:
            break
    assert found[-1] == long_log.writer.next_seq - 1
    long_log.append(2)
    assert [numbers(item) for item in reader.blocks(sequence) if isinstance(item, Block)] == [
        [sequence, sequence + 1]
    ]
    # And back, when the server says so.
    assert isinstance(next(reader.blocks(3)), Block)


def test_a_live_log_is_read_by_another_thread(tmp_path: Path) -> None:
    log = Log(tmp_path / "wal", segment_bytes=5000)
    found: list[int] = []
    problems: list[object] = []
    total = 3000
    done = threading.Event()

    def work() -> None:
        reader = WalReader(str(log.directory))
        sequence = 0
        while sequence < total and not done.is_set():
            for item in reader.blocks(sequence):
                if isinstance(item, Damage):
                    problems.append(item)
                elif item.header.kind == KIND_DATA:
                    found.extend(numbers(item))
                    sequence = item.header.next_seq

    thread = threading.Thread(target=work)
    thread.start()
    try:
        while log.writer.next_seq < total:
            log.append(1)
        thread.join(60)
    finally:
        done.set()
    assert problems == []
    assert found == list(range(total))


# Torn tails.


def tail(log: Log) -> tuple[Path, int, int]:
    """The last segment, and where its last block begins and ends."""
    last = blocks(log.directory)[-1]
    return Path(last.path), last.offset, last.offset + last.header.size_bytes


def test_a_torn_tail_at_every_offset(tmp_path: Path) -> None:
    """Cut, read, repair, append, read again: all but the last block survive, and nobody hears of it."""
    log = Log(tmp_path / "wal", segment_bytes=800)
    for _ in range(12):
        log.append(2)
    assert len(log.segments()) > 1
    log.writer.close()
    path, begin, end = tail(log)
    whole = path.read_bytes()
    for cut in range(begin, end):
        path.write_bytes(whole[:cut])
        assert read(log.directory) == (list(range(22)), [])
        repaired = Log(log.directory, segment_bytes=800)
        assert path.stat().st_size == begin
        assert repaired.writer.next_seq == 22
        assert repaired.writer.size_bytes == sum(each.stat().st_size for each in log.segments())
        repaired.append(3)
        repaired.writer.close()
        assert read(log.directory) == (list(range(25)), [])
        for extra in log.segments():
            if extra > path:
                extra.unlink()


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda block: bytes(len(block)),
    "a right length, wrong bytes": lambda block: block[:100] + bytes(len(block) - 100),
    "a flipped bit in the payload": lambda block: block[:-1] + bytes((block[-1] ^ 1,)),
    "a flipped bit in the header": lambda block: block[:20] + bytes((block[20] ^ 1,)) + block[21:],
    "noise": lambda block: random.Random(4).randbytes(len(block)),
    "magics": lambda block: b"BYBK" * (len(block) // 4),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_tail_of_garbage_is_torn_too(log: Log, name: str) -> None:
    for _ in range(5):
        log.append(2)
    log.writer.close()
    path, begin, _ = tail(log)
    whole = path.read_bytes()
    path.write_bytes(whole[:begin] + GARBAGE[name](whole[begin:]))
    assert read(log.directory) == (list(range(8)), [])
    repaired = Log(log.directory)
    repaired.append(1)
    assert read(log.directory) == (list(range(9)), [])


def test_leftovers_of_a_roll(long_log: Log) -> None:
    """Killed before the next segment had its name."""
    leftover = long_log.directory / "00000099.wal.tmp"
    leftover.write_bytes(b"unfinished")
    again = long_log.reopen()
    assert not leftover.exists()
    assert again.writer.next_seq == long_log.writer.next_seq


def test_an_empty_or_short_last_segment(long_log: Log) -> None:
    """It cannot come from a kill, but a power cut on a careless file system may leave it."""
    expected = read(long_log.directory)[0]
    long_log.writer.close()
    for content in (b"", b"BUOYWAL1", bytes(64)):
        path = long_log.directory / "00000050.wal"
        path.write_bytes(content)
        found, damage = read(long_log.directory)
        assert found == expected
        assert damage == []
        again = Log(long_log.directory)
        assert again.writer.next_seq == len(expected) + 3
        again.append(2)
        again.writer.close()
        found, damage = read(long_log.directory)
        assert found == [*expected, len(expected) + 3, len(expected) + 4]
        for segment in long_log.segments():
            if segment >= path:
                segment.unlink()


# Damage in the middle.


def test_every_flipped_byte_of_a_block_costs_that_block(tmp_path: Path) -> None:
    log = Log(tmp_path / "wal")
    for _ in range(5):
        log.append(3)
    log.writer.close()
    victim = blocks(log.directory)[2]
    (path,) = log.segments()
    whole = path.read_bytes()
    for at in range(victim.header.size_bytes):
        broken = bytearray(whole)
        broken[victim.offset + at] ^= 1 << at % 8
        path.write_bytes(broken)
        found, damage = read(log.directory)
        assert found == [number for number in range(15) if not 6 <= number < 9], at
        assert [(each.path, each.offset, each.size, each.first_seq, each.records) for each in damage] == [
            (str(path), victim.offset, victim.header.size_bytes, 6, 3)
        ]
        # Repair keeps what is good on both sides, and goes on in a new segment.
        repaired = Log(log.directory)
        assert repaired.writer.next_seq == 15
        assert repaired.writer.offset_of(WRITER_ID) == log.offset
        repaired.append(1)
        repaired.writer.close()
        assert read(log.directory)[0] == [number for number in range(16) if not 6 <= number < 9]
        log.segments()[1].unlink()


def damage_block(block: Block) -> None:
    with Path(block.path).open("r+b") as file:
        file.seek(block.offset + 100)
        byte = file.read(1)
        file.seek(block.offset + 100)
        file.write(bytes((byte[0] ^ 0xFF,)))


def test_damage_at_the_end_of_a_closed_segment(long_log: Log) -> None:
    total = long_log.writer.next_seq
    last_of_first = [
        block for block in blocks(long_log.directory) if block.path == str(long_log.segments()[0])
    ][-1]
    damage_block(last_of_first)
    found, (damage,) = read(long_log.directory)
    lost = last_of_first.header.records
    assert (damage.first_seq, damage.records) == (last_of_first.header.first_seq, lost)
    assert damage.reason == "the payload's checksum is wrong"
    assert len(found) == total - 3 - lost
    # From beyond the damage on, nobody hears of it.
    assert read(long_log.directory, last_of_first.header.next_seq)[1] == []


def test_damaged_tables_lose_no_records(long_log: Log) -> None:
    expected = read(long_log.directory)[0]
    tables = [block for block in blocks(long_log.directory) if block.header.kind == KIND_TABLES]
    damage_block(tables[0])
    found, (damage,) = read(long_log.directory)
    assert found == expected
    assert damage.records == 0
    assert damage.offset == tables[0].offset
    # Those of the last segment are what a new process needs; older segments have them.
    for block in tables[-2:]:
        damage_block(block)
    again = long_log.reopen()
    new = [block for block in blocks(long_log.directory) if block.path == again.writer.path]
    assert {block.header.writer_id for block in new} == {WRITER_ID, OTHER_WRITER}


def test_a_damaged_segment_header_costs_nothing_else(long_log: Log) -> None:
    expected = read(long_log.directory)[0]
    for index in (0, 2, -1):
        segment = long_log.segments()[index]
        whole = segment.read_bytes()
        segment.write_bytes(b"X" + whole[1:])
        found, (damage,) = read(long_log.directory)
        assert found == expected
        assert (damage.path, damage.offset, damage.size, damage.records) == (str(segment), 0, 64, 0)
        assert WalWriter(str(long_log.directory)).next_seq == long_log.writer.next_seq
        segment.write_bytes(whole)
        for path in long_log.segments():
            if path.name > segment.name and index == -1:
                path.unlink()


def test_a_missing_segment_is_reported(long_log: Log) -> None:
    gone = [block for block in blocks(long_log.directory) if block.path == str(long_log.segments()[1])]
    lost = sum(block.header.records for block in gone if block.header.kind == KIND_DATA)
    total = long_log.writer.next_seq
    long_log.segments()[1].unlink()
    found, (damage,) = read(long_log.directory)
    assert (damage.first_seq, damage.records, damage.size) == (gone[0].header.first_seq, lost, 0)
    assert len(found) == total - 3 - lost
    assert long_log.reopen().writer.next_seq == total


def test_a_block_that_holds_blocks_is_no_trap(log: Log) -> None:
    """A payload may hold anything; what it holds is not taken for blocks when the block around it is damaged."""
    log.append(1)
    inner = blocks(log.directory)[0].data
    noise = random.Random(5).randbytes(3000)
    log.writer.append_records([b"\x42" + noise + inner + noise], time_us=1)
    log.append(1)
    victim = blocks(log.directory)[1]
    damage_block(victim)
    found, (damage,) = read(log.directory)
    assert found == [0, 2]
    assert damage.size == victim.header.size_bytes


def test_a_newer_version_is_left_alone(log: Log) -> None:
    import struct
    from zlib import crc32

    log.append(1)
    log.writer.close()
    (path,) = log.segments()
    whole = bytearray(path.read_bytes())
    whole[8] = 2
    whole[60:64] = struct.pack("<I", crc32(whole[:60]))
    path.write_bytes(whole)
    for use in (lambda: read(log.directory), lambda: WalWriter(str(log.directory))):
        with pytest.raises(UnsupportedVersion, match="format 2"):
            use()
    assert path.read_bytes() == bytes(whole)


# Disks that refuse.


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Lets a test set the largest size of files; undone at the end."""
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, previous[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, previous)


def test_a_full_disk_leaves_the_log_as_it_was(log: Log, small_files: Callable[[int], None]) -> None:
    log.append(5)
    size = log.writer.size_bytes
    # Room for half a block: the write is short before it fails.
    small_files(size + 60)
    offset = log.offset
    for _ in range(3):
        log.offset = offset
        with pytest.raises(OSError, match="File too large"):
            log.append(5)
        assert log.segments()[0].stat().st_size == size
        assert (log.writer.next_seq, log.writer.offset_of(WRITER_ID)) == (5, offset)
    assert read(log.directory) == (list(range(5)), [])
    log.writer.sync()
    small_files(resource.RLIM_INFINITY)
    log.offset = offset
    log.append(5)
    assert read(log.directory) == (list(range(10)), [])


def test_a_full_disk_at_the_roll(tmp_path: Path, small_files: Callable[[int], None]) -> None:
    log = Log(tmp_path / "wal", segment_bytes=500)
    log.define(WRITER_ID, b"\x12" + random.Random(6).randbytes(600))
    small_files(300)
    with pytest.raises(OSError, match="File too large"):
        log.append(1)
    assert len(log.segments()) == 1
    assert not list((tmp_path / "wal").glob("*.tmp"))
    small_files(resource.RLIM_INFINITY)
    log.append(1)
    assert read(log.directory) == ([1], [])
    assert len(log.segments()) == 2


def test_after_a_failed_sync_nothing_is_trusted(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reports lost writes once and forgets them (PostgreSQL's fsync trouble of 2018)."""
    log.append(1)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output"):
            log.writer.sync()
    assert log.writer.synced_seq == 0
    for use in (log.writer.sync, log.append):
        with pytest.raises(OSError, match="failed before"):
            use()
    log.writer.close()
    # What is in the page cache now may never reach the disk, and a second sync would not say so.
    assert Log(log.directory).writer.next_seq == 0


def test_after_a_failed_sync_what_was_synced_before_stays(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(3)
    log.writer.sync()
    log.append(2)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output"):
            log.writer.close()
    again = log.reopen()
    assert again.writer.next_seq == 3
    assert read(log.directory) == ([0, 1, 2], [])


def test_a_failed_sync_at_the_roll_is_no_different(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "wal", segment_bytes=100)
    log.append(3)
    log.writer.sync()
    fail_once = iter([OSError(5, "Input/output error")])
    sync = os.fsync

    def fail(descriptor: int) -> None:
        for error in fail_once:
            raise error
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    for reason in ("Input/output", "failed before"):
        with pytest.raises(OSError, match=reason):
            log.append(1)


def test_a_log_that_cannot_be_opened_leaves_nothing_open(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon tries it again and again while a disk is in trouble: each time cost a descriptor."""
    log.append(1)
    log.writer.close()

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        for _ in range(5):
            with pytest.raises(OSError, match="Input/output"):
                WalWriter(str(log.directory))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_writer_leaves_all_it_appended(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    program = Path(__file__).with_name("wal_process.py")
    directory = tmp_path / "wal"
    with subprocess.Popen([sys.executable, str(program), str(directory)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        target = dice.randrange(100, 2000)
        for line in process.stdout:
            if int(line) >= target:
                break
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().splitlines()
        appended = int(lines[-1]) if lines else target
    found, damage = read(directory)
    assert damage == []
    assert len(found) >= appended
    assert found == list(range(len(found)))
    again = WalWriter(str(directory))
    assert again.next_seq == len(found)
    again.append_records([b"\x42record %d" % len(found)], time_us=1)
    assert read(directory) == ([*found, len(found)], [])
