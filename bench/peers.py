"""The trackers we compare with, each behind the same two functions: `log` and `finish`.

This file runs in each peer's own virtual environment, so it imports nothing of ours at the top.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

REQUIREMENTS = {"wandb": "wandb==0.31.0", "trackio": "trackio==0.43.0"}
"""Peers that need a virtual environment of their own, and what is installed there."""


@dataclass
class Tracker:
    """`log` takes one dict of floats; `finish` returns when the peer calls the data saved."""

    log: Callable[[Mapping[str, float]], object]
    finish: Callable[[], object]


def empty(folder: Path) -> Tracker:
    """The floor below every floor: a Python function that does nothing."""
    return Tracker(lambda data: None, lambda: None)


def encoder(folder: Path) -> Tracker:
    """Our encoder and its mapped spool alone; nobody reads the spool."""
    from buoy_core import Writer

    writer = Writer(str(folder / "spool"), writer_id=os.urandom(16))
    return Tracker(writer.log, writer.close)


def json_lines(folder: Path) -> Tracker:
    """What people write by hand: one `json.dumps` and one unbuffered write for each call."""
    file = (folder / "log.jsonl").open("ab", buffering=0)

    def log(data: Mapping[str, float]) -> None:
        file.write(json.dumps(data).encode() + b"\n")

    def finish() -> None:
        os.fsync(file.fileno())
        file.close()

    return Tracker(log, finish)


def buoy(folder: Path) -> Tracker:
    """Ours, with the daemon on the same machine."""
    import buoy

    run = buoy.init(project="bench", dir=str(folder), mode="offline", settings={"silent": True})
    return Tracker(run.log, run.finish)


def wandb(folder: Path) -> Tracker:
    """wandb in offline mode."""
    import wandb

    settings = wandb.Settings(silent=True, console="off", disable_git=True)
    run = wandb.init(project="bench", dir=str(folder), mode="offline", settings=settings)
    return Tracker(run.log, run.finish)


def trackio(folder: Path) -> Tracker:
    """trackio with its local database."""
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio

    run = trackio.init(project="bench", embed=False)
    return Tracker(run.log, trackio.finish)


PEERS: dict[str, Callable[[Path], Tracker]] = {
    "empty": empty,
    "encoder": encoder,
    "json": json_lines,
    "buoy": buoy,
    "trackio": trackio,
    "wandb": wandb,
}
