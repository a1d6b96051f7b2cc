"""The points of one series, in memory: columns that grow at their end without being copied each time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

_DTYPES: dict[str, type[np.generic]] = {
    "step": np.int64,
    "time_us": np.int64,
    "value": np.float64,
    "attempt": np.uint32,
}


class Column:
    """Numbers of one type. What was handed out stays as it is while more are added."""

    def __init__(self, dtype: type[np.generic], values: NDArray[np.generic] | None = None) -> None:
        self._room = np.empty(0, dtype) if values is None else np.ascontiguousarray(values, dtype)
        self._n = len(self._room)

    def __len__(self) -> int:
        return self._n

    @property
    def values(self) -> NDArray[np.generic]:
        """All of them, as a view."""
        return self._room[: self._n]

    @property
    def size_bytes(self) -> int:
        """Memory taken."""
        return self._room.nbytes

    def extend(self, values: NDArray[np.generic]) -> None:
        """Adds at the end."""
        end = self._n + len(values)
        if end > len(self._room):
            room = np.empty(max(end, end + end // 2), self._room.dtype)
            room[: self._n] = self.values
            self._room = room
        self._room[self._n : end] = values
        self._n = end

    def cut(self, n: int) -> None:
        """Keeps the first n. What was handed out is left alone, so the rest is not written over."""
        self._room = self._room[:n].copy()
        self._n = n


class Track:
    """All points that count of one series, each step once, ascending."""

    def __init__(self, columns: Mapping[str, NDArray[np.generic]] | None = None) -> None:
        given = columns or {}
        self._columns = {name: Column(dtype, given.get(name)) for name, dtype in _DTYPES.items()}

    def __len__(self) -> int:
        return len(self._columns["step"])

    @property
    def step(self) -> NDArray[np.int64]:
        """Steps."""
        return self._columns["step"].values  # type: ignore[return-value]

    @property
    def time_us(self) -> NDArray[np.int64]:
        """Microseconds since 1970."""
        return self._columns["time_us"].values  # type: ignore[return-value]

    @property
    def value(self) -> NDArray[np.float64]:
        """Values."""
        return self._columns["value"].values  # type: ignore[return-value]

    @property
    def attempt(self) -> NDArray[np.uint32]:
        """Numbers of attempts."""
        return self._columns["attempt"].values  # type: ignore[return-value]

    @property
    def last_step(self) -> int:
        """The highest step; there must be points."""
        return int(self.step[-1])

    @property
    def size_bytes(self) -> int:
        """Memory taken."""
        return sum(column.size_bytes for column in self._columns.values())

    def extend(self, columns: Mapping[str, NDArray[np.generic]]) -> None:
        """Adds points with higher steps."""
        for name, column in self._columns.items():
            column.extend(columns[name])

    def keep_until(self, step: int) -> None:
        """Drops the points after a step."""
        n = int(np.searchsorted(self.step, step, side="right"))
        if n < len(self):
            for column in self._columns.values():
                column.cut(n)


def piece(
    columns: Mapping[str, NDArray[np.generic]], after: int, until: int
) -> Mapping[str, NDArray[np.generic]]:
    """The points with after < step <= until of columns that are sorted by step."""
    low, high = np.searchsorted(columns["step"], [after, until], side="right")
    return {name: column[low:high] for name, column in columns.items()}
