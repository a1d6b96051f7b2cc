"""A file that names the process which has something in hand: `<pid> <what it does> <when it started>`.

It says who, and a lock says whether: what is written here may be old, or of a machine start ago, or garbage.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from buoy_core.machine import process_identity


class Holder(NamedTuple):
    """A process, as its file names it.

    Attributes:
        pid: its number.
        doing: one word.
        start: when it started, in clock ticks since boot; 0 if unknown.
    """

    pid: int
    doing: str
    start: int

    def is_running(self) -> bool:
        """Whether this very process still runs. One that has ended and waits for its parent to look does not."""
        return is_running(self.pid) and process_identity(self.pid)[1] == self.start


def holder_line(doing: str) -> bytes:
    """What this process writes about itself."""
    pid, start = process_identity()
    return f"{pid} {doing} {start}\n".encode()


def read_holder(path: Path) -> Holder | None:
    """Who the file names; None if there is no such file, or no such line in it."""
    try:
        pid, doing, start = path.read_bytes()[:100].decode("ascii", "replace").split()
        return Holder(int(pid), doing, int(start)) if int(pid) > 0 else None
    except (OSError, ValueError):
        return None


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended stays visible until its parent has looked, and does not count."""
    try:
        if Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
            return False
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
