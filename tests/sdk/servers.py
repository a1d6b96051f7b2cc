"""A server for tests of what is read from it, and waiting for what is on its way there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import buoy
from buoy.api import Api
from buoy.errors import CommError

from tests.sdk.training import wait_for


class Server:
    """A server process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "buoy_server", "--port", "0", "--data-dir", str(folder / "data")],
            env={**os.environ, "BUOY_STATE_DIR": str(folder / "state")},
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        found = re.match(r"ready: (http://[^/]+)/\?token=(\S+)", ready)
        assert found, ready
        self.url, self.token = found.groups()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def arrived(path: str, state: str = "finished") -> buoy.api.Run:  # type: ignore[name-defined]
    """The run, once the server has all of it."""

    def look() -> object:
        try:
            run = Api().run(path)
        except CommError:
            return None
        return run if run.state == state else None

    return wait_for(look, f"{path} is {state} on the server")
