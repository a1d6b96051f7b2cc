"""What can go wrong in the daemon. Each type is one situation, because each wants another answer."""

# ruff: noqa: N818 - each name says what the situation is.

from __future__ import annotations


class DaemonError(Exception):
    """Anything the daemon expects to go wrong."""


class LogTrouble(DaemonError):
    """A log, or the index, cannot be written now. The records stay in their spools."""


class UnclearSpool(DaemonError):
    """A spool that cannot be assigned to a run, now or ever. It is left alone."""


class OutOfOrder(DaemonError):
    """Frames that do not go on where the former ones ended. Nothing was taken."""


class BadRecord(DaemonError):
    """A record that no server could read, and its position among those that came with it. Nothing was taken."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(index, reason)
        self.index = index
        self.reason = reason

    def __str__(self) -> str:
        return f"record {self.index}: {self.reason}"
