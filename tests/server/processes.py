"""Real server processes that a test may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

import httpx

PATIENCE_S = 60


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith("BUOY_") or key == "BUOY_CORE"
    }
    return kept | {"BUOY_STATE_DIR": str(folder / "state")} | more


class ServerProcess:
    """`python -m buoy_server` on a port of its own; a context manager."""

    def __init__(self, folder: Path, *options: str, port: int = 0, fault: str = "") -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        more = {"BUOY_FAULT": fault} if fault else {}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "buoy_server",
                "--port",
                str(port),
                "--data-dir",
                str(self.data_dir),
                *options,
            ],
            env=environment(folder, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url, self.token = self._wait_ready()
        self.client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=PATIENCE_S,
            trust_env=False,
        )

    def _wait_ready(self) -> tuple[str, str]:
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line.startswith("ready: "):
            self.process.kill()
            raise AssertionError(f"the server did not start: {line!r} {self.process.communicate()[1]}")
        self.ready_line = line
        url, _, token = line.removeprefix("ready: ").strip().partition("/?token=")
        return url, token

    def stop(self, signal_number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Ends it and returns the exit code and the rest of its output."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)


def run_server(folder: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a server that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "buoy_server", *options],
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
