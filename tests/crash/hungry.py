"""A training process that logs as fast as a small disk fills up, and notes call by call what became of it.

    python hungry.py '{"run_id": ..., "notes": PATH, "stop": PATH}'

Each call of log() leaves a mark (1 accepted, 2 dropped) and its duration in a mapped file. Accepted means that log()
has returned and the writer's count of dropped records has not moved.
"""

from __future__ import annotations

import json
import mmap
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash.stack import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from tests.crash.stack import Stack

CALLS_MAX = 4_000_000
KEYS = 40
ACCEPTED, DROPPED = 1, 2
_HEADER = struct.Struct("<QQ")
PAUSE_S = 0.0002


class Hungry:
    """The process, from the test's side."""

    def __init__(self, stack: Stack, run_id: str, **options: object) -> None:
        self.run_id = run_id
        self._log = stack.folder / f"{run_id}.log"
        self._stop = stack.folder / f"{run_id}.stop"
        notes = stack.folder / f"{run_id}.notes"
        with notes.open("wb") as file:
            file.truncate(_HEADER.size + CALLS_MAX * 5)
        with notes.open("r+b") as file:
            self._notes = mmap.mmap(file.fileno(), 0)
        options = {"run_id": run_id, "notes": str(notes), "stop": str(self._stop), **options}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.hungry", json.dumps(options)],
                cwd=Path(__file__).parents[2],
                env=stack.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def called(self) -> int:
        """How many calls have returned."""
        return int(_HEADER.unpack_from(self._notes)[0])

    @property
    def dropped(self) -> int:
        """How many of them were not accepted."""
        return int(_HEADER.unpack_from(self._notes)[1])

    def accepted_steps(self) -> list[int]:
        marks = self._notes[_HEADER.size : _HEADER.size + self.called]
        return [step for step, mark in enumerate(marks) if mark == ACCEPTED]

    def median_us(self, last: int) -> float:
        """The median of the last durations."""
        end = _HEADER.size + CALLS_MAX + 4 * self.called
        durations = memoryview(self._notes[end - 4 * last : end]).cast("I")
        return statistics.median(durations) / 1000

    def wait_called(self, count: int) -> None:
        """Returns after `count` calls."""
        self._wait(lambda: self.called >= count, f"{count} calls")

    def wait_kept_again(self) -> None:
        """Returns when a few thousand rows in a row were kept."""

        def kept() -> bool:
            called = self.called
            marks = self._notes[_HEADER.size : _HEADER.size + called]
            return called > 3000 and DROPPED not in marks[-3000:]

        self._wait(kept, "rows to be kept again")

    def _wait(self, condition: object, what: str) -> None:
        def look() -> bool:
            assert self.process.poll() is None, self.output()
            return bool(condition())  # type: ignore[operator]

        wait_until(look, what)

    def finish(self) -> float:
        """Has it end its run; returns how long finish() took."""
        self._stop.touch()
        assert self.process.wait(timeout=PATIENCE_S) == 0, self.output()
        return float(self.output().rpartition("finish() took ")[2].split()[0])

    def output(self) -> str:
        return self._log.read_text()

    def said(self, text: str) -> int:
        """How often the terminal has it."""
        return self.output().count(text)


def train(options: dict[str, str]) -> None:
    import buoy

    run = buoy.init(
        project="crash", id=options["run_id"], config={"lr": 0.5}, settings=options.get("settings")
    )
    stop = Path(options["stop"])
    names = [f"key{number}" for number in range(KEYS)]
    with Path(options["notes"]).open("r+b") as file, mmap.mmap(file.fileno(), 0) as notes:
        for step in range(CALLS_MAX):
            row = dict.fromkeys(names, 0.5 * step) | {"loss": 1.0 / (step + 1)}
            before = run._recorder.dropped  # type: ignore[attr-defined]
            begin = time.perf_counter_ns()
            run.log(row, step=step)
            took = min(time.perf_counter_ns() - begin, (1 << 32) - 1)
            dropped = run._recorder.dropped  # type: ignore[attr-defined]
            notes[_HEADER.size + step] = ACCEPTED if dropped == before else DROPPED
            struct.pack_into("<I", notes, _HEADER.size + CALLS_MAX + 4 * step, took)
            _HEADER.pack_into(notes, 0, step + 1, dropped)
            if step % 100 == 0 and stop.exists():
                break
            time.sleep(PAUSE_S)
    begin_s = time.monotonic()
    run.finish()
    print(f"finish() took {time.monotonic() - begin_s:.3f} s", flush=True)


if __name__ == "__main__":
    train(json.loads(sys.argv[1]))
