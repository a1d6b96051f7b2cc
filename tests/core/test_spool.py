"""The spool between two processes: reading while writing, killed writers, restarted machines, damage, full disks."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import buoy_core.compiled
import buoy_core.python
import pytest
from buoy_core.errors import CorruptFrame, SpoolFull, UnsupportedVersion
from buoy_core.machine import boot_id, pid_namespace, process_identity

from tests.core.core_cases import WRITER_ID, Spool, chunks, decode_points, read_all
from tests.fuzz.checksums import repair_spool

FOREIGN = bytes(16)


def numbers(core: ModuleType, payload: bytes) -> list[object]:
    """The values of key "n"; definitions may be missing from the payload's beginning."""
    rows = core.decode_rows(payload)
    return memoryview(rows.value).cast("d").tolist()


def fill(spool: Spool, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        spool.writer.log({"n": number})


def poll(reader: Any) -> bytes:
    return b"".join(chunk.payload for chunk in chunks(reader))


def test_reading_while_writing(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=5000)
    reader = core.SpoolReader(str(spool.directory))
    assert reader.read() is None
    assert not reader.sealed
    payload, offset = b"", 0
    for turn in range(60):
        fill(spool, turn % 7, turn * 10)
        for chunk in chunks(reader, 100 + turn):
            assert chunk.begin == offset
            offset = chunk.end
            payload += chunk.payload
            assert chunk.records == len(core.split_records(chunk.payload))
        assert offset == reader.offset == spool.writer.committed == reader.committed
    assert len(spool.segments()) > 1
    spool.writer.close()
    assert reader.sealed
    assert payload == spool.payload()


def test_the_header_says_who_writes(spool: Spool) -> None:
    reader = spool.core.SpoolReader(str(spool.directory))
    assert reader.writer_id == WRITER_ID
    assert (reader.pid, reader.process_start) == process_identity()
    assert reader.process_start > 0
    assert reader.pid_namespace == pid_namespace() > 0
    assert not reader.foreign_boot
    assert len(boot_id()) == 16
    assert process_identity(2**22 + 1)[1] == 0


def test_chunks_hold_at_least_a_record_and_never_half_of_one(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool")
    for size in (10, 1000, 10, 100_000, 10):
        spool.writer.append(b"\x42" * size)
    reader = core.SpoolReader(str(spool.directory))
    sizes = [[len(record) for record in core.split_records(chunk.payload)] for chunk in chunks(reader, 1100)]
    assert sizes == [[10, 1000, 10], [100_000], [10]]
    again = core.SpoolReader(str(spool.directory))
    assert [chunk.records for chunk in chunks(again, 1)] == [1] * 5


def test_frames_and_tables(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool")
    start = b"\x4a\x02\x38\x07"
    spool.writer.append(start)
    spool.writer.log({"a": 1, "b": 2})
    chunk = core.SpoolReader(str(spool.directory)).read(frames=True)
    records = core.split_records(chunk.payload)
    assert core.split_records(chunk.tables) == records[:3] == [start, *records[1:3]]
    assert core.table_records(chunk.payload) == chunk.tables
    assert chunk.frames == spool.segments()[0].read_bytes()[4096 : 4096 + chunk.end]
    assert core.parse_frames(chunk.frames, chunk.begin) == chunk
    assert core.frame_records(records) == chunk.frames
    assert core.join_records(records) == chunk.payload
    assert core.SpoolReader(str(spool.directory)).read().frames == b""


def test_damaged_frames_are_refused(core: ModuleType) -> None:
    frames = core.frame_records([b"one", b"two", b"three"])
    for at in range(len(frames)):
        broken = bytearray(frames)
        broken[at] ^= 0x10
        with pytest.raises(CorruptFrame) as error:
            core.parse_frames(bytes(broken), 0)
        assert error.value.offset == (0 if at < 11 else 11 if at < 22 else 22)
        with pytest.raises(CorruptFrame):
            core.parse_frames(frames[: at + 1] if at + 1 not in (11, 22, 35) else frames[:-1], 0)
    for empty in ([b""], [b"x", b""]):
        with pytest.raises(ValueError, match="at least one byte"):
            core.frame_records(empty)
        with pytest.raises(ValueError, match="at least one byte"):
            core.join_records(empty)
    with pytest.raises(ValueError, match="no frames"):
        core.parse_frames(b"", 0)


def test_the_two_readers_agree(tmp_path: Path) -> None:
    spool = Spool(buoy_core.compiled, tmp_path / "spool", segment_bytes=6000)
    dice = random.Random(7)
    for _ in range(300):
        spool.writer.log({f"k{dice.randrange(30)}": dice.random(), "text": "x" * dice.choice((0, 5, 300))})
    for bytes_max in (1, 50, 400, 1 << 20):
        found = [
            list(chunks(core.SpoolReader(str(spool.directory)), bytes_max))
            for core in (buoy_core.compiled, buoy_core.python)
        ]
        assert found[0] == found[1]


def test_going_on_at_any_offset(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 60)
    whole = spool.payload()
    reader = core.SpoolReader(str(spool.directory))
    before = b""
    for chunk in chunks(reader, 1):
        assert before + read_all(core, spool.directory, chunk.begin) == whole
        before += chunk.payload
    assert core.SpoolReader(str(spool.directory), reader.offset).read() is None


def test_release_deletes_what_is_below_and_never_the_newest(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 60)
    segments = spool.segments()
    assert len(segments) > 4
    reader = core.SpoolReader(str(spool.directory))
    first = reader.read()
    assert reader.release(first.end - 1) == 0
    assert reader.release(first.end) == 4400
    assert spool.segments() == segments[1:]
    # Another reader finds the lower segment gone and says so by its offset.
    late = core.SpoolReader(str(spool.directory), 0)
    assert late.offset == first.end
    assert read_all(core, spool.directory) == poll(reader)
    spool.writer.close()
    assert reader.release(reader.offset) == 4400 * (len(segments) - 2)
    assert spool.segments() == segments[-1:]
    assert reader.release(1 << 60) == 0
    assert reader.sealed
    reader.close()
    reader.close()


def test_a_released_spool_frees_the_writers_limit(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192, spool_bytes_max=3 * 8192)
    reader = core.SpoolReader(str(spool.directory))
    for turn in range(20):
        fill(spool, 200, turn * 200)
        poll(reader)
        reader.release(reader.offset)
    assert spool.writer.dropped == 0
    assert len(spool.segments()) == 1


def test_the_control_word(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    assert (spool.writer.control, spool.writer.daemon_seen_ns) == (0, 0)
    reader = core.SpoolReader(str(spool.directory))
    before = time.monotonic_ns()
    reader.set_control(1)
    assert spool.writer.control == 1
    assert before <= spool.writer.daemon_seen_ns <= time.monotonic_ns()
    # It moves on with the writer, and finds the writer wherever it is.
    fill(spool, 30)
    assert len(spool.segments()) > 2
    assert spool.writer.control == 1
    reader.set_control(3)
    assert spool.writer.control == 3
    poll(reader)
    reader.set_control(1)
    assert spool.writer.control == 1


def test_no_spool(core: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        core.SpoolReader(str(tmp_path))
    (tmp_path / "00000000.tmp").write_bytes(b"unfinished")
    with pytest.raises(FileNotFoundError):
        core.SpoolReader(str(tmp_path))


def test_a_leftover_of_a_roll_is_ignored(core: ModuleType, tmp_path: Path) -> None:
    """Killed between making a segment and naming it."""
    spool = Spool(core, tmp_path / "spool")
    fill(spool, 3)
    (spool.directory / "00000001.tmp").write_bytes(bytes(8192))
    reader = core.SpoolReader(str(spool.directory))
    assert numbers(core, poll(reader)) == [0, 1, 2]
    assert reader.read() is None


def test_killed_between_naming_the_next_segment_and_sealing_this_one(
    core: ModuleType, tmp_path: Path
) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 30)
    for segment in spool.segments()[:-1]:
        with segment.open("r+b") as file:
            file.seek(136)
            assert file.read(4) == b"\1\0\0\0"
            file.seek(136)
            file.write(bytes(4))
    assert numbers(core, spool.payload()) == list(range(30))


@pytest.mark.parametrize("seed", range(3))
def test_sigkill_loses_nothing_that_was_returned(core: ModuleType, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    directory = tmp_path / "spool"
    program = Path(__file__).with_name("spool_process.py")
    name = core.__name__.rpartition(".")[2]
    with subprocess.Popen(
        [sys.executable, str(program), name, str(directory), "20000"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        target = dice.randrange(50, 3000)
        for line in process.stdout:
            if int(line) >= target:
                break
        process.send_signal(signal.SIGKILL)
        returned = int((process.stdout.read().splitlines() or [b"%d" % target])[-1])
    reader = core.SpoolReader(str(directory))
    points = decode_points(core, poll(reader))
    found = [value for key, _, value in points if key == "number"]
    # One more call may have been committed without the process living to say so.
    assert found in (list(range(returned + 1)), list(range(returned + 2)))
    assert not reader.sealed


def test_a_reader_thread_sees_only_whole_records(tmp_path: Path) -> None:
    core: Any = buoy_core.compiled
    spool = Spool(core, tmp_path / "spool", segment_bytes=1 << 16)
    reader = core.SpoolReader(str(spool.directory))
    count, found = 20_000, []
    done = threading.Event()

    def work() -> None:
        deadline = time.monotonic() + 60
        while len(found) < count and time.monotonic() < deadline and not done.is_set():
            found.extend(numbers(core, poll(reader)))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        fill(spool, count)
        thread.join()
    finally:
        done.set()
    assert found == list(range(count))


# After a restart of the machine: the committed offset says nothing, the frames are walked.


def crashed_copy(spool: Spool, target: Path) -> list[Path]:
    shutil.copytree(spool.directory, target)
    return sorted(target.glob("*.seg"))


def test_after_a_restart_frames_count_and_offsets_do_not(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 30)
    segments = crashed_copy(spool, tmp_path / "crashed")
    for word in (0, 1, 1 << 40):
        for segment in segments:
            with segment.open("r+b") as file:
                file.seek(128)
                file.write(word.to_bytes(8, "little"))
        reader = core.SpoolReader(str(tmp_path / "crashed"), boot_id=FOREIGN)
        assert reader.foreign_boot
        assert reader.committed == spool.writer.committed
        assert numbers(core, poll(reader)) == list(range(30))
        assert reader.offset == spool.writer.committed


def test_a_wild_committed_offset_is_no_crash(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool")
    fill(spool, 3)
    (segment,) = crashed_copy(spool, tmp_path / "crashed")
    with segment.open("r+b") as file:
        file.seek(128)
        file.write((1 << 60).to_bytes(8, "little"))
    reader = core.SpoolReader(str(tmp_path / "crashed"))
    assert numbers(core, reader.read().payload) == [0, 1, 2]
    with pytest.raises(CorruptFrame, match="length is impossible"):
        reader.read()


def test_a_lost_page_at_the_end_ends_the_spool(core: ModuleType, tmp_path: Path) -> None:
    """Every cut of the last frame: the frames before it survive, nothing is reported."""
    spool = Spool(core, tmp_path / "spool")
    fill(spool, 4)
    end = 4096 + spool.writer.committed
    fill(spool, 1, 4)
    last = 4096 + spool.writer.committed
    (segment,) = crashed_copy(spool, tmp_path / "crashed")
    whole = segment.read_bytes()
    for cut in range(end, last + 1):
        segment.write_bytes(whole[:cut] + bytes(len(whole) - cut))
        reader = core.SpoolReader(str(tmp_path / "crashed"), boot_id=FOREIGN)
        payload = poll(reader)
        assert numbers(core, payload) == list(range(5 if cut == last else 4)), cut
        assert reader.read() is None
        # The log may hold more than the disk kept of the spool.
        beyond = core.SpoolReader(str(tmp_path / "crashed"), last - 4096, boot_id=FOREIGN)
        assert beyond.read() is None


def test_lost_pages_in_the_middle_are_damage(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 30)
    segments = crashed_copy(spool, tmp_path / "crashed")
    whole = segments[1].read_bytes()
    segments[1].write_bytes(whole[:4200] + bytes(len(whole) - 4200))
    reader = core.SpoolReader(str(tmp_path / "crashed"), boot_id=FOREIGN)
    found: list[object] = []
    lost, damage = 0, CorruptFrame("", 0, "")
    while True:
        try:
            chunk = reader.read()
        except CorruptFrame as error:
            damage = error
            lost += reader.skip_damage()
            continue
        if chunk is None:
            break
        found += numbers(core, chunk.payload)
    assert damage.path == str(segments[1])
    assert "missing before 00000002.seg" in damage.reason
    assert 0 < lost < 304
    assert found[0] == 0
    assert found[-1] == 29
    assert 20 <= len(found) < 30
    assert found == sorted(found)


# Damage on a running machine.


def test_every_flipped_byte_of_a_frame_is_noticed(core: ModuleType, tmp_path: Path) -> None:
    """The frames before survive, the rest of the segment is given up, the next segment is read."""
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 24)
    segments = crashed_copy(spool, tmp_path / "crashed")
    whole = segments[1].read_bytes()
    first = core.SpoolReader(str(tmp_path / "crashed")).read()
    per_frame = len(core.frame_records([core.split_records(first.payload)[-1]]))
    for at in range(4096 + per_frame, 4096 + 2 * per_frame):
        broken = bytearray(whole)
        broken[at] ^= 1 << at % 8
        segments[1].write_bytes(broken)
        reader = core.SpoolReader(str(tmp_path / "crashed"))
        found = numbers(core, reader.read().payload) + numbers(core, reader.read().payload)
        for _ in range(2):
            with pytest.raises(CorruptFrame) as error:
                reader.read()
            assert error.value.offset == 4096 + per_frame
        assert reader.skip_damage() > 0
        found += numbers(core, poll(reader))
        assert found[-1] == 23
        assert len(set(range(24)) - set(found)) == 24 - len(found) > 0


def test_damage_in_the_live_segment_gives_up_only_what_is_there(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool")
    fill(spool, 5)
    with spool.segments()[0].open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff")
    reader = core.SpoolReader(str(spool.directory))
    with pytest.raises(CorruptFrame):
        reader.read()
    assert reader.skip_damage() == spool.writer.committed
    assert reader.read() is None
    fill(spool, 3, 5)
    assert numbers(core, poll(reader)) == [5, 6, 7]


def test_a_missing_segment_is_damage(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 24)
    spool.writer.close()
    spool.segments()[1].unlink()
    reader = core.SpoolReader(str(spool.directory))
    found = numbers(core, reader.read().payload)
    with pytest.raises(CorruptFrame, match=r"missing before 00000002\.seg"):
        reader.read()
    assert reader.skip_damage() > 0
    found += numbers(core, poll(reader))
    assert found[-1] == 23
    assert len(found) < 24
    assert reader.sealed


HEADER_FAULTS = [(0, b"X", "no spool segment"), (16, b"\x01\x02", "checksum"), (40, b"\xff", "checksum")]


@pytest.mark.parametrize(("at", "data", "reason"), HEADER_FAULTS)
def test_a_damaged_header(core: ModuleType, tmp_path: Path, at: int, data: bytes, reason: str) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=4400)
    fill(spool, 24)
    segments = crashed_copy(spool, tmp_path / "crashed")
    with segments[1].open("r+b") as file:
        file.seek(at)
        file.write(data)
    reader = core.SpoolReader(str(tmp_path / "crashed"))
    found = numbers(core, reader.read().payload)
    with pytest.raises(CorruptFrame, match=reason) as error:
        reader.read()
    assert error.value.path == str(segments[1])
    assert reader.release(1 << 40) == 0
    assert reader.skip_damage() > 0
    found += numbers(core, poll(reader))
    assert found[-1] == 23
    with segments[0].open("r+b") as file:
        file.truncate(4200)
    # The jump of the offset tells how much is lost.
    late = core.SpoolReader(str(tmp_path / "crashed"))
    assert late.offset == core.SpoolReader(str(spool.directory), late.offset).offset > 304
    for segment in segments[1:]:
        segment.unlink()
    with pytest.raises(CorruptFrame, match="shorter than"):
        core.SpoolReader(str(tmp_path / "crashed"))


def test_a_newer_format_is_left_alone(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool")
    (segment,) = spool.segments()
    before = segment.read_bytes()
    segment.write_bytes(repair_spool(before[:8] + b"\2" + before[9:]))
    with pytest.raises(UnsupportedVersion, match="format 2"):
        core.SpoolReader(str(spool.directory))


# Full disks. A full disk is an error code when a segment is made, never a SIGBUS when it is written.


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel refuses larger files with EFBIG."""
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, previous[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)


def wait_until_recorded(spool: Spool) -> None:
    """Logs until a row is kept again; the writer tries to make a segment every half second."""
    deadline = time.monotonic() + 20
    dropped = spool.writer.dropped
    while time.monotonic() < deadline:
        spool.writer.log({"again": 1.5})
        if spool.writer.dropped == dropped:
            return
        dropped = spool.writer.dropped
        time.sleep(0.01)
    raise AssertionError("the writer does not recover")


def overfill(spool: Spool) -> int:
    """Logs until rows are dropped; returns how many were kept."""
    kept = 0
    while not spool.writer.dropped and kept < 100_000:
        fill(spool, 1, kept)
        kept += 1
    return kept - 1


def check_recovery(spool: Spool, kept: int) -> None:
    """Reads all; the writer was full after `kept` rows, dropped some, and has recovered."""
    reader = spool.core.SpoolReader(str(spool.directory))
    points = decode_points(spool.core, poll(reader))
    assert [value for key, _, value in points if key == "n"] == list(range(kept))
    assert [value for key, _, value in points if key == "again"] == [1.5]
    assert reader.dropped == spool.writer.dropped > 0


def test_the_disk_fills_up_and_empties(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192)
    with file_size_limit(8000):
        kept = overfill(spool)
        begin = time.perf_counter()
        for number in range(1000):
            spool.writer.log({"n": -1, f"fresh{number}": 1.0})
            spool.writer.append(b"\x42" * 5000)
        assert time.perf_counter() - begin < 1
        assert spool.writer.dropped == 2001
        assert spool.writer.step == kept + 1001
        # The daemon sees the count, though there is no new segment.
        assert spool.core.SpoolReader(str(spool.directory)).dropped == 2001
        assert spool.writer.last_values()["n"] == -1
    assert not list(spool.directory.glob("*.tmp"))
    wait_until_recorded(spool)
    check_recovery(spool, kept)


def test_the_caller_is_told_when_rows_are_dropped_and_kept_again(core: ModuleType, tmp_path: Path) -> None:
    """Each time the state changes, once: a training process tells its user, and not at every row."""
    told: list[SpoolFull | None] = []
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192)
    spool.writer.on_full = told.append
    for spell in range(2):
        with file_size_limit(8000):
            overfill(spool) if spell == 0 else fill(spool, 200, 0)
            assert len(told) == 2 * spell + 1
            fill(spool, 10, 0)
        error = told[-1]
        assert isinstance(error, SpoolFull)
        assert (error.cause, "File too large" in str(error)) == ("system", True)
        wait_until_recorded(spool)
        assert len(told) == 2 * spell + 2
        assert told[-1] is None


def test_the_caller_is_told_that_records_wait(core: ModuleType, tmp_path: Path) -> None:
    """The daemon cannot write the log and says so in the header: at the next row, and not at every one."""
    told: list[bool] = []
    spool = Spool(core, tmp_path / "spool")
    spool.writer.on_waiting = told.append
    reader = core.SpoolReader(str(spool.directory))
    for word, expected in ((1, []), (5, [True]), (4, [True]), (1, [True, False]), (5, [True, False, True])):
        reader.set_control(word)
        fill(spool, 3, 0)
        assert told == expected


def test_who_is_told_may_log(core: ModuleType, tmp_path: Path) -> None:
    """What runs then is the SDK's, which may write to a stream that somebody has replaced by one that logs."""
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192)
    spool.writer.on_full = lambda _: spool.writer.log({"told": 1.0})
    with file_size_limit(8000):
        overfill(spool)
    assert spool.writer.dropped == 2
    wait_until_recorded(spool)
    assert [key for key, _, _ in spool.points()][-2:] == ["again", "told"]


@pytest.mark.parametrize(
    ("options", "cause"), [({"free_bytes_min": 1 << 60}, "space"), ({"spool_bytes_max": 5000}, "limit")]
)
def test_why_there_is_no_room(core: ModuleType, tmp_path: Path, options: dict[str, int], cause: str) -> None:
    with pytest.raises(SpoolFull) as caught:
        Spool(core, tmp_path / "spool", **options)
    assert caught.value.cause == cause
    assert str(tmp_path / "spool") in str(caught.value)


def test_the_last_record_always_has_room(core: ModuleType, tmp_path: Path) -> None:
    """A run that ends while its disk is full must not look crashed: how it ended fits into the segment in hand."""
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192)
    with file_size_limit(8000):
        overfill(spool)
        while spool.writer.append(b"\x42"):
            pass
        dropped = spool.writer.dropped
        assert not spool.writer.append(b"\x42", counted=False)
        assert not spool.writer.append(b"\x42" * 200, counted=False, last=True)
        assert spool.writer.dropped == dropped
        assert spool.writer.append(b"\x42" * 100, last=True)
    spool.writer.close()
    assert core.split_records(spool.payload())[-1] == b"\x42" * 100


def test_what_was_dropped_before_there_was_a_spool(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", dropped=17)
    assert spool.writer.dropped == core.SpoolReader(str(spool.directory)).dropped == 17


def test_the_spools_own_limit(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192, spool_bytes_max=3 * 8192)
    kept = overfill(spool)
    assert len(spool.segments()) == 3
    # The daemon catches up.
    reader = core.SpoolReader(str(spool.directory))
    before = poll(reader)
    assert reader.release(reader.offset) == 2 * 8192
    wait_until_recorded(spool)
    points = decode_points(core, before + poll(reader))
    assert [value for key, _, value in points if key == "n"] == list(range(kept))
    assert points[-1][0] == "again"


def test_the_disk_must_keep_some_room(core: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SpoolFull, match="are left to others"):
        Spool(core, tmp_path / "spool", free_bytes_min=1 << 60)
    with pytest.raises(SpoolFull, match="limit"):
        Spool(core, tmp_path / "other", spool_bytes_max=5000)
    with file_size_limit(8000), pytest.raises(SpoolFull, match="File too large"):
        Spool(core, tmp_path / "third")
    assert not list((tmp_path / "third").iterdir())


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting needs root")
def test_a_small_disk_really_full(core: ModuleType, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "buoy", str(disk)], check=False)
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        spool = Spool(core, disk / "spool", segment_bytes=32768, free_bytes_min=0)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(100_000))
        kept = overfill(spool)
        assert kept > 1000
        ballast.unlink()
        wait_until_recorded(spool)
        check_recovery(spool, kept)
        spool.writer.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_folder_is_removed_under_the_writer(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192)
    shutil.rmtree(spool.directory)
    overfill(spool)
    assert spool.writer.dropped == 1
    spool.writer.close()
