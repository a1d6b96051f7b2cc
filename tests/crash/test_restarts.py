"""A training that is killed and started again ten times has the curve of one that was left in peace."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.crash.stack import Stack, wait_until

STEPS = 2000
RESTARTS = 10
SEEDS = int(os.environ.get("BUOY_RESTART_SEEDS", "2"))
"""More of them: BUOY_RESTART_SEEDS=20 pytest tests/crash/test_restarts.py"""

SCRIPT = Path(__file__).with_name("digits.py")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    digits = load_digits()
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, images=digits.data / 16.0, labels=digits.target)
    return path


def train(stack: Stack, data: Path, run_id: str, style: str, die_after_s: float | None) -> int:
    """One start of the training; its exit status."""
    folder = stack.folder / f"{run_id}.checkpoints"
    folder.mkdir(exist_ok=True)
    options = {
        "data": str(data), "folder": str(folder), "run_id": run_id, "steps": STEPS, "style": style,
        "die_after_s": die_after_s,
    }  # fmt: skip
    log = (stack.folder / f"{run_id}.log").open("ab")
    with log:
        return subprocess.run(
            [sys.executable, str(SCRIPT), json.dumps(options)],
            env=stack.environment,
            stdout=log,
            stderr=log,
            timeout=120,
            check=False,
        ).returncode


@pytest.fixture(scope="module")
def undisturbed(stack: Stack, data: Path) -> dict[str, list[tuple[int, float]]]:
    assert train(stack, data, "peace", "step", None) == 0
    wait_until(lambda: stack.points("peace") == STEPS, "the undisturbed run")
    return {key: stack.history("peace", key) for key in ("loss", "norm")}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_ten_restarts_make_one_curve(
    stack: Stack, data: Path, undisturbed: dict[str, list[tuple[int, float]]], seed: int
) -> None:
    rng = random.Random(seed)
    style = ("step", "rewind")[seed % 2]
    run_id = f"killed{seed}"
    for _ in range(RESTARTS):
        # Some die before the first step, some in the middle, a few get to the end and are started once more.
        status = train(stack, data, run_id, style, rng.choice([0.0, rng.uniform(0.0, 0.4)]))
        assert status in (0, -signal.SIGKILL), (stack.folder / f"{run_id}.log").read_text()
    assert train(stack, data, run_id, style, None) == 0
    wait_until(lambda: (stack.run(run_id) or {}).get("state") == "finished", "the end")
    wait_until(lambda: len(stack.history(run_id)) >= STEPS, "the whole curve")
    assert undisturbed["loss"][0][0] == 0
    for key, curve in undisturbed.items():
        assert stack.history(run_id, key) == curve
    run = stack.run(run_id) or {}
    assert [attempt["attempt"] for attempt in run["attempts"]] == list(range(1, RESTARTS + 2))
