"""Trains a real model on handwritten digits with checkpoints of its own, and is killed somewhere on the way.

    python digits.py '{"data": NPZ, "folder": PATH, "run_id": ..., "steps": N, "style": ..., "die_after_s": T or null}'

`style` "step": passes the step to log() and says nothing else. "rewind": goes on from its checkpoint with resume_from
and lets buoy count. Every number follows from the seed, so a run that was disturbed must log what an undisturbed one
does.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import buoy
import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

CHECKPOINT_EVERY = 7
BATCH = 32


def gradient(weights: Weights, images: Weights, labels: NDArray[np.int64]) -> tuple[float, Weights]:
    """Cross entropy of softmax regression, and its gradient."""
    scores = images @ weights
    scores -= scores.max(axis=1, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = float(-np.log(chances[rows, labels]).mean())
    chances[rows, labels] -= 1.0
    return loss, images.T @ chances / len(labels)


def load(path: Path) -> tuple[int, Weights]:
    """The step to go on with, and the weights."""
    if not path.exists():
        return 0, np.zeros((64, 10))
    with np.load(path) as kept:
        return int(kept["step"]), kept["weights"]


def save(path: Path, step: int, weights: Weights) -> None:
    """Replaces the checkpoint as a whole."""
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, step=step, weights=weights)
    temporary.replace(path)


def main() -> None:
    options = json.loads(sys.argv[1])
    with np.load(options["data"]) as data:
        images, labels = data["images"], data["labels"]
    path = Path(options["folder"]) / "checkpoint.npz"
    step, weights = load(path)
    run_id, counts = options["run_id"], options["style"] == "rewind"
    if counts and step:
        run = buoy.init(project="crash", resume_from=f"{run_id}?_step={step - 1}")
    else:
        run = buoy.init(project="crash", id=run_id)
    if (after_s := options["die_after_s"]) is not None:
        killer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL))
        killer.daemon = True
        killer.start()
    while step < options["steps"]:
        chosen = np.random.default_rng(step).integers(0, len(labels), BATCH)
        loss, slope = gradient(weights, images[chosen], labels[chosen])
        weights = weights - 0.05 * slope
        values = {"loss": loss, "norm": float(np.abs(weights).sum())}
        run.log(values, step=None if counts else step)
        step += 1
        if step % CHECKPOINT_EVERY == 0:
            save(path, step, weights)
    run.finish()


if __name__ == "__main__":
    main()
