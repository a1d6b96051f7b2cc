"""Projects of a given size, written straight into the stores: seeded, and in seconds instead of hours.

W1  1,000 runs x 50 keys x 1,000 steps        a workspace
W2  1 run x 20,000 keys                       many keys
W3  1 run, one key, 10 million points         a long series
W4  100,000 runs, 20 configured values, 5 metrics, no points    a table of runs

    python -m tests.datasets w4 --data-dir DIR [--runs 100000]

`shape_of` also makes excerpts of them, and `fill` writes several projects at once.

What is written is what ingest would have written, as far as readers can tell; no server may have the folder open.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from buoy_server.config import parse
from buoy_server.jsonvalues import dumps
from buoy_server.metadata.engine import Metadata, digest
from buoy_server.metadata.schema import ATTEMPTS, KEYS, PROJECTS, RUNS, SERIES, STREAMS, WRITERS
from buoy_server.metrics.store import MetricsStore, PointColumns
from buoy_server.services import open_services
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

START_US = 1_760_000_000_000_000
_RUN_GAP_US = 60_000_000
_STEP_US = 1_000_000
_BATCH = 5000
METRICS = ("train/loss", "val/loss", "val/acc", "lr", "tok/s")
_OPTIMIZERS = ("adam", "adamw", "sgd", "lion", "adafactor")
_TAGS = ("baseline", "ablation", "long", "debug", "paper")
_STATES = ("finished", "finished", "finished", "failed", "crashed", "killed", "running")


@dataclass(frozen=True)
class Shape:
    """How large a project is."""

    runs: int
    keys: tuple[str, ...]
    steps: int
    points: bool = True


def shape_of(
    name: str, runs: int | None = None, *, keys: int | None = None, steps: int | None = None
) -> Shape:
    """W1 to W4, smaller or larger where a number is given."""
    shapes = {
        "w1": Shape(1000, tuple(f"group{number % 5}/key{number:02}" for number in range(50)), 1000),
        "w2": Shape(
            1, tuple(f"layer{number // 20:04}/weight{number % 20:02}" for number in range(20_000)), 10
        ),
        "w3": Shape(1, ("loss",), 10_000_000),
        "w4": Shape(100_000, METRICS, 1000, points=False),
    }
    found = shapes[name]
    return Shape(runs or found.runs, found.keys[:keys], steps or found.steps, found.points)


def write(
    metadata: Metadata, metrics: MetricsStore | None, project: str, shape: Shape, seed: int = 1
) -> None:
    """Writes a project of that shape; `metrics` may be None if it has no points."""
    random = np.random.default_rng(seed)
    with metadata.write() as connection:
        project_id = _project(connection, project, shape)
        keys = _keys(connection, project_id, shape)
        first = 1 + (connection.execute(select(RUNS.c.id).order_by(RUNS.c.id.desc()).limit(1)).scalar() or 0)
        for begin in range(0, shape.runs, _BATCH):
            part = begin, first + begin, min(_BATCH, shape.runs - begin)
            _runs(connection, project_id, shape, part, random)
            if not shape.points:
                _made_up_series(connection, shape, list(keys.values()), part, random)
    for number in range(shape.runs if shape.points else 0):
        assert metrics is not None
        token = f"{project}:{first + number}"
        rows = _points(
            metrics, token, (number, first + number), list(keys.values()), shape, seed=seed + number
        )
        with metadata.write() as connection:
            connection.execute(insert(SERIES), rows)


def _project(connection: Connection, project: str, shape: Shape) -> int:
    end_us = START_US + shape.runs * _RUN_GAP_US
    row = {
        "entity": "local",
        "name": project,
        "created_us": START_US,
        "activity_us": end_us,
        "rev": shape.runs,
    }
    return int(connection.execute(insert(PROJECTS).values(row).returning(PROJECTS.c.id)).scalar_one())


def _keys(connection: Connection, project: int, shape: Shape) -> dict[str, int]:
    rows = [
        {"project": project, "system": 0, "name": name, "digest": digest(name), "rev": 1}
        for name in shape.keys
    ]
    connection.execute(insert(KEYS), rows)
    found = connection.execute(select(KEYS.c.name, KEYS.c.id).where(KEYS.c.project == project)).all()
    by_name: dict[str, int] = {row.name: row.id for row in found}
    return {name: by_name[name] for name in shape.keys}


def config_of(number: int, random: np.random.Generator) -> dict[str, object]:
    """What a run is configured with: numbers over decades, words, flags, a nested object."""
    picks = random.integers(0, 1 << 30, 8).tolist()
    return {
        "lr": float(10.0 ** -(1 + picks[0] % 500 / 100)),
        "batch_size": 2 ** (3 + picks[1] % 8),
        "seed": number,
        "model": f"gpt-{('s', 'm', 'l', 'xl')[picks[2] % 4]}",
        "opt": {
            "name": _OPTIMIZERS[picks[3] % 5], "beta1": 0.9, "beta2": 0.95 + 0.01 * (picks[4] % 5),
            "weight_decay": 0.1 * (picks[5] % 3),
        },
        "layers": 6 * (1 + picks[6] % 8),
        "dropout": 0.05 * (picks[7] % 5),
        "warmup": 100 * (picks[0] % 40),
        "compile": bool(picks[1] % 2),
        "dataset": f"corpus-{picks[2] % 12}",
        "precision": ("bf16", "fp16", "fp32")[picks[3] % 3],
        "grad_clip": 1.0 if picks[4] % 2 else None,
        "max_steps": 1000 * (1 + picks[5] % 100),
        "betas": [0.9, 0.95],
        "note": f"try {picks[6] % 1000}",
        "workers": picks[7] % 16,
    }  # fmt: skip


def _runs(
    connection: Connection,
    project: int,
    shape: Shape,
    part: tuple[int, int, int],
    random: np.random.Generator,
) -> None:
    begin, first, count = part
    rows, attempts, streams, writers = [], [], [], []
    for offset in range(count):
        number, run = begin + offset, first + offset
        started_us = START_US + number * _RUN_GAP_US
        ended_us = started_us + int(random.integers(60, 86_400)) * 1_000_000
        state = _STATES[int(random.integers(len(_STATES)))]
        tags = [tag for tag in _TAGS if random.random() < 0.2]
        rows.append(
            {
                "id": run, "project": project, "run_id": f"r{number:06}", "name": f"quiet-tide-{number}",
                "notes": "", "tags": json.dumps(tags), "group_name": f"sweep-{number % 50}",
                "job_type": "train" if number % 10 else "eval", "host": f"node{number % 16}", "state": state,
                "exit_code": None if state == "running" else int(state != "finished"), "attempts": 1,
                "created_us": started_us, "started_us": started_us,
                "ended_us": None if state == "running" else ended_us, "heartbeat_us": ended_us,
                "config": json.dumps(config_of(number, random)), "metadata": "{}", "rev": number + 1,
                "parent": "", "parent_us": 0, "leftover": 0, "kept": "", "edited": "{}",
            }
        )  # fmt: skip
        attempts.append({"run": run, "attempt": 1, "started_us": started_us, "first_step": 0, "launch": ""})
        streams.append(
            {
                "id": run, "stream_id": f"{project:08x}{run:024x}", "run": run, "attempt": 1, "rank": 0, "next_seq": 2,
                "machine_id": "m", "host": f"node{number % 16}", "daemon_version": "", "started_us": started_us,
                "seen_us": 0,
            }
        )  # fmt: skip
        writers.append(
            {
                "stream": run, "writer_id": f"{run:032x}", "rank": 0, "local_rank": 0, "world_size": 1,
                "host": f"node{number % 16}", "pid": 1, "forked": 0, "state": state, "exit_code": None,
                "last_step": shape.steps - 1, "started_us": started_us, "ended_us": None, "records_dropped": 0,
            }
        )  # fmt: skip
    for table, found in ((RUNS, rows), (ATTEMPTS, attempts), (STREAMS, streams), (WRITERS, writers)):
        connection.execute(insert(table), found)


def _made_up_series(
    connection: Connection,
    shape: Shape,
    keys: Sequence[int],
    part: tuple[int, int, int],
    random: np.random.Generator,
) -> None:
    """What is known of series that have no points; every 997th run ends with NaN."""
    begin, first, count = part
    rows = []
    for offset in range(count):
        drawn = random.random((len(keys), 3))
        last, low, high = drawn[:, 0], drawn[:, 0] * drawn[:, 1], 1 + drawn[:, 2]
        if (begin + offset) % 997 == 0:
            last[:] = np.nan
        ends = np.stack([high, last, low, high, np.nan_to_num(last) * shape.steps])
        rows += _series_rows(begin + offset, first + offset, keys, shape, ends)
    for start in range(0, len(rows), _BATCH):
        connection.execute(insert(SERIES), rows[start : start + _BATCH])


def _series_rows(
    number: int, run: int, keys: Sequence[int], shape: Shape, ends: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """What SQL has of a run's series; `ends` has first, last, least and greatest value and the sum, by key."""
    started_us = START_US + number * _RUN_GAP_US
    return [
        {
            "run": run, "key": key, "rank": 0, "attempt": 1, "n": shape.steps, "texts": 0, "first_step": 0,
            "last_step": shape.steps - 1, "first_us": started_us,
            "last_us": started_us + (shape.steps - 1) * _STEP_US, "first_value": dumps(first),
            "last_value": dumps(last), "last_stream": run, "last_seq": shape.steps, "minimum": low, "maximum": high,
            "total": total, "finite": shape.steps, "ascending": 1, "gen": 0, "rev": number + 1,
        }
        for key, (first, last, low, high, total) in zip(keys, ends.T.tolist(), strict=True)
    ]  # fmt: skip


def _points(
    metrics: MetricsStore, token: str, run: tuple[int, int], keys: Sequence[int], shape: Shape, *, seed: int
) -> list[dict[str, Any]]:
    """Stores a run's points, falling curves with noise and one spike each, in parts of about a million."""
    number, run_id = run
    random = np.random.default_rng(seed)
    steps_each = max(1, 1_000_000 // len(keys))
    ends = np.full((5, len(keys)), np.nan)
    ends[4] = 0.0
    for begin in range(0, shape.steps, steps_each):
        steps = np.arange(begin, min(begin + steps_each, shape.steps), dtype=np.int64)
        values = 2.0 / np.sqrt(1.0 + steps) + random.normal(0, 0.02, (len(keys), len(steps)))
        values[:, steps == shape.steps // 3] += 5.0
        ends[0] = values[:, 0] if begin == 0 else ends[0]
        ends[1] = values[:, -1]
        ends[2], ends[3] = np.fmin(ends[2], values.min(axis=1)), np.fmax(ends[3], values.max(axis=1))
        ends[4] += values.sum(axis=1)
        step, count = np.tile(steps, len(keys)), len(keys) * len(steps)
        columns = PointColumns(
            run_id, 1, run_id,
            key=np.repeat(np.array(keys, np.uint32), len(steps)), rank=np.zeros(count, np.uint32), step=step,
            seq=(step + 2).astype(np.uint64), time_us=START_US + number * _RUN_GAP_US + step * _STEP_US,
            value=values.ravel(), kind=np.zeros(count, np.uint8),
        )  # fmt: skip
        metrics.insert_points(columns, f"{token}:{begin}")
    return _series_rows(number, run_id, keys, shape, ends)


def fill(data_dir: Path, projects: Mapping[str, Shape], seed: int = 1) -> None:
    """Writes projects into a server's folder, and has the engine put each series in one piece."""
    services = open_services(parse(["--data-dir", str(data_dir)], {}))
    try:
        for name, shape in projects.items():
            write(services.metadata, MetricsStore(services.engine), name, shape, seed)
        with services.engine.client() as client:
            client.command("OPTIMIZE TABLE points FINAL")
    finally:
        services.close()


def main() -> None:
    """Reads the command line."""
    arguments = argparse.ArgumentParser(description="Writes a project of a given size.")
    arguments.add_argument("shape", choices=["w1", "w2", "w3", "w4"])
    arguments.add_argument("--data-dir", required=True, type=Path)
    arguments.add_argument("--project", default="")
    arguments.add_argument("--runs", type=int)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    shape = shape_of(given.shape, given.runs)
    fill(given.data_dir, {given.project or given.shape: shape}, given.seed)


if __name__ == "__main__":
    main()
