"""Rows on their way into a file, column by column: most values are never looked at one by one."""

from __future__ import annotations

import marshal
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NODE = "_node"
"""In rows of system metrics: the machine, as if it had been logged."""

ROWS_MAX = 65_536
POINTS_MAX = 262_144


class Row(NamedTuple):
    """All that was logged at one step by one rank in one attempt. Rows are sorted by the first three members.

    `step` of system metrics is the time in microseconds.
    """

    step: int
    attempt: int
    rank: int
    time_us: int
    values: Mapping[str, Any]


@dataclass
class Column:
    """The values of one key.

    Attributes:
        at: row of each value, ascending; None = there is one for every row.
        values: the values.
    """

    at: list[int] | None
    values: list[Any]

    def part(self, begin: int, end: int) -> Column:
        """The values of some rows, counted from `begin`."""
        if self.at is None:
            return Column(None, self.values[begin:end])
        first, last = bisect_left(self.at, begin), bisect_left(self.at, end)
        at = [place - begin for place in self.at[first:last]]
        return Column(None if len(at) == end - begin else at, self.values[first:last])

    def spread(self, rows: int, missing: object = None) -> list[Any]:
        """One value for each row."""
        if self.at is None:
            return self.values
        spread = [missing] * rows
        for place, value in zip(self.at, self.values, strict=True):
            spread[place] = value
        return spread


@dataclass
class Batch:
    """Some rows, sorted. `rank` is empty if rows belong to none, because ranks have been reduced."""

    step: list[int] = field(default_factory=list)
    attempt: list[int] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    time_us: list[int] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.step)

    @property
    def points(self) -> int:
        """How many values there are."""
        return sum(len(column.values) for column in self.columns.values())

    def rows(self) -> list[dict[str, Any]]:
        """The values of each row."""
        rows: list[dict[str, Any]] = [{} for _ in self.step]
        for key, column in self.columns.items():
            for place, value in zip(
                range(len(rows)) if column.at is None else column.at, column.values, strict=True
            ):
                rows[place][key] = value
        return rows

    def parts(self, rows: int) -> Iterator[Batch]:
        """The same in pieces of at most so many rows."""
        for begin in range(0, len(self), rows):
            end = min(begin + rows, len(self))
            columns = {key: column.part(begin, end) for key, column in self.columns.items()}
            yield Batch(
                self.step[begin:end],
                self.attempt[begin:end],
                self.rank[begin:end],
                self.time_us[begin:end],
                {key: column for key, column in columns.items() if column.values},
            )

    def extend(self, later: Batch) -> None:
        """Adds rows that come after these."""
        old, new = len(self), len(later)
        for key, column in self.columns.items():
            more = later.columns.get(key)
            if column.at is None and (more is None or more.at is not None):
                column.at = list(range(old))
            if more is not None and column.at is not None:
                column.at += [old + place for place in (more.at if more.at is not None else range(new))]
            if more is not None:
                column.values += more.values
        for key, column in later.columns.items():
            if key not in self.columns:
                places = column.at if column.at is not None else range(new)
                dense = not old and column.at is None
                at = None if dense else [old + place for place in places]
                self.columns[key] = Column(at, list(column.values))
        for name in ("step", "attempt", "rank", "time_us"):
            getattr(self, name).extend(getattr(later, name))

    def pack(self) -> bytes:
        """Bytes for a temporary file of this process."""
        columns = {key: (column.at, column.values) for key, column in self.columns.items()}
        return marshal.dumps((self.step, self.attempt, self.rank, self.time_us, columns))

    @staticmethod
    def unpack(data: bytes) -> Batch:
        """What `pack` has packed."""
        step, attempt, rank, time_us, columns = marshal.loads(data)
        found = {key: Column(at, values) for key, (at, values) in columns.items()}
        return Batch(step, attempt, rank, time_us, found)


def batches(rows: Iterable[Row], *, ranks: bool) -> Iterator[Batch]:
    """Rows as batches; without ranks if rows belong to none."""
    batch, points = Batch(), 0
    for step, attempt, rank, time_us, values in rows:
        place = len(batch.step)
        batch.step.append(step)
        batch.attempt.append(attempt)
        batch.time_us.append(time_us)
        if ranks:
            batch.rank.append(rank)
        columns = batch.columns
        for key, value in values.items():
            column = columns.get(key)
            if column is None:
                column = columns[key] = Column([], [])
            column.at.append(place)  # type: ignore[union-attr]
            column.values.append(value)
        points += len(values)
        if points >= POINTS_MAX or place + 1 >= ROWS_MAX:
            yield _tight(batch)
            batch, points = Batch(), 0
    if batch.step:
        yield _tight(batch)


def _tight(batch: Batch) -> Batch:
    for column in batch.columns.values():
        if column.at is not None and len(column.at) == len(batch):
            column.at = None
    # The order of the keys is that of the server, not that of the calls.
    batch.columns = dict(sorted(batch.columns.items()))
    return batch
