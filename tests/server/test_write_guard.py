"""The embedded engine takes no notice of writes that fail. What it says is stored has to be, all the same.

The seam fails its writes; how much room statvfs() shows is a rule of its own, so that each can come first.
"""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.seam import Operation, Rule, Seam
from tests.crash.stack import wait_until

NEAR_FULL_BYTES = 100 << 20
"""Less than the guard's margin, and enough for the engine to begin."""

Ask = Callable[[str], str]


@pytest.fixture
def seam(tmp_path: Path) -> Seam:
    return Seam(tmp_path / "seam")


class Engine:
    """An engine in a process of its own: one takes one folder a process, and the seam must be there from the start."""

    def __init__(self, folder: Path, seam: Seam) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.guarded_engine", str(folder)],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **seam.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture
def ask(tmp_path: Path, seam: Seam) -> Iterator[Ask]:
    engine = Engine(tmp_path / "db", seam)
    yield engine.ask
    engine.end()


def whole(rows: int) -> str:
    """What `ask("count")` says of the rows 0 to n-1, each there once."""
    return f"{rows} {rows} {sum_of_roots(rows)}"


def sum_of_roots(rows: int) -> int:
    return round(math.fsum(math.sqrt(step) for step in range(rows)))


def writes_fail(seam: Seam, tmp_path: Path) -> Rule:
    return seam.fail(tmp_path / "db", Operation.WRITE, errno.ENOSPC)


def little_room(seam: Seam, tmp_path: Path) -> Rule:
    return seam.fail(tmp_path / "db", Operation.SPACE, errno.ENOSPC, after_bytes=NEAR_FULL_BYTES)


def kept_parts(tmp_path: Path) -> list[Path]:
    """Parts with a second name."""
    return list((tmp_path / "db").glob("store/*/*/detached/kept_*"))


def wait_for(ask: Ask, expected: str) -> None:
    deadline = time.monotonic() + 60
    while (found := ask("count")) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.mark.slow
def test_an_insert_that_was_not_written_is_not_stored(tmp_path: Path, seam: Seam, ask: Ask) -> None:
    assert ask("insert 0 1000") == "stored"
    with little_room(seam, tmp_path), writes_fail(seam, tmp_path) as rule:
        assert ask("insert 1000 1000") == "storage_full"
        assert rule.hits
    # What was there can be read, and what was not comes again under the same name.
    assert ask("count") == whole(1000)
    assert ask("insert 1000 1000") == "stored"
    assert ask("insert 1000 1000") == "stored"
    assert ask("count") == whole(2000)


@pytest.mark.slow
def test_a_quota_is_found_where_the_disk_shows_room(tmp_path: Path, seam: Seam, ask: Ask) -> None:
    assert ask("insert 0 1000") == "stored"
    both = Operation.WRITE | Operation.ALLOCATE
    with seam.fail(tmp_path / "db", both, errno.EDQUOT):
        assert ask("insert 1000 1000") == "storage_full"
    assert ask("insert 1000 1000") == "stored"
    assert ask("count") == whole(2000)


@pytest.mark.slow
def test_a_merge_that_was_not_written_gives_way_to_what_it_was_made_of(
    tmp_path: Path, seam: Seam, ask: Ask
) -> None:
    """The disk was full for a moment, too short for anybody to see; it is nearly full when somebody looks."""
    for begin in range(0, 5000, 1000):
        assert ask(f"insert {begin} 1000") == "stored"
    with writes_fail(seam, tmp_path) as rule:
        ask("merge")
        assert rule.hits
    assert ask("count").startswith("failed")
    with little_room(seam, tmp_path):
        wait_for(ask, whole(5000))
    assert ask("insert 5000 1000") == "stored"
    assert ask("count") == whole(6000)


@pytest.mark.slow
def test_nothing_is_merged_while_there_is_little_room(tmp_path: Path, seam: Seam, ask: Ask) -> None:
    for begin in range(0, 2000, 1000):
        assert ask(f"insert {begin} 1000") == "stored"
    with little_room(seam, tmp_path):
        deadline = time.monotonic() + 60
        while (said := ask("merge")) == "merged":
            assert time.monotonic() < deadline
            assert ask(f"insert {2000} 1000") == "stored"
            time.sleep(0.1)
        assert "failed" in said
    deadline = time.monotonic() + 60
    while ask("merge") != "merged":
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("after_bytes", [0, 5_000])
def test_an_insert_on_a_failing_disk_with_room_is_not_stored_either(
    tmp_path: Path, seam: Seam, ask: Ask, after_bytes: int
) -> None:
    """The disk showed room, so nobody looked. The points were gone, and no query of the table worked any more."""
    assert ask("insert 0 1000") == "stored"
    with seam.fail(tmp_path / "db" / "store/*", Operation.WRITE, errno.EIO, after_bytes=after_bytes) as rule:
        assert ask("insert 1000 1000") == "storage_failed"
        assert rule.hits
        assert ask("count") == whole(1000)
    assert ask("insert 1000 1000") == "stored"
    assert ask("count") == whole(2000)


@pytest.mark.slow
def test_a_failed_merge_is_mended_when_the_disk_is_well_and_loses_nothing_before(
    tmp_path: Path, seam: Seam, ask: Ask
) -> None:
    """What it was made of was attached again while writes still failed, so it was lost with the merged part."""
    for begin in range(0, 3000, 1000):
        assert ask(f"insert {begin} 1000") == "stored"
    with seam.fail(tmp_path / "db", Operation.WRITE, errno.EIO) as rule:
        ask("merge")
        assert rule.hits
        wait_until(lambda: kept_parts(tmp_path), "what it was made of to get a second name")
    wait_for(ask, whole(3000))
    wait_until(lambda: not kept_parts(tmp_path), "the second names to go")
    assert ask("insert 3000 1000") == "stored"
    assert ask("merge") == "merged"
    assert ask("count") == whole(4000)


@pytest.mark.slow
def test_a_killed_server_mends_at_its_next_start(tmp_path: Path, seam: Seam) -> None:
    """Neither is a point lost, nor is one there twice: the engine takes broken parts out by itself when it starts."""
    first = Engine(tmp_path / "db", seam)
    for begin in range(0, 2000, 1000):
        assert first.ask(f"insert {begin} 1000") == "stored"
    with seam.fail(tmp_path / "db", Operation.WRITE, errno.EIO):
        first.ask("merge")
        wait_until(lambda: kept_parts(tmp_path), "the second names")
        first.process.kill()
        first.process.wait()
    second = Engine(tmp_path / "db", seam)
    wait_until(lambda: not kept_parts(tmp_path), "the second names to go")
    assert second.ask("count") == whole(2000)
    second.end()


@pytest.mark.slow
def test_a_part_that_only_looks_broken_is_not_dropped(tmp_path: Path, seam: Seam, ask: Ask) -> None:
    """The engine has the last word. A wrong one of the guard drops points that no daemon sends again."""
    assert ask("insert 0 1000") == "stored"
    for part in (tmp_path / "db").glob("store/*/*/all_*"):
        os.truncate(part / "default_compression_codec.txt", 0)
    assert ask("suspects") != "none"
    with seam.fail(tmp_path / "db" / "store/*", Operation.WRITE, errno.EIO):
        assert ask("insert 1000 1000") == "storage_failed"
    assert ask("insert 1000 1000") == "stored"
    assert ask("count") == whole(2000)


WIDE_ROWS = 3_000_000
"""Enough for a part with files of its own for each column. Those of a column of zeros are empty."""


def wide_parts(tmp_path: Path) -> list[Path]:
    return [path.parent for path in (tmp_path / "db").glob("store/*/*/all_*/rank.bin")]


@pytest.mark.slow
def test_empty_files_of_large_parts_are_no_damage(tmp_path: Path, seam: Seam) -> None:
    """Each start dropped every part of over ten megabytes, or read all of it, because no rank but 0 was in it."""
    first = Engine(tmp_path / "db", seam)
    assert first.ask(f"insert 0 {WIDE_ROWS}") == "stored"
    first.process.kill()
    first.process.wait()
    parts = wide_parts(tmp_path)
    assert parts
    assert not any((part / "rank.bin").stat().st_size for part in parts)
    second = Engine(tmp_path / "db", seam)
    assert second.ask("insert 0 10") == "stored"
    assert second.ask("suspects") == "none"
    assert second.ask("count") == f"{WIDE_ROWS + 10} {WIDE_ROWS} {sum_of_roots(WIDE_ROWS) + sum_of_roots(10)}"
    second.end()


@pytest.mark.slow
def test_large_parts_come_back_too(tmp_path: Path, seam: Seam, ask: Ask) -> None:
    for begin in (0, WIDE_ROWS):
        assert ask(f"insert {begin} {WIDE_ROWS}") == "stored"
    with seam.fail(tmp_path / "db", Operation.WRITE, errno.EIO) as rule:
        ask("merge")
        assert rule.hits
        wait_until(lambda: kept_parts(tmp_path), "what it was made of to get a second name")
    wait_until(lambda: not kept_parts(tmp_path), "the second names to go")
    wait_for(ask, f"{2 * WIDE_ROWS} {2 * WIDE_ROWS} {sum_of_roots(2 * WIDE_ROWS)}")


@pytest.mark.slow
def test_a_removal_that_was_not_written_takes_no_other_points_along(
    tmp_path: Path, seam: Seam, ask: Ask
) -> None:
    """To remove a run's points the engine writes anew whatever part they are in, other runs' points too."""
    assert ask("insert 0 3000") == "stored"
    with seam.fail(tmp_path / "db" / "store/*", Operation.WRITE, errno.EIO) as rule:
        assert ask("remove 1000") == "asked"
        wait_until(lambda: rule.hits, "the engine to write")
        wait_until(lambda: kept_parts(tmp_path), "what the part was made of to get a second name")
    wait_until(lambda: not kept_parts(tmp_path), "the second names to go")
    # As a server does at each sweep while something is left.
    wait_until(lambda: ask("remove 1000") == "asked" and ask("count") == whole(1000), "the removal")
    assert ask("insert 3000 10") == "stored"
    assert ask("count").startswith("1010 1010 ")
