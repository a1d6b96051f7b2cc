"""A real training in two processes that torchrun starts, with gradients that gloo averages. Needs torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.stack import Stack, wait_until

pytest.importorskip("torch.distributed")

SCRIPT = Path(__file__).with_name("ddp.py")
STEPS = 60


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def train(stack: Stack, folder: Path, ranks: str) -> tuple[list[dict[str, Any]], str]:
    """What each rank has written, and what was said on the terminal."""
    folder.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = stack.environment | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder), ranks, str(STEPS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    assert found[0]["weights"] == found[1]["weights"], "gloo has averaged the gradients"
    assert found[0]["losses"] != found[1]["losses"]
    return found, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_ranks_of_a_torchrun_log_into_one_run(stack: Stack, tmp_path: Path) -> None:
    found, _ = train(stack, tmp_path / "all", "all")
    (run_id,) = {about["run"] for about in found}
    wait_until(lambda: stack.points(run_id) == 2 * STEPS, "all points")
    for rank, about in enumerate(found):
        assert stack.history(run_id, rank=rank) == list(enumerate(about["losses"]))
    wait_until(lambda: stack.run(run_id)["state"] == "finished", "the end")
    page = stack.run(run_id)
    assert sorted(
        (writer["rank"], writer["local_rank"], writer["world_size"]) for writer in page["writers"]
    ) == [
        (0, 0, 2),
        (1, 1, 2),
    ]
    assert len(page["attempts"]) == 1
    mean = [
        (step, sum(pair) / 2)
        for step, pair in enumerate(zip(*(about["losses"] for about in found), strict=True))
    ]
    rows = stack.get(f"p/local:crash/runs/{run_id}/history?key=loss&rank=mean&limit=1000")["rows"]
    assert [(row["_step"], row["loss"]) for row in rows] == mean


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_by_default_a_torchrun_is_one_run_of_rank_zero(stack: Stack, tmp_path: Path) -> None:
    found, said = train(stack, tmp_path / "default", "")
    run_id = found[0]["run"]
    wait_until(lambda: stack.points(run_id) == STEPS, "all points")
    assert stack.history(run_id) == list(enumerate(found[0]["losses"]))
    assert said.count("ranks='all'") == 1
    assert stack.run(found[1]["run"]) is None
    page = stack.run(run_id)
    assert [writer["rank"] for writer in page["writers"]] == [0]
