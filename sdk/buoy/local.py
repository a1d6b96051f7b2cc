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

from buoy_core import decode_rows, split_records
from buoy_core.errors import CoreError
from buoy_core.format import KIND_GAP
from buoy_core.values import nearest_double
from buoy_core.wal import Damage, WalReader
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy.errors import UsageError
from buoy.log_facts import LogFacts

_BOOL = 2
_INT = 1
EXACT_ELSEWHERE = 3
"""Kind of an int that no double holds: its exact value is beside the columns."""


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
        summary: one value for each key, as the server would show it.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "wal").is_dir():
            raise UsageError(f"{folder} is no run folder: it has no log (wal/) in it")
        self.folder = folder
        self._facts = LogFacts()
        self._rows: dict[int, dict[int, dict[str, Any]]] = {}
        self._damage: list[str] = []
        self._read()
        self.summary = self._summary()

    @property
    def info(self) -> v1.RunInfo:
        """Names of the run."""
        return self._facts.info

    @property
    def attempt(self) -> int:
        """Which attempt at the run this is."""
        return self._facts.attempt

    @property
    def config(self) -> dict[str, Any]:
        """The configuration."""
        return self._facts.config

    @property
    def metadata(self) -> dict[str, Any]:
        """Program, machine and the like, of the lowest rank's first process."""
        ranks = self._facts.metadata
        return ranks[min(ranks)] if ranks else {}

    @property
    def trouble(self) -> list[str]:
        """One sentence for each piece of the log that could not be read."""
        return [*self._damage, *self._facts.trouble]

    @property
    def state(self) -> str:
        """running, finished, failed, killed or crashed, as the log has it."""
        return self._facts.state

    @property
    def writers(self) -> list[bytes]:
        """The ids of all that have written, forked workers included."""
        return list(self._facts.ranks)

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
                self._damage.append(str(block))
                continue
            try:
                if block.header.kind == KIND_GAP:
                    self._damage.append(gap_text(block.header.records, block.payload()))
                else:
                    self._take(block.header.writer_id, block.payload())
            except (CoreError, ValueError) as error:
                self._damage.append(f"{block.path}, block at byte {block.offset}: {error}")

    def _take(self, writer: bytes, payload: bytes) -> None:
        # Rows and other records come from separate calls: keys first, or the rows would have no names.
        facts = self._facts
        facts.take(writer, payload, str(self.folder))
        columns = decode_rows(payload)
        facts.logged(writer, columns)
        by_step = self._rows.setdefault(facts.ranks.get(writer, 0), {}) if columns.n or columns.others else {}
        numbers = zip(
            memoryview(columns.key_id).cast("I"),
            memoryview(columns.step).cast("q"),
            memoryview(columns.time_us).cast("q"),
            memoryview(columns.value).cast("d"),
            memoryview(columns.kind).cast("B"),
            strict=True,
        )
        for key_id, step, time_us, number, kind in numbers:
            if kind != EXACT_ELSEWHERE:
                self._put(by_step, step, time_us, facts.name(writer, key_id), plain(number, kind))
        for _, step, time_us, key_id, other in columns.others:
            self._put(by_step, step, time_us, facts.name(writer, key_id), other)

    def _put(
        self, by_step: dict[int, dict[str, Any]], step: int, time_us: int, key: str, value: object
    ) -> None:
        row = by_step.setdefault(step, {})
        row["_timestamp"] = time_us / 1e6
        row["_runtime"] = (time_us - self._facts.started_us) / 1e6
        row[key] = value

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
            shown, value = self._facts.metrics.summary_of(key, values[-1], _statistics(values))
            if shown:
                summary[key] = value
        return {**summary, **self._facts.given}


def plain(number: float, kind: int) -> float:
    """The value that was logged, from a column's number and kind."""
    if kind == _BOOL:
        return bool(number)
    return int(number) if kind == _INT and math.isfinite(number) else number


def _statistics(values: Iterable[Any]) -> Series | None:
    numbers = [value for value in values if isinstance(value, (int, float))]
    if not numbers:
        return None
    finite = [value for value in numbers if math.isfinite(nearest_double(value))]
    if not finite:
        return Series(len(numbers), numbers[0], numbers[-1], math.nan, math.nan, math.nan)
    mean = sum(map(nearest_double, finite)) / len(finite)
    return Series(len(numbers), numbers[0], numbers[-1], min(finite), max(finite), mean)


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
