"""A few storms with fixed seeds; `make chaos` runs longer ones with any seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.crash.chaos.story import storm_and_verdict


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [186, 226, 261])
def test_everything_accepted_is_on_the_server_once_after_a_storm(tmp_path: Path, seed: int) -> None:
    verdict, storm = storm_and_verdict(tmp_path, seed, seconds=6, writers=4, say=print)
    assert not verdict.errors, json.dumps(verdict.errors, indent=1)
    assert verdict.on_server > 0
    assert sum(storm.kills.values()) > 0
