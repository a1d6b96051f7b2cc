"""`python -m tests.crash.chaos --seed 7 --seconds 60 --writers 8`: storms, and whether buoy has come through.

Each storm has a folder of its own, which is deleted when all is well and left with all logs when not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.chaos.story import storm_and_verdict, summary


def main() -> int:
    options = _parser().parse_args()
    first = int(time.time()) if options.seed is None else options.seed
    failed = [seed for seed in range(first, first + options.seeds) if _one(seed, options)]
    if failed:
        again = f"--seed {failed[0]} --seconds {options.seconds:g} --writers {options.writers}"
        print(f"FAILED seeds: {failed}; the first one again: python -m tests.crash.chaos {again}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.crash.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the first storm's; by default the time")
    parser.add_argument("--seeds", type=int, default=1, help="how many storms, with seeds that count up")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each rages")
    parser.add_argument("--writers", type=int, default=8, help="trainers at a time")
    parser.add_argument("--folder", type=Path, default=None, help="where the storms' folders go")
    parser.add_argument("--log", type=Path, default=None, help="gets a line of JSON a storm")
    parser.add_argument("--keep", action="store_true", help="delete no folder")
    return parser


def _one(seed: int, options: argparse.Namespace) -> list[str]:
    """One storm; returns what is wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"buoy-chaos-{seed}-", dir=options.folder))
    with (folder / "story.log").open("a") as story:

        def say(text: str) -> None:
            print(text, flush=True)
            print(text, file=story, flush=True)

        verdict, storm = storm_and_verdict(folder, seed, options.seconds, options.writers, say)
        line = summary(seed, storm, verdict)
        say(json.dumps(line))
    if options.log is not None:
        with options.log.open("a") as log:
            print(json.dumps(line | {"folder": str(folder)}), file=log)
    if verdict.errors:
        print(f"[seed {seed}] FAILED; everything is in {folder}", *verdict.errors, sep="\n    ", flush=True)
    elif not options.keep:
        shutil.rmtree(folder)
    return verdict.errors


if __name__ == "__main__":
    sys.exit(main())
