"""Jobs of many ranks on several nodes, with random kills; `make nodes` runs 64 ranks on 8 of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.crash.nodes.cluster import Job
from tests.crash.nodes.scene import Scene, play


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "launches"), [(3, 1), (8, 2)])
def test_every_rank_is_on_the_server_once_after_random_kills(
    tmp_path: Path, seed: int, launches: int
) -> None:
    job = Job(f"job-{seed}", nodes=4, local=3, steps=100_000, pause_s=0.01)
    outcome = play(tmp_path, Scene(seed, job, seconds=8, launches=launches, private=2), print)
    assert not outcome.verdict.errors, json.dumps(outcome.verdict.errors, indent=1)
    assert outcome.attempts == launches
    assert outcome.verdict.on_server > 0
    assert sum(outcome.blows.values()) > 0
