"""Uploads what it is told to, as daemons would, without any: for tests that must know what the server has.

One line of JSON on stdin is one upload of one run, {"project", "run", "rows": [[step, {key: value}], ...]} and if
wanted "attempt" (1), "start_s" (when the attempt began), "config" and "end" (true: the run has finished). One line on
stdout says that the server has it. Values may be "NaN", "Infinity" or "-Infinity".
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import httpx

from tests.server.streams import START_US, Stream, Writer


class Feeder:
    """The streams that have been begun."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._writers: dict[tuple[str, str, int], Writer] = {}

    def take(self, request: dict[str, Any]) -> None:
        """One upload; returns when the server has stored it."""
        project, run, attempt = request["project"], request["run"], request.get("attempt", 1)
        writer = self._writers.get((project, run, attempt))
        if writer is None:
            start_us = START_US + int(request.get("start_s", 0) * 1_000_000)
            stream = Stream(run, project=project, name=run, attempt=attempt, start_us=start_us)
            writer = self._writers[project, run, attempt] = stream.writer()
        rows = [
            (step, {key: float(value) for key, value in values.items()}) for step, values in request["rows"]
        ]
        if request.get("config"):
            writer.config(request["config"])
        if rows:
            writer.log(rows)
        if request.get("end"):
            writer.end()
        self._client.post(writer.stream.path, content=b"".join(writer.stream.blocks)).raise_for_status()
        writer.stream.blocks.clear()


def main() -> None:
    """Answers until stdin ends."""
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
        feeder = Feeder(client)
        for line in sys.stdin:
            feeder.take(json.loads(line))
            sys.stdout.write("{}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
