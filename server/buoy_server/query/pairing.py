"""Values of one key over values of another: which belong together. Pure.

A value pairs with what the other key was given in the same call, else with the latest value that it had before; what
was logged before the other key had any has no place on its axis, and neither has what would be at NaN or infinity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from buoy_server.query.track import Track


@dataclass(frozen=True)
class Pairs:
    """x and y in the order of the log.

    Attributes:
        place: Which of the y each pair has.
        carried: How many pairs have an x of an earlier step.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    place: NDArray[np.intp]
    carried: int


def pair(x: Track, y: Track) -> Pairs:
    """Both by step. What one call logs has one step, and within a step the latest value counts."""
    finite = np.isfinite(x.value)
    steps, values = x.step[finite], x.value[finite]
    found = np.searchsorted(steps, y.step, side="right") - 1
    place = np.flatnonzero(found >= 0)
    found = found[place]
    carried = int(np.count_nonzero(steps[found] != y.step[place]))
    return Pairs(values[found], y.value[place], place, carried)
