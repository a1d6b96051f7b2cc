"""One long series, reduced: enough buckets for any panel that shows all of it, whatever its zoom levels are.

Only what is narrower than the finest level is read from the engine. New points are merged in; when there are too many
buckets, two become one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from buoy_server.query.reduced import Buckets
from buoy_server.query.smoothing import Floats, Smoothing

_BUCKETS_MIN, _BUCKETS_MAX = 1 << 12, 1 << 16
_POINTS_PER_BUCKET = 16

_LEVELS_MAX = 63
_CHECKPOINT_POINTS = 8192


def buckets_max(points: int) -> int:
    """How many buckets the finest level of a series may have: a small part of its points."""
    return min(max(points // _POINTS_PER_BUCKET, _BUCKETS_MIN), _BUCKETS_MAX)


@dataclass
class Pyramid:
    """The finest level of a series on one axis; the others are made from it when they are asked for."""

    exponent: int
    buckets: Buckets

    @property
    def size_bytes(self) -> int:
        """Memory taken."""
        return self.buckets.size_bytes

    def add(self, later: Buckets) -> None:
        """Merges buckets of this exponent, whose points come after all that are in here."""
        self.buckets = self.buckets.joined(later)
        while len(self.buckets) > _BUCKETS_MAX:
            self.buckets = self.buckets.wider(1)
            self.exponent += 1

    def level(self, exponent: int) -> Buckets | None:
        """All buckets of an exponent; None if it is finer than what is here."""
        levels = exponent - self.exponent
        return None if levels < 0 else self.buckets.wider(min(levels, _LEVELS_MAX))


@dataclass
class SmoothPath:
    """Where a smoothing of a long series can be taken up again.

    Attributes:
        state: After the last point.
        steps: Step of the last point before each checkpoint.
        xs: Its x.
        states: The state there.
    """

    smoothing: Smoothing
    state: Floats
    steps: list[int] = field(default_factory=list)
    xs: list[float] = field(default_factory=list)
    states: list[Floats] = field(default_factory=list)

    def advance(self, step: NDArray[np.int64], x: Floats, y: Floats) -> Floats:
        """Smooths the next points."""
        out = np.empty(len(y))
        for begin in range(0, len(y), _CHECKPOINT_POINTS):
            part = slice(begin, begin + _CHECKPOINT_POINTS)
            out[part] = self.smoothing.advance(x[part], y[part], self.state)
            last = min(begin + _CHECKPOINT_POINTS, len(y)) - 1
            self.steps.append(int(step[last]))
            self.xs.append(float(x[last]))
            self.states.append(self.state.copy())
        return out

    def before(self, x: float) -> tuple[int | None, Floats]:
        """The last checkpoint left of x: its step and a state to go on from; None and the start if there is none."""
        place = int(np.searchsorted(np.array(self.xs), x)) - 1
        return (None, self.smoothing.start()) if place < 0 else (self.steps[place], self.states[place].copy())

    @property
    def size_bytes(self) -> int:
        """Memory taken, about."""
        return 200 * len(self.steps)
