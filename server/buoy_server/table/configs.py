"""The configs of a project's runs as columns, one for each path. Nested objects are flattened, names joined by dots.

All paths are read at once, because reading a hundred thousand configs costs about a second, and a column only memory.
If that would be too much memory, only those asked for become columns.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from buoy_server.jsonvalues import untag
from buoy_server.table.column import GONE, Column

CELL_BYTES = 13


class Cells:
    """What a scan of configs finds.

    Args:
        rows: of the table.
        bytes_max: what the columns may take if no path was asked for.
        asked: paths that become columns in any case.
    """

    def __init__(self, rows: int, bytes_max: int, asked: Iterable[str] = ()) -> None:
        self._rows = rows
        self._paths_max = max(1, bytes_max // max(1, rows * CELL_BYTES))
        self._asked = set(asked)
        self._cells: dict[str, tuple[list[int], list[object]]] = {}
        self._left_out: Counter[str] = Counter()
        self.nodes: set[str] = set()
        self.complete = True

    @property
    def counts(self) -> dict[str, int]:
        """How many runs have each path."""
        return {**self._left_out, **{path: len(rows) for path, (rows, _) in self._cells.items()}}

    def add(self, row: int, config: Mapping[str, Any]) -> None:
        """One run's config, in tagged JSON."""
        self._add(row, config, "", config)
        if self.complete and len(self._cells) > self._paths_max:
            self.leave_out()

    def leave_out(self) -> None:
        """Keeps only what was asked for, and counts the rest."""
        self.complete = False
        for path in self._cells.keys() - self._asked:
            self._left_out[path] = len(self._cells.pop(path)[0])

    def _add(self, row: int, part: Mapping[str, Any], prefix: str, config: Mapping[str, Any]) -> None:
        cells = self._cells
        for key, given in part.items():
            path, value = prefix + key if prefix else key, given
            kind = type(given)
            if kind is dict or kind is list:
                value = untag(given)
                if kind is dict and value and isinstance(value, dict):
                    self.nodes.add(path)
                    self._add(row, given, path + ".", config)
                    continue
            cell = cells.get(path)
            if cell is None:
                if not self.complete and path not in self._asked:
                    self._left_out[path] += 1
                    continue
                cell = cells[path] = ([], [])
            rows, values = cell
            if rows and rows[-1] == row:
                # Two ways of spelling lead to the same path.
                values[-1] = value_at(config, path)
            else:
                rows.append(row)
                values.append(value)

    def columns(self) -> Iterator[tuple[str, Column]]:
        """The columns by path."""
        for path, (rows, values) in self._cells.items():
            column = Column(self._rows)
            column.fill(None if len(rows) == self._rows else rows, values)
            yield path, column


def leaves(
    config: Mapping[str, Any], nodes: set[str] | None = None, prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """Paths and values; empty objects are values. Objects on the way are noted in `nodes`."""
    for key, value in config.items():
        path = prefix + key
        if type(value) is dict:
            plain = untag(value) if len(value) == 1 else value
            if isinstance(plain, dict) and plain:
                if nodes is not None:
                    nodes.add(path)
                yield from leaves(value, nodes, path + ".")
                continue
            yield path, plain
        elif type(value) is list:
            yield path, untag(value)
        else:
            yield path, value


def value_at(config: Mapping[str, Any], path: str) -> object:
    """The value at a path, `GONE` if there is none."""
    return untag(walk(config, path))


def parse_config(text: str) -> dict[str, Any]:
    """A config as SQL has it."""
    found: dict[str, Any] = json.loads(text)
    return found


def walk(value: object, path: str) -> object:
    """The member of nested objects at a dotted path, `GONE` if there is none. Keys may have dots themselves."""
    if not isinstance(value, Mapping):
        return GONE
    if path in value:
        return value[path]
    head, separator, rest = path.partition(".")
    while separator:
        if head in value:
            found = walk(value[head], rest)
            if found is not GONE:
                return found
        more, separator, rest = rest.partition(".")
        head = f"{head}.{more}"
    return GONE
