"""Whatever is killed, and whenever: what log() accepted is on the server in the end, each step once.

Real processes throughout. The kill points come from seeds that are part of the test's name, so a failure can be run
again.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.stack import Stack, wait_until
from tests.crash.trainer import loss

STEPS = 10_000
TRANSPORTS = ["spool", "grpc"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def assert_exactly_once(stack: Stack, run_id: str, at_least: int, at_most: int | None = None) -> None:
    """The server holds the steps 0 .. n-1 with their values, n between the bounds, no step twice."""
    at_most = at_least if at_most is None else at_most
    wait_until(lambda: stack.points(run_id) >= at_least, f"{at_least} points of {run_id} on the server")
    history = stack.history(run_id)
    assert at_least <= len(history) <= at_most
    assert history == [(step, loss(step)) for step in range(len(history))]
    assert stack.points(run_id) == len(history)


def wait_for_state(stack: Stack, run_id: str, state: str) -> None:
    wait_until(lambda: (stack.run(run_id) or {}).get("state") == state, f"{run_id} to be {state}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "transport"), [(seed, "spool") for seed in range(20)] + [(seed, "grpc") for seed in range(6)]
)
def test_killed_trainer_loses_nothing(stack: Stack, seed: int, transport: str) -> None:
    """Even seeds die by their own hand right after a call returned, odd seeds are killed from outside."""
    rng = random.Random(seed)
    kill_point = STEPS if seed in (0, 1) else rng.randint(1, STEPS)
    run_id = f"{transport}{seed}"
    if seed % 2 == 0:
        trainer = stack.train(run_id, STEPS, die_at=kill_point, transport=transport)
        assert trainer.wait() == -signal.SIGKILL, trainer.output()
        assert_exactly_once(stack, run_id, kill_point)
    else:
        trainer = stack.train(run_id, STEPS * 10, transport=transport)
        trainer.wait_accepted(kill_point)
        trainer.process.kill()
        trainer.wait()
        # The call that was under way may have been recorded before it could return.
        assert_exactly_once(stack, run_id, trainer.accepted, trainer.accepted + 1)
    wait_for_state(stack, run_id, "crashed")


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("seed", range(3))
def test_killed_daemon_is_not_noticed_by_the_trainer(tmp_path: Path, seed: int, transport: str) -> None:
    rng = random.Random(seed)
    kill_points = sorted(rng.randint(1, STEPS) for _ in range(3))
    with Stack(tmp_path) as stack:
        trainer = stack.train("run", STEPS, pause_s=0.0002, transport=transport)
        for kill_point in kill_points:
            trainer.wait_accepted(kill_point)
            if trainer.process.poll() is None:
                stack.kill_daemon()
                stack.start_daemon()
        assert trainer.wait() == 0, trainer.output()
        print(trainer.output())
        assert_exactly_once(stack, "run", STEPS)
        wait_for_state(stack, "run", "finished")


@pytest.mark.slow
def test_daemon_that_nobody_restarts_comes_back_by_itself(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        trainer = stack.train("run", STEPS, pause_s=0.001)
        trainer.wait_accepted(STEPS // 10)
        killed = stack.kill_daemon()
        wait_until(lambda: stack.daemon_pid() not in (None, killed), "another daemon")
        assert trainer.accepted < STEPS, "it was finish() that has started the daemon"
        assert trainer.wait() == 0, trainer.output()
        assert_exactly_once(stack, "run", STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_server_gets_everything_after_its_restart(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    kill_points = sorted(rng.randint(1, STEPS) for _ in range(2))
    with Stack(tmp_path) as stack:
        trainer = stack.train("run", STEPS, pause_s=0.0003)
        for kill_point in kill_points:
            trainer.wait_accepted(kill_point)
            stack.kill_server()
            stack.start_server()
        assert trainer.wait() == 0, trainer.output()
        assert_exactly_once(stack, "run", STEPS)
        wait_for_state(stack, "run", "finished")


@pytest.mark.slow
def test_server_that_is_away_from_the_start(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        # The token is known from the first start; then the server goes away before anything is logged.
        stack.kill_server()
        trainer = stack.train("run", STEPS)
        assert trainer.wait() == 0, trainer.output()
        stack.start_server()
        assert_exactly_once(stack, "run", STEPS)
