"""Fixtures of the SDK's tests: real daemons in the test's own folders, ended when the test ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from buoy.daemon_link import DaemonLink, Starter
from buoy.errors import CommError
from buoy.tracking import exits, session
from buoy_core.state import state_dir

from tests.sdk.training import Script, gone, wait_for


@pytest.fixture(autouse=True)
def own_user_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUOY_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("BUOY_BASE_URL", "http://127.0.0.1:9")


@pytest.fixture(autouse=True)
def no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hooks for the end of the process belong to processes that end; tests of them use subprocesses."""
    monkeypatch.setattr(exits, "_installed", True)


@pytest.fixture(autouse=True)
def end_runs_and_daemon(own_folders: None) -> Iterator[None]:  # noqa: ARG001  the folders must outlast it
    yield
    session.finish_all(0)
    if not Path(os.environ["BUOY_STATE_DIR"]).exists():
        return
    starter = Starter(state_dir())
    if starter.answers():
        with DaemonLink(state_dir()) as link:
            try:
                pid = link.shutdown(drain=False)
            except CommError:
                return
        wait_for(lambda: gone(pid), "the daemon ends")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    folder = tmp_path / "work"
    folder.mkdir()
    return Script(folder)
