from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon.ingest_server import IngestServer
from tests.daemon.processes import DaemonProcess


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def server() -> Iterator[IngestServer]:
    ingest = IngestServer()
    yield ingest
    ingest.stop()
    assert not ingest.errors


@pytest.fixture
def start_daemon(state_dir: Path) -> Iterator[Callable[..., DaemonProcess]]:
    """Starts daemons, and ends those that are left."""
    started: list[DaemonProcess] = []

    def start(*arguments: str, env: dict[str, str] | None = None, ready: bool = True) -> DaemonProcess:
        daemon = DaemonProcess(state_dir, *arguments, env=env)
        started.append(daemon)
        return daemon.wait_ready() if ready else daemon

    yield start
    for daemon in started:
        daemon.stop()
