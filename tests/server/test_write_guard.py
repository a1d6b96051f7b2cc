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

NEAR_FULL_BYTES = 100 << 20
"""Less than the guard's margin, and enough for the engine to begin."""

Ask = Callable[[str], str]


@pytest.fixture
def seam(tmp_path: Path) -> Seam:
    return Seam(tmp_path / "seam")


@pytest.fixture
def ask(tmp_path: Path, seam: Seam) -> Iterator[Ask]:
    """An engine in a process of its own: one takes one folder a process, and the seam must be there from the start."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.server.guarded_engine", str(tmp_path / "db")],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **seam.environment()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(line: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    yield ask
    process.communicate(timeout=60)


def whole(rows: int) -> str:
    """What `ask("count")` says of the rows 0 to n-1, each there once."""
    return f"{rows} {rows} {round(sum(math.sqrt(step) for step in range(rows)))}"


def writes_fail(seam: Seam, tmp_path: Path) -> Rule:
    return seam.fail(tmp_path / "db", Operation.WRITE, errno.ENOSPC)


def little_room(seam: Seam, tmp_path: Path) -> Rule:
    return seam.fail(tmp_path / "db", Operation.SPACE, errno.ENOSPC, after_bytes=NEAR_FULL_BYTES)


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
