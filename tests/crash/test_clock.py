"""A wall clock that is set while buoy runs, by hand or by NTP: order and completeness do not depend on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.seam import Seam
from tests.crash.stack import Stack, wait_until

RESUME = """
import sys, buoy
with buoy.init(project="crash", id="run", resume="allow") as run:
    for step in range(*map(int, sys.argv[1:])):
        run.log({"loss": float(step)}, step=step)
"""


def log_steps(stack: Stack, first: int, end: int) -> None:
    command = [sys.executable, "-c", RESUME, str(first), str(end)]
    subprocess.run(command, env=stack.environment, check=True, capture_output=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("offset_s", [-86_400, 0], ids=["set back", "the same second"])
def test_a_resumed_run_shows_what_it_logs_whatever_the_clock_says(tmp_path: Path, offset_s: int) -> None:
    """The server ordered attempts by when they began. After the clock had been set back, the new attempt came before
    the old one, whose steps from 0 on hid everything that the new one logged. The same could happen to attempts that
    began within one second, when the later one's upload came first."""
    seam = Seam(tmp_path / "seam")
    stack = Stack(tmp_path)
    stack.environment |= seam.environment()
    with stack:
        log_steps(stack, 0, 100)
        stack.kill_server()
        with seam.clock(offset_s):
            log_steps(stack, 1000, 1100)
            log_steps(stack, 2000, 2100)
        stack.start_server()
        wait_until(lambda: stack.points("run") == 300, "all points")
        steps = [step for step, _ in stack.history("run")]
        assert steps == [*range(100), *range(1000, 1100), *range(2000, 2100)]
