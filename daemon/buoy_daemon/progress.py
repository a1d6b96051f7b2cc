"""Lets threads wait for records to become safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Progress:
    """A condition that is signalled whenever something was synced, acknowledged or ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def notify(self) -> None:
        """Wakes all who wait, to look again."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        """Blocks until `reached()` or the time is out; returns what `reached()` says then."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not reached():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True
