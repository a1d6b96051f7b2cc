"""Which machine start and which process this is, for spools that outlive both; and who forked."""

from __future__ import annotations

import os

_BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id"
_PID_NAMESPACE_PATH = "/proc/self/ns/pid"

fork_generation = 0
"""Counts up in each forked child. A writer of another generation belongs to the parent."""


def _count_fork() -> None:
    global fork_generation
    fork_generation += 1


os.register_at_fork(after_in_child=_count_fork)


def boot_id() -> bytes:
    """The 16-byte id of this start of the machine; zero where the system has none."""
    try:
        with open(_BOOT_ID_PATH, encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
            return bytes.fromhex(file.read().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def pid_namespace() -> int:
    """Which table of processes this one is in, as its inode number; 0 where the system has none.

    A pid means nothing in another one: containers have their own.
    """
    try:
        return os.stat(_PID_NAMESPACE_PATH).st_ino  # noqa: PTH116
    except OSError:
        return 0


def process_identity(pid: int | None = None) -> tuple[int, int]:
    """The pid and when that process started, in clock ticks since boot; 0 if unknown or gone.

    A pid alone may be taken over by another process; the pair is not.
    """
    # /proc may belong to another table of processes than ours, where our pid is somebody else's.
    name = "self" if pid is None else str(pid)
    pid = os.getpid() if pid is None else pid
    try:
        with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
            # The name of the program, in parentheses, may hold spaces and parentheses itself.
            fields = file.read().rpartition(b")")[2].split()
        return pid, int(fields[19])
    except (OSError, IndexError, ValueError):
        return pid, 0
