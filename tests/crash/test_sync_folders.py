"""Folders and a real server: what the run page makes of them, also while others send, and after they are gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.stack import Stack, wait_until
from tests.crash.trainer import loss

GRACE_S = 4.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.environment["BUOY_SERVER_CRASHED_AFTER"] = str(GRACE_S)
    with stack:
        yield stack


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Another machine: it has the key of the server, and nothing else."""
    (tmp_path / "state").mkdir(mode=0o700)
    shutil.copy(stack.folder / "state/credentials.json", tmp_path / "state")
    environment = {**stack.environment, "BUOY_STATE_DIR": str(tmp_path / "state"), "BUOY_DIR": str(tmp_path)}
    yield environment
    buoy(environment, "daemon", "stop")


def buoy(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "buoy", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def folder_of(stack: Stack, run_id: str) -> Path:
    def look() -> Path | None:
        return next(iter((stack.folder / "runs").glob(f"run-*-{run_id}")), None)

    found: Path = wait_until(look, f"the folder of {run_id}")
    wait_until(lambda: list(found.glob("wal/*.wal")), f"the log of {run_id}")
    return found


def kill_all(stack: Stack) -> None:
    def none_left() -> bool:
        for pid in stack.daemons():
            os.kill(pid, signal.SIGKILL)
        return not stack.daemons()

    wait_until(none_left, "the death of all daemons")


@pytest.mark.slow
def test_a_run_that_goes_on_is_sent_by_two_daemons(stack: Stack, elsewhere: dict[str, str]) -> None:
    """Its own and one that was given the folder, again and again; each row arrives once."""
    trainer = stack.train("both", 2000, pause_s=0.001)
    folder = folder_of(stack, "both")
    while trainer.process.poll() is None:
        for environment in (elsewhere, stack.environment):
            done = buoy(environment, "sync", str(folder))
            assert done.returncode == 0, done.stdout + done.stderr
    assert trainer.wait() == 0, trainer.output()
    wait_until(lambda: (stack.run("both") or {})["state"] == "finished", "the run's end")
    assert stack.history("both") == [(step, loss(step)) for step in range(2000)]
    assert stack.points("both") == 2000
    run = stack.run("both") or {}
    assert (run["gaps"], len(run["writers"])) == ([], 1)


@pytest.mark.slow
def test_a_copy_from_a_machine_that_died(
    stack: Stack, elsewhere: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left to say how the run ended: in time the server counts it as crashed, not as running for ever."""
    monkeypatch.setitem(stack.environment, "BUOY_MODE", "offline")
    trainer = stack.train("copy", 100_000, pause_s=0.001)
    folder = folder_of(stack, "copy")
    trainer.wait_accepted(500)
    kill_all(stack)
    trainer.process.kill()
    trainer.wait()
    shutil.copytree(folder, tmp_path / "usb" / folder.name)
    done = buoy(elsewhere, "sync", str(tmp_path / "usb"))
    assert done.returncode == 0, done.stdout + done.stderr
    history = stack.history("copy")
    assert history == [(step, loss(step)) for step in range(len(history))]
    assert len(history) > 100
    run = wait_until(
        lambda: (run := stack.run("copy")) and run["state"] == "crashed" and run, "a crashed run"
    )
    assert [event["code"] for event in run["events"]] == ["machine_missing"]
    # The machine is back after all, with what the copy did not have; and says how the run ended.
    done = buoy(stack.environment, "sync", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(lambda: stack.points("copy") >= trainer.accepted, "the rest")
    done = buoy(stack.environment, "sync", str(folder))
    run = stack.run("copy") or {}
    assert [writer["state"] for writer in run["writers"]] == ["crashed"]
    assert "nothing to send" in buoy(elsewhere, "sync", str(tmp_path / "usb")).stdout


@pytest.mark.slow
def test_resume_of_a_run_whose_folder_is_gone(stack: Stack) -> None:
    assert stack.train("gone", 50).wait() == 0
    folder = folder_of(stack, "gone")
    wait_until(lambda: stack.points("gone") == 50, "everything on the server")
    wait_until(lambda: buoy(stack.environment, "clean", "--all-synced", "--yes", str(folder)) and not folder.exists(),
               "the removal")  # fmt: skip
    script = (
        "import buoy; run = buoy.init(project='crash', id='gone', resume='must'); "
        "run.log({'loss': 7.0}); print(run.starting_step, run.attempt, run.summary['epoch'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=stack.environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["50", "2", "0"], done.stderr
    expected = [(step, loss(step)) for step in range(50)] + [(50, 7.0)]
    wait_until(lambda: stack.history("gone") == expected, "one curve")
