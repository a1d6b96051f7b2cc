"""What a script pays before its first step: `import`, and `init()` with a cold and a warm daemon."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.environments import environment, interpreter, stop_daemon

ROUNDS = 7

TIMED = """
import time
begin = time.perf_counter()
{code}
print("taken", (time.perf_counter() - begin) * 1000)
"""

INIT = """
import {module}
begin = time.perf_counter()
run = {module}.init(project="bench", mode="offline", dir={folder!r})
print("taken", (time.perf_counter() - begin) * 1000, flush=True)
run.finish()
"""


def timed(python: str, code: str, folder: Path) -> float:
    """Milliseconds that the process itself measured and printed last."""
    done = subprocess.run(
        [python, "-c", "import time\n" + code],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    taken = [line for line in done.stdout.splitlines() if line.startswith("taken ")]
    return float(taken[-1].split()[1])


def import_ms(peer: str, module: str) -> float:
    """Median of the time of `import module` in a fresh interpreter."""
    with tempfile.TemporaryDirectory() as name:
        code = TIMED.format(code=f"import {module}")
        return statistics.median(timed(interpreter(peer), code, Path(name)) for _ in range(ROUNDS))


def init_ms(peer: str, *, warm: bool) -> float:
    """Median of the time of `init()`; `warm` leaves the daemon of the first round running."""
    taken = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            folder = Path(name)
            code = INIT.format(module=peer, folder=name)
            try:
                if warm:
                    timed(interpreter(peer), code, folder)
                taken.append(timed(interpreter(peer), code, folder))
            finally:
                if peer == "buoy":
                    stop_daemon(folder)
    return statistics.median(taken)


def main() -> None:
    """Runs the comparison and prints it."""
    print("\nbefore the first step, milliseconds")
    figures = {
        "import buoy": import_ms("buoy", "buoy"),
        "import json, decimal (for scale)": import_ms("buoy", "json, decimal"),
        "import wandb": import_ms("wandb", "wandb"),
        "init(), cold daemon: buoy": init_ms("buoy", warm=False),
        "init(), warm daemon: buoy": init_ms("buoy", warm=True),
        "init(): wandb": init_ms("wandb", warm=False),
    }
    for name, value in figures.items():
        print(f"  {name:34}{value:10.1f}")
    print(f"  Python {sys.version.split()[0]}, {ROUNDS} fresh processes for imports, 3 for init()")


if __name__ == "__main__":
    main()
