"""One trainer of a storm: `python -m tests.crash.chaos.trainer '{"run_id": ..., "journals": PATH, ...}'`.

It logs until its steps are done or the storm's stop file says so, in as many threads and forked processes as it was
told, and notes in a journal for each lane what became of each call. Whatever `init()` or `log()` raises is an error of
buoy's: it is printed, and the exit status says so.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import buoy
from buoy.tracking.late import LateRecorder

from tests.crash.chaos.journal import DROPPED, UNSURE, Journal, Lane

BROKEN = 97
"""Exit status of a trainer that buoy has hurt."""


class Stop:
    """One mapped byte that the storm sets."""

    def __init__(self, path: str) -> None:
        with Path(path).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ)

    def __bool__(self) -> bool:
        return self._map[0] != 0


def set_stop(path: Path) -> None:
    """Sets it, in place: the processes that look at a file that is empty for a moment would die of SIGBUS."""
    with path.open("r+b") as file:
        file.write(b"\1")


def dropped_by(run: Any) -> tuple[int, bool]:
    """How many rows this process has dropped, a forked one with a count of its own; and whether it has a spool."""
    recorder = run._recorder
    if isinstance(recorder, LateRecorder):
        return recorder.dropped, False
    return (0, False) if run._is_elsewhere() else (int(recorder.writer.dropped), True)


def log_rows(run: Any, lane: Lane, journal: Journal, options: dict[str, Any], stop: Stop) -> None:
    """Logs the lane's rows."""
    pause_s = options["pause_s"]
    for n in range(options["steps"]):
        if stop:
            break
        before, _ = dropped_by(run)
        step = None if lane.step_base < 0 else lane.step_base + n
        run.log(lane.row(n), step=step)
        after, has_spool = dropped_by(run)
        why = 0
        if after != before:
            why = DROPPED if lane.threads == 1 else UNSURE
        journal.returned(n, after, why, has_spool=has_spool)
        if pause_s:
            time.sleep(pause_s)
    journal.left()


def work(run: Any, process: int, options: dict[str, Any], stop: Stop) -> None:
    """Everything that one process logs."""
    threads = [
        threading.Thread(target=guarded, args=(log_rows, run, lane, journal, options, stop))
        for lane, journal in lanes(process, options)
    ]
    if len(threads) == 1:
        threads[0].run()
        return
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def lanes(process: int, options: dict[str, Any]) -> list[tuple[Lane, Journal]]:
    """A lane and its journal for each thread of a process."""
    made = []
    for thread in range(options["threads"]):
        lane = Lane(
            run_id=options["run_id"],
            attempt=options["attempt"],
            name=f"{options['name']}.{process}.{thread}",
            step_base=options["step_base"],
            keys=options["keys"],
            texts=options["texts"],
            transport=options["transport"],
            threads=options["threads"],
        )
        made.append((lane, Journal(Path(options["journals"]), lane, os.getpid())))
    return made


def guarded(job: Any, *arguments: Any) -> None:
    """Ends the process when buoy raises in it: that is the finding."""
    try:
        job(*arguments)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(BROKEN)


def main() -> None:
    options = json.loads(sys.argv[1])
    stop = Stop(options["stop"])
    children: list[int] = []
    run = buoy.init(
        project="chaos",
        id=options["run_id"],
        resume="allow",
        config={"seed": options["name"]},
        settings={"transport": options["transport"]},
    )
    for process in range(1, options["processes"]):
        if (child := os.fork()) == 0:
            guarded(work, run, process, options, stop)
            if options["child_exit"]:
                os._exit(0)
            return
        children.append(child)
    work(run, 0, options, stop)
    for child in children:
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == BROKEN:
            sys.exit(BROKEN)
    if options["end"] == "finish":
        run.finish()
    elif options["end"] == "exit":
        sys.exit(3)
    elif options["end"] == "vanish":
        os._exit(0)


if __name__ == "__main__":
    main()
