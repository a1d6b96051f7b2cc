"""Time that only goes forward, also while the machine sleeps, whatever is done to the wall clock."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_s() -> float:
    """Seconds since some moment that is the same for all processes of the machine."""
    return time.clock_gettime(_CLOCK)
