"""A machine that dies, sleeps, or comes back is seen by the server alone, by its own clock."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.stack import Stack, wait_until

GRACE_S = 4.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    stack.environment["BUOY_SERVER_CRASHED_AFTER"] = str(GRACE_S)
    # The sampler's rows would be signs of life, too; the runs here have nothing but heartbeats.
    stack.environment["BUOY_TELEMETRY"] = "false"
    with stack:
        yield stack


def state_is(stack: Stack, run_id: str, state: str) -> dict[str, Any]:
    run: dict[str, Any] = wait_until(
        lambda: (run := stack.run(run_id)) and run["state"] == state and run, f"{run_id} {state}"
    )
    return run


def stays(condition: Callable[[], bool], seconds: float) -> None:
    """Asks again and again, for a time that is the subject of the test."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition()
        time.sleep(0.1)


def codes(run: dict[str, Any]) -> list[str]:
    return [event["code"] for event in run["events"]]


def signal_all(stack: Stack, number: int, *pids: int) -> None:
    for pid in (*stack.daemons(), *pids):
        os.kill(pid, number)


@pytest.mark.slow
def test_a_machine_that_sleeps_and_then_dies(stack: Stack) -> None:
    trainer = stack.train("r", 10_000, pause_s=1000)
    state_is(stack, "r", "running")
    # It logs nothing any more, and is alive.
    stays(lambda: (stack.run("r") or {})["state"] == "running", 1.25 * GRACE_S)
    signal_all(stack, signal.SIGSTOP)
    run = state_is(stack, "r", "crashed")
    assert codes(run) == ["machine_missing"]
    signal_all(stack, signal.SIGCONT)
    run = state_is(stack, "r", "running")
    assert codes(run) == ["machine_missing", "machine_back"]
    # The whole machine is gone: nobody is left to say how the run ended.
    signal_all(stack, signal.SIGKILL, trainer.process.pid)
    trainer.wait()
    run = state_is(stack, "r", "crashed")
    assert codes(run)[-1] == "machine_missing"
    assert [writer["state"] for writer in run["writers"]] == ["crashed"]
    # It is started again at once, and has all its time.
    again = stack.train("r", 3, pause_s=0.75 * GRACE_S)
    state_is(stack, "r", "running")
    stays(lambda: (stack.run("r") or {})["state"] == "running", 1.25 * GRACE_S)
    assert again.wait() == 0, again.output()
    run = state_is(stack, "r", "finished")
    assert [attempt["state"] for attempt in run["attempts"]] == ["crashed", "finished"]
    assert stack.points("r") == 1 + 3


@pytest.mark.slow
def test_the_servers_own_absence_is_not_the_runs_fault(stack: Stack) -> None:
    # A daemon that finds nobody asks again after ten seconds at most.
    grace_s = 12.0
    stack.environment["BUOY_SERVER_CRASHED_AFTER"] = str(grace_s)
    stack.kill_server()
    stack.start_server()
    trainer = stack.train("r", 10_000, pause_s=1000)
    state_is(stack, "r", "running")
    seen_us = wait_until(lambda: (stack.run("r") or {})["machines"][0]["seen_us"], "a heartbeat")
    stack.kill_server()
    away_until = time.monotonic() + 1.1 * grace_s
    wait_until(lambda: time.monotonic() > away_until, "the grace to pass while nobody listens")
    stack.start_server()

    def heard_again() -> bool:
        run = stack.run("r")
        assert run is not None
        assert (run["state"], codes(run)) == ("running", [])
        return bool(run["machines"][0]["seen_us"] > seen_us + grace_s * 1_000_000)

    wait_until(heard_again, "a heartbeat after the absence")
    trainer.process.kill()
    state_is(stack, "r", "crashed")
