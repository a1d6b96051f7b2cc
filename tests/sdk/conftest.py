"""Fixtures of the SDK's tests: real daemons in the test's own folders, ended when the test ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import buoy
import pytest
from buoy.daemon_link import DaemonLink, Starter
from buoy.tracking import exits, session
from buoy_core.state import state_dir

from tests.sdk.servers import Server
from tests.sdk.training import Script, daemons, wait_for


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
    # More than one: a supervisor's may still be starting, in place of one that the test has killed.
    wait_for(_no_daemon_is_left, "no daemon is left")


def _no_daemon_is_left() -> bool:
    if Starter(state_dir()).answers():
        with contextlib.suppress(buoy.CommError), DaemonLink(state_dir()) as link:
            link.shutdown(drain=False)
    return not daemons()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    folder = tmp_path / "work"
    folder.mkdir()
    return Script(folder)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only talk to it; each uses projects of its own."""
    server = Server(tmp_path_factory.mktemp("api") / "server")
    yield server
    server.stop()


@pytest.fixture
def online(server: Server, monkeypatch: pytest.MonkeyPatch, own_user_settings: None) -> Server:  # noqa: ARG001
    monkeypatch.setenv("BUOY_BASE_URL", server.url)
    monkeypatch.setenv("BUOY_API_KEY", server.token)
    return server
