"""One of the processes that hold the writers of the ranks comparison: `python -m bench.rank_worker OPTIONS`, as JSON.

It takes orders line by line from standard input and answers each with a line of JSON. `steady N` logs a row a second
for each writer, N times; `burst N` logs N rows for each as fast as it can, `floor N` writes them as JSON lines; `end`
says how each writer has ended.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from buoy_core import Writer
from buoy_core.state import spool_root
from buoy_proto import v1

KEYS = [f"train/metric_{number}" for number in range(5)]
RUN = v1.RunInfo(entity="local", project="bench", run_id="ranks")


def row(rank: int, step: int) -> dict[str, float]:
    """Different in each call, as training has it."""
    return {key: 1.0 / (1 + step) + rank + number * 1e-3 for number, key in enumerate(KEYS)}


class Worker:
    """Some of the run's writers, each with a spool as a process of its own would have it."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._ranks = range(options["begin"], options["end"])
        self._folder = Path(options["folder"])
        root = spool_root(Path(options["state"]))
        root.mkdir(parents=True, exist_ok=True)
        self._writers = [self._open(root, rank, options) for rank in self._ranks]
        self._step = 0

    def _open(self, root: Path, rank: int, options: dict[str, Any]) -> tuple[bytes, Any]:
        writer_id = secrets.token_bytes(16)
        start = v1.WriterStart(
            writer_id=writer_id,
            run=RUN,
            time_unix_us=time.time_ns() // 1000,
            rank=rank,
            world_size=options["size"],
            host="bench",
            run_dir=str(self._folder / "runs" / "run-ranks"),
            base_url=options["base_url"],
            launch_id=b"the only launch!",
        )
        writer = Writer(str(root / writer_id.hex()), writer_id=writer_id)
        writer.append(v1.Record(writer_start=start).SerializeToString())
        return writer_id, writer

    def steady(self, rounds: int) -> dict[str, float]:
        """A row a second for each writer, all of them once in each second."""
        begin = time.monotonic()
        for number in range(rounds):
            self._log(1)
            time.sleep(max(0.0, begin + number + 1 - time.monotonic()))
        return {"seconds": time.monotonic() - begin}

    def burst(self, rows: int) -> dict[str, float]:
        """As fast as it goes."""
        return {"seconds": _timed(lambda: self._log(rows))}

    def floor(self, rows: int) -> dict[str, float]:
        """The same rows as JSON lines, a file for each writer."""
        return {"seconds": _timed(lambda: self._write_lines(rows))}

    def end(self, _: int) -> dict[str, float]:
        """All writers finish."""
        for writer_id, writer in self._writers:
            end = v1.WriterEnd(writer_id=writer_id, state=v1.RUN_STATE_FINISHED)
            writer.append(v1.Record(writer_end=end).SerializeToString())
            writer.close()
        return {}

    def _log(self, rows: int) -> None:
        for step in range(self._step, self._step + rows):
            for rank, (_, writer) in zip(self._ranks, self._writers, strict=True):
                writer.log(row(rank, step), step=step)
        self._step += rows

    def _write_lines(self, rows: int) -> None:
        files = [(self._folder / f"{rank}.jsonl").open("wb", buffering=0) for rank in self._ranks]
        for step in range(rows):
            for rank, file in zip(self._ranks, files, strict=True):
                file.write(json.dumps({"_step": step} | row(rank, step)).encode() + b"\n")
        for file in files:
            file.close()


def _timed(work: Callable[[], None]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def main() -> None:
    worker = Worker(json.loads(sys.argv[1]))
    print("{}", flush=True)
    orders = {"steady": worker.steady, "burst": worker.burst, "floor": worker.floor, "end": worker.end}
    for line in sys.stdin:
        order, _, number = line.partition(" ")
        print(json.dumps(orders[order.strip()](int(number or 0))), flush=True)


if __name__ == "__main__":
    main()
