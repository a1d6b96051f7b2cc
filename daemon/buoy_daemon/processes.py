"""Whether the process that a spool names is still the one that runs under that pid."""

from __future__ import annotations

from pathlib import Path

import psutil


def is_alive(pid: int, process_start: int) -> bool:
    """Whether a process still runs.

    A zombie counts as dead, unless only its first thread has ended: it will never log again, whatever its parent
    does. A pid taken over by another process is told by its start time.

    Args:
        pid: Its number.
        process_start: When it started, in clock ticks since boot; 0 if unknown (not on Linux).
    """
    if process_start == 0:
        return _is_running(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # The name of the program, in parentheses, may hold spaces and parentheses itself.
    fields = stat.rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X") and int(fields[17]) <= 1:
        return False
    return int(fields[19]) == process_start


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
