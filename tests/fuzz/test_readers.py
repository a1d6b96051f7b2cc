"""Every reader of foreign bytes, fed with noise and with damaged artefacts."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import foreign
from tests.fuzz.targets import TARGETS

EXAMPLES = {"frames": 400, "payload": 500, "block": 300, "body": 300, "spool": 200, "log": 200, "local": 200}


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES.get(name, 200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=foreign(target))
    def check(data: bytes) -> None:
        target.run(data)

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_is_repaired_of_them(name: str) -> None:
    """The seeds are sound, so that damage begins from there; and repairing what is sound changes nothing."""
    target = TARGETS[name]
    for seed in target.seeds():
        target.run(seed)
        assert target.repair(seed) == seed
