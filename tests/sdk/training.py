"""Real training processes and what became of their runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from buoy.daemon_link import DaemonLink
from buoy.local import LocalRun, run_folders
from buoy_core.state import state_dir

DEADLINE_S = 20.0


def wait_for(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> object:
    """Polls until the condition holds and returns what it gave."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {deadline_s} s: {what}")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be looked at by its parent has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def daemons() -> list[int]:
    """Every daemon process of the test's state folder, those included that only wait for the lock."""
    state = os.environ["BUOY_STATE_DIR"]
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "buoy_daemon" in words and state in words and not gone(process.pid):
            found.append(process.pid)
    return found


def daemon_pid() -> int:
    with DaemonLink(state_dir()) as link:
        return link.status().pid


def only_run(deadline_s: float = DEADLINE_S) -> LocalRun:
    """The run of the test's BUOY_DIR, once the daemon has begun its log."""
    parent = Path(os.environ["BUOY_DIR"])
    wait_for(lambda: len(run_folders(parent)) == 1, "one run folder with a log", deadline_s)
    return LocalRun(run_folders(parent)[0])


def ended_run(state: str) -> LocalRun:
    """The run of the test's BUOY_DIR, once its log says how it ended."""
    wait_for(lambda: only_run().state != "running", f"a run that is {state}")
    run = only_run()
    assert run.state == state
    return run


class Script:
    """Runs Python code as a training process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, code: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(code, **environment)
        out, error = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)
