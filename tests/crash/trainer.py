"""A training process for the crash tests: logs steps, and writes how many were accepted into a mapped counter.

    python trainer.py '{"run_id": ..., "counter": PATH, "steps": N, ...}'

`die_at`: SIGKILL to itself right after that many calls have returned. `pause_s`: time between calls. `transport`: spool
or grpc. `begin`: the first step. `pad`: so many bytes of text in each row, to fill segments. `keep_days`: the setting.
Prints the longest call at the end.
"""

import json
import mmap
import os
import signal
import sys
import time
from pathlib import Path

import buoy


def loss(step: int) -> float:
    """What is logged at a step; tests compute it again."""
    return 1.0 / (step + 1)


def main() -> None:
    options = json.loads(sys.argv[1])
    steps, die_at, pause_s = options["steps"], options.get("die_at"), options.get("pause_s", 0)
    padding = {"pad": "x" * options["pad"]} if "pad" in options else {}
    settings = {"transport": options.get("transport", "spool"), "keep_days": options.get("keep_days")}
    run = buoy.init(project="crash", id=options["run_id"], settings=settings)
    longest_ns = 0
    with Path(options["counter"]).open("r+b") as file, mmap.mmap(file.fileno(), 8) as accepted:
        for step in range(options.get("begin", 0), steps):
            begin = time.perf_counter_ns()
            run.log({"loss": loss(step), "epoch": step // 100, **padding}, step=step)
            longest_ns = max(longest_ns, time.perf_counter_ns() - begin)
            accepted[:8] = (step + 1).to_bytes(8, "little")
            if step + 1 == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if pause_s:
                time.sleep(pause_s)
    run.finish()
    print(f"longest log(): {longest_ns / 1e6:.3f} ms", flush=True)


if __name__ == "__main__":
    main()
