"""What the server holds of series: bounded by bytes, and right while points arrive and several threads ask."""

from __future__ import annotations

import threading

import numpy as np
from buoy_server.ingest.arrivals import Arrival
from buoy_server.query.held import Held
from buoy_server.query.known_series import KnownSeries, Part
from buoy_server.query.series_cache import HeldKey, SeriesCache
from buoy_server.query.track import Track
from buoy_server.services import Services

from tests.server.streams import Stream
from tests.server.test_series import ask, project, send
from tests.server.test_series_shapes import patched, shown


def columns(first: int, n: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]:
    step = np.arange(first, first + n)
    return {
        "step": step,
        "time_us": step * 1000,
        "value": step.astype(float),
        "attempt": np.ones(n, np.uint32),
    }


def held(run: int, n: int) -> Held:
    part = Part(n, 0, n - 1, 1 << 62, 0)
    known = KnownSeries(
        (run, 1, 0), False, 1, 0, n, (0, n - 1), (0, 1000 * n), 0.0, (), {(run, 1, 0): part}, n - 1
    )
    return Held(known, Track(columns(0, n)))


def test_the_least_recently_used_goes_when_there_is_no_room() -> None:
    size = held(1, 1000).size_bytes
    cache = SeriesCache(3 * size)
    keys = [HeldKey((run, 1, 0)) for run in range(4)]
    for run in range(3):
        cache.put(keys[run], held(run, 1000))
    assert cache.get(keys[0]) is not None
    cache.put(keys[3], held(3, 1000))
    assert [cache.get(key) is not None for key in keys] == [True, False, True, True]
    assert cache.size_bytes == 3 * size
    cache.put(keys[0], held(0, 5000))
    assert cache.get(keys[0]) is not None
    assert cache.size_bytes == held(0, 5000).size_bytes, (
        "the large one alone, though it is more than there may be"
    )


def test_points_that_nobody_asks_for_do_not_pile_up() -> None:
    cache = SeriesCache()
    key = HeldKey((1, 1, 0))
    cache.put(key, held(1, 10))
    first = 10
    while cache.get(key) is not None:
        cache.feed([Arrival(1, 1, 1, 0, columns(first, 5000))])
        first += 5000
        assert first < 1_000_000, "it goes at some time"
    assert cache.size_bytes == 0


def test_a_page_that_follows_while_points_arrive_misses_none(services: Services) -> None:
    """Uploads, answers and several pages at once: each page's picture is in the end that of a page which comes anew."""
    stream = Stream(project=project())
    writer, total = stream.writer(), 40 * 50
    writer.log([(step, {"loss": float(step)}) for step in range(50)])
    send(services, stream)
    done = threading.Event()
    failures: list[str] = []

    def upload() -> None:
        for begin in range(50, total, 50):
            writer.log([(step, {"loss": float(step)}) for step in range(begin, begin + 50)])
            services.ingest.append(stream.stream_id.hex(), stream.blocks[-1])
        done.set()

    def follow() -> None:
        request = {"exponent": 4, "pixels": 5000}
        answer = ask(services, stream, ["loss"], **request)
        picture, rev = shown(answer.series[0]), answer.rev
        last = False
        while not last:
            last = done.is_set()
            answer = ask(services, stream, ["loss"], **request, have={"run1": rev})
            new = answer.series[0]
            if new.kind != "unchanged":
                kept = [x for x in picture["x"] if not new.tail or x < new.columns["x"][0]]
                picture["x"] = (kept if new.tail else []) + shown(new)["x"]
            rev = answer.rev
            if picture["x"] != [float(step) for step in range(len(picture["x"]))]:
                failures.append(f"a hole, or too much, at {len(picture['x'])} points")
                return
        if len(picture["x"]) != total:
            failures.append(f"{len(picture['x'])} points at the end")

    threads = [threading.Thread(target=work) for work in (upload, follow, follow, follow)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not failures
    whole = ask(services, stream, ["loss"], exponent=4, pixels=5000).series[0]
    assert patched(whole, whole)["x"] == [float(step) for step in range(total)]
