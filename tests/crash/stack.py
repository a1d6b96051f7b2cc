"""A whole buoy on this machine, made of real processes that a test may kill: server, daemon, trainers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

TRAINER = Path(__file__).with_name("trainer.py")
PATIENCE_S = 60


def wait_until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Polls until `condition()` is true and returns its value; fails with `what` when patience ends."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {patience_s} s in vain for {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """Server and daemon with folders of their own under `folder`. Use as a context manager."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.port = free_port()
        self.base_url = f"http://{host}:{self.port}"
        self.server: subprocess.Popen[bytes] | None = None
        kept = {key: value for key, value in os.environ.items() if not key.startswith("BUOY_")}
        if core := os.environ.get("BUOY_CORE"):
            kept["BUOY_CORE"] = core
        self.environment = {
            **kept,
            "BUOY_STATE_DIR": str(folder / "state"),
            "BUOY_DIR": str(folder / "runs"),
            "BUOY_BASE_URL": self.base_url,
            # Otherwise it would depend on where the tests run, in a container or not.
            "BUOY_FINISH_WAIT": "disk",
        }

    def __enter__(self) -> Stack:
        self.start_server()
        return self

    def __exit__(self, *_: object) -> None:
        # More than one: a supervisor's may still be starting, in place of one that the test has killed.
        wait_until(self.stop_daemon, "the end of every daemon")
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill_server()

    # -- server ---------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Starts the server on the same port and data as before and waits until it answers."""
        log = self.folder / "server.log"
        command = [sys.executable, "-m", "buoy_server", "--host", self.host, "--port", str(self.port)]
        with log.open("ab") as output:
            begin = output.tell()
            self.server = subprocess.Popen(
                [*command, "--data-dir", str(self.folder / "data")],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

        def ready() -> bool:
            assert self.server is not None
            assert self.server.poll() is None, log.read_text()
            return bool(re.search(rb"^ready: ", log.read_bytes()[begin:], re.MULTILINE))

        wait_until(ready, "the server's ready line")

    def kill_server(self) -> None:
        """SIGKILL; returns when the process is gone."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    # -- daemon ---------------------------------------------------------------------------------------------

    def daemon_pid(self) -> int | None:
        """The pid of the running daemon, from its own lock file."""
        try:
            pid = int((self.folder / "state/daemon.lock").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def kill_daemon(self) -> int:
        """SIGKILL to the daemon; returns its pid."""
        pid = wait_until(self.daemon_pid, "a running daemon")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return int(pid)

    def stop_daemon(self) -> bool:
        """Asks the daemon that serves to end; whether none is left. For `wait_until`."""
        stop = [sys.executable, "-m", "buoy", "daemon", "stop"]
        subprocess.run(stop, env=self.environment, check=False, capture_output=True, timeout=60)
        return not self.daemons()

    def daemons(self) -> list[int]:
        """The daemons and supervisors of this stack, whether or not they hold the lock."""
        folder = str(self.folder / "state")
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            command = process.info["cmdline"] or []
            if "buoy_daemon" in command and folder in command:
                found.append(process.info["pid"])
        return found

    def start_daemon(self) -> None:
        """As a user does it by hand; nothing happens when one runs."""
        start = [sys.executable, "-m", "buoy", "daemon", "start"]
        subprocess.run(start, env=self.environment, check=True, capture_output=True, timeout=60)

    # -- trainers -------------------------------------------------------------------------------------------

    def train(self, run_id: str, steps: int, *, fault: str = "", **options: object) -> Trainer:
        """Starts a process that logs `steps` steps and dies at `fault`; see trainer.py for the options."""
        return Trainer(self, run_id, {"steps": steps, **options}, fault)

    # -- what the server holds ------------------------------------------------------------------------------

    def api_key(self) -> str:
        """The server's token, as it has left it to the daemons of its machine."""
        known = json.loads((self.folder / "state/credentials.json").read_text())
        return str(known[self.base_url]["api_key"])

    def get(self, path: str) -> Any:
        """JSON of an API path; None for 404."""
        key = self.api_key()
        request = urllib.request.Request(
            f"{self.base_url}/api/v1/{path}", headers={"Authorization": f"Bearer {key}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def post(self, path: str, body: bytes, content_type: str) -> Any:
        """What an API path answers to a body. Raises urllib's HTTPError."""
        key = self.api_key()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
        request = urllib.request.Request(f"{self.base_url}/api/v1/{path}", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def run(self, run_id: str) -> dict[str, Any] | None:
        """The run as the server shows it, or None."""
        run: dict[str, Any] | None = self.get(f"p/local:crash/runs/{run_id}")
        return run

    def points(self, run_id: str, key: str = "loss") -> int:
        """Points of a key on the server, duplicates counted."""
        keys = self.get(f"p/local:crash/keys?run={run_id}")
        return next((entry["n"] for entry in keys["keys"] if entry["key"] == key), 0) if keys else 0

    def history(
        self, run_id: str, key: str = "loss", *, project: str = "crash", rank: int | None = None
    ) -> list[tuple[int, float]]:
        """Step and value of every row of the run that has the key; of the lowest rank unless one is given."""
        rows: list[tuple[int, float]] = []
        cursor = None
        while True:
            path = f"p/local:{project}/runs/{run_id}/history?key={key}&limit=10000"
            path += f"&rank={rank}" if rank is not None else ""
            page = self.get(path + (f"&cursor={cursor}" if cursor else ""))
            rows += [(row["_step"], row[key]) for row in page["rows"]]
            cursor = page["cursor"]
            if cursor is None:
                return rows


class Trainer:
    """A training process. It notes what was accepted in a file of its own, through a mapped counter."""

    def __init__(
        self,
        stack: Stack,
        run_id: str,
        options: dict[str, object],
        fault: str = "",
        prefix: Sequence[str] = (),
    ) -> None:
        self.run_id = run_id
        self.counter = stack.folder / f"{run_id}.accepted"
        if not self.counter.exists():
            self.counter.write_bytes(bytes(8))
        self.log = stack.folder / f"{run_id}.log"
        options = {"run_id": run_id, "counter": str(self.counter), **options}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, str(TRAINER), json.dumps(options)],
                env=stack.environment | ({"BUOY_FAULT": fault} if fault else {}),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def accepted(self) -> int:
        """How many calls of log() have returned."""
        return int.from_bytes(self.counter.read_bytes()[:8], "little")

    def wait_accepted(self, count: int) -> None:
        """Returns once `count` calls have returned, or the process has ended."""
        wait_until(
            lambda: self.accepted >= count or self.process.poll() is not None, f"{count} accepted steps"
        )

    def wait(self) -> int:
        """The exit status."""
        return self.process.wait(timeout=PATIENCE_S)

    def output(self) -> str:
        return self.log.read_text()
