"""From the engine's columns to a page of history: duplicates out, values by row, all exact. Pure.

Everything that depends on the number of values is done by numpy or in C; Python touches only what is no number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from buoy_core.rank_reduction import reduce_ranks
from numpy.typing import NDArray

from buoy_server.jsonvalues import number, tag, untag
from buoy_server.metrics.reader import Columns

_FLOAT, _INT, _BOOL = 0, 1, 2

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """The values of one key, as tagged JSON values.

    Attributes:
        at: Row of each value; None = there is one for every row.
        values: The values.
    """

    at: list[int] | None
    values: list[object]


@dataclass
class Page:
    """Some rows, in the order of step, attempt, rank. Rows are numbered from 0; `stream` is empty if nobody asked."""

    step: list[int] = field(default_factory=list)
    attempt: list[int] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    time_us: list[int] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    points: int = 0
    stream: list[int] = field(default_factory=list)

    def rows(self) -> list[dict[str, object]]:
        """The values of each row by name."""
        rows: list[dict[str, object]] = [{} for _ in self.step]
        for name, column in self.columns.items():
            places = range(len(rows)) if column.at is None else column.at
            for place, value in zip(places, column.values, strict=True):
                rows[place][name] = value
        return rows


class Values:
    """Values of a range of steps: numbers and texts together, the latest of each place, sorted by row.

    Args:
        points: key, rank, attempt, step, seq, time_us, value, kind, and stream if rows are to have it; in any order.
        texts: The same without kind; values are tagged JSON text.
        by_rank: Each rank has rows of its own; otherwise the rank does not count.
        by_attempt: The same for attempts. What is superseded must be left out otherwise.
    """

    def __init__(self, points: Columns, texts: Columns | None, *, by_rank: bool, by_attempt: bool) -> None:
        parts = [points] if texts is None else [points, texts]

        def joined(name: str) -> NDArray[np.int64]:
            return np.concatenate([part[name].astype(np.int64) for part in parts])

        n = len(points["step"])
        m = 0 if texts is None else len(texts["step"])
        self._texts: list[str] = [] if texts is None else texts["value"].tolist()
        text = np.concatenate([np.full(n, -1), np.arange(m)])
        key, step, rank, attempt, seq = (joined(name) for name in ("key", "step", "rank", "attempt", "seq"))
        shown_rank = rank if by_rank else np.zeros_like(rank)
        shown_attempt = attempt if by_attempt else np.zeros_like(attempt)
        # The highest sequence counts. A large int is there twice, as the nearest double and as an exact text.
        order = np.lexsort((text, seq, attempt, key, shown_rank, shown_attempt, step))
        self.key, self.step, self.rank, self.attempt = key[order], step[order], rank[order], attempt[order]
        self._row_key = (self.step, shown_attempt[order], shown_rank[order])
        self._text = text[order]
        self._number = np.concatenate([points["value"].astype(np.float64), np.zeros(m)])[order]
        self._kind = np.concatenate([points["kind"].astype(np.uint8), np.zeros(m, np.uint8)])[order]
        self.time_us = joined("time_us")[order]
        self._stream = joined("stream")[order] if "stream" in points else None
        self.keep(_ends(_changes(*self._row_key, self.key)))

    def __len__(self) -> int:
        return len(self.key)

    def keep(self, mask: Mask) -> None:
        """Forgets the other values."""
        self.key, self.step, self.rank, self.attempt = (
            self.key[mask], self.step[mask], self.rank[mask], self.attempt[mask],
        )  # fmt: skip
        self._row_key = (self._row_key[0][mask], self._row_key[1][mask], self._row_key[2][mask])
        self._text, self._number, self._kind = self._text[mask], self._number[mask], self._kind[mask]
        self.time_us = self.time_us[mask]
        if self._stream is not None:
            self._stream = self._stream[mask]

    def keep_complete_rows(self, keys: Sequence[int]) -> None:
        """Forgets rows that do not have all of these keys."""
        if len(self) and keys:
            row = self._rows()
            counts = np.bincount(row[np.isin(self.key, keys)], minlength=int(row[-1]) + 1)
            self.keep((counts == len(keys))[row])

    def keep_numbers(self) -> None:
        """Forgets what is no number."""
        if self._texts:
            numeric = [position < 0 or _is_int(self._texts[position]) for position in self._text.tolist()]
            self.keep(np.array(numeric, np.bool_))

    def keep_steps(self, steps_end: int) -> None:
        """Forgets steps after this one."""
        self.keep(self.step <= steps_end)

    def last_step_of(self, rows: int) -> int | None:
        """The step of the last of so many rows; None if there are not more rows than that."""
        row = self._rows()
        if not len(row) or row[-1] < rows:
            return None
        return int(self.step[np.searchsorted(row, rows - 1)])

    def page(self, names: Mapping[int, str]) -> Page:
        """All that is left."""
        if not len(self):
            return Page()
        row = self._rows()
        begins = np.searchsorted(row, np.arange(int(row[-1]) + 1))
        page = Page(
            self.step[begins].tolist(),
            np.maximum.reduceat(self.attempt, begins).tolist(),
            self.rank[begins].tolist(),
            np.maximum.reduceat(self.time_us, begins).tolist(),
            points=len(self),
            stream=[] if self._stream is None else self._stream[begins].tolist(),
        )
        for key, places in self._by_key():
            at = row[places]
            dense = len(at) == len(begins)
            page.columns[names[key]] = Column(None if dense else at.tolist(), self._listed(places))
        page.columns = dict(sorted(page.columns.items()))
        return page

    def reduced(self, reduction: str, names: Mapping[int, str]) -> Page:
        """One row for each step and attempt, each key reduced over the ranks that have a number there."""
        self.keep_numbers()
        if not len(self):
            return Page()
        step, attempt, _ = self._row_key
        row = np.cumsum(_changes(step, attempt)) - 1
        begins = np.searchsorted(row, np.arange(int(row[-1]) + 1))
        page = Page(
            step[begins].tolist(),
            np.maximum.reduceat(self.attempt, begins).tolist(),
            [0] * len(begins),
            np.maximum.reduceat(self.time_us, begins).tolist(),
            points=len(self),
        )
        for key, places in self._by_key():
            rows = row[places]
            cuts = np.flatnonzero(_changes(rows)).tolist()
            ranks, values = self.rank[places].tolist(), untag(self._listed(places))
            assert isinstance(values, list)
            found = [
                tag(reduce_ranks(reduction, ranks[begin:end], values[begin:end]))
                for begin, end in zip(cuts, [*cuts[1:], len(values)], strict=True)
            ]
            page.columns[names[key]] = Column(
                None if len(cuts) == len(begins) else rows[cuts].tolist(), found
            )
        page.columns = dict(sorted(page.columns.items()))
        return page

    def _rows(self) -> NDArray[np.int64]:
        """The number of each value's row."""
        return np.cumsum(_changes(*self._row_key)) - 1

    def _by_key(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Each key and the places of its values, in the order of the rows."""
        order = np.argsort(self.key, kind="stable")
        cuts = np.flatnonzero(_changes(self.key[order]))
        for places in np.split(order, cuts[1:]):
            yield int(self.key[places[0]]), places

    def _listed(self, places: NDArray[np.intp]) -> list[object]:
        """Values as tagged JSON values."""
        kind, value, text = self._kind[places], self._number[places], self._text[places]
        if not (text >= 0).any() and bool(np.isfinite(value).all()):
            if (kind == _FLOAT).all():
                return list(value.tolist())
            if (kind == _INT).all():
                return list(value.astype(np.int64).tolist())
            if (kind == _BOOL).all():
                return list((value != 0).tolist())
        return [
            json.loads(self._texts[position] if position >= 0 else number(what, number_))
            for position, what, number_ in zip(text.tolist(), kind.tolist(), value.tolist(), strict=True)
        ]


def _changes(*columns: NDArray[np.int64]) -> Mask:
    """Where a sorted table's rows differ from the one before; the first one always does."""
    different = np.zeros(len(columns[0]), np.bool_)
    if len(different):
        different[0] = True
        for column in columns:
            different[1:] |= column[1:] != column[:-1]
    return different


def _ends(begins: Mask) -> Mask:
    """The last row of each group, from the first of each."""
    return np.append(begins[1:], True)[: len(begins)]


def _is_int(text: str) -> bool:
    return text.startswith('{"$int"')
