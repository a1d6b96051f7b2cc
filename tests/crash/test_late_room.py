"""A process that finds no room for its spool when it begins: it records from the moment there is some."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.crash.seam import Seam
from tests.crash.stack import Stack, wait_until

LATE_INIT = """
import sys, time, buoy
run = buoy.init(project="crash", id=sys.argv[1], config={"lr": 0.5})
for step in range(10):
    run.log({"loss": float(step)})
run.config["late"] = True
print("waits", flush=True)
sys.stdin.readline()
time.sleep(1.1)  # It looks for room once a second.
for step in range(10, 20):
    run.log({"loss": float(step)})
run.finish()
"""

LATE_CHILD = """
import os, sys, time, buoy
run = buoy.init(project="crash", id=sys.argv[1])
run.log({"parent": 1.0})
print("forks", flush=True)
sys.stdin.readline()
if os.fork() == 0:
    for step in range(10):
        run.log({"loss": float(step)})
    print("waits", flush=True)
    sys.stdin.readline()
    time.sleep(1.1)
    for step in range(10, 20):
        run.log({"loss": float(step)})
    sys.exit()
os.wait()
run.finish()
"""


@pytest.fixture(scope="module")
def seam(tmp_path_factory: pytest.TempPathFactory) -> Seam:
    return Seam(tmp_path_factory.mktemp("seam") / "seam")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, seam: Seam) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.environment |= seam.environment()
    with stack:
        stack.start_daemon()
        yield stack


def start(stack: Stack, script: str, run_id: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, run_id],
        env=stack.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == line + "\n"


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    print(file=process.stdin, flush=True)


def check(stack: Stack, run_id: str, errors: str) -> None:
    wait_until(lambda: (stack.run(run_id) or {}).get("state") == "finished", f"the end of {run_id}")
    wait_until(lambda: stack.points(run_id) >= 10, f"the points of {run_id}")
    history = stack.history(run_id)
    assert [loss for _, loss in history] == [float(step) for step in range(10, 20)]
    assert [step for step, _ in history] == sorted({step for step, _ in history})
    run = stack.run(run_id)
    assert run is not None
    assert sum(writer["records_dropped"] for writer in run["writers"]) == 10
    assert errors.count("Training goes on") == 1, errors


@pytest.mark.slow
@pytest.mark.parametrize("inodes", [False, True])
def test_a_training_that_starts_on_a_full_disk_is_recorded_once_there_is_room(
    stack: Stack, seam: Seam, inodes: bool
) -> None:
    """It was told that nothing could be recorded, and nothing was for as long as it ran."""
    run_id = f"late{inodes}"
    with seam.full(stack.folder / "state" / "spool", inodes=inodes):
        process = start(stack, LATE_INIT, run_id)
        read_until(process, "waits")
        assert not list((stack.folder / "state" / "spool").iterdir()), "nothing is left behind"
    go_on(process)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    check(stack, run_id, errors)
    run = stack.run(run_id)
    assert run is not None
    assert run["config"] == {"lr": 0.5, "late": True}


@pytest.mark.slow
def test_a_forked_process_counts_what_it_drops_before_it_has_a_spool(stack: Stack, seam: Seam) -> None:
    """Rows that a child logged before there was room for its spool were gone, and no count said so."""
    process = start(stack, LATE_CHILD, "child")
    read_until(process, "forks")
    with seam.full(stack.folder / "state" / "spool"):
        go_on(process)
        read_until(process, "waits")
    go_on(process)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    check(stack, "child", errors)


@pytest.mark.slow
def test_a_training_that_never_had_room_says_how_much_it_has_dropped(stack: Stack, seam: Seam) -> None:
    with seam.full(stack.folder / "state" / "spool"):
        process = start(stack, LATE_INIT, "never")
        read_until(process, "waits")
        go_on(process)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "nothing of this run was recorded, 20 rows were dropped" in errors
    assert stack.run("never") is None
