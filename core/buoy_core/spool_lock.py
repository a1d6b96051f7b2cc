"""Tells a process that has replaced its program from one that still writes its spool.

`exec` keeps pid and start time, so both look alive. The writer holds a record lock on a file of its own in the spool's
folder: the kernel lets go of it when the process ends or executes another program, and a fork does not inherit it.

A record lock also goes when its process closes any descriptor of the file, one of a back-up for instance. So a lock
that is gone is a reason to look at the process's mappings, and only those decide.
"""

from __future__ import annotations

import fcntl
import os

LOCK_NAME = "writer.lock"


class SpoolLock:
    """Held from its making until `let_go`, or the end of the program.

    Args:
        directory: the spool's folder.

    Raises:
        OSError: this file system has no such locks.
    """

    def __init__(self, directory: str) -> None:
        self._descriptor = os.open(f"{directory}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = _identity(self._descriptor)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def let_go(self) -> None:
        """Closes the descriptor. In a forked child that costs the parent nothing."""
        try:
            # Whoever makes a daemon of a process closes all descriptors, and the number may be another file's now.
            if _identity(self._descriptor) == self._file:
                os.close(self._descriptor)
        except OSError:
            pass
        self._file = None


def _identity(descriptor: int) -> tuple[int, int] | None:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def is_abandoned(directory: str, pid: int) -> bool:
    """Whether a process that still runs has nothing to do with its spool any more; False in case of doubt."""
    return _is_free(directory) and not _maps(pid, directory)


def _is_free(directory: str) -> bool:
    try:
        descriptor = os.open(f"{directory}/{LOCK_NAME}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False  # A writer that takes no lock.
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _maps(pid: int, directory: str) -> bool:
    # The folder's name is the writer's id, so it is found whatever path the process knows it by.
    name = os.fsencode(os.path.basename(directory)) + b"/"  # noqa: PTH119 - pathlib is slow to import
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:  # noqa: PTH123
            return any(name in line for line in file)
    except OSError:
        return True
