"""Smoothing of raw points, from the start of a series: the same at every zoom, and in the SDK's export. Pure.

| kind | parameter s | a point's value |
|---|---|---|
| twema | 0 to 1 | average of all points up to it; weights fall by w = min(sqrt(s), 0.999) for each 1000th of R in x |
| ema | 0 to 1 | average of all points up to it; weights fall by min(s, 0.999) for each point |
| gaussian | above 0 | average around it, weights exp(-dx^2 / 2 sigma^2), sigma = s times the median dx, to 3 sigma |
| running | 1 to 1001 | average of the s points around it |

The first two look back only, so what they have shown stays as it is; the others follow what comes after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from buoy_core.series import smooth_ema, smooth_gaussian, smooth_running, smooth_twema
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KINDS = ("twema", "ema", "gaussian", "running")
VIEWPORT = 1000
"""The average of a time-weighted curve falls off as if the whole range were so many units wide."""

WEIGHT_MAX = 0.999
PARAMETER_MAX = {"twema": 1.0, "ema": 1.0, "gaussian": 100.0, "running": 1001.0}
WORK_MAX = 1 << 30
"""Points times neighbours that one series may cost."""


@dataclass(frozen=True)
class Smoothing:
    """How to smooth.

    Attributes:
        kind: Of `KINDS`.
        parameter: See above.
        span: R of `twema`, in units of x, above 0.
    """

    kind: str
    parameter: float
    span: float = 1.0

    @property
    def causal(self) -> bool:
        """Values depend on earlier points only."""
        return self.kind in ("twema", "ema")

    def start(self) -> Floats:
        """The state before the first point."""
        return np.zeros(3)

    def advance(self, x: Floats, y: Floats, state: Floats) -> Floats:
        """Smooths the next points of a series and moves the state on. For causal kinds."""
        out = np.empty(len(y))
        if self.kind == "ema":
            smooth_ema(x, y, out, state, min(self.parameter, WEIGHT_MAX))
            return out
        weight = min(math.sqrt(self.parameter), WEIGHT_MAX)
        rate = -math.log(weight) * VIEWPORT / self.span if weight > 0 else math.inf
        smooth_twema(x, y, out, state, rate)
        return out

    def whole(self, x: Floats, y: Floats) -> Floats:
        """Smooths a whole series."""
        if self.causal:
            return self.advance(x, y, self.start())
        out = np.empty(len(y))
        if self.kind == "running":
            smooth_running(y, out, int(self.parameter) // 2)
            return out
        distance = float(np.median(np.diff(x))) if len(x) > 1 else 0.0
        if distance <= 0:
            return np.array(y)
        smooth_gaussian(x, y, out, self.parameter * distance)
        return out

    def affordable(self, points: int) -> bool:
        """Whether a series of so many points can be smoothed in about a second."""
        reach = 0 if self.causal else self.parameter * (6 if self.kind == "gaussian" else 1)
        return points * reach <= WORK_MAX


def sums(state: Floats) -> tuple[float, float]:
    """Weighted sum and weights of a state, for a client that goes on from it."""
    return float(state[0] * state[1]), float(state[1])
