"""Disks that are full, one after the other and all at once, under real processes: training goes on, the user is told
once and sees the count, nothing that was accepted is lost, and all is well again when there is room.

Each file system is a small tmpfs, which takes root; test_failing_disk.py does without, through the seam.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.hungry import Hungry
from tests.crash.stack import Stack, wait_until
from tests.crash.volume import Volume, needs_volume, volume
from tests.server.streams import Stream

pytestmark = [pytest.mark.slow, needs_volume]

FREE_BYTES_MIN = 8 << 20
"""What spools leave to others here, so that the file systems can be small."""


@contextlib.contextmanager
def stack_on(tmp_path: Path, part: str, size_bytes: int) -> Iterator[tuple[Stack, Volume]]:
    """A stack with `part` of its folder (state, runs or data; all) on a file system of its own."""
    place = tmp_path / ("all" if part == "all" else part)
    with volume(place, size_bytes) as disk:
        for name in ("state", "runs", "data") if part == "all" else ():
            (place / name).mkdir(mode=0o700)
            (tmp_path / name).symlink_to(place / name)
        stack = Stack(tmp_path)
        stack.environment["BUOY_FREE_BYTES_MIN"] = str(FREE_BYTES_MIN)
        with stack:
            yield stack, disk


def writer(stack: Stack, run_id: str) -> dict[str, Any]:
    run = stack.run(run_id)
    return run["writers"][0] if run and run["writers"] else {"records_dropped": 0}


def events(stack: Stack, run_id: str) -> list[str]:
    run = stack.run(run_id) or {"events": []}
    return [event["code"] for event in run["events"]]


def log_errors(stack: Stack) -> list[str]:
    lines = (stack.folder / "state/daemon.log").read_text().splitlines()
    return [line for line in lines if " ERROR " in line or " WARNING " in line]


def status(stack: Stack) -> str:
    command = [sys.executable, "-m", "buoy", "status"]
    done = subprocess.run(command, env=stack.environment, check=False, capture_output=True, text=True)
    return done.stdout


def check_outcome(stack: Stack, trainer: Hungry, state: str = "finished") -> None:
    """The server has what was accepted, all of it and nothing else, and knows how much was not."""
    wait_until(lambda: (stack.run(trainer.run_id) or {}).get("state") == state, f"the run to be {state}")
    accepted = trainer.accepted_steps()
    wait_until(lambda: stack.points(trainer.run_id) >= len(accepted), "the last points")
    assert [step for step, _ in stack.history(trainer.run_id)] == accepted
    assert writer(stack, trainer.run_id)["records_dropped"] == trainer.dropped


def test_the_spools_disk_is_full(tmp_path: Path) -> None:
    with stack_on(tmp_path, "state", 64 << 20) as (stack, disk):
        trainer = Hungry(stack, "spool")
        trainer.wait_called(2000)
        disk.fill(FREE_BYTES_MIN)
        wait_until(lambda: trainer.dropped > 0, "rows to be dropped")
        # While it trains: its terminal, the run page.
        wait_until(lambda: trainer.said("rows are dropped"), "the terminal")
        wait_until(lambda: writer(stack, "spool")["records_dropped"] > 100, "the count on the run page")
        assert stack.run("spool")["state"] == "running"  # type: ignore[index]
        assert events(stack, "spool").count("records_dropped") == 1
        assert trainer.median_us(1000) < 50
        disk.free()
        trainer.wait_kept_again()
        trainer.finish()
        assert trainer.said("rows are dropped") == 1, trainer.output()
        assert trainer.said("Make room on that disk") == 1
        assert trainer.said("there is room again, and rows are kept") == 1
        assert trainer.said("records were dropped because there was no room") == 1
        check_outcome(stack, trainer)
        assert log_errors(stack) == []


def test_the_logs_disk_is_full(tmp_path: Path) -> None:
    """Nothing is lost at all: what cannot be logged waits in the spool."""
    with stack_on(tmp_path, "runs", 16 << 20) as (stack, disk):
        trainer = Hungry(stack, "log")
        trainer.wait_called(2000)
        wait_until(lambda: stack.points("log") > 0, "the first points")
        disk.fill()
        wait_until(lambda: trainer.said("cannot be written now: its disk is full"), "the terminal")
        assert "the log cannot be written: No space left on device" in status(stack)
        before = trainer.called
        trainer.wait_called(before + 5000)
        assert trainer.median_us(1000) < 50
        disk.free()
        wait_until(lambda: trainer.said("can be written again"), "the terminal")
        trainer.finish()
        assert trainer.dropped == 0
        assert trainer.said("cannot be written now") == 1, trainer.output()
        check_outcome(stack, trainer)
        assert len(log_errors(stack)) == 1, log_errors(stack)


def test_a_run_that_ends_while_the_logs_disk_is_full(tmp_path: Path) -> None:
    """finish() does not wait for a disk that may stay full; the daemon does."""
    with stack_on(tmp_path, "runs", 16 << 20) as (stack, disk):
        trainer = Hungry(stack, "end")
        trainer.wait_called(1000)
        disk.fill()
        wait_until(lambda: trainer.said("cannot be written now"), "the terminal")
        took_s = trainer.finish()
        assert took_s < 15, trainer.output()
        assert trainer.said("its last records are safe in") == 1, trainer.output()
        assert trainer.said("No space left on device") == 1
        disk.free()
        check_outcome(stack, trainer)


def test_the_servers_disk_is_full(tmp_path: Path) -> None:
    with stack_on(tmp_path, "data", 200 << 20) as (stack, disk):
        trainer = Hungry(stack, "uploads")
        trainer.wait_called(2000)
        wait_until(lambda: stack.points("uploads") > 0, "the first points")
        disk.fill()
        refused = refusal(stack)
        assert (refused.code, refused.headers["Retry-After"]) == (503, "5")
        problem = json.load(refused)
        assert problem["code"] == "storage_full"
        assert str(disk.folder) in problem["detail"]
        wait_until(lambda: "The disk of the server's folder" in status(stack), "the reason in `buoy status`")
        # Reading goes on.
        shown = stack.points("uploads")
        assert stack.run("uploads")["state"] == "running"  # type: ignore[index]
        assert len(stack.history("uploads")) == shown
        # A server that starts on a full disk shows what it has, too.
        stack.kill_server()
        stack.start_server()
        assert stack.points("uploads") == shown
        assert refusal(stack).code == 503
        trainer.wait_called(trainer.called + 2000)
        disk.free()
        trainer.finish()
        assert trainer.dropped == 0
        assert trainer.said("dropped") == 0
        check_outcome(stack, trainer)
        log = (stack.folder / "server.log").read_text()
        assert log.count("uploads are refused") == 2, log
        assert "Traceback" not in log


def refusal(stack: Stack) -> urllib.error.HTTPError:
    """The answer to an upload that is refused."""
    stream = Stream("other", project="crash")
    with pytest.raises(urllib.error.HTTPError) as caught:
        stack.post(stream.path.removeprefix("/api/v1/"), stream.blocks[0], "application/vnd.buoy.blocks")
    return caught.value


def test_everything_is_on_one_disk_that_is_full(tmp_path: Path) -> None:
    with stack_on(tmp_path, "all", 260 << 20) as (stack, disk):
        trainer = Hungry(stack, "all")
        trainer.wait_called(2000)
        wait_until(lambda: stack.points("all") > 0, "the first points")
        for _ in range(2):
            disk.fill()
            dropped = trainer.dropped
            wait_until(lambda: trainer.dropped > dropped, "rows to be dropped")  # noqa: B023
            assert trainer.median_us(1000) < 50
            # The daemon goes, and another has to start on the full disk.
            killed = stack.kill_daemon()
            wait_until(lambda: stack.daemon_pid() not in (None, killed), "another daemon")  # noqa: B023
            disk.free()
            trainer.wait_kept_again()
        trainer.finish()
        assert trainer.said("rows are dropped") == 1, trainer.output()
        check_outcome(stack, trainer)
        assert len(log_errors(stack)) < 12, log_errors(stack)
