"""CPU, memory and threads of a run's processes: its writers and everything they have started.

Data loader workers do much of the work of a training, so the tree counts, not the process that logs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from buoy_daemon.sampler import cgroup
from buoy_daemon.sampler.machine import Values

_MIB = 1 << 20

Identity = tuple[int, float]
"""A pid and when the process was created: a pid alone may be taken over."""


@dataclass(frozen=True)
class ProcessReading:
    """One process at one moment."""

    created_at: float
    cpu_s: float
    rss_bytes: int
    threads: int


class ProcessTree:
    """The processes of one run, with what is needed to take a difference."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._cpu_s: dict[Identity, float] = {}
        self._read_at: float | None = None

    def values(self, readings: dict[int, ProcessReading], memory_total: int) -> Values:
        """The metrics of the tree; the first time, CPU is the average since the processes began.

        Args:
            readings: by pid.
            memory_total: bytes, for the share.
        """
        now = self._clock()
        rss = sum(reading.rss_bytes for reading in readings.values())
        values: Values = {
            "cpu": 100.0 * self._cores_used(readings, now) / cgroup.cpu_count(),
            "proc.cpu.threads": sum(reading.threads for reading in readings.values()),
            "proc.memory.rssMB": rss / _MIB,
            "proc.memory.percent": 100.0 * rss / memory_total,
        }
        self._cpu_s = {(pid, reading.created_at): reading.cpu_s for pid, reading in readings.items()}
        self._read_at = now
        return values

    def _cores_used(self, readings: dict[int, ProcessReading], now: float) -> float:
        if self._read_at is None:
            ages = ((reading, max(now - reading.created_at, 0.01)) for reading in readings.values())
            return sum(reading.cpu_s / age for reading, age in ages)
        used_s = 0.0
        for pid, reading in readings.items():
            # A process that was not there before has spent all its time since.
            used_s += reading.cpu_s - self._cpu_s.get((pid, reading.created_at), 0.0)
        return max(0.0, used_s) / max(now - self._read_at, 0.01)


def children_of_all() -> dict[int, list[int]]:
    """The pids that each process of the machine has started."""
    children: dict[int, list[int]] = defaultdict(list)
    for process in psutil.process_iter(["ppid"]):
        children[process.info["ppid"]].append(process.pid)
    return children


def read_tree(roots: Iterable[int], children: dict[int, list[int]]) -> dict[int, ProcessReading]:
    """Reads processes and all their descendants; those that end meanwhile are left out."""
    readings: dict[int, ProcessReading] = {}
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid in readings:
            continue
        reading = _read(pid)
        if reading is not None:
            readings[pid] = reading
            waiting += children.get(pid, [])
    return readings


def _read(pid: int) -> ProcessReading | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return ProcessReading(
                created_at=process.create_time(),
                cpu_s=times.user + times.system,
                rss_bytes=process.memory_info().rss,
                threads=process.num_threads(),
            )
    except psutil.Error:
        return None
