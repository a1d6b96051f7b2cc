"""Logs several runs at a steady rate from one process, and says when each step was logged.

    python log_runs.py RUNS KEYS HZ SECONDS

Prints the ids of the runs as a JSON list, waits for a line on stdin, logs, and prints {"times": [unix seconds after
the log() of each step, run by run]} in the end.
"""

from __future__ import annotations

import json
import math
import sys
import time

import buoy


def say(answer: object) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Logs rows of KEYS values for each of RUNS runs, HZ times a second."""
    runs_count, keys, hertz, seconds = map(int, sys.argv[1:])
    runs = [
        buoy.init(project="live", name=f"live-{number}", reinit="create_new") for number in range(runs_count)
    ]
    for run in runs:
        run.log({f"group/key{key:02}": 1.0 for key in range(keys)})
    say([run.id for run in runs])
    sys.stdin.readline()
    times: list[list[float]] = [[] for _ in runs]
    begin = time.monotonic()
    for step in range(1, hertz * seconds):
        for number, run in enumerate(runs):
            value = math.exp(-step / 200) + 0.02 * number
            run.log({f"group/key{key:02}": value + 0.1 * math.sin(step / 9 + key) for key in range(keys)})
            times[number].append(time.time())
        time.sleep(max(0.0, begin + step / hertz - time.monotonic()))
    say({"times": times})
    for run in runs:
        run.finish()


if __name__ == "__main__":
    main()
