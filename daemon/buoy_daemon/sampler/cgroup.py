"""What a container may use: limits of control groups, versions 1 and 2.

In a container the machine's figures mislead: 100 % of two cores of a 64-core machine would show as 3 %.
"""

from __future__ import annotations

import os
from pathlib import Path

_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as a number near 2**63."""


def cpu_count() -> float:
    """Cores this process may use: the cgroup's quota, else its CPU affinity."""
    quota = _cpu_quota()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(quota, affinity) if quota else float(affinity)


def memory() -> tuple[int, int] | None:
    """Bytes in use and bytes allowed in this process's cgroup; None if there is no limit."""
    for folder, used_name, limit_name in _memory_files():
        limit = _number(folder / limit_name)
        used = _number(folder / used_name)
        if limit is not None and used is not None and 0 < limit < _UNLIMITED:
            # The page cache is given back when memory gets short, so it is not in use.
            return max(0, used - _inactive_file(folder)), limit
    return None


def _cpu_quota() -> float | None:
    for folder in _folders(""):
        words = _text(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdigit():
            return int(words[0]) / int(words[1])
    for folder in _folders("cpu"):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and period and quota > 0:
            return quota / period
    return None


def _memory_files() -> list[tuple[Path, str, str]]:
    second = [(folder, "memory.current", "memory.max") for folder in _folders("")]
    first = [(folder, "memory.usage_in_bytes", "memory.limit_in_bytes") for folder in _folders("memory")]
    return second + first


def _folders(controller: str) -> list[Path]:
    """Where a controller's files of this process may be; version 2 has no name in /proc/self/cgroup."""
    root = Path("/sys/fs/cgroup") / controller
    inside = ""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            inside = path
    # In a container with a namespace of its own, the path seen inside is not below the mount: try the mount too.
    return [root / inside.lstrip("/"), root]


def _inactive_file(folder: Path) -> int:
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
