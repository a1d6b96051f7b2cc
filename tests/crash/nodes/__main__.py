"""`python -m tests.crash.nodes --seed 1 --seeds 10 --nodes 8 --local 8`: jobs on simulated nodes, with random kills.

Each has a folder of its own, which is deleted when all is well and left with all logs when not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.nodes.cluster import Job
from tests.crash.nodes.scene import Scene, play


def main() -> int:
    options = _parser().parse_args()
    first = int(time.time()) if options.seed is None else options.seed
    failed = [seed for seed in range(first, first + options.seeds) if _one(seed, options)]
    if failed:
        print(f"FAILED seeds: {failed}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.crash.nodes", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the first job's; by default the time")
    parser.add_argument("--seeds", type=int, default=1, help="how many jobs, with seeds that count up")
    parser.add_argument("--nodes", type=int, default=8, help="machines")
    parser.add_argument("--local", type=int, default=8, help="ranks on each")
    parser.add_argument("--seconds", type=float, default=45.0, help="how long blows fall")
    parser.add_argument("--keep", action="store_true", help="delete no folder")
    return parser


def _one(seed: int, options: argparse.Namespace) -> bool:
    """One job; whether something is wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"buoy-nodes-{seed}-"))
    job = Job(f"job-{seed}", options.nodes, options.local, steps=100_000, pause_s=0.02)
    size = job.size
    scene = Scene(seed, job, options.seconds, launches=1 + seed % 3 // 2, private=size // 16)
    with (folder / "story.log").open("a") as story:
        outcome = play(folder, scene, lambda text: print(text, file=story, flush=True))
    about = vars(outcome) | {"verdict": None, "blows": dict(outcome.blows)} | vars(outcome.verdict)
    print(json.dumps({"seed": seed, "ranks": size, "launches": scene.launches} | about), flush=True)
    if outcome.verdict.errors:
        print(f"[seed {seed}] FAILED; everything is in {folder}", flush=True)
    elif not options.keep:
        shutil.rmtree(folder)
    return bool(outcome.verdict.errors)


if __name__ == "__main__":
    sys.exit(main())
