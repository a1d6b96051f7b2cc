"""Logs for the browser tests, told by lines of JSON on stdin; one line of JSON on stdout answers each.

{"init": {...}}                  buoy.init(**...)            -> {"id": ..., "entity": ..., "project": ...}
{"log": {...}, "step": n|null}   run.log(...)                -> {"after": unix seconds after log() returned}
{"curve": n, "keys": [...]}      n made-up rows at once      -> {"after": ...}
{"finish": code}                 run.finish(exit_code=code)  -> {"after": ...}
"""

from __future__ import annotations

import json
import math
import random
import sys
import time

import buoy


def curve(run: buoy.Run, rows: int, keys: list[str], seed: int) -> None:
    """Logs decaying noisy curves; a key that ends in `spiky` has one far outlier, one that ends in `nan` has NaN."""
    noise = random.Random(seed)
    for step in range(rows):
        row = {}
        for number, key in enumerate(keys):
            value = 2.5 * math.exp(-step / (rows / 4)) + 0.1 * noise.random() + 0.05 * number
            if key.endswith("spiky") and step == rows * 2 // 3:
                value = 40.0
            if key.endswith("nan") and step % 37 == 5:
                value = math.nan
            row[key] = value
        run.log(row)


def main() -> None:
    """Answers requests until stdin ends."""
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, object] = {}
        if "init" in request:
            run = buoy.init(**request["init"])
            answer = {"id": run.id, "entity": run.entity or "local", "project": run.project}
        elif run is not None and "log" in request:
            run.log(request["log"], step=request.get("step"))
        elif run is not None and "curve" in request:
            curve(run, request["curve"], request["keys"], request.get("seed", 0))
        elif run is not None and "finish" in request:
            run.finish(exit_code=request["finish"])
        sys.stdout.write(json.dumps({"after": time.time(), **answer}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
