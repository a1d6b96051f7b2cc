"""Groups of rows, and what can be said of each: how many, and mean, deviation and extremes of numbers.

Over the finite numbers of a group alone: what is absent, null, NaN, infinite or no number does not count, and `n` says
how many did. The deviation is that of the whole group (divided by n, not n - 1). A group depends on its own rows only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from buoy_server.table.column import ABSENT, FLAG, GONE, NULL, NUMBER, TEXT, Column

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Of one column, by group. Without finite numbers n is 0 and the rest NaN."""

    n: NDArray[np.int64]
    mean: Floats
    std: Floats
    minimum: Floats
    maximum: Floats


@dataclass(frozen=True)
class Groups:
    """Rows in groups.

    Attributes:
        rows: All rows, those of a group together.
        begins: Where in `rows` each group begins.
        counts: Rows of each group.
    """

    rows: NDArray[np.intp]
    begins: NDArray[np.intp]
    counts: NDArray[np.int64]

    @property
    def firsts(self) -> NDArray[np.intp]:
        """A row of each group, which speaks for its keys."""
        return self.rows[self.begins]

    def chosen(self, places: NDArray[np.intp]) -> Groups:
        """Some of the groups, in another order."""
        counts = self.counts[places]
        ends = np.cumsum(counts)
        within = np.arange(int(counts.sum()), dtype=np.intp) - np.repeat(ends - counts, counts)
        return Groups(self.rows[np.repeat(self.begins[places], counts) + within], ends - counts, counts)

    def statistics(self, column: Column) -> Statistics:
        """Of the numbers of a column."""
        groups = len(self.begins)
        if not groups:
            nothing = np.empty(0)
            return Statistics(np.empty(0, np.int64), nothing, nothing, nothing, nothing)
        value = column.number[self.rows]
        counted = (column.kind[self.rows] == NUMBER) & np.isfinite(value)
        n = np.add.reduceat(counted.astype(np.int64), self.begins)
        some = n > 0
        with np.errstate(all="ignore"):
            mean = np.add.reduceat(np.where(counted, value, 0.0), self.begins) / n
            off = np.where(counted, value - np.repeat(mean, self.counts), 0.0)
            std = np.sqrt(np.add.reduceat(off * off, self.begins) / n)
        minimum = np.minimum.reduceat(np.where(counted, value, np.inf), self.begins)
        maximum = np.maximum.reduceat(np.where(counted, value, -np.inf), self.begins)
        return Statistics(n, *(np.where(some, found, np.nan) for found in (mean, std, minimum, maximum)))


def group_rows(rows: NDArray[np.intp], keys: Sequence[Column]) -> Groups:
    """Rows that have the same values of all keys. Absent and null are one value, and so is every NaN."""
    code = np.zeros(len(rows), np.int64)
    for column in keys:
        one, count = _codes(column, rows)
        # Numbered anew after each key, so that the product of many keys stays small.
        _, code = np.unique(code * count + one, return_inverse=True)
    order = np.argsort(code, kind="stable")
    begins = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0]) if len(rows) else np.empty(0, np.intp)
    return Groups(rows[order], begins, np.diff(np.r_[begins, len(rows)]))


def _codes(column: Column, rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], int]:
    """A small number for each different value."""
    kind, code = column.kind[rows], column.code[rows].astype(np.int64)
    found = np.zeros(len(rows), np.int64)
    count = 1
    for which in (FLAG, NUMBER):
        is_one = kind == which
        different, place = np.unique(column.number[rows[is_one]], return_inverse=True)
        found[is_one] = count + place
        count += len(different)
    for is_one, room in (
        (kind == TEXT, len(column.texts)),
        ((kind != TEXT) & (kind > NUMBER), len(column.others)),
    ):
        found[is_one] = count + code[is_one]
        count += room
    found[(kind == ABSENT) | (kind == NULL)] = 0
    return found, count


def key_values(column: Column, firsts: NDArray[np.intp]) -> list[object]:
    """The value of a key for each group; null where it is absent."""
    values = (column.value(int(row)) for row in firsts)
    return [None if value is GONE else value for value in values]
