"""How a process ends is what the server shows."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.stack import Stack, wait_until

ENDINGS = {
    "normal": ("pass", 0, "finished", 0),
    "exception": ("raise ValueError('wrong')", 1, "failed", 1),
    "sys-exit": ("sys.exit(3)", 3, "failed", 3),
    "sigterm": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "killed", None),
    "sigkill": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "crashed", None),
}

PREAMBLE = "import os, signal, sys, buoy\n"
PLAIN = "run = buoy.init(project='crash', id={id!r})\nrun.log({{'loss': 1.0}})\n{ending}\n"
WITH = "with buoy.init(project='crash', id={id!r}) as run:\n    run.log({{'loss': 1.0}})\n    {ending}\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "with"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_ending_gives_the_state(stack: Stack, tmp_path: Path, ending: str, form: str) -> None:
    code, status, state, exit_code = ENDINGS[ending]
    run_id = f"{ending}-{form}"
    script = tmp_path / "script.py"
    template = PLAIN if form == "plain" else WITH
    script.write_text(PREAMBLE + template.format(id=run_id, ending=code))
    done = subprocess.run(
        [sys.executable, str(script)], env=stack.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    run = wait_until(
        lambda: (run := stack.run(run_id)) and run["state"] != "running" and run, f"the end of {run_id}"
    )
    assert run["state"] == state, done.stderr
    if exit_code is not None:
        assert run["exit_code"] == exit_code
    assert run["summary"]["loss"] == 1.0


@pytest.mark.slow
def test_raised_system_exit_inside_with_keeps_its_code(stack: Stack) -> None:
    script = PREAMBLE + WITH.format(id="raised-exit", ending="raise SystemExit(4)")
    done = subprocess.run([sys.executable, "-c", script], env=stack.environment, check=False)
    assert done.returncode == 4
    run = wait_until(
        lambda: (run := stack.run("raised-exit")) and run["state"] != "running" and run, "the end"
    )
    assert (run["state"], run["exit_code"]) == ("failed", 4)


@pytest.mark.slow
def test_forked_worker_that_leaves_without_a_word_does_not_crash_the_run(stack: Stack) -> None:
    worker = "if os.fork() == 0:\n        run.log({'worker': 1.0})\n        os._exit(9)\n    os.wait()"
    script = PREAMBLE + WITH.format(id="forked", ending=worker)
    done = subprocess.run([sys.executable, "-c", script], env=stack.environment, check=False)
    assert done.returncode == 0
    wait_until(lambda: stack.points("forked", "worker") == 1, "the worker's point")
    run = wait_until(lambda: (run := stack.run("forked")) and run["state"] != "running" and run, "the end")
    assert (run["state"], run["exit_code"]) == ("finished", 0)
    assert len(run["writers"]) == 2
