"""Runs into files, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from buoy.export import text
from buoy.export.batch import Batch
from buoy.export.columns import OWN
from buoy.export.facts import Facts
from buoy.export.layout import Layout
from buoy.export.stage import Stage
from buoy.export.target import completed, file_of, text_file
from buoy.export.wanted import Wanted

FORMATS = ("parquet", "csv", "jsonl")
STANDARD_OUTPUT = Path("-")


class Source(Protocol):
    """A run that can be exported."""

    @property
    def path(self) -> str:
        """`entity/project/id`."""

    def troubles(self) -> list[str]:
        """What the reader has to know of."""

    def points(self, wanted: Wanted) -> int:
        """About how many values there will be."""

    def batches(self, wanted: Wanted) -> Iterator[Batch]:
        """The rows, in order."""

    def facts(self) -> Facts:
        """What is known of the run; complete once the rows have been read."""


class File(Protocol):
    """A file that takes rows."""

    def write(self, batch: Batch) -> None:
        """Adds rows."""

    def close(self) -> None:
        """Adds what comes after the rows."""


@dataclass(frozen=True)
class Order:
    """What is exported and how.

    Attributes:
        wanted: which rows; `system` of it is not used.
        style: one of `FORMATS`.
        to: a folder, a file for one run's rows, or `-`.
        is_folder: which of them.
        system: system metrics as well.
    """

    wanted: Wanted
    style: str
    to: Path
    is_folder: bool
    system: bool = False


Progress = Callable[[int], None]
"""Told how many more values have been read."""


def _twins(new: Set[str], known: Iterable[str]) -> list[str]:
    """A word about new keys that some readers take for another one."""
    spelled: dict[str, set[str]] = {}
    for key in known:
        spelled.setdefault(key.lower(), set()).add(key)
    twins = [spelled[key.lower()] for key in sorted(new) if len(spelled[key.lower()]) > 1]
    return [
        f"the keys {names} differ by case alone; DuckDB calls the second one like the first, with _1"
        for names in dict.fromkeys(", ".join(sorted(keys)) for keys in twins)
    ]


class Exporter:
    """Exports runs.

    Attributes:
        notes: what the user has to know of; one sentence each.
        keys: names of all keys that were met.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self.notes: list[str] = []
        self.keys: set[str] = set()

    def export(self, source: Source, progress: Progress) -> Facts:
        """Writes one run; returns what the table of runs says of it.

        Raises:
            Error: it cannot be read. No file has been changed.
            OSError: a file cannot be written.
        """
        order = self._order
        self.notes += [f"{source.path}: {trouble}" for trouble in source.troubles()]
        facts = source.facts()
        if not order.is_folder:
            self._rows(source, order.wanted, order.to, progress)
            return facts
        self._rows(source, order.wanted, file_of(order.to, "history", facts, order.style), progress)
        if order.system:
            system = Wanted(ranks="all" if order.wanted.reduction else order.wanted.ranks, system=True)
            self._rows(source, system, file_of(order.to, "system", facts, order.style), progress)
        return source.facts()

    def finish(self, runs: Sequence[Facts]) -> None:
        """Writes the table of runs, if the export goes into a folder."""
        order = self._order
        if not order.is_folder:
            return
        with completed(order.to / f"runs.{order.style}") as part:
            if order.style == "parquet":
                from buoy.export import parquet  # noqa: PLC0415  only who writes Parquet needs pyarrow

                parquet.write_runs(part, runs)
                return
            with text_file(part) as file:
                (text.write_runs_csv if order.style == "csv" else text.write_runs_jsonl)(file, runs)

    def _rows(self, source: Source, wanted: Wanted, path: Path, progress: Progress) -> None:
        facts = source.facts()
        if self._order.style == "jsonl":
            layout = Layout(facts.id, facts.started_us, {}, not wanted.system, wanted.reduction is None)
            with self._file(path, layout, facts) as file:
                for batch in self._watched(source, wanted, progress):
                    file.write(batch)
            return
        folder = path.parent if path != STANDARD_OUTPUT else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with Stage(folder) as stage:
            for batch in self._watched(source, wanted, progress):
                stage.add(batch)
            layout = Layout(
                facts.id, facts.started_us, stage.kinds, not wanted.system, wanted.reduction is None
            )
            with self._file(path, layout, facts if wanted.system else source.facts()) as file:
                for batch in stage.batches():
                    file.write(batch)

    def _watched(self, source: Source, wanted: Wanted, progress: Progress) -> Iterator[Batch]:
        for batch in source.batches(wanted):
            new = batch.columns.keys() - self.keys
            self.keys |= new
            self.notes += [
                f"{source.path}: the key {key!r} has the name of a column of ours; its column is logged.{key}"
                for key in sorted(new & set(OWN))
            ]
            self.notes += [f"{source.path}: {text}" for text in _twins(new, self.keys)]
            progress(batch.points)
            yield batch

    @contextmanager
    def _file(self, path: Path, layout: Layout, facts: Facts) -> Iterator[File]:
        if path == STANDARD_OUTPUT:
            yield self._text(sys.stdout, layout)
            return
        with completed(path) as part:
            if self._order.style == "parquet":
                from buoy.export import parquet  # noqa: PLC0415  only who writes Parquet needs pyarrow

                file = parquet.ParquetFile(part, layout, facts)
                try:
                    yield file
                finally:
                    file.close()
                return
            with text_file(part) as lines:
                yield self._text(lines, layout)

    def _text(self, lines: IO[str], layout: Layout) -> File:
        return text.CsvFile(lines, layout) if self._order.style == "csv" else text.JsonlFile(lines, layout)
