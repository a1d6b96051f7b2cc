"""A job of four real processes, one of which is stopped, one killed, one slow: who is marked, and who no longer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.crash.stack import Stack, wait_until

PATIENCE_S = 150

RANK = """
import sys, time
from pathlib import Path
import buoy

slow, fast = Path(sys.argv[1]), 0.04
run = buoy.init(project="crash", id="job", settings={"ranks": "all"})
step = 0
while True:
    run.log({"loss": 1.0 / (step + 1)}, step=step)
    step += 1
    time.sleep(0.5 if slow.exists() else fast)
"""


class Job:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, rank: int) -> None:
        place = {"BUOY_RANK": rank, "BUOY_LOCAL_RANK": rank, "BUOY_WORLD_SIZE": 4, "BUOY_JOB_ID": "j1"}
        environment = self.stack.environment | {name: str(value) for name, value in place.items()}
        with (self.stack.folder / f"rank{rank}.log").open("ab") as log:
            self.processes[rank] = subprocess.Popen(
                [sys.executable, "-c", RANK, str(self.slow(rank))],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def slow(self, rank: int) -> Path:
        return self.stack.folder / f"slow{rank}"

    def signal(self, rank: int, number: int) -> None:
        os.kill(self.processes[rank].pid, number)

    def writers(self) -> dict[int, dict[str, Any]]:
        """The present process of each rank, as the server shows it."""
        run = self.stack.run("job") or {"writers": []}
        ordered = sorted(run["writers"], key=lambda writer: writer["started_us"])
        return {writer["rank"]: writer for writer in ordered}

    def marks(self) -> dict[int, str | None]:
        return {rank: writer["mark"] for rank, writer in self.writers().items()}

    def told(self) -> Counter[tuple[str, int]]:
        run = self.stack.run("job")
        assert run is not None
        return Counter(
            (event["code"], rank)
            for event in run["events"]
            if event["code"].startswith("rank_")
            for rank in event["details"]["ranks"]
        )

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stopped_killed_and_slow_ranks_are_marked_until_they_are_back(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.environment["BUOY_SERVER_RANK_STOPPED_AFTER"] = "2"
    job = Job(stack)
    with stack:
        try:
            job.slow(3).touch()
            for rank in range(4):
                job.start(rank)
            wait_until(lambda: len(job.writers()) == 4, "four ranks in one run", PATIENCE_S)
            wait_until(
                lambda: all((writer["last_step"] or 0) >= 20 for writer in job.writers().values()),
                "steps of all", PATIENCE_S,
            )  # fmt: skip
            job.signal(1, signal.SIGSTOP)
            job.signal(2, signal.SIGKILL)
            marks = {0: None, 1: "stopped", 2: "dead", 3: "lagging"}
            wait_until(lambda: job.marks() == marks, f"{marks}", PATIENCE_S)
            assert (job.writers()[1]["state"], job.writers()[2]["state"]) == ("running", "crashed")
            expected = Counter([("rank_stopped", 1), ("rank_died", 2), ("rank_lagging", 3)])
            assert job.told() == expected
            shown = status(stack)
            assert {writer["rank"]: writer["state"] for writer in shown} == {
                0: "running", 1: "running", 2: "crashed", 3: "running",
            }  # fmt: skip
            assert all(writer["last_step"] is not None for writer in shown)

            stack.kill_server()
            stack.start_server()
            before = job.writers()[0]["last_step"]
            wait_until(lambda: job.writers()[0]["last_step"] > before + 100, "uploads go on", PATIENCE_S)
            assert (job.marks(), job.told()) == (marks, expected)

            job.signal(1, signal.SIGCONT)
            job.slow(3).unlink()
            job.processes[2].wait()
            job.start(2)
            nobody = dict.fromkeys(range(4))
            wait_until(lambda: job.marks() == nobody, "no marks", PATIENCE_S)
            assert job.told() == expected + Counter([("rank_back", rank) for rank in (1, 2, 3)])
            assert (stack.run("job") or {})["state"] == "running"
        finally:
            job.end()


def status(stack: Stack) -> list[dict[str, Any]]:
    """What `buoy status` knows of the job, without a server."""
    command = [sys.executable, "-m", "buoy", "status", "--json"]
    answer = subprocess.run(command, env=stack.environment, capture_output=True, check=True, timeout=60)
    (run,) = [run for run in json.loads(answer.stdout)["runs"] if run["run"].endswith("/job")]
    writers: list[dict[str, Any]] = run["writers"]
    return writers
