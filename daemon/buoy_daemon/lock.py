"""The lock that makes a daemon the only one of its state folder.

It is on the folder itself: nobody can delete it, as they can a file, and leave two daemons to write the same logs. It
also keeps the cleaners of /tmp away, which pass over folders that are locked. `daemon.lock` only says who has it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from buoy_core.holder import holder_line, read_holder
from buoy_core.state import ENDING, SERVING, lock_path

_POLL_S = 0.05
_LINE_BYTES = 64


class Lock:
    """A lock that this process holds until it ends; the kernel lets go of it then, after everything else."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self._doing = SERVING
        self.note(SERVING)

    def note(self, doing: str) -> None:
        """Writes down who holds the lock, and what it does. OSError if that file cannot be one."""
        self._doing = doing
        descriptor = os.open(lock_path(self._folder), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Always of one size, so that a full disk has room for it once it is there.
            os.pwrite(descriptor, holder_line(doing).rstrip(b"\n").ljust(_LINE_BYTES - 1) + b"\n", 0)
            os.ftruncate(descriptor, _LINE_BYTES)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        finally:
            os.close(descriptor)

    def renew(self) -> None:
        """Writes the note again if somebody has deleted it."""
        if not lock_path(self._folder).exists():
            self.note(self._doing)

    @property
    def lost(self) -> bool:
        """Whether the folder was deleted, so that nobody can find its daemon, and another may start."""
        try:
            named = self._folder.stat()
        except OSError:
            return True
        held = os.fstat(self._descriptor)
        return (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino)


def take_lock(folder: Path, wait_s: float) -> Lock | None:
    """The lock, or None if another daemon keeps it.

    Waits for a holder that is on its way out, and for no other: somebody may tell that one to stop just then, and
    would find another in its place.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    end = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Lock(folder, descriptor)
        except BlockingIOError:
            holder = read_holder(lock_path(folder))
            if holder is None or holder.doing != ENDING or time.monotonic() >= end:
                os.close(descriptor)
                return None
            time.sleep(_POLL_S)
