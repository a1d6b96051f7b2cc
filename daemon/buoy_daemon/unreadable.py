"""A spool of which nothing can be read, left by a writer that is gone: after a power cut, say.

Without an end its run would count as running for ever. So the writer ends, the run page says what happened, and the
folder is kept under another name: whoever knows better may find something in it.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from buoy_core import Chunk
from buoy_proto import v1

from buoy_daemon import records
from buoy_daemon.source import remove_spool

log = logging.getLogger(__name__)

SUFFIX = ".damaged"


class UnreadableSource:
    """See `buoy_daemon.source.Source`. It has nothing to read and no writer.

    Args:
        folder: The spool's.
        reason: Why it cannot be read.
    """

    available = 0
    sealed = False
    dropped = 0
    stop_seen = True

    def __init__(self, folder: str, reason: Exception) -> None:
        self._folder = Path(folder)
        self._kept = self._folder.with_suffix(SUFFIX)
        self._reason = reason
        self._reported = False

    def report(self, logged: int, time_us: int) -> bytes:
        """The event that tells of it; the log holds the writer's records up to the offset `logged`."""
        text = (
            f"a spool cannot be read ({self._reason}); what its process wrote beyond byte {logged} of it is lost; "
            f"the folder is kept as {self._kept}"
        )
        log.error("%s", text)
        self._reported = True
        details = {"path": str(self._kept), "reason": str(self._reason), "logged_offset": logged}
        return records.event("spool_damaged", text, details, level=v1.LEVEL_ERROR, time_us=time_us)

    def read(self, _bytes_max: int) -> Chunk | None:
        """Nothing."""
        return None

    def skip_damage(self) -> int:
        """Nothing to skip."""
        return 0

    def rewind(self, offset: int) -> None:
        """Nowhere to go."""

    def synced(self, offset: int) -> None:
        """Nothing to free."""

    def touch(self, *, waiting: bool) -> None:
        """Nobody to tell."""

    def request_stop(self) -> None:
        """Nobody to stop."""

    def interrupt(self) -> bool:
        """Nobody to interrupt."""
        return False

    def alive(self) -> bool:
        """No."""
        return False

    def gone(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Nothing is open."""

    def remove(self) -> None:
        """Sets the folder aside; deletes it if nothing of it was missing in the log."""
        if self._reported:
            with contextlib.suppress(OSError):
                self._folder.rename(self._kept)
        else:
            remove_spool(str(self._folder))
