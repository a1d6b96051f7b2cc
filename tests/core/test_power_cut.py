"""After a power cut: what was synced is there, what is shown is a prefix, and nothing is there twice.

A real log is written onto a disk that takes notes (power_cut.py). For every moment of its life, the file systems that
the machine may find are built and recovered, and the survivors are counted.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import buoy_core
import pytest
from buoy_core import Chunk, wal
from buoy_core.block import KIND_DATA
from buoy_core.errors import CorruptFrame
from buoy_core.wal import Damage, WalReader, WalWriter
from buoy_daemon import files

from tests.core.core_cases import STREAM_ID, WRITER_ID, Spool
from tests.core.power_cut import PAGE, Disk, Image, of_another_boot, spool_image

OTHER_WRITER = bytes(reversed(WRITER_ID))
WRITERS = [WRITER_ID, OTHER_WRITER]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(wal, "os", disk)
    return disk


@pytest.fixture
def seed() -> int:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return seed


class Life:
    """A log that grows: records are numbered through, so that every survivor can be named."""

    def __init__(self, directory: Path, chance: random.Random, segment_bytes: int) -> None:
        self.directory = directory
        self.chance = chance
        self.log = WalWriter(str(directory), STREAM_ID, segment_bytes=segment_bytes)
        self.offsets = dict.fromkeys(WRITERS, 0)

    def append(self, size_bytes: int) -> None:
        """A block of a few records that do not compress."""
        writer_id, records = self.chance.choice(WRITERS), self.chance.randint(1, 3)
        payload = buoy_core.join_records(
            [
                b"\x42%d " % number + self.chance.randbytes(max(size_bytes // records, 1))
                for number in range(self.log.next_seq, self.log.next_seq + records)
            ]
        )
        begin = self.offsets[writer_id]
        self.offsets[writer_id] = begin + len(payload)
        chunk = Chunk(begin, begin + len(payload), records, payload, b"")
        self.log.append(chunk, writer_id, time_us=self.log.next_seq)


def recovered(directory: Path) -> tuple[list[int], list[Damage]]:
    """The numbers in the log, and what a reader says is damaged."""
    numbers: list[int] = []
    damage: list[Damage] = []
    for item in WalReader(str(directory)).blocks():
        if isinstance(item, Damage):
            damage.append(item)
        elif item.header.kind == KIND_DATA:
            numbers += [int(record[1:].split()[0]) for record in buoy_core.split_records(item.payload())]
    return numbers, damage


def put(image: Image, folder: Path) -> Path:
    """The image as files, in an empty folder."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for path, data in image.items():
        (folder / Path(path).name).write_bytes(data)
    return folder


def survivors(image: Image, folder: Path) -> int:
    """Recovers an image: reads it, repairs it, goes on in it, and does it again. Returns how many records survived."""
    put(image, folder)
    numbers, damage = recovered(folder)
    assert damage == []
    assert numbers == list(range(len(numbers)))
    for turn in range(2):
        log = WalWriter(str(folder), STREAM_ID)
        assert log.next_seq == len(numbers) + turn
        assert recovered(folder) == (list(range(len(numbers) + turn)), [])
        log.append_records([b"\x42%d more" % log.next_seq], time_us=1)
        log.close()
    assert recovered(folder) == (list(range(len(numbers) + 2)), [])
    return len(numbers)


def test_any_pages_at_any_moment(tmp_path: Path, disk: Disk, seed: int, monkeypatch: Any) -> None:
    """Blocks of half a page to five pages, synced now and then; the cut comes after any call to the system."""
    chance = random.Random(seed)
    cuts: list[tuple[int, int, list[Image]]] = []
    life = Life(tmp_path / "wal", chance, segment_bytes=40_000)
    for _ in range(30):
        images: list[Image] = []
        disk.after_call = lambda images=images: images.extend(disk.images(chance, most=8))
        synced = life.log.synced_seq
        life.append(chance.choice((500, 3000, 9000, 20_000)))
        if chance.random() < 0.3:
            life.log.sync()
        cuts.append((synced, life.log.next_seq, images))
    assert len(disk.names) > 4
    forget(monkeypatch)
    outcomes: Counter[str] = Counter()
    for synced, appended, images in cuts:
        for image in images:
            found = survivors(image, tmp_path / "image")
            assert synced <= found <= appended
            outcomes["all" if found == appended else "synced" if found == synced else "between"] += 1
    print(outcomes)
    assert min(outcomes[kind] for kind in ("all", "synced", "between")) > 20


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back to the real `os`; recovering need not wait for a real disk."""
    monkeypatch.undo()
    monkeypatch.setattr(wal.os, "fsync", lambda _: None)
    monkeypatch.setattr(wal.os, "fdatasync", lambda _: None)


# Everything that the end of a log can look like. Two blocks are synced, four are not.

SYNCED, APPENDED = 2, 6


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bytes, list[int]]:
    """A log of one segment: its path, its bytes, and where its blocks begin and the last one ends."""
    chance = random.Random(3)
    log = WalWriter(str(tmp_path / "wal"), STREAM_ID)
    begins = []
    for number in range(APPENDED):
        begins.append(Path(log.path).stat().st_size)
        log.append_records([b"\x42%d " % number + chance.randbytes(chance.randint(300, 700))], time_us=number)
        if number == SYNCED - 1:
            log.sync()
    forget(monkeypatch)
    return log.path, Path(log.path).read_bytes(), [*begins, Path(log.path).stat().st_size]


def torn(data: bytes, begins: list[int]) -> Iterator[tuple[bytes, int]]:
    """Cut off at every byte of the last two blocks."""
    for at in range(begins[-3], begins[-1]):
        yield data[:at], sum(begin <= at for begin in begins[1:])


def zero_filled(data: bytes, begins: list[int]) -> Iterator[tuple[bytes, int]]:
    """The same, but the file's size has grown: what was not written reads as zeros."""
    for cut, kept in torn(data, begins):
        yield cut.ljust(len(data), b"\0"), kept


def nothing_written(data: bytes, begins: list[int]) -> Iterator[tuple[bytes, int]]:
    """Everything after the last sync is lost, with the size grown by any number of blocks."""
    for end in begins[SYNCED:]:
        yield data[: begins[SYNCED]].ljust(end, b"\0"), SYNCED


def holes(data: bytes, begins: list[int]) -> Iterator[tuple[bytes, int]]:
    """Any sectors of what was not synced are missing: the first one that is ends the log."""
    sectors = range(begins[SYNCED] // 512, begins[-1] // 512 + 1)
    chance = random.Random(4)
    for _ in range(300):
        broken = bytearray(data)
        gone = begins[-1]
        for sector in sectors:
            if chance.random() < 0.2:
                begin, end = max(sector * 512, begins[SYNCED]), min(sector * 512 + 512, len(data))
                if begin < end:
                    broken[begin:end] = bytes(end - begin)
                    gone = min(gone, begin)
        yield bytes(broken), sum(begin <= gone for begin in begins[1:])


KINDS = {"torn": torn, "zero-filled": zero_filled, "nothing written": nothing_written, "holes": holes}
SURVIVORS = {"torn": {4, 5}, "zero-filled": {4, 5}, "nothing written": {2}, "holes": {2, 3, 4, 5, 6}}


@pytest.mark.parametrize("kind", KINDS)
def test_what_survives(ends: tuple[str, bytes, list[int]], tmp_path: Path, kind: str) -> None:
    path, data, begins = ends
    counts: Counter[int] = Counter()
    for broken, kept in KINDS[kind](data, begins):
        found = survivors({path: broken}, tmp_path / "image")
        assert found == kept
        counts[found] += 1
    print(kind, dict(sorted(counts.items())))
    assert set(counts) == SURVIVORS[kind]


def test_a_hole_in_what_was_synced_is_damage(ends: tuple[str, bytes, list[int]], tmp_path: Path) -> None:
    """An empty sector alone does not make a tail: a later block knows that the place was on disk."""
    path, data, begins = ends
    broken = bytearray(data)
    broken[begins[0] : begins[1]] = bytes(begins[1] - begins[0])
    folder = put({path: bytes(broken)}, tmp_path / "image")
    numbers, (damage,) = recovered(folder)
    assert numbers == [1, 2, 3, 4, 5]
    assert (damage.offset, damage.size, damage.records) == (begins[0], begins[1] - begins[0], 1)
    assert WalWriter(str(folder), STREAM_ID).next_seq == APPENDED


def test_a_flipped_bit_in_what_was_not_synced_is_damage_too(
    ends: tuple[str, bytes, list[int]], tmp_path: Path
) -> None:
    path, data, begins = ends
    broken = bytearray(data)
    broken[begins[3] + 100] ^= 1
    folder = put({path: bytes(broken)}, tmp_path / "image")
    numbers, (damage,) = recovered(folder)
    assert numbers == [0, 1, 2, 4, 5]
    assert damage.records == 1


def test_a_new_log_and_its_folders_have_lasting_names(tmp_path: Path, disk: Disk) -> None:
    """A synced file is no use if the folder that it is in is lost."""
    log = WalWriter(str(tmp_path / "runs" / "run-1" / "wal"), STREAM_ID)
    for path in (
        tmp_path / "runs",
        tmp_path / "runs" / "run-1",
        tmp_path / "runs" / "run-1" / "wal",
        log.path,
    ):
        assert str(path) in disk.lasting


# Spools. Nobody syncs them: they bring back what the kernel has written by itself.


def test_spools_after_a_restart(core: ModuleType, tmp_path: Path, seed: int) -> None:
    """Two segments, each page as it was at any moment: a prefix comes back, or the hole in it is reported."""
    chance = random.Random(seed)
    spool = Spool(core, tmp_path / "spool", segment_bytes=6 * PAGE)
    moments: dict[str, list[bytes]] = {}
    count = 0
    while len(moments) < 2 or count % 40:
        spool.writer.log({"n": count, "pad": "x" * chance.randrange(300)})
        count += 1
        if count % 10 == 0 or len(spool.segments()) > len(moments):
            for segment in spool.segments():
                moments.setdefault(segment.name, []).append(segment.read_bytes())
    whole = {name: of_another_boot(versions[-1]) for name, versions in moments.items()}
    assert rows_after(core, whole, tmp_path / "image") == (list(range(count)), 0)
    outcomes: Counter[str] = Counter()
    for _ in range(150):
        image = {name: spool_image(versions, chance) for name, versions in moments.items()}
        if chance.random() < 0.5:
            # The second segment's name did not survive.
            del image["00000001.seg"]
        found, reported = rows_after(core, image, tmp_path / "image")
        assert found == sorted(set(found))
        assert reported or found == list(range(len(found)))
        outcomes["reported" if reported else "all" if len(found) == count else "prefix"] += 1
    print(outcomes)
    assert min(outcomes["reported"], outcomes["prefix"]) > 5


def rows_after(core: ModuleType, image: Image, folder: Path) -> tuple[list[int], int]:
    """The rows that a daemon would log, and how often it would report a loss."""
    put(image, folder)
    found: list[int] = []
    reported = 0
    try:
        reader = core.SpoolReader(str(folder))
    except CorruptFrame:
        return found, 1
    reported += reader.offset > 0
    while True:
        try:
            chunk = reader.read()
        except CorruptFrame:
            reported += 1
            if not reader.skip_damage():
                break
            continue
        if chunk is None:
            break
        rows = core.decode_rows(chunk.payload)
        found += [int(value) for value in memoryview(rows.value).cast("d")]
    reader.close()
    return found, reported


# Small files that are replaced as a whole.


@pytest.mark.parametrize("durable", [True, False])
def test_small_files_are_old_or_new_or_known_to_be_damaged(
    tmp_path: Path, disk: Disk, durable: bool, monkeypatch: Any
) -> None:
    """The index is durable. ack.json and run.json need not be: their readers take any damage for no file."""
    chance = random.Random(5)
    monkeypatch.setattr(files, "os", disk)
    path, old, new = tmp_path / "some.json", {"value": "old" * 3000}, {"value": "new" * 3000}
    files.write_json(path, old, durable=True, fault="index")
    images: list[Image] = []
    disk.after_call = lambda: images.extend(disk.images(chance))
    files.write_json(path, new, durable=durable, fault="index")
    after = list(disk.images(chance))
    forget(monkeypatch)
    found = [files.read_json(put(image, tmp_path / "image") / path.name) for image in images]
    assert all(value in (old, new, None) for value in found)
    assert old in found
    if durable:
        assert None not in found
        assert all(files.read_json(put(image, tmp_path / "image") / path.name) == new for image in after)
