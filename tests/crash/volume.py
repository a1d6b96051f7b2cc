"""A small file system of its own that a test can fill to the last byte: a tmpfs, for which it takes root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BALLOON = ".balloon"
BLOCK_BYTES = 4096


def _can_mount() -> bool:
    """Whether this process may mount, found out by doing it in a mount namespace that ends with the question."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    question = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]
    with contextlib.suppress(OSError):
        return subprocess.run(question, check=False, capture_output=True).returncode == 0
    return False


needs_volume = pytest.mark.skipif(not _can_mount(), reason="mounting a tmpfs takes root")


class Volume:
    """A mounted tmpfs. `fill()` and `free()` may be called at any time, while processes use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._balloon = folder / BALLOON

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Takes all room but `leave_bytes`; what is freed later by others is theirs."""
        with self._balloon.open("ab") as balloon:
            while (room := self.free_bytes - leave_bytes) >= BLOCK_BYTES:
                # Someone else may be faster.
                with contextlib.suppress(OSError):
                    os.posix_fallocate(
                        balloon.fileno(), balloon.seek(0, os.SEEK_END), room // BLOCK_BYTES * BLOCK_BYTES
                    )

    def free(self) -> None:
        """Gives the room back."""
        self._balloon.unlink(missing_ok=True)


@contextlib.contextmanager
def volume(folder: Path, size_bytes: int) -> Iterator[Volume]:
    """Mounts a file system of `size_bytes` at `folder`, which is made, and takes it away at the end, whatever happens.

    Processes that use it must have ended by then; what is left of them keeps it alive unseen, until they end.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=700", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield Volume(folder)
    finally:
        _unmount(folder)


def _unmount(folder: Path) -> None:
    for _ in range(20):
        if subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
