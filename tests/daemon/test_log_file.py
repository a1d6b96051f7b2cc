"""The daemon's log stays small and readable, and survives a full disk."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from buoy_core.repeats import Repeats
from buoy_daemon.log_file import LogFile


@pytest.fixture
def log(tmp_path: Path) -> Iterator[logging.Logger]:
    logger = logging.Logger("test")
    handler = LogFile(tmp_path / "daemon.log", bytes_max=1000, older=2)
    logger.addHandler(handler)
    yield logger
    handler.close()


def lines(folder: Path) -> list[str]:
    """All that is kept, the oldest first."""
    files = [folder / name for name in ("daemon.log.2", "daemon.log.1", "daemon.log")]
    return [line for file in files if file.exists() for line in file.read_text().splitlines()]


def test_it_is_bounded_and_keeps_the_newest(tmp_path: Path, log: logging.Logger) -> None:
    for number in range(1000):
        log.info("line %d", number)
    sizes = [path.stat().st_size for path in tmp_path.glob("daemon.log*")]
    assert len(sizes) == 3
    assert max(sizes) <= 1000
    kept = lines(tmp_path)
    assert kept == [f"line {number}" for number in range(1000 - len(kept), 1000)]
    assert len(kept) > 200


def test_a_full_disk_costs_lines_and_not_the_log(tmp_path: Path, log: logging.Logger) -> None:
    log.info("before")
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, previous[1]))
    try:
        for _ in range(3):
            log.info("lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    log.info("after")
    assert lines(tmp_path) == ["before", "after", "(3 lines before this one could not be written)"]


def test_its_folder_may_come_later(tmp_path: Path) -> None:
    handler = LogFile(tmp_path / "later" / "daemon.log", bytes_max=1000, older=2)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.info("lost")
    (tmp_path / "later").mkdir()
    logger.info("kept")
    handler.close()
    assert lines(tmp_path / "later")[0] == "kept"


def test_trouble_is_not_repeated_for_a_while(tmp_path: Path, log: logging.Logger) -> None:
    log.handlers[0].addFilter(Repeats(pause_s=60.0))

    def say(level: int, text: str, at: float) -> None:
        record = log.makeRecord("test", level, "", 0, text, (), None)
        record.created = at
        log.handle(record)

    for second in range(60):
        say(logging.WARNING, "the disk is full", 1000.0 + second)
        say(logging.INFO, "working", 1000.0 + second)
    say(logging.WARNING, "the disk is full", 1060.0)
    say(logging.WARNING, "something else", 1060.0)
    # The clock was set back.
    say(logging.WARNING, "the disk is full", 10.0)
    said = [line for line in lines(tmp_path) if line != "working"]
    assert said == [
        "the disk is full",
        "the disk is full (59 times more since it was last said)",
        "something else",
        "the disk is full",
    ]
