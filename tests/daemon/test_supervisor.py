"""The supervisor brings a killed daemon back, and ends with one that was told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 30


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "buoy_daemon",
        "run",
        "--supervise",
        "--state-dir",
        str(tmp_path / "state"),
    ]
    process = subprocess.Popen(command)
    yield process
    for child in psutil.Process(process.pid).children() if process.poll() is None else []:
        child.kill()
    process.kill()
    process.wait()


def serving_daemon(tmp_path: Path, other_than: int = 0) -> int:
    """The pid in the lock file of a daemon that listens, once it is not `other_than`."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        words = (tmp_path / "state/daemon.lock").read_text().split() if (tmp_path / "state").exists() else []
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


def test_supervisor_stays_small() -> None:
    code = "import sys, buoy_daemon.__main__; print({'grpc', 'google.protobuf', 'psutil'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
