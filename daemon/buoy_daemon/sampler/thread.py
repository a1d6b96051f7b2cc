"""The sampler's thread: a first sample when a run begins, then one every interval.

Runs keep their own rhythm from their start, by a clock that only goes forward. One reading of the machine serves
all runs that are due.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from buoy_daemon.processes import is_alive
from buoy_daemon.registry import Registry, open_streams
from buoy_daemon.sampler.gpu import GpuReading, GpuSampler, gpu_values
from buoy_daemon.sampler.machine import MachineReading, Values, read_machine
from buoy_daemon.sampler.process_tree import ProcessTree, children_of_all, read_tree
from buoy_daemon.stream import Stream

log = logging.getLogger(__name__)

Submit = Callable[[Stream, Values, int], None]
"""Stream, metrics, time in microseconds since the epoch."""


@dataclass
class SampledRun:
    """What the sampler keeps of one run."""

    since: MachineReading
    due_at: float
    tree: ProcessTree = field(default_factory=ProcessTree)


class Sampler(threading.Thread):
    """Samples all open streams that want it."""

    def __init__(self, registry: Registry, submit: Submit, *, interval_s: float) -> None:
        super().__init__(name="sampler", daemon=True)
        self._registry = registry
        self._submit = submit
        self._interval_s = interval_s
        self._runs: dict[bytes, SampledRun] = {}
        self._gpus = GpuSampler()
        self._changed = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """There may be a new run."""
        self._changed.set()

    def stop(self) -> None:
        """Has the thread end soon."""
        self._stopping = True
        self._changed.set()

    def run(self) -> None:
        """Samples until stopped."""
        while not self._stopping:
            try:
                pause_s = self._turn(time.monotonic())
            except Exception:
                log.exception("a sample failed")
                pause_s = self._interval_s
            self._changed.wait(pause_s)
            self._changed.clear()
        self._gpus.close()

    def _turn(self, now: float) -> float | None:
        """Samples the runs that are due; returns how long to sleep (None: until woken)."""
        streams = {
            stream.stream_id: stream
            for stream in open_streams(self._registry)
            if stream.entry.telemetry and stream.is_open and stream.live_tails()
        }
        for stream_id in self._runs.keys() - streams.keys():
            del self._runs[stream_id]
        due = [
            stream
            for stream in streams.values()
            if stream.stream_id not in self._runs or self._runs[stream.stream_id].due_at <= now
        ]
        if due:
            self._sample(due, now)
        if not self._runs:
            return None
        return max(0.0, min(run.due_at for run in self._runs.values()) - time.monotonic())

    def _sample(self, due: list[Stream], now: float) -> None:
        machine, gpus, children = read_machine(), self._gpus.read(), children_of_all()
        time_us = time.time_ns() // 1000
        for stream in due:
            run = self._runs.setdefault(stream.stream_id, SampledRun(since=machine, due_at=now))
            # Later by whole intervals, so that a slow machine leaves samples out and does not pile them up.
            run.due_at += self._interval_s * (1 + (now - run.due_at) // self._interval_s)
            self._submit(stream, _values(stream, run, machine, gpus, children), time_us)


def _values(
    stream: Stream,
    run: SampledRun,
    machine: MachineReading,
    gpus: list[GpuReading],
    children: dict[int, list[int]],
) -> Values:
    readings = read_tree(_pids(stream), children)
    values = machine.values(run.since)
    if readings:
        values |= run.tree.values(readings, machine.memory_total)
    return values | gpu_values(gpus, set(readings))


def _pids(stream: Stream) -> list[int]:
    """The live writers' processes, as far as they run on this machine."""
    here = socket.gethostname()
    return [
        tail.entry.pid
        for tail in stream.live_tails()
        if tail.entry.pid and tail.entry.host == here and is_alive(tail.entry.pid, tail.entry.process_start)
    ]
