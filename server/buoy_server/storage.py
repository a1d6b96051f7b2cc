"""What the server does when its disk is full or fails: it refuses uploads with one clear reason, and goes on reading.

Uploads stop before the last byte is taken, because SQLite, the metrics engine's merges and the rest of the machine need
room too. Where the disk fills up nevertheless, in the middle of one, the stores' own transactions see to it that
nothing is half there; then the errors of three libraries are told apart from other errors here.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from buoy_core.format import FREE_BYTES_MIN

from buoy_server.errors import StorageTrouble

_log = logging.getLogger("buoy_server")

_FULL = re.compile(
    r"database or disk is full|NOT_ENOUGH_SPACE|No space left on device|[Dd]isk quota exceeded|errno: (28|122)\b"
)
_FAILED = re.compile(
    r"disk I/O error|Input/output error|readonly database|Read-only file system|unable to open database file"
    r"|errno: (5|30)\b"
)
_WHAT_THEN = "Nothing was stored, and what waits comes by itself once the disk is well."


class Storage:
    """The folders of the embedded stores. Thread-safe.

    Args:
        folders: where uploads end up on this machine; none, if all stores are elsewhere.
        free_bytes_min: room that is left to others.
    """

    def __init__(self, folders: Iterable[Path], free_bytes_min: int = FREE_BYTES_MIN) -> None:
        self._folders = tuple(folders)
        self._free_bytes_min = free_bytes_min
        self._told = ""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around whatever stores an upload; the log hears of the first trouble and of its end.

        Raises:
            StorageTrouble: There is too little room, or there was in the block.
        """
        try:
            self._check()
            yield
        except StorageTrouble as error:
            if self._told != error.code:
                self._told = error.code
                _log.error("uploads are refused: %s", error.detail)
            raise
        if self._told:
            self._told = ""
            _log.warning("uploads are stored again")

    def _check(self) -> None:
        for folder in self._folders:
            try:
                status = os.statvfs(folder)
            except OSError as error:
                raise StorageTrouble(
                    "storage_failed",
                    f"The server's folder {folder} cannot be reached: {error.strerror}. {_WHAT_THEN}",
                ) from error
            free = status.f_bavail * status.f_frsize
            if free < self._free_bytes_min:
                raise StorageTrouble(
                    "storage_full",
                    f"The disk of the server's folder {folder} is full: {free:,} bytes are free, and "
                    f"{self._free_bytes_min:,} are left to others. {_WHAT_THEN}",
                )


def folders_of(*urls: str) -> list[Path]:
    """The folders on this machine that stores with these URLs write to."""
    found = []
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme == "chdb":
            found.append(Path(unquote(parts.path)))
        elif parts.scheme.startswith("sqlite"):
            found.append(Path(url.partition("///")[2]).parent)
    return found


def trouble_of(error: Exception, store: str) -> StorageTrouble | None:
    """What a store's error means if its disk is to blame; None if it is not.

    Args:
        error: As SQLAlchemy or the metrics engine's client raised it.
        store: Its name, for people.
    """
    text = str(error)
    if found := _FULL.search(text):
        return StorageTrouble(
            "storage_full", f"The disk of the server's {store} is full ({found[0]}). {_WHAT_THEN}"
        )
    if found := _FAILED.search(text):
        return StorageTrouble(
            "storage_failed", f"The disk of the server's {store} fails ({found[0]}). {_WHAT_THEN}"
        )
    return None
