"""One fresh process of the log() comparison: `python log_worker.py PEER MEASURE CALLS KEYS FOLDER`, figures as JSON.

Runs in the peer's own environment.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from peers import PEERS

WARM_UP_CALLS = 500


def rows(keys: int, calls: int) -> list[dict[str, float]]:
    """Different values in each call, as training has; made before the clock starts."""
    names = [f"train/metric_{key}" for key in range(keys)]
    return [
        {name: 1.0 / (1 + call) + key * 1e-3 for key, name in enumerate(names)}
        for call in range(min(calls, 1000))
    ]


def latency(peer: str, calls: int, keys: int, folder: Path) -> dict[str, float]:
    """Microseconds of single calls, timer included: p50, p99, p99.9 and max."""
    data = rows(keys, calls)
    tracker = PEERS[peer](folder)
    log, clock = tracker.log, time.perf_counter_ns
    for call in range(WARM_UP_CALLS):
        log(data[call % len(data)])
    taken = [0] * calls
    for call in range(calls):
        row = data[call % len(data)]
        begin = clock()
        log(row)
        taken[call] = clock() - begin
    tracker.finish()
    taken.sort()
    quantiles = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    figures = {name: taken[int(share * (calls - 1))] / 1000 for name, share in quantiles.items()}
    return {**figures, "max": taken[-1] / 1000}


def sustained(peer: str, calls: int, keys: int, folder: Path) -> dict[str, float]:
    """Calls a second from the first call to the end of finish(), and this process's CPU seconds for 100,000 calls."""
    data = rows(keys, calls)
    tracker = PEERS[peer](folder)
    log = tracker.log
    for call in range(WARM_UP_CALLS):
        log(data[call % len(data)])
    before = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.perf_counter()
    for call in range(calls):
        log(data[call % len(data)])
    logged = time.perf_counter()
    tracker.finish()
    end = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "calls/s": calls / (end - begin),
        "calls/s, log() alone": calls / (logged - begin),
        "trainer CPU s/100k": cpu_s * 100_000 / calls,
    }


def main() -> None:
    """Reads the command line."""
    peer, measure, calls, keys, folder = sys.argv[1:]
    measures = {"latency": latency, "sustained": sustained}
    figures = measures[measure](peer, int(calls), int(keys), Path(folder))
    print("\n" + json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
