"""Keeps a log readable, and small, while the same thing goes wrong again and again."""

from __future__ import annotations

import logging
from collections import OrderedDict

PAUSE_S = 600.0
"""How long a message is not repeated."""

_KEPT_MAX = 256


class Repeats(logging.Filter):
    """Lets a warning or an error through once in a while, then with how often it came meanwhile.

    Messages are the same if their texts are, in their final form, and their exceptions; information is always let
    through.
    """

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        super().__init__()
        self._pause_s = pause_s
        self._last: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it; may add to its text."""
        if record.levelno < logging.WARNING:
            return True
        text = record.getMessage()
        key = f"{text} {record.exc_info[1]!r}" if record.exc_info else text
        said_at, unsaid = self._last.pop(key, (float("-inf"), 0))
        # The wall clock may have been set back; then nothing must be silent for long.
        if 0 <= record.created - said_at < self._pause_s:
            self._last[key] = said_at, unsaid + 1
            return False
        self._last[key] = record.created, 0
        if len(self._last) > _KEPT_MAX:
            self._last.popitem(last=False)
        if unsaid:
            record.msg, record.args = f"{text} ({unsaid:,} times more since it was last said)", ()
        return True
