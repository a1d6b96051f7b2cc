"""Lists of 100,000 runs: what the first page, a new filter, order or group, and a change cost the server.

One process, no HTTP. Beside the time stands the processor's, which a busy machine changes less. Cold is the first
question after a start; a first touch reads a key from SQL; the rest finds its columns in memory. The floor is
`json.loads` of all configs once, which any list that reads them anew pays for each question.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from buoy_server.metadata.engine import Metadata, open_metadata
from buoy_server.metadata.schema import PROJECTS, RUNS
from buoy_server.query.runs import RunsQuery, RunsRequest
from buoy_server.query.summaries import Summaries
from sqlalchemy import select, update

from tests import datasets

RUNS_COUNT = 100_000
ROUNDS = 5
NOW_US = 1_770_000_000_000_000

QUESTIONS: dict[str, RunsRequest] = {
    "cold: first page of 200": RunsRequest(limit=200),
    "first page of 200, again": RunsRequest(limit=200),
    "first touch of configs: lr<1e-3": RunsRequest("lr<1e-3", limit=200),
    "first touch of a metric: val/loss<0.2": RunsRequest("val/loss<0.2", limit=200),
    "filter: opt.name in (adam, sgd) lr<{x}": RunsRequest("opt.name in (adam, sgd) lr<{x}", limit=200),
    "filter: state:running min(val/loss)<{x}": RunsRequest("state:running min(val/loss)<{x}", limit=200),
    'filter: name~"{x}$" -tag:debug': RunsRequest('name~"{x}$" -tag:debug', limit=200),
    "filter: tide-{x} OR tag:paper": RunsRequest("tide-{x} OR tag:paper", limit=200),
    "sort by name": RunsRequest("seed!={x}", [("name", False)], limit=200),
    "sort by 2 keys, config and metric": RunsRequest(
        "seed!={x}", [("opt.name", False), ("max(val/loss)", True)], limit=200
    ),
    "group by config, 3 columns": RunsRequest(
        "seed!={x}", group=["opt.name"], columns=["val/loss", "lr", "layers"]
    ),
    "group by 2 keys, 250 groups": RunsRequest(
        "seed!={x}", [("val/loss", False)], ["val/loss", "lr"], ["opt.name", "group"]
    ),
    "page 100, same order": RunsRequest(limit=200, offset=20_000),
    "200 rows with 3 config and 2 metric columns": RunsRequest(
        columns=["name", "lr", "opt.name", "seed", "val/loss", "min(val/loss)"], limit=200
    ),
}


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds, of the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def change(metadata: Metadata, count: int) -> None:
    """Changes some runs as an upload would."""
    with metadata.write() as connection:
        connection.execute(update(PROJECTS).values(rev=PROJECTS.c.rev + 1))
        rev = connection.execute(select(PROJECTS.c.rev)).scalar_one()
        connection.execute(update(RUNS).where(RUNS.c.id <= count).values(rev=rev, notes=f"changed at {rev}"))


def parse_all(metadata: Metadata) -> None:
    """The floor."""
    with metadata.read() as connection:
        for text in connection.execute(select(RUNS.c.config)).scalars():
            json.loads(text)


def report(label: str, figures: list[tuple[float, float]]) -> None:
    """One line: medians, and the slowest."""
    wall, cpu = zip(*figures, strict=True)
    print(f"  {label:48}{statistics.median(wall):10.1f}{max(wall):10.1f}{statistics.median(cpu):10.1f}")


def main() -> None:
    """Runs the questions and prints them."""
    with tempfile.TemporaryDirectory(prefix="bench-runs-") as name:
        metadata = open_metadata(f"sqlite:///{Path(name)}/metadata.sqlite")
        datasets.write(metadata, None, "w4", datasets.shape_of("w4", RUNS_COUNT))
        query = RunsQuery(metadata, Summaries(None))  # type: ignore[arg-type]
        print(f"\nlists of {RUNS_COUNT:,} runs, milliseconds")
        print(f"  {'':48}{'median':>10}{'slowest':>10}{'CPU':>10}")
        for label, request in QUESTIONS.items():
            rounds = 1 if label.startswith(("cold", "first touch")) else ROUNDS
            figures = []
            for number in range(rounds):
                # Another value each time, so that no order is at hand.
                value = f"{number}7" if "name" in label or "tide" in label else f"0.{number}1"
                line = None if request.filter is None else str(request.filter).replace("{x}", value)
                figures.append(
                    timed(partial(query.answer, "local:w4", replace(request, filter=line), NOW_US))
                )
            report(label, figures)
        for count in (1, 100):
            figures = []
            for _ in range(ROUNDS):
                change(metadata, count)
                asked = RunsRequest("lr<1e-3", limit=200)
                figures.append(timed(partial(query.answer, "local:w4", asked, NOW_US)))
            report(f"after {count} runs have changed: lr<1e-3", figures)
        report("floor: json.loads of all configs", [timed(lambda: parse_all(metadata))])
        metadata.close()


if __name__ == "__main__":
    main()
