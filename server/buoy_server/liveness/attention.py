"""When silence counts: a machine is missing only if the server has listened for all of that time.

Pure: times come in. Wall clock times are compared with what the database holds; the monotonic clock tells whether this
process has slept, was stopped, or somebody has set the wall clock.
"""

from __future__ import annotations

BREAK_S = 2.0
"""A pause between two ticks that is longer than this, or than a sixth of the grace, is a break."""


class Attention:
    """Since when a server process has listened without a break.

    Args:
        grace_s: How long nothing may be heard of a machine.
    """

    def __init__(self, grace_s: float) -> None:
        self.grace_us = round(grace_s * 1e6)
        self._break_us = max(round(BREAK_S * 1e6), self.grace_us // 6)
        self._since_us: int | None = None
        self._last: tuple[int, int] | None = None

    def tick(self, wall_us: int, monotonic_us: int) -> None:
        """The server is awake now. Called about once a second."""
        if self._last is not None:
            slept = monotonic_us - self._last[1]
            set_by = abs((wall_us - self._last[0]) - slept)
            if slept > self._break_us or set_by > self._break_us:
                self._since_us = None
        self._last = wall_us, monotonic_us
        if self._since_us is None:
            self._since_us = wall_us

    def lost(self) -> None:
        """What was heard could not be noted: listening begins anew."""
        self._since_us = None

    def limit_us(self, wall_us: int) -> int | None:
        """Who was last seen before this moment is missing; None while nobody can be."""
        if self._since_us is None or wall_us - self._since_us < self.grace_us:
            return None
        return wall_us - self.grace_us
