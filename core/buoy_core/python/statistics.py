"""What a writer remembers of each key: id, latest value, running statistics, a thinned history."""

from __future__ import annotations

import math

from buoy_core.chunk import KeyStatistics
from buoy_core.format import HISTORY_POINTS_MAX
from buoy_core.values import fits_double, nearest_double


class Slot:
    """One key of one writer."""

    __slots__ = (
        "all_ints",
        "defined",
        "finite",
        "first",
        "history",
        "key_id",
        "last",
        "last_number",
        "maximum",
        "minimum",
        "n",
        "name",
        "seen",
        "stride",
        "total",
    )

    def __init__(self, key_id: int, name: bytes) -> None:
        self.key_id = key_id
        self.name = name
        self.defined = False  # the KeyDef is in the spool
        self.seen = False
        self.last: object = None
        self.n = 0
        self.all_ints = True
        self.finite = 0
        self.first = self.last_number = self.total = 0.0
        self.minimum, self.maximum = math.inf, -math.inf
        self.stride = 1
        self.history: list[float] = []

    def update(self, value: object) -> None:
        """Takes note of a plain value."""
        self.last, self.seen = value, True
        if not isinstance(value, int | float):
            return
        number = float(value) if isinstance(value, float) else nearest_double(value)
        if isinstance(value, float | bool) or not fits_double(value):
            self.all_ints = False
        if not self.n:
            self.first = number
        if math.isfinite(number):
            self.minimum, self.maximum = min(self.minimum, number), max(self.maximum, number)
            self.total += number
            self.finite += 1
        self.last_number = number
        self._remember(number)
        self.n += 1

    def _remember(self, number: float) -> None:
        """Keeps every `stride`-th number; whenever that is enough of them, every second goes."""
        if self.n % self.stride == 0:
            self.history.append(number)
            if len(self.history) == HISTORY_POINTS_MAX:
                del self.history[1::2]
                self.stride *= 2

    def points(self) -> list[float]:
        """The history, ending with the latest number; at most 64 points."""
        if self.n and (self.n - 1) % self.stride:
            return [*self.history, self.last_number]
        return self.history[:]

    def statistics(self) -> KeyStatistics | None:
        """The statistics; None if no number was logged."""
        if not self.n:
            return None
        if not self.finite:
            return KeyStatistics(self.n, self.first, self.last_number, math.nan, math.nan, math.nan)
        mean = self.total / self.finite
        numbers = self.first, self.last_number, self.minimum, self.maximum
        first, last, minimum, maximum = map(int, numbers) if self.all_ints else numbers
        return KeyStatistics(self.n, first, last, minimum, maximum, mean)
