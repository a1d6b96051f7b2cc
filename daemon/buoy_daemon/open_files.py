"""How many logs may have their file open at a time.

A daemon has one log for each run that goes on, and a process has only so many descriptors: 1,024 by custom, as few as
64 in places. So the logs that were written least lately have theirs closed, and opened again for the next block.
"""

from __future__ import annotations

import resource
from typing import Protocol

RESERVED = 48
"""Descriptors for everything else: gRPC, connections to servers, and files that are open for a moment."""

FILES_MIN, FILES_MAX = 4, 1024
DESCRIPTORS_WANTED = 1 << 16


class Parkable(Protocol):
    """A log that can close its file until it is written again."""

    def park(self) -> None:
        """Syncs and closes the file."""


class OpenFiles:
    """The logs whose files are open, the one written last at the end. For the tail thread only.

    Args:
        files_max: how many; more only while one is written.
    """

    def __init__(self, files_max: int = FILES_MAX) -> None:
        self.files_max = files_max
        self._logs: dict[int, Parkable] = {}

    def use(self, log: Parkable) -> None:
        """The log is about to be written: others make room."""
        self._logs.pop(id(log), None)
        while len(self._logs) >= self.files_max:
            self._logs.pop(next(iter(self._logs))).park()
        self._logs[id(log)] = log

    def forget(self, log: Parkable) -> None:
        """The log is closed."""
        self._logs.pop(id(log), None)


SHARED = OpenFiles()
"""Descriptors are the process's, and so is the count of them."""


def fit_to_limit() -> None:
    """Asks the system for more descriptors, and takes what it gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft != resource.RLIM_INFINITY:
        SHARED.files_max = max(FILES_MIN, min(FILES_MAX, (soft - RESERVED) // 2))
