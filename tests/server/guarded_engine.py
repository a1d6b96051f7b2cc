"""Does what it reads from its standard input with an embedded engine, line by line: for test_write_guard.py.

python -m tests.server.guarded_engine FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from buoy_server.errors import StorageTrouble
from buoy_server.metrics.engine import open_engine
from buoy_server.metrics.parts import suspects
from buoy_server.metrics.remover import MetricsRemover, Unneeded
from buoy_server.metrics.store import MetricsStore, PointColumns


def columns(begin: int, rows: int) -> PointColumns:
    steps = np.arange(begin, begin + rows)
    zeros = np.zeros(rows, dtype=np.uint32)
    return PointColumns(
        1, 1, 1, zeros, zeros, steps, steps.astype(np.uint64), steps, np.sqrt(steps), zeros.astype(np.uint8)
    )


def answer(store: MetricsStore, words: list[str]) -> str:
    if words[0] == "insert":
        begin, rows = int(words[1]), int(words[2])
        try:
            store.insert_points(columns(begin, rows), f"{begin}:{rows}")
        except StorageTrouble as error:
            return error.code
        return "stored"
    if words[0] == "remove":
        # Everything but the steps below the given one.
        MetricsRemover(store.engine).remove([Unneeded(1, {1: int(words[1])})])
        return "asked"
    with store.engine.client() as client:
        if words[0] == "suspects":
            return " ".join(part.name for part in suspects(client)) or "none"
        if words[0] == "merge":
            client.command("OPTIMIZE TABLE points FINAL")
            return "merged"
        found = client.query("SELECT count(), uniqExact(seq), round(sum(value)) FROM points").result_rows[0]
        return " ".join(str(int(value)) for value in found)


def main() -> None:
    engine = open_engine(f"chdb://{Path(sys.argv[1]).absolute()}", 1)
    store = MetricsStore(engine)
    for line in sys.stdin:
        try:
            print(answer(store, line.split()), flush=True)
        except Exception as error:
            print("failed", str(error).splitlines()[0][:200], flush=True)
    engine.close()


if __name__ == "__main__":
    main()
