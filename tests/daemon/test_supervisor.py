"""The supervisor brings a killed daemon back, and ends with one that was told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 30


def start_supervisor(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "buoy_daemon",
        "run",
        "--supervise",
        "--state-dir",
        str(tmp_path / "state"),
    ]
    return subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)


def end(process: subprocess.Popen[bytes] | None) -> None:
    """Kills a supervisor and its daemon."""
    if process is None:
        return
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait()
    for child in children:
        child.kill()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start_supervisor(tmp_path)
    yield process
    end(process)
    # A test that kills the supervisor leaves a daemon that has found another one.
    for left in psutil.process_iter(["cmdline"]):
        if str(tmp_path / "state") in (left.info["cmdline"] or []):
            left.kill()


def serving_daemon(tmp_path: Path, other_than: int = 0) -> int:
    """The pid in the lock file of a daemon that listens, once it is not `other_than`."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        lock = tmp_path / "state/daemon.lock"
        words = lock.read_text().split() if lock.exists() else []
        if words and int(words[0]) != other_than and (tmp_path / "state/daemon.sock").exists():
            return int(words[0])
        time.sleep(0.02)
    raise AssertionError("no daemon serves")


def test_killed_daemon_comes_back(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    first = serving_daemon(tmp_path)
    os.kill(first, signal.SIGKILL)
    second = serving_daemon(tmp_path, other_than=first)
    assert psutil.Process(second).ppid() == supervisor.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_ends_both(
    tmp_path: Path, supervisor: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    daemon = psutil.Process(serving_daemon(tmp_path))
    supervisor.send_signal(number)
    assert supervisor.wait(PATIENCE_S) == 0
    assert not daemon.is_running()


def say(tmp_path: Path) -> str:
    path = tmp_path / "state/daemon.log"
    return path.read_text() if path.exists() else ""


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def test_a_daemon_that_dies_again_and_again_is_tried_at_growing_pauses(
    tmp_path: Path, supervisor: subprocess.Popen[bytes]
) -> None:
    died_at = []
    pid = 0
    for _ in range(5):
        pid = serving_daemon(tmp_path, other_than=pid)
        os.kill(pid, signal.SIGKILL)
        died_at.append(time.monotonic())
    serving_daemon(tmp_path, other_than=pid)
    pauses = [later - earlier for earlier, later in pairwise(died_at)]
    assert pauses[-1] > 0.8
    said = [line for line in say(tmp_path).splitlines() if "was killed by signal 9" in line]
    assert [line.split("another starts in ")[1] for line in said] == [
        "0.1 s",
        "0.2 s",
        "0.4 s",
        "0.8 s",
        "1.6 s",
    ]
    assert supervisor.poll() is None


def test_a_daemon_that_cannot_start_is_tried_until_it_can(tmp_path: Path) -> None:
    """The index cannot be read: somebody has put a file where its folder was. The spools wait for better times."""
    state = tmp_path / "state"
    spool = state / "spool" / ("12" * 16)
    spool.mkdir(parents=True)
    (state / "streams").write_text("in the way")
    first, second = start_supervisor(tmp_path, "--auto"), None
    try:
        wait_until(lambda: "another starts in 0.4 s" in say(tmp_path), "it has failed three times")
        assert "failed (exit status 1)" in say(tmp_path)
        assert "streams" in say(tmp_path)
        # Whoever wants a daemon now does not wait for the pause, and does not add one supervisor to the other.
        second = start_supervisor(tmp_path, "--auto")
        assert first.wait(PATIENCE_S) == 1
        assert second.poll() is None
        (state / "streams").unlink()
        serving_daemon(tmp_path)
        assert spool.exists()
    finally:
        for process in (first, second):
            end(process)


def test_an_idle_daemon_that_cannot_start_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state/streams").write_text("in the way")
    process = start_supervisor(tmp_path, "--auto")
    try:
        assert process.wait(PATIENCE_S) == 1
    finally:
        end(process)


def other_supervisor(tmp_path: Path, than: int) -> int:
    """The pid of a supervisor that has come after the one that is meant."""
    noted = tmp_path / "state/supervisor"
    wait_until(lambda: (words := noted.read_text().split()) and int(words[0]) != than, "another supervisor")
    return int(noted.read_text().split()[0])


def test_a_killed_supervisor_is_replaced(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    daemon = serving_daemon(tmp_path)
    supervisor.kill()
    supervisor.wait()
    watcher = other_supervisor(tmp_path, supervisor.pid)
    os.kill(daemon, signal.SIGKILL)
    other = serving_daemon(tmp_path, other_than=daemon)
    assert psutil.Process(other).ppid() == watcher
    # Told to end, the daemon takes the new one with it as it would the first.
    os.kill(other, signal.SIGTERM)
    wait_until(
        lambda: not psutil.pid_exists(watcher) or psutil.Process(watcher).status() == "zombie", "its end"
    )


def test_supervisor_killed_and_daemon_told_to_end(
    tmp_path: Path, supervisor: subprocess.Popen[bytes]
) -> None:
    """The one that only watches tells an end from a death, though it is not the parent."""
    daemon = serving_daemon(tmp_path)
    supervisor.kill()
    supervisor.wait()
    watcher = psutil.Process(other_supervisor(tmp_path, supervisor.pid))
    os.kill(daemon, signal.SIGTERM)
    wait_until(lambda: not watcher.is_running() or watcher.status() == "zombie", "the end of both")
    assert "another starts" not in say(tmp_path)


def test_supervisor_stays_small() -> None:
    code = "import sys, buoy_daemon.__main__; print({'grpc', 'google.protobuf', 'psutil'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
