"""The server's errors.

`StartError` is for the person who starts the server; everything below `Refused` is for the client of one request and
leaves the stores as they were. The web layer turns each type into a problem document; nothing here knows HTTP.
"""

from __future__ import annotations


class StartError(Exception):
    """The server cannot start. The message is one line and says what to do; nothing was touched."""


class Refused(Exception):  # noqa: N818 - named for what happens to the request
    """A request that is not carried out.

    Attributes:
        code: Stable name of the reason, for programs.
        detail: One sentence for people.
        extra: Further members of the problem document.
    """

    def __init__(self, code: str, detail: str, **extra: object) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.extra = extra


class Malformed(Refused):
    """The request itself is wrong; sending it again changes nothing."""


class Missing(Refused):
    """What was asked for does not exist."""


class Conflict(Refused):
    """The request does not fit the present state; the details say what would."""


class Stale(Refused):
    """What is to be changed is no longer what the client has seen."""


class TooLarge(Refused):
    """The request, or what it unpacks to, is larger than the server takes at once."""


class Busy(Refused):
    """The server has too much to do; the same request may succeed later."""


class StorageTrouble(Refused):
    """The server's disk is full, or fails; the same request may succeed once somebody has seen to that."""
