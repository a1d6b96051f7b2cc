"""Memory, disks and network of the machine: one reading, from which each run takes what happened since it began."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from buoy_daemon.sampler import cgroup

DISK_PATHS = ("/",)
_MIB = 1 << 20
_GIB = 1 << 30

Values = dict[str, float | int]


@dataclass(frozen=True)
class MachineReading:
    """Counters and levels at one moment; bytes."""

    memory_used: int
    memory_total: int
    disk_usage: dict[str, tuple[float, int]]
    disk_io: dict[str, tuple[int, int]]
    network: tuple[int, int]

    def values(self, since: MachineReading) -> Values:
        """The metrics, with what counts up counted from `since`."""
        values: Values = {
            "memory_percent": 100.0 * self.memory_used / self.memory_total,
            "proc.memory.availableMB": (self.memory_total - self.memory_used) / _MIB,
            "network.sent": self.network[0] - since.network[0],
            "network.recv": self.network[1] - since.network[1],
        }
        for path, (percent, used) in self.disk_usage.items():
            values[f"disk.{path}.usagePercent"] = percent
            values[f"disk.{path}.usageGB"] = used / _GIB
        for device, (read, written) in self.disk_io.items():
            read_before, written_before = since.disk_io.get(device, (read, written))
            values[f"disk.{device}.in"] = (read - read_before) / _MIB
            values[f"disk.{device}.out"] = (written - written_before) / _MIB
        return values


def read_machine() -> MachineReading:
    """Reads the machine now. What cannot be read is left out, or 0."""
    memory = psutil.virtual_memory()
    limited = cgroup.memory()
    used, total = memory.total - memory.available, memory.total
    if limited is not None and limited[1] < total:
        used, total = limited
    network = psutil.net_io_counters()
    return MachineReading(
        memory_used=used,
        memory_total=total,
        disk_usage=_disk_usage(),
        disk_io=_disk_io(),
        network=(network.bytes_sent, network.bytes_recv) if network else (0, 0),
    )


def _disk_usage() -> dict[str, tuple[float, int]]:
    usage = {}
    for path in DISK_PATHS:
        try:
            about = psutil.disk_usage(path)
        except OSError:
            continue
        usage[path] = (about.percent, about.used)
    return usage


def _disk_io() -> dict[str, tuple[int, int]]:
    try:
        counters = psutil.disk_io_counters(perdisk=True) or {}
    except (OSError, RuntimeError):
        return {}
    wanted = _devices(counters)
    return {name: (counters[name].read_bytes, counters[name].write_bytes) for name in wanted}


def _devices(known: Mapping[str, object]) -> list[str]:
    """The devices under DISK_PATHS; where they are hidden (a container's overlay), the machine's whole disks."""
    found = []
    for path in DISK_PATHS:
        device = Path(path).stat().st_dev
        name = Path(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")).name
        if name in known:
            found.append(name)
    return found or [name for name in sorted(known) if _is_whole_disk(name)]


def _is_whole_disk(name: str) -> bool:
    return Path(f"/sys/block/{name}/device").exists()
