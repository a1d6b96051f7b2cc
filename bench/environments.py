"""Interpreters for the peers: ours, and one virtual environment for each peer, kept under `.bench/`."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from bench.peers import REQUIREMENTS

ROOT = Path(__file__).resolve().parents[1]


def interpreter(peer: str) -> str:
    """The Python that has the peer; installs it at the first use."""
    requirement = REQUIREMENTS.get(peer)
    if requirement is None:
        return sys.executable
    folder = ROOT / ".bench" / requirement
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
        (folder / "ready").touch()
    return str(python)


def environment(folder: Path) -> dict[str, str]:
    """The variables of a fresh process: nothing of the user's settings, state in `folder`, no network."""
    foreign = ("BUOY_", "WANDB_", "TRACKIO_", "PYTHON")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    offline = {"WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    return {**kept, **offline, "BUOY_STATE_DIR": str(folder / "state"), "HOME": str(folder)}


def stop_daemon(folder: Path) -> None:
    """Ends the daemon that a measurement started in `folder`."""
    command = [sys.executable, "-m", "buoy", "daemon", "stop"]
    subprocess.run(command, env=environment(folder), check=False, stdout=subprocess.DEVNULL)
