"""The daemon's own log: small whatever happens, and well again by itself after the disk was full.

The standard library's handler keeps what it could not write, and is closed for good when a full disk meets it while it
changes files. This one writes each line at once or drops it, and says later how many are missing.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path


class LogFile(logging.Handler):
    """Appends to a file; a full one becomes `<name>.1` and the oldest goes.

    Args:
        path: The file; made if it can be, now or later.
        bytes_max: A file of this size is followed by the next.
        older: How many older ones are kept.
    """

    def __init__(self, path: Path, *, bytes_max: int, older: int) -> None:
        super().__init__()
        self._path = path
        self._bytes_max = bytes_max
        self._older = older
        self._descriptor = -1
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record, or drops it."""
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        if self._dropped:
            line += f"({self._dropped:,} lines before this one could not be written)\n"
        try:
            self._write(line.encode("utf-8", "backslashreplace"))
            self._dropped = 0
        except OSError:
            self._dropped += 1

    def close(self) -> None:
        """Closes the file."""
        with self.lock or contextlib.nullcontext():
            self._let_go()
        super().close()

    def _write(self, line: bytes) -> None:
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
        size = os.fstat(self._descriptor).st_size
        if size and size + len(line) > self._bytes_max:
            self._let_go()
            self._rotate()
            self._write(line)
            return
        written = os.write(self._descriptor, line)
        if written < len(line):
            # Half a line helps nobody.
            os.ftruncate(self._descriptor, size)
            raise OSError("the disk is full")

    def _rotate(self) -> None:
        for number in range(self._older, 0, -1):
            younger = self._path if number == 1 else self._numbered(number - 1)
            with contextlib.suppress(FileNotFoundError):
                younger.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
