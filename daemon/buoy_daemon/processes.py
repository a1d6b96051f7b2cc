"""Whether the process that a spool names still runs; and a signal to that one only.

A pid means something only together with the time the process started, because pids are given out again, and only in
its own table of processes (pid namespace), because each container counts from 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psutil
from buoy_core import pid_namespace

_INITIAL_NAMESPACE = 0xEFFFFFFC
"""The kernel's constant for the table that shows all processes of the machine."""

LOOK_S = 10.0
"""Time between two looks through all processes for one of another table."""


class Process:
    """The process of a writer, wherever it runs on this machine.

    Args:
        pid: its number, in its own table.
        start: when it started, in clock ticks since boot; 0 if unknown (not on Linux).
        namespace: its table of processes; 0 if unknown.

    Attributes:
        pid_here: its number in our own table; None as long as it is out of sight.
    """

    def __init__(self, pid: int, start: int, namespace: int) -> None:
        self._pid = pid
        self._start = start
        self._namespace = namespace
        self.pid_here: int | None = pid if namespace in (0, pid_namespace()) else None
        self._look_at = float("-inf")
        self._is_nowhere = False

    def runs(self) -> bool | None:
        """Whether it does; None if that cannot be seen from here."""
        if self.pid_here is None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_S
            self.pid_here = _pid_here(self._pid, self._start, self._namespace)
            # Where nothing is hidden, what cannot be found has ended.
            self._is_nowhere = self.pid_here is None and _sees_all()
        if self.pid_here is None:
            return False if self._is_nowhere else None
        return is_alive(self.pid_here, self._start)

    def interrupt(self, before: Callable[[], None]) -> bool:
        """Sends SIGINT, if the process is certainly the one that is meant and handles that signal.

        One that ignores SIGINT, or would just die of it, gets none.

        Args:
            before: Called when all is well, right before the signal.

        Returns:
            Whether it was sent.
        """
        if self._start == 0 or not self.runs() or self.pid_here is None:
            return False
        try:
            # From here on the number cannot be taken over by another process; whose it is, is asked once more.
            process = os.pidfd_open(self.pid_here)
        except (AttributeError, OSError):
            return False
        try:
            if not (is_alive(self.pid_here, self._start) and _handles_interrupt(self.pid_here)):
                return False
            before()
            signal.pidfd_send_signal(process, signal.SIGINT)
        except OSError:
            return False
        finally:
            os.close(process)
        return True


def is_alive(pid: int, process_start: int) -> bool:
    """Whether a process of our own table of processes still runs.

    A zombie counts as dead, unless only its first thread has ended: it will never log again, whatever its parent
    does. A pid taken over by another process is told by its start time.

    Args:
        pid: Its number.
        process_start: When it started, in clock ticks since boot; 0 if unknown (not on Linux).
    """
    if process_start == 0 or not _proc_is_ours():
        return _is_running(pid)
    fields = _stat(pid)
    if fields is None or (fields[0] in (b"Z", b"X") and int(fields[17]) <= 1):
        return False
    return int(fields[19]) == process_start


def _is_running(pid: int) -> bool:
    if not _proc_is_ours():
        with contextlib.suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return False
        return True
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _stat(pid: int) -> list[bytes] | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name of the program, in parentheses, may hold spaces and parentheses itself.
    return stat.rpartition(b")")[2].split()


@cache
def _proc_is_ours() -> bool:
    """Whether /proc shows our table of processes: `unshare --pid` alone leaves the one of outside there."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())  # noqa: PTH115
    except OSError:
        return True


@cache
def _sees_all() -> bool:
    """Whether nothing on this machine is hidden from us."""
    return pid_namespace() == _INITIAL_NAMESPACE and _proc_is_ours() and _stat(1) is not None


def _pid_here(pid: int, start: int, namespace: int) -> int | None:
    """The number that a process of another table has in ours; None if it is not to be seen."""
    for candidate in _processes():
        fields = _stat(candidate)
        if fields is None or int(fields[19]) != start:
            continue
        if _inner_pid(candidate) == pid and _namespace_of(candidate) in (0, namespace):
            return candidate
    return None


def _processes() -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def _inner_pid(pid: int) -> int:
    """Its number in its own table, 0 if unknown."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def _handles_interrupt(pid: int) -> bool:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False


def _namespace_of(pid: int) -> int:
    """Its table, 0 if we may not know."""
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    except OSError:
        return 0
