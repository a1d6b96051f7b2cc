"""Bands over ranks, against an oracle that looks at every point of every rank."""

from __future__ import annotations

import math
import random
import secrets
from typing import Any

import pytest
from buoy_server.errors import Malformed
from buoy_server.metrics.selection import REDUCED
from buoy_server.query.panel import PanelRequest, SeriesAnswer
from buoy_server.services import Services
from buoy_server.web.panel_request import parse_panels

from tests.server.processes import ServerProcess
from tests.server.streams import START_US, Stream
from tests.server.test_frames import read_frames

Points = dict[int, dict[int, float]]
"""By rank, by step."""


def send(services: Services, *streams: Stream) -> None:
    for stream in streams:
        services.ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))


def log(stream: Stream, points: Points) -> None:
    for rank, row in points.items():
        stream.writer(rank, world_size=len(points)).log([(step, {"loss": row[step]}) for step in sorted(row)])


def ask(services: Services, project: str, **more: Any) -> list[SeriesAnswer]:
    given = {"keys": ["loss"], "runs": ["r"], "ranks": "band", **more}
    ((panel,), _) = parse_panels({"panels": [given]})
    return services.bands.answer(f"local:{project}", panel).series


def expected(points: Points, width: int) -> dict[int, dict[str, float]]:
    """Each bucket's columns by its number."""
    found: dict[int, dict[str, float]] = {}
    for bucket in sorted({step // width for row in points.values() for step in row}):
        here = [
            (value, rank)
            for rank, row in points.items()
            for step, value in row.items()
            if step // width == bucket
        ]
        finite = [(value, rank) for value, rank in here if math.isfinite(value)]
        low, high = min(finite, default=None), max(((v, -rank) for v, rank in finite), default=None)
        bad = [rank for value, rank in here if not math.isfinite(value)]
        found[bucket] = {"n": len(here), "ranks": len({rank for _, rank in finite}), "bad": len(bad)}
        found[bucket]["bad_rank"] = min(bad, default=0)
        if low and high:
            found[bucket] |= {"min": low[0], "low": low[1], "max": high[0], "high": -high[1]}
            found[bucket]["mean"] = pytest.approx(sum(value for value, _ in finite) / len(finite))
    return found


def seen(series: SeriesAnswer) -> dict[int, dict[str, float]]:
    assert (series.kind, series.rank) == ("buckets", REDUCED)
    found = {}
    for at, idx in enumerate(series.idx.tolist()):
        row = {name: column[at].item() for name, column in series.columns.items()}
        if not row["ranks"]:
            assert math.isnan(row["min"])
            assert math.isnan(row["max"])
            row = {name: row[name] for name in ("n", "ranks", "bad", "bad_rank")}
        found[series.first_bucket + idx] = row
    return found


def invent(rng: random.Random, ranks: int) -> Points:
    """Ranks that miss steps, end early, begin late; values that are equal, NaN or infinite now and then."""
    values = [math.nan, math.inf, -math.inf, 0.5, 0.5]
    return {
        rank: {
            step: rng.choice(values) if rng.random() < 0.2 else rng.random()
            for step in range(rng.randint(0, 5), rng.randint(20, 60))
            if rng.random() < 0.8
        }
        for rank in rng.sample(range(100), ranks)
    }


@pytest.mark.parametrize("seed", range(4))
def test_every_bucket_says_how_far_the_ranks_lie_apart(services: Services, seed: int) -> None:
    rng = random.Random(seed)
    project, points = f"bands-{secrets.token_hex(4)}", invent(rng, rng.choice([2, 5, 16]))
    stream = Stream("r", project=project)
    log(stream, points)
    send(services, stream)
    for pixels, exponent in ((100, 0), (8, None)):
        ((panel,), _) = parse_panels(
            {"panels": [{"keys": ["loss"], "runs": ["r"], "ranks": "band", "px": pixels}]}
        )
        answer = services.bands.answer(f"local:{project}", panel)
        assert exponent in (None, answer.exponent)
        (series,) = answer.series
        assert seen(series) == expected(points, 2**answer.exponent)
        last = max(step for row in points.values() for step in row)
        newest = [row[last] for row in points.values() if last in row]
        assert series.extent is not None
        assert series.extent.last_y == pytest.approx(sum(newest) / len(newest), nan_ok=True)
        assert (series.extent.x_max, series.extent.n) == (last, sum(map(len, points.values())))


def test_a_later_attempt_takes_over_and_the_rest_can_be_seen(services: Services) -> None:
    project = f"bands-{secrets.token_hex(4)}"
    first: Points = {rank: {step: 10.0 + rank + step for step in range(8)} for rank in range(3)}
    second: Points = {rank: {step: -1.0 - rank - step for step in range(5, 7)} for rank in range(3)}
    streams = []
    for number, points in enumerate((first, second)):
        stream = Stream(
            "r", project=project, start_us=START_US + number * 1_000_000, launch=bytes([number]) * 16
        )
        log(stream, points)
        streams.append(stream)
    send(services, *streams)
    curve = {rank: {step: first[rank][step] for step in range(5)} | second[rank] for rank in range(3)}
    (series,) = ask(services, project)
    assert seen(series) == expected(curve, 1)
    assert series.extent is not None
    assert (series.extent.x_max, series.extent.last_y) == (6, -8.0)
    _, part = ask(services, project, attempts="all")
    assert part.attempt == 1
    left = {rank: {step: first[rank][step] for step in range(5, 8)} for rank in range(3)}
    assert seen(part) == expected(left, 1)


def test_a_run_with_one_rank_comes_as_it_is(services: Services) -> None:
    """In one panel with others, in order; what nobody knows is absent."""
    project = f"bands-{secrets.token_hex(4)}"
    single, several = Stream("one", project=project), Stream("many", project=project)
    log(single, {3: {0: 1.0, 1: 2.0}})
    log(several, {0: {0: 1.0}, 1: {0: 3.0}})
    send(services, single, several)
    answers = ask(services, project, runs=["nobody", "many", "one"])
    assert [(item.run, item.kind, item.rank) for item in answers] == [
        ("nobody", "absent", 0), ("many", "buckets", REDUCED), ("one", "raw", 3),
    ]  # fmt: skip
    rev = max(item.rev for item in answers)
    again = ask(services, project, runs=["many", "one"], have={"many": rev, "one": rev})
    assert [(item.run, item.kind, item.rank) for item in again] == [
        ("many", "unchanged", REDUCED), ("one", "unchanged", 3),
    ]  # fmt: skip
    (alone,) = ask(services, project, runs=["one"])
    assert alone.kind == "raw"


def test_over_time_and_in_a_window(services: Services) -> None:
    project = f"bands-{secrets.token_hex(4)}"
    points: Points = {rank: {step: float(rank + step) for step in range(64)} for rank in range(4)}
    stream = Stream("r", project=project)
    log(stream, points)
    send(services, stream)
    (series,) = ask(services, project, range=[16, 31], px=8)
    inside = {rank: {step: row[step] for step in range(16, 32)} for rank, row in points.items()}
    assert seen(series) == expected(inside, 2)
    # Steps are a millisecond apart.
    (series,) = ask(services, project, x="rel", px=8)
    assert sum(series.columns["n"].tolist()) == 256
    assert series.columns["max"].max() == 66.0


def test_what_does_not_go_together_is_refused() -> None:
    good = {"keys": ["a"], "runs": ["r"], "ranks": "band"}
    with pytest.raises(Malformed):
        parse_panels({"panels": [good | {"system": True, "x": "rel"}]})
    with pytest.raises(Malformed):
        parse_panels({"panels": [good | {"ranks": "bands"}]})
    assert isinstance(parse_panels({"panels": [good | {"attempts": "all"}]})[0][0], PanelRequest)


def test_frames_and_json_say_the_same(server: ServerProcess) -> None:
    project = f"bands-{secrets.token_hex(4)}"
    stream = Stream("r", project=project)
    log(stream, {0: {0: 1.0, 1: math.nan}, 9: {0: 2.0}})
    answer = server.client.post(stream.path, content=b"".join(stream.blocks))
    assert answer.status_code == 200
    path = f"/api/v1/p/local:{project}/series:query"
    body = {"panels": [{"keys": ["loss"], "runs": ["r"], "ranks": "band"}]}
    (series,) = server.client.post(path, json=body).json()["panels"][0]["series"]
    assert series["rank"] is None
    columns = {name: series[name] for name in ("n", "min", "max", "mean", "low", "high", "ranks", "bad")}
    assert columns == {
        "n": [2, 1], "min": [1.0, "NaN"], "max": [2.0, "NaN"], "mean": [1.5, "NaN"],
        "low": [0, 0], "high": [9, 0], "ranks": [2, 0], "bad": [0, 1],
    }  # fmt: skip
    headers = {"Accept": "application/vnd.buoy.frames; v=1"}
    (frame,) = read_frames(server.client.post(path, json=body, headers=headers).content)
    (entry,) = frame["series"]
    assert entry["rank"] == REDUCED
    for name in ("n", "low", "high", "ranks"):
        assert entry["columns"][name] == columns[name]
