"""One server for one data folder.

The embedded stores take a single process. The lock is flock() on a file in the folder, so it ends with the process
however that ends. Nothing is written to the folder before the lock is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from buoy_server.errors import StartError


class FolderLock:
    """Holds the data folder until `release()` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder (0700) and takes it.

        Raises:
            StartError: It cannot be written, or another server has it.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(
                f"the data folder {folder} cannot be written ({error.strerror}); "
                "make it writable or choose another with --data-dir"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            by = f" (process {holder})" if holder else ""
            raise StartError(
                f"another server{by} uses the data folder {folder}; "
                "stop that one or choose another folder with --data-dir"
            ) from error
        # Who has it is for people; on a full disk the lock itself is enough.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets another server have the folder. May be called once."""
        os.close(self._file)
