"""Reads a run from its folder: from the log itself, with no server and no daemon.

A live run can be read too: what is complete in the log so far is what there is.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoy_core import decode_rows, definitions, split_records
from buoy_core.errors import CoreError
from buoy_core.format import KIND_GAP
from buoy_core.values import nearest_double
from buoy_core.wal import Damage, WalReader
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy.errors import UsageError
from buoy.tracking.metric import KINDS, Metric, Metrics

_BOOL = 2
_INT = 1
_EXACT_ELSEWHERE = 3
_GOALS = {v1.GOAL_MINIMIZE: "minimize", v1.GOAL_MAXIMIZE: "maximize"}
_STATES = {
    v1.RUN_STATE_RUNNING: "running",
    v1.RUN_STATE_CRASHED: "crashed",
    v1.RUN_STATE_KILLED: "killed",
    v1.RUN_STATE_FAILED: "failed",
    v1.RUN_STATE_FINISHED: "finished",
}


@dataclass
class Series:
    """Statistics of a key, in the words of `define_metric()`."""

    n: int
    first: float
    last: float
    minimum: float
    maximum: float
    mean: float


class LocalRun:
    """Everything that the log in a run's folder says.

    Attributes:
        folder: where it was read from.
        info: names of the run.
        attempt: which attempt at the run this is.
        config: the configuration.
        summary: one value for each key, as the server would show it.
        metadata: program, machine and the like, of the first process.
        trouble: one sentence for each piece of the log that could not be read.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "wal").is_dir():
            raise UsageError(f"{folder} is no run folder: it has no log (wal/) in it")
        self.folder = folder
        self.info = v1.RunInfo()
        self.attempt = 1
        self.config: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.trouble: list[str] = []
        self._metrics = Metrics()
        self._ranks: dict[bytes, int] = {}
        self._keys: dict[bytes, dict[int, str]] = {}
        self._states: dict[bytes, int] = {}
        self._rows: dict[int, dict[int, dict[str, Any]]] = {}
        self._set: dict[str, Any] = {}
        self._started_us = 0
        self._read()
        self.summary = self._summary()

    @property
    def state(self) -> str:
        """running, finished, failed, killed or crashed, as the log has it."""
        states = set(self._states.values())
        return next((name for state, name in _STATES.items() if state in states), "running")

    @property
    def writers(self) -> list[bytes]:
        """The ids of all that have written, forked workers included."""
        return list(self._ranks)

    @property
    def ranks(self) -> list[int]:
        """The ranks that have logged anything."""
        return sorted(self._rows)

    def rows(self, rank: int | None = None) -> Iterator[dict[str, Any]]:
        """The history in the order of the steps; of the lowest rank by default."""
        if rank is None and self._rows:
            rank = self.ranks[0]
        by_step = self._rows.get(rank or 0, {})
        for step in sorted(by_step):
            yield {"_step": step, **by_step[step]}

    def keys(self) -> list[str]:
        """Every key of any row, in order."""
        found = {key for by_step in self._rows.values() for row in by_step.values() for key in row}
        return sorted(found - {"_timestamp", "_runtime"})

    def _read(self) -> None:
        for block in WalReader(str(self.folder / "wal")).blocks():
            if isinstance(block, Damage):
                self.trouble.append(str(block))
                continue
            try:
                if block.header.kind == KIND_GAP:
                    self.trouble.append(gap_text(block.header.records, block.payload()))
                else:
                    self._take(block.header.writer_id, block.payload())
            except (CoreError, ValueError) as error:
                self.trouble.append(f"{block.path}, block at byte {block.offset}: {error}")

    def _take(self, writer: bytes, payload: bytes) -> None:
        # Rows and other records come from separate calls: keys first, or the rows would have no names.
        for _, data in definitions(payload):
            try:
                self._define(writer, v1.Record.FromString(data))
            except (DecodeError, ValueError, RecursionError) as error:
                # The rows beside it are good nevertheless.
                self.trouble.append(f"a record in {self.folder} cannot be read: {error}")
        columns = decode_rows(payload)
        names = self._keys.get(writer, {})
        by_step = self._rows.setdefault(self._ranks.get(writer, 0), {}) if columns.n or columns.others else {}
        numbers = zip(
            memoryview(columns.key_id).cast("I"),
            memoryview(columns.step).cast("q"),
            memoryview(columns.time_us).cast("q"),
            memoryview(columns.value).cast("d"),
            memoryview(columns.kind).cast("B"),
            strict=True,
        )
        for key_id, step, time_us, number, kind in numbers:
            if kind != _EXACT_ELSEWHERE:
                self._put(by_step, step, time_us, names.get(key_id, f"?{key_id}"), _plain(number, kind))
        for _, step, time_us, key_id, other in columns.others:
            self._put(by_step, step, time_us, names.get(key_id, f"?{key_id}"), other)

    def _put(
        self, by_step: dict[int, dict[str, Any]], step: int, time_us: int, key: str, value: object
    ) -> None:
        row = by_step.setdefault(step, {})
        row["_timestamp"] = time_us / 1e6
        row["_runtime"] = (time_us - self._started_us) / 1e6
        row[key] = value
        self._set.pop(key, None)

    def _define(self, writer: bytes, record: v1.Record) -> None:
        kind = record.WhichOneof("kind")
        if kind == "key":
            self._keys.setdefault(writer, {})[record.key.id] = record.key.name
        elif kind == "writer_start":
            start = record.writer_start
            self._ranks[writer] = start.rank
            self._started_us = self._started_us or start.time_unix_us
            metadata = json.loads(start.metadata_json or "{}")
            self.metadata = self.metadata or (metadata if isinstance(metadata, dict) else {})
            if not start.parent_writer:
                # A forked worker does not decide how the run ended.
                self._states.setdefault(writer, v1.RUN_STATE_RUNNING)
        elif kind == "stream_start":
            self.info, self.attempt = record.stream_start.run, record.stream_start.attempt
        elif kind == "config":
            _apply(self.config, record.config)
        elif kind == "summary":
            _apply(self._set, record.summary)
        else:
            self._define_more(record, kind)

    def _define_more(self, record: v1.Record, kind: str | None) -> None:
        if kind == "metric":
            self._metrics.define(_metric(record.metric), overwrite=record.metric.overwrite)
        elif kind == "run":
            for field, value in record.run.ListFields():
                if field.name == "tags":
                    del self.info.tags[:]
                    self.info.tags.extend(value.values)
                else:
                    setattr(self.info, field.name, value)
        elif kind == "writer_end" and record.writer_end.writer_id in self._states:
            self._states[record.writer_end.writer_id] = record.writer_end.state

    def _summary(self) -> dict[str, Any]:
        series: dict[str, list[Any]] = {}
        for rank in self.ranks:
            # The lowest rank that has a key speaks for it.
            new: dict[str, list[Any]] = {}
            for row in self.rows(rank):
                for key, value in row.items():
                    if not key.startswith("_") and key not in series:
                        new.setdefault(key, []).append(value)
            series.update(new)
        summary = {}
        for key, values in series.items():
            shown, value = self._metrics.summary_of(key, values[-1], _statistics(values))
            if shown:
                summary[key] = value
        return {**summary, **self._set}


def _plain(number: float, kind: int) -> float:
    if kind == _BOOL:
        return bool(number)
    return int(number) if kind == _INT and math.isfinite(number) else number


def _apply(values: dict[str, Any], update: v1.ConfigUpdate | v1.SummaryUpdate) -> None:
    for entry in update.set:
        values[entry.key] = json.loads(entry.json)
    for key in update.removed:
        values.pop(key, None)


def _metric(definition: v1.MetricDef) -> Metric:
    return Metric(
        definition.name,
        definition.step_metric or None,
        definition.step_sync if definition.HasField("step_sync") else None,
        definition.hidden if definition.HasField("hidden") else None,
        tuple(kind for kind in definition.summary if kind in KINDS),
        _GOALS.get(definition.goal),
    )


def _statistics(values: Iterable[Any]) -> Series | None:
    numbers = [value for value in values if isinstance(value, (int, float))]
    if not numbers:
        return None
    broken = [value for value in numbers if value != value]  # noqa: PLR0124  true of NaN only
    low, high = (broken[0], broken[0]) if broken else (min(numbers), max(numbers))
    mean = sum(map(nearest_double, numbers)) / len(numbers)
    return Series(len(numbers), numbers[0], numbers[-1], low, high, mean)


def gap_text(lost: int, payload: bytes) -> str:
    """What a gap block says about the records that are not in the log.

    Raises:
        ValueError: the block holds no records.
    """
    text = ""
    for data in split_records(payload):
        with contextlib.suppress(DecodeError):
            text = text or v1.Record.FromString(data).event.text
    return f"{lost} records lost: {text or 'the log does not say why'}"


def run_folders(parent: Path) -> list[Path]:
    """All run folders under `parent`, the oldest first."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.glob("run-*") if (path / "wal").is_dir())


def find_folder(name: str, parent: Path) -> Path | None:
    """The run folder that `name` means: a path, the name of a folder under `parent`, or the id of a run there.

    Of several attempts at a run it is the latest.
    """
    if (Path(name) / "wal").is_dir():
        return Path(name)
    matching = [path for path in run_folders(parent) if path.name == name or _id_of(path) == name]
    return matching[-1] if matching else None


def _id_of(folder: Path) -> str:
    try:
        return str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        # run-YYYYmmdd_HHMMSS-<id>
        return folder.name.split("-", 2)[-1]
