"""All campaigns one after the other, or all of their corpus once: `python -m tests.fuzz --seconds 60 | --replay`.

What is found is kept under `.cache/fuzz`, and the command that shows it again is printed.
"""

from __future__ import annotations

import argparse
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "fuzz"
START_S = 120
"""How long an instrumented process may take to begin and to end on a busy machine."""


def main() -> int:
    """Prints a line for each target; 1 if one of them found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument(
        "--replay", action="store_true", help="run seeds and corpus, without looking for more"
    )
    parser.add_argument("--only", choices=sorted(TARGETS), help="one target instead of all")
    options = parser.parse_args()
    # What readers say about damage, they would say a thousand times.
    logging.disable()
    names = [options.only] if options.only else sorted(TARGETS)
    if options.replay:
        for name in names:
            replay(name)
        return 0
    seconds = max(1, options.seconds // len(names))
    return max([campaign(name, seconds) for name in names])


def campaign(name: str, seconds: int) -> int:
    """Fuzzes one target in a process of its own; 1 if it found something."""
    command = [sys.executable, "-m", "tests.fuzz.campaign", name, "--seconds", str(seconds)]
    before = set(CACHE.glob(f"{name}-*"))
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + START_S, check=False
    )
    said = done.stderr + done.stdout
    found = sorted(set(CACHE.glob(f"{name}-*")) - before)
    print(f"{name:9}{_last(said, r'number_of_executed_units: *([0-9]+)'):>9} runs, ", end="")
    print(
        f"{_last(said, r'cov: ([0-9]+)'):>5} edges, {len(list((CACHE / name).iterdir())):>4} kept: ", end=""
    )
    print("found something" if done.returncode else "sound", flush=True)
    if done.returncode:
        print("\n".join(said.splitlines()[-40:]))
    for path in found:
        print(f"  {sys.executable} -m tests.fuzz.campaign {name} --replay {path}")
    return int(done.returncode != 0)


def _last(text: str, pattern: str) -> str:
    return (re.findall(pattern, text) or ["?"])[-1]


def replay(name: str) -> None:
    """Runs the seeds and everything that was ever kept, found faults included."""
    began = time.monotonic()
    inputs = [*TARGETS[name].seeds(), *(path.read_bytes() for path in sorted(CACHE.glob(f"{name}/*")))]
    inputs += [path.read_bytes() for path in sorted(CACHE.glob(f"{name}-*"))]
    for data in inputs:
        TARGETS[name].run(data)
    print(f"{name:9}{len(inputs):>6} inputs in {time.monotonic() - began:.1f} s: sound", flush=True)


if __name__ == "__main__":
    sys.exit(main())
