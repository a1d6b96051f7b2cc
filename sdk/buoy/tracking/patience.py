"""How long to wait for something that should move. Time comes in as seconds of any clock that only goes forward."""

from __future__ import annotations


class Patience:
    """Ends when nothing has moved for a while.

    Args:
        limit_s: how long that is.
        now: present time.
    """

    def __init__(self, limit_s: float, now: float) -> None:
        self.limit_s = limit_s
        self._moved_at = now
        self._mark: object = None

    def saw(self, mark: object, now: float) -> None:
        """Takes in how far it is; any change counts as progress, the first look does not."""
        if self._mark is not None and mark != self._mark:
            self._moved_at = now
        self._mark = mark

    def left_s(self, now: float) -> float:
        """Seconds until it ends; 0 when it has."""
        return max(self._moved_at + self.limit_s - now, 0.0)

    def waited_s(self, now: float) -> float:
        """Seconds since something moved."""
        return now - self._moved_at
