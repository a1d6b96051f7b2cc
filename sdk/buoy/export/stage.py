"""Batches wait in a temporary file until all values have been seen."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from buoy.export.batch import POINTS_MAX, ROWS_MAX, Batch
from buoy.export.columns import Kind


class Stage:
    """A queue of batches on disk. A context manager; what is in it is gone at the end, also after SIGKILL.

    Attributes:
        kinds: what has been seen of each key.
        rows: rows so far.
        points: values so far.
    """

    def __init__(self, folder: Path | None) -> None:
        # Where the export goes there must be room for it anyway; /tmp may be memory.
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed in __exit__
        self._waiting = Batch()
        self._waiting_points = 0
        self._sizes: list[int] = []
        self.kinds: dict[str, Kind] = defaultdict(Kind)
        self.rows = 0
        self.points = 0

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, batch: Batch) -> None:
        """Puts a batch at the end."""
        for key, column in batch.columns.items():
            self.kinds[key].add(column.values)
        points = batch.points
        self.rows += len(batch)
        self.points += points
        if len(self._waiting):
            self._waiting.extend(batch)
        else:
            self._waiting = batch
        self._waiting_points += points
        if self._waiting_points >= POINTS_MAX // 2 or len(self._waiting) >= ROWS_MAX // 2:
            self._write()

    def batches(self) -> Iterator[Batch]:
        """All batches, in their order."""
        self._write()
        self._file.seek(0)
        for size in self._sizes:
            yield Batch.unpack(self._file.read(size))

    def _write(self) -> None:
        if len(self._waiting):
            data = self._waiting.pack()
            self._file.write(data)
            self._sizes.append(len(data))
            self._waiting, self._waiting_points = Batch(), 0
