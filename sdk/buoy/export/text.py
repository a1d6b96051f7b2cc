"""CSV and JSON lines, with the standard library.

CSV: numbers are bare, texts always in double quotes, so that the text "3" is not the number 3, and an empty text is not
a missing value, which is nothing at all between two commas. JSON lines: one object a row, without the keys it does not
have. NaN, Infinity and -Infinity are these words in both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import IO, Any

from buoy.export.batch import Batch
from buoy.export.columns import BOOL, FLOAT, INT, TEXT, as_json, column_names
from buoy.export.facts import COLUMNS, NUMBERS, TIMES, TREES, Facts
from buoy.export.layout import Layout


class CsvFile:
    """The rows of one run; the first line has the names."""

    def __init__(self, file: IO[str], layout: Layout) -> None:
        self._file = file
        self._layout = layout
        self._cells = {key: _cell_of(layout.kinds[key].form) for key in layout.names}
        self._names = [name for name, _ in layout.own] + list(layout.names.values())
        self._names += ["_none"] if layout.has_none else []
        self._own = [_cell_of(form) for _, form in layout.own]
        file.write(",".join(map(quoted, self._names)) + "\n")

    def write(self, batch: Batch) -> None:
        """Adds rows."""
        for part in self._layout.parts(batch, len(self._names)):
            self._write(part)

    def close(self) -> None:
        """There is nothing to add."""

    def _write(self, batch: Batch) -> None:
        rows = len(batch)
        columns: list[list[str]] = [
            list(map(cell, values))
            for cell, values in zip(self._own, self._layout.own_values(batch).values(), strict=True)
        ]
        for key in self._layout.names:
            column, cell = batch.columns.get(key), self._cells[key]
            if column is None:
                columns.append([""] * rows)
            else:
                texts = ["" if value is None else cell(value) for value in column.values]
                columns.append(type(column)(column.at, texts).spread(rows, ""))
        if self._layout.has_none:
            nones = self._layout.none_values(batch)
            columns.append(["" if keys is None else quoted(as_json(keys)) for keys in nones])
        self._file.writelines(f"{','.join(row)}\n" for row in zip(*columns, strict=True))


class JsonlFile:
    """The rows of one run, as objects. Each value says its type itself, so nothing has to be known before."""

    def __init__(self, file: IO[str], layout: Layout) -> None:
        self._file = file
        self._layout = layout

    def write(self, batch: Batch) -> None:
        """Adds rows."""
        names = column_names(batch.columns)
        own = self._layout.own_values(batch)
        for row, *values in zip(batch.rows(), *own.values(), strict=True):
            logged = {names[key]: value for key, value in row.items()}
            self._file.write(json.dumps(dict(zip(own, values, strict=True)) | logged) + "\n")

    def close(self) -> None:
        """There is nothing to add."""


def write_runs_csv(file: IO[str], runs: Sequence[Facts]) -> None:
    """The table of runs."""
    file.write(",".join(map(quoted, COLUMNS)) + "\n")
    for facts in runs:
        row = _row(facts)
        cells = (
            "" if row[name] is None else str(row[name]) if name in NUMBERS else
            quoted(as_json(row[name]) if name in (*TREES, "tags") else row[name])
            for name in COLUMNS
        )  # fmt: skip
        file.write(",".join(cells) + "\n")


def write_runs_jsonl(file: IO[str], runs: Sequence[Facts]) -> None:
    """The table of runs, with config, summary and metadata as objects."""
    for facts in runs:
        file.write(json.dumps(_row(facts)) + "\n")


def _row(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in COLUMNS:
        found[name] = _time(getattr(facts, f"{name}_us")) if name in TIMES else getattr(facts, name)
    return found


def _time(time_us: int | None) -> str | None:
    if time_us is None:
        return None
    return datetime.fromtimestamp(time_us / 1e6, timezone.utc).isoformat(timespec="microseconds")


def quoted(text: str) -> str:
    """A cell that is a text."""
    return '"' + text.replace('"', '""') + '"'


def _cell_of(form: str) -> Callable[[Any], str]:
    cells: dict[str, Callable[[Any], str]] = {TEXT: quoted, FLOAT: _float, INT: str, BOOL: _bool}
    return cells.get(form, _json)


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _json(value: object) -> str:
    return quoted(as_json(value))
