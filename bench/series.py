"""What a page waits for: the server's part of the dashboard's budget, in processor time and without HTTP.

One series of ten million points: the first look, looks after it, zooms down to raw points. Then 200 live series, of
which each has one new point a tick; and twelve panels of a hundred runs. Points are put straight into the store.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from buoy_proto import v1
from buoy_server.config import parse
from buoy_server.ingest.catalogue import create_stream, resolve_keys
from buoy_server.metadata.schema import SERIES, STREAMS
from buoy_server.metrics.store import MetricsStore, PointColumns
from buoy_server.query.panel import PanelRequest
from buoy_server.query.smoothing import Smoothing
from buoy_server.services import Services, open_services
from buoy_server.web.frames import encode_frame
from numpy.typing import NDArray
from sqlalchemy import update

POINTS = 10_000_000
LIVE = 200
TICKS = 5
RUNS, KEYS, STEPS = 100, 12, 1000
PIXELS = 640
_PART = 1_000_000
_START_US = 1_700_000_000_000_000


class Project:
    """A project that is filled by hand."""

    def __init__(self, services: Services, name: str) -> None:
        self.services = services
        self.name = name
        self.path = f"local:{name}"
        self._seq = 0

    def add(self, run: str, keys: Sequence[str], steps: int) -> None:
        """A run with so many steps of each key, in the store and in the statistics."""
        metadata = self.services.metadata
        stream_id = f"{self.name}/{run}".encode().ljust(16, b".")[-16:]
        info = v1.RunInfo(project=self.name, run_id=run)
        start = v1.StreamStart(stream_id=stream_id, run=info, attempt=1, time_unix_us=_START_US)
        state = create_stream(metadata, start, _START_US)
        resolve_keys(metadata, state, [(False, key) for key in keys])
        store, owner = MetricsStore(self.services.engine), state.owner
        ids = [state.keys[False, key] for key in keys]
        for begin in range(0, steps, _PART):
            step = np.arange(begin, min(begin + _PART, steps), dtype=np.int64)
            self._insert(store, (owner.run, owner.attempt, owner.stream), ids, step)
        rows = [self._row(owner.run, owner.attempt, owner.stream, key, steps) for key in ids]
        with metadata.write() as connection:
            connection.execute(SERIES.insert(), rows)
            connection.execute(update(STREAMS).where(STREAMS.c.id == owner.stream).values(next_seq=steps + 1))

    def _insert(
        self,
        store: MetricsStore,
        owner: tuple[int, int, int],
        keys: Sequence[int],
        steps: NDArray[np.int64],
    ) -> None:
        step = np.tile(steps, len(keys))
        n = len(step)
        noise = np.random.default_rng(n).normal(size=n) * 0.05
        value = (np.exp(-step / (0.3 * POINTS)) + noise).astype(np.float32).astype(np.float64)
        columns = PointColumns(
            *owner,
            key=np.repeat(np.array(keys, np.uint32), len(steps)),
            rank=np.zeros(n, np.uint32),
            step=step,
            seq=(step + 1).astype(np.uint64),
            time_us=_START_US + step * 1000,
            value=value,
            kind=np.zeros(n, np.uint8),
        )
        self._seq += 1
        store.insert_points(columns, f"{self.name}:{self._seq}")

    def _row(self, run: int, attempt: int, stream: int, key: int, steps: int) -> dict[str, object]:
        return {
            "run": run, "key": key, "rank": 0, "attempt": attempt, "n": steps, "texts": 0, "first_step": 0,
            "last_step": steps - 1, "first_us": _START_US, "last_us": _START_US + 1000 * (steps - 1),
            "first_value": "1.0", "last_value": "1.0", "last_stream": stream, "last_seq": steps, "minimum": 0.0,
            "maximum": 1.0, "total": 0.0, "finite": steps, "ascending": 1, "gen": 0, "rev": 1,
        }  # fmt: skip

    def ask(self, panel: PanelRequest) -> bytes:
        """The frame of a panel."""
        return encode_frame(self.services.series.answer(self.path, panel), self.services.metadata.epoch)


def timed(action: Callable[[], object]) -> float:
    """Milliseconds of processor time that it takes, all threads together: a busy machine changes little of that."""
    begin = time.process_time()
    action()
    return (time.process_time() - begin) * 1000


def long_series(services: Services) -> None:
    """One series of ten million points."""
    project = Project(services, "long")
    project.add("r", ["loss"], POINTS)
    with services.engine.client() as client:
        client.command("OPTIMIZE TABLE points FINAL")
    whole = PanelRequest(1, ["loss"], ["r"], pixels=PIXELS)
    print(f"{POINTS:,} points, first look: {timed(lambda: project.ask(whole)):.0f} ms")
    looks = [timed(lambda: project.ask(whole)) for _ in range(9)]
    print(f"  looks after it: {statistics.median(looks):.1f} ms, {len(project.ask(whole)):,} bytes")
    low, high = 0.0, float(POINTS)
    while high - low > PIXELS:
        low, high = low + (high - low) * 0.4, low + (high - low) * 0.65
        zoom = PanelRequest(1, ["loss"], ["r"], pixels=PIXELS, range=(low, high))
        first, again = timed(lambda z=zoom: project.ask(z)), timed(lambda z=zoom: project.ask(z))  # type: ignore[misc]
        print(f"  zoom to {high - low:>11,.0f} steps: {first:.1f} ms, again {again:.1f} ms")
    smooth = PanelRequest(1, ["loss"], ["r"], pixels=PIXELS, smoothing=Smoothing("twema", 0.6, 2.0**24))
    print(f"  smoothed, first look: {timed(lambda: project.ask(smooth)):.0f} ms")
    print(
        f"  smoothed, after it: {statistics.median(timed(lambda: project.ask(smooth)) for _ in range(9)):.1f} ms"
    )


def live_tick(services: Services) -> None:
    """Many series, each with a little more every second."""
    project = Project(services, "live")
    names = [f"r{number:03}" for number in range(LIVE)]
    streams = [LiveRun(services, project.name, name) for name in names]
    for stream in streams:
        stream.log(range(STEPS))
    first = services.series.answer(project.path, PanelRequest(1, ["loss"], names, pixels=100, exponent=4))
    rev, taken, size = first.rev, [], 0
    for tick in range(TICKS):
        for stream in streams:
            stream.log(range(STEPS + tick, STEPS + tick + 1))
        request = PanelRequest(1, ["loss"], names, pixels=100, exponent=4, have=dict.fromkeys(names, rev))
        begin = time.process_time()
        answer = services.series.answer(project.path, request)
        frame = encode_frame(answer, 0)
        taken.append((time.process_time() - begin) * 1000)
        rev, size = answer.rev, len(frame)
        assert all(series.tail for series in answer.series)
    print(f"live tick of {LIVE} series: {statistics.median(taken):.1f} ms, {size:,} bytes")


class LiveRun:
    """A run that is uploaded block by block."""

    def __init__(self, services: Services, project: str, name: str) -> None:
        from tests.server.streams import Stream

        self._services = services
        self._stream = Stream(name, project=project)
        self._writer = self._stream.writer()

    def log(self, steps: range) -> None:
        """One upload."""
        self._writer.log([(step, {"loss": 1.0 / (1 + step)}) for step in steps])
        self._services.ingest.append(self._stream.stream_id.hex(), b"".join(self._stream.blocks))
        self._stream.blocks.clear()


def many_panels(services: Services) -> None:
    """A screen full of charts."""
    project = Project(services, "many")
    names, keys = [f"r{number:03}" for number in range(RUNS)], [f"key{number}" for number in range(KEYS)]
    for name in names:
        project.add(name, keys, STEPS)
    panels = [PanelRequest(number, [key], names, pixels=160) for number, key in enumerate(keys)]
    for what in ("first look", "after it"):
        taken = timed(lambda: [project.ask(panel) for panel in panels])
        print(f"{KEYS} panels of {RUNS} runs, {what}: {taken:.0f} ms")


def main() -> None:
    """All of them, in a store of their own."""
    with tempfile.TemporaryDirectory() as folder:
        services = open_services(parse(["--data-dir", str(Path(folder) / "data")], {}))
        try:
            live_tick(services)
            many_panels(services)
            long_series(services)
        finally:
            services.close()
