"""A long read goes on when the server is killed and started again under it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from buoy.api import Api

from tests.crash.stack import Stack, wait_until
from tests.crash.trainer import loss

STEPS = 500


def test_export_goes_on_after_the_server_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stack(tmp_path) as stack:
        assert stack.train("read", STEPS).wait() == 0
        wait_until(lambda: stack.points("read") == STEPS, "all points on the server", 200)
        key = json.loads((tmp_path / "state/credentials.json").read_text())[stack.base_url]["api_key"]
        monkeypatch.setenv("BUOY_BASE_URL", stack.base_url)
        pages = Api(api_key=key).run("local/crash/read").pages(limit=50, key=["loss"])
        first = next(pages)
        stack.kill_server()
        with ThreadPoolExecutor(1) as reader:
            # One page more may have been on its way; whoever asks for the next one finds nobody there.
            others = reader.submit(list, pages)
            stack.start_server()
            found = [
                value for page in (first, *others.result(200)) for value in page["columns"]["loss"]["values"]
            ]
    assert found == [loss(step) for step in range(STEPS)]
