"""One summary, whoever is asked: the process that logs, `buoy show` on its folder, an export of that, the server."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import buoy
from buoy.api import Api
from buoy.cli import main
from buoy.local import LocalRun
from click.testing import CliRunner

from tests.sdk.servers import Server, arrived

NAN, INF = math.nan, math.inf
INPUTS: dict[str, list[object]] = {
    "finite": [3.0, 1.0, 2.0],
    "ints": [3, 1, 2],
    "nan/first": [NAN, 2.0, 1.0],
    "nan/middle": [2.0, NAN, 1.0],
    "nan/last": [2.0, 1.0, NAN],
    "nan/only": [NAN, NAN, NAN],
    "infinite": [INF, 1.0, -INF],
    "infinite/only": [INF, -INF, NAN],
    "words": ["x", "y", "z"],
    "mixed": [NAN, "y", 1.0],
    "flags": [True, False, True],
}
KINDS = "min,max,mean,best,last"


def comparable(summary: Any) -> Any:
    """NaN as a word, because it equals nothing; ints as floats."""
    if isinstance(summary, dict):
        return {key: comparable(value) for key, value in summary.items()}
    if isinstance(summary, (int, float)):
        return "NaN" if math.isnan(summary) else float(summary)
    return summary


def expected(values: list[object]) -> object:
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    finite = [number for number in numbers if math.isfinite(number)]
    if not numbers:
        return values[-1]
    low, high = (min(finite), max(finite)) if finite else (NAN, NAN)
    mean = sum(finite) / len(finite) if finite else NAN
    return {"min": low, "max": high, "mean": mean, "best": low, "last": values[-1]}


def test_everybody_says_the_same(online: Server, tmp_path: Path) -> None:  # noqa: ARG001
    """The process and `buoy show` said NaN as soon as there was one, the server the lowest finite value."""
    chance = random.Random(7)
    inputs = INPUTS | {
        f"random/{number}": [chance.choice([NAN, INF, -INF, chance.random()]) for _ in range(3)]
        for number in range(20)
    }
    with buoy.init(project="summaries", settings={"telemetry": False}) as run:
        run.define_metric("*", summary=KINDS, goal="minimize")
        for row in zip(*inputs.values(), strict=True):
            run.log(dict(zip(inputs, row, strict=True)))
        by_process = dict(run.summary)
    arrived(run.path)
    wanted = comparable({key: expected(values) for key, values in inputs.items()})
    assert comparable(by_process) == wanted
    assert comparable(dict(Api().run(run.path).summary)) == wanted
    assert comparable(LocalRun(Path(run.dir)).summary) == wanted
    done = CliRunner().invoke(main, ["export", run.dir, "-o", str(tmp_path / "out"), "--format", "jsonl"])
    assert done.exit_code == 0, done.output
    assert comparable(json.loads((tmp_path / "out/runs.jsonl").read_text())["summary"]) == wanted
