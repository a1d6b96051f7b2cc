"""What buoy raises. Only the caller's own mistakes reach a training loop; trouble of ours is told, not raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Error(Exception):
    """Base of everything buoy raises on purpose."""


class UsageError(Error):
    """The caller asked for something that cannot be done: a bad argument, or a run that is finished."""


class ConfigError(UsageError):
    """A configuration value would change although nobody said that it may."""


class UnsupportedError(UsageError):
    """A feature that this version does not have was required."""


class CommError(Error):
    """The server or the daemon could not be reached, or answered with an error.

    Attributes:
        status: HTTP status of the answer; 0 when there was none.
        code: the server's stable name for the error; empty when it gave none.
        details: what else the server says of it, such as the column of a filter that it cannot read.
    """

    def __init__(
        self, message: str, *, status: int = 0, code: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = dict(details or {})


class AuthenticationError(CommError):
    """The server does not accept the key, or none was found."""


class CoreNotAvailableError(Error):
    """The compiled core was required and cannot be imported."""
