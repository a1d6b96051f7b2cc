"""Fixtures for all tests: every test gets folders of its own, so nothing touches the user's real state."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what runs in the background so, and every process of a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points BUOY_STATE_DIR and BUOY_DIR into the test's folder and forgets every other BUOY_ variable."""
    for name in [name for name in os.environ if name.startswith("BUOY_") and name != "BUOY_CORE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BUOY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BUOY_DIR", str(tmp_path / "buoy"))
    # Otherwise it would depend on where the tests run, in a container or not.
    monkeypatch.setenv("BUOY_FINISH_WAIT", "disk")
