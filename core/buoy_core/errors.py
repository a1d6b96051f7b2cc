"""What can go wrong in the data path. Each type is one situation, because each wants another answer."""

from __future__ import annotations


class CoreError(Exception):
    """Anything that goes wrong in the data path, errors of the caller and of the operating system aside."""


class _CorruptError(CoreError):
    """Damaged bytes: `path` (empty if they came from memory), `offset` in it, and the `reason`."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(path, offset, reason)
        self.path = path
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path or 'data'} is damaged at byte {self.offset}: {self.reason}"


class CorruptFrame(_CorruptError):  # noqa: N818
    """A spool frame or segment header that is damaged, or frames that are missing."""


class CorruptBlock(_CorruptError):  # noqa: N818
    """A block that is damaged, truncated or mislabelled."""


class UnsupportedVersion(CoreError):  # noqa: N818
    """Bytes of a newer format. They are left alone."""


class TooManyObjects(CoreError):  # noqa: N818
    """A payload would become more objects than the caller is ready for. Nothing is returned."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"more than {self.limit} records and values that are no numbers"


class SpoolFull(CoreError):  # noqa: N818
    """No segment can be made. `Writer.log()` never lets it out.

    Attributes:
        cause: "limit" the spool has reached its own limit, "space" the disk or a quota has, "system" the system refuses
            for another reason.
    """

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class ClosedWriter(CoreError):  # noqa: N818
    """`log()` after `close()`. Nothing was written."""


class ForkedWriter(CoreError):  # noqa: N818
    """`log()` in a forked child on the parent's writer. Nothing was written; the child needs a writer of its own."""
