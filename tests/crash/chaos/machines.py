"""The processes of a storm: a server, machines with a daemon each, and slots in which one trainer follows the other.

Starting and stopping only; when that happens is the plan's business.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from buoy_core import faults, state

from tests.crash.stack import Stack

TRAINER = "tests.crash.chaos.trainer"
ROOT = Path(__file__).parents[3]


class Server:
    """The one server. `start` does not wait until it is ready: a storm goes on meanwhile."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.starts = 0

    @property
    def alive(self) -> bool:
        process = self._stack.server
        return process is not None and process.poll() is None

    def start(self, fault: str = "") -> None:
        """Starts it; `fault` is a fault point where it kills itself, with its count."""
        address = ["--host", self._stack.host, "--port", str(self._stack.port)]
        command = [sys.executable, "-m", "buoy_server", *address]
        environment = self._stack.environment | ({"BUOY_FAULT": fault} if fault else {})
        with (self._stack.folder.parent / "logs" / "server.log").open("ab") as output:
            self._stack.server = subprocess.Popen(
                [*command, "--data-dir", str(self._stack.folder / "data")],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.starts += 1

    def signal(self, number: int) -> None:
        if self.alive and self._stack.server is not None:
            self._stack.server.send_signal(number)

    def end(self, number: int) -> None:
        """Sends SIGTERM or SIGKILL and waits until it is gone; one that does not go in time is killed."""
        process = self._stack.server
        if process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(number)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def ready(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            return self.alive and self._stack.get("projects") is not None
        return False


class Machine:
    """A state folder and its daemon. Several on one real machine pass for several machines: nothing is shared."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.folder = stack.folder
        self.prefix: list[str] = []
        """What comes before a command to run on it."""

    def kill_daemon(self, number: int = signal.SIGKILL) -> bool:
        """A signal to the daemon that serves; False if there is none."""
        pid = self.stack.daemon_pid()
        return pid is not None and _send(pid, number)

    def kill_all_daemons(self) -> None:
        """SIGKILL to supervisors and daemons alike: nobody starts another."""
        for pid in self.stack.daemons():
            _send(pid, signal.SIGKILL)

    def continue_all(self) -> None:
        for pid in self.stack.daemons():
            _send(pid, signal.SIGCONT)

    def start_daemon(self, fault: str = "") -> subprocess.Popen[bytes]:
        """As a user does by hand, without waiting for it."""
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "buoy", "daemon", "start"],
            env=self.stack.environment | ({"BUOY_FAULT": fault} if fault else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def store_key(self, base_url: str) -> None:
        """Lets the daemon know the server's token under the proxy's address."""
        folder = Path(self.stack.environment["BUOY_STATE_DIR"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.store_api_key(folder, base_url, self.stack.environment["CHAOS_KEY"])

    def open_ends(self) -> list[Path]:
        """What is not wholly in a log, or not wholly on the server."""
        folder = Path(self.stack.environment["BUOY_STATE_DIR"])
        while True:
            # A folder may go while its files are listed.
            with contextlib.suppress(FileNotFoundError):
                spools = {
                    path.parent for path in [*folder.glob("spool/*/*.seg"), *folder.glob("outbox/*/*/*.seg")]
                }
                return [*spools, *folder.glob("streams/*.json")]


class Slot:
    """A place for one trainer after the other. What comes next depends on the seed and on how the last one ended."""

    def __init__(self, number: int, seed: int, machine: Machine, stop: Path) -> None:
        self.number = number
        self.machine = machine
        self.count = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.errors: list[str] = []
        self._seed = seed
        self._stop = stop
        self._options: dict[str, object] = {}

    def start(self) -> str:
        """Starts the next trainer; returns its name."""
        rng = random.Random(f"{self._seed}:slot:{self.number}:{self.count}")
        options = self._next(rng)
        point = rng.choice(faults.reached_by(faults.TRAINER))
        fault = {"BUOY_FAULT": f"{point}:{rng.randint(1, 4)}"} if rng.random() < 0.15 else {}
        logs = self.machine.folder.parent / "logs"
        with (logs / f"{options['name']}.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", TRAINER, json.dumps(options)],
                env=self.machine.stack.environment | {"PYTHONPATH": str(ROOT)} | fault,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._options = options
        self.count += 1
        return str(options["name"])

    def _next(self, rng: random.Random) -> dict[str, object]:
        kind = ("spool", "grpc", "fork", "threads")[self.number % 4]
        resumable = self.number % 3 == 0
        again = resumable and self.count > 0 and rng.random() < 0.6
        run_id = str(self._options["run_id"]) if again else f"r{self.number}-{self.count}"
        attempt = int(str(self._options["attempt"])) + 1 if again else 0
        return {
            "run_id": run_id,
            "name": f"{run_id}.{attempt}",
            "attempt": attempt,
            "step_base": attempt * 10_000_000 if resumable else -1,
            "transport": "grpc" if kind == "grpc" else "spool",
            "processes": rng.randint(2, 4) if kind == "fork" else 1,
            "threads": rng.randint(2, 6) if kind == "threads" else 1,
            "child_exit": rng.random() < 0.5,
            "keys": rng.choice([0, 1, 1, 4, 12]),
            "texts": rng.random() < 0.4,
            "pause_s": rng.choice([0.0003, 0.001, 0.002, 0.005, 0.01]),
            "steps": rng.choice([500, 3_000, 1_000_000, 1_000_000]),
            "end": rng.choice(["finish", "finish", "finish", "exit", "vanish"]),
            "journals": str(self._stop.parent),
            "stop": str(self._stop),
        }

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def pids(self) -> list[int]:
        """The trainer and its forked processes."""
        if not self.alive or self.process is None:
            return []
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.process.pid).children(recursive=True)
            # A daemon that init() has started leaves the family at once, but may be met on its way.
            mine = [child.pid for child in children if TRAINER in " ".join(_command(child))]
            return [self.process.pid, *mine]
        return [self.process.pid]

    def note_end(self) -> int | None:
        """The exit status of a trainer that has ended, None while it runs. A bad one becomes an error."""
        if self.process is None:
            return None
        status = self.process.poll()
        if status is not None and status > 0 and status != 3:
            self.errors.append(f"trainer {self._options['name']} ended with status {status}: see its log")
        return status


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
