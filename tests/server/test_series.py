"""Series against a plain oracle: buckets, raw points, attempts, ranks, repeated steps, what is not finite."""

from __future__ import annotations

import math
import secrets
from typing import Any

import numpy as np
import pytest
from buoy_core.rank_reduction import REDUCTIONS, reduce_ranks
from buoy_server.query.panel import PanelAnswer, PanelRequest, SeriesAnswer
from buoy_server.services import Services

from tests.server.streams import START_US, Stream

Points = list[tuple[float, float]]


def project() -> str:
    return f"series-{secrets.token_hex(4)}"


def send(services: Services, *streams: Stream) -> None:
    for stream in streams:
        services.ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))


def ask(services: Services, stream: Stream, keys: list[str], **more: Any) -> PanelAnswer:
    runs = more.pop("runs", [stream.info.run_id])
    return services.series.answer(f"local:{stream.info.project}", PanelRequest(1, keys, runs, **more))


def check_buckets(answer: SeriesAnswer, points: Points, exponent: int) -> None:
    """Every bucket against the points that it covers."""
    width = 2.0**exponent
    expected: dict[int, Points] = {}
    for x, y in points:
        expected.setdefault(math.floor(x / width), []).append((x, y))
    assert (answer.first_bucket + answer.idx.astype(int)).tolist() == sorted(expected)
    for position, bucket in enumerate(sorted(expected)):
        inside = expected[bucket]
        finite = [y for _, y in inside if math.isfinite(y)]
        column = {name: float(values[position]) for name, values in answer.columns.items()}
        assert column["n"] == len(inside)
        assert np.array_equal(column["last"], inside[-1][1], equal_nan=True)
        if finite:
            assert (column["min"], column["max"]) == (min(finite), max(finite))
            assert column["mean"] == pytest.approx(math.fsum(finite) / len(finite), rel=1e-12, abs=1e-12)
        else:
            assert all(math.isnan(column[name]) for name in ("min", "max", "mean"))


def raw(answer: SeriesAnswer) -> Points:
    assert answer.kind == "raw"
    return list(zip(answer.columns["x"].tolist(), answer.columns["y"].tolist(), strict=True))


def noisy(n: int, seed: int = 1) -> list[float]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n)
    values[rng.random(n) < 0.02] = np.nan
    values[rng.random(n) < 0.02] = np.inf
    values[rng.random(n) < 0.02] = -np.inf
    values[100:140] = np.nan
    return [float(value) for value in values]


def test_buckets_of_many_points(services: Services) -> None:
    stream = Stream(project=project())
    writer = stream.writer()
    values = noisy(5000)
    for begin in range(0, 5000, 700):
        writer.log([(step, {"loss": values[step]}) for step in range(begin, min(begin + 700, 5000))])
    send(services, stream)
    for pixels in (1, 2, 7, 160, 1000):
        answer = ask(services, stream, ["loss"], pixels=pixels)
        series = answer.series[0]
        assert (series.kind, len(series.idx) <= pixels) == ("buckets", True)
        check_buckets(series, list(enumerate(values)), answer.exponent)
        assert series.extent is not None
        assert (series.extent.n, series.extent.x_min, series.extent.x_max) == (5000, 0, 4999)
        assert np.array_equal(series.extent.last_y, values[-1], equal_nan=True)


def test_a_spike_is_in_every_answer(services: Services) -> None:
    stream = Stream(project=project())
    stream.writer().log([(step, {"loss": 1e6 if step == 1777 else 1.0}) for step in range(4000)])
    send(services, stream)
    for exponent in range(13):
        series = ask(services, stream, ["loss"], exponent=exponent, pixels=100).series[0]
        assert float(series.columns["max"].max()) == 1e6


def test_few_points_come_as_they_are(services: Services) -> None:
    stream = Stream(project=project())
    stream.writer().log([(step, {"loss": step / 3}) for step in range(0, 400, 2)])
    send(services, stream)
    assert raw(ask(services, stream, ["loss"], pixels=100).series[0]) == [
        (s, s / 3) for s in range(0, 400, 2)
    ]
    assert ask(services, stream, ["loss"], pixels=99).series[0].kind == "buckets"
    # The rule counts the points in the range, not those of the series.
    zoomed = ask(services, stream, ["loss"], pixels=10, range=(100, 110), exponent=0).series[0]
    assert raw(zoomed) == [(s, s / 3) for s in range(100, 111, 2)]


def test_a_range_is_rounded_out_to_whole_buckets(services: Services) -> None:
    stream = Stream(project=project())
    stream.writer().log([(step, {"loss": float(step)}) for step in range(3000)])
    send(services, stream)
    answer = ask(services, stream, ["loss"], pixels=4, range=(1001, 1100), exponent=6)
    inside = [(float(step), float(step)) for step in range(960, 1152)]
    check_buckets(answer.series[0], inside, 6)
    assert answer.series[0].extent is not None
    assert answer.series[0].extent.n == 3000, "the extent is that of the whole series"
    assert ask(services, stream, ["loss"], pixels=4, range=(5000, 6000)).series[0].kind == "absent"


@pytest.mark.parametrize("x", ["rel", "wall"])
def test_times_as_x(services: Services, x: str) -> None:
    stream = Stream(project=project())
    stream.writer().log([(step, {"loss": float(step)}) for step in range(2000)])
    send(services, stream)
    answer = ask(services, stream, ["loss"], x=x, pixels=50)
    start = 0 if x == "rel" else START_US
    points = [((start + 1000 * step) / 1e6, float(step)) for step in range(2000)]
    check_buckets(answer.series[0], points, answer.exponent)
    window = (points[500][0], points[520][0])
    few = ask(services, stream, ["loss"], x=x, pixels=100, range=window)
    assert set(points[500:521]) <= set(raw(few.series[0]))


def test_a_step_logged_twice_shows_the_later_value(services: Services) -> None:
    stream = Stream(project=project())
    writer = stream.writer()
    writer.log([(step, {"loss": 1.0}) for step in range(1000)])
    writer.log([(step, {"loss": 2.0}) for step in range(200, 400)])
    writer.log([(300, {"loss": 3.0}), (300, {"loss": 4.0}), (5, {"loss": 5.0})])
    send(services, stream)
    values = [1.0] * 1000
    values[200:400] = [2.0] * 200
    values[300], values[5] = 4.0, 5.0
    answer = ask(services, stream, ["loss"], pixels=20)
    check_buckets(answer.series[0], list(enumerate(values)), answer.exponent)
    assert answer.series[0].extent is not None
    assert (answer.series[0].extent.n, answer.series[0].extent.last_y) == (1000, 1.0)
    assert raw(ask(services, stream, ["loss"], pixels=500).series[0]) == list(enumerate(values))


def test_a_later_attempt_supersedes(services: Services) -> None:
    name = project()
    first, second, third = (Stream("r", project=name, attempt=attempt) for attempt in (1, 2, 3))
    first.writer().log([(step, {"loss": 1.0, "only1": 1.0}) for step in range(1000)])
    second.writer().log([(step, {"loss": 2.0}) for step in range(600, 900)])
    third.writer().log([(step, {"loss": 3.0}) for step in range(800, 810)])
    # The order in which streams arrive does not matter.
    send(services, second, first, third)
    values = [1.0] * 600 + [2.0] * 200 + [3.0] * 10
    answer = ask(services, first, ["loss", "only1"], pixels=20)
    check_buckets(answer.series[0], list(enumerate(values)), answer.exponent)
    assert answer.series[0].extent is not None
    assert (answer.series[0].extent.n, answer.series[0].extent.x_max) == (810, 809)
    assert raw(ask(services, first, ["loss"], pixels=500).series[0]) == list(enumerate(values))
    check_buckets(answer.series[1], [(step, 1.0) for step in range(600)], answer.exponent)


def test_attempts_that_do_not_overlap_are_one_curve(services: Services) -> None:
    name = project()
    first, second = Stream("r", project=name), Stream("r", project=name, attempt=2)
    first.writer().log([(step, {"loss": 1.0}) for step in range(500)])
    second.writer().log([(step, {"loss": 2.0}) for step in range(500, 1000)])
    send(services, first, second)
    answer = ask(services, first, ["loss"], pixels=20)
    check_buckets(answer.series[0], [(step, 1.0 + (step >= 500)) for step in range(1000)], answer.exponent)


def test_ranks_and_runs_and_keys_in_one_request(services: Services) -> None:
    name = project()
    one, two = Stream("one", project=name), Stream("two", project=name)
    expected: dict[tuple[str, str, int], Points] = {}
    for stream, ranks in ((one, (0, 1)), (two, (3,))):
        for rank in ranks:
            rows = [
                (step, {"a": step + rank / 10, "b": -step - rank / 10})
                for step in range(100 if rank else 1000)
            ]
            stream.writer(rank, world_size=2).log(rows)
            for key in "ab":
                expected[stream.info.run_id, key, rank] = [(step, row[key]) for step, row in rows]
    send(services, one, two)
    answer = ask(services, one, ["a", "b", "c"], runs=["two", "one", "none"], pixels=100)
    found = [(series.run, series.key, series.rank) for series in answer.series if series.kind != "absent"]
    assert found == [
        ("two", "a", 3),
        ("two", "b", 3),
        *(("one", key, rank) for key in "ab" for rank in (0, 1)),
    ]
    for series in answer.series:
        if series.kind == "buckets":
            check_buckets(series, expected[series.run, series.key, series.rank], answer.exponent)
        elif series.kind == "raw":
            assert raw(series) == expected[series.run, series.key, series.rank]
    kinds = {(series.run, series.rank): series.kind for series in answer.series if series.key == "a"}
    assert kinds == {("two", 3): "raw", ("one", 0): "buckets", ("one", 1): "raw", ("none", 0): "absent"}


def test_system_metrics_by_time(services: Services) -> None:
    stream = Stream(project=project())
    writer = stream.writer(rank=2)
    records = [
        record
        for second in range(600)
        for record in writer.row(
            0, {"cpu": float(second)}, system=True, time_us=START_US + second * 1_000_000
        )
    ]
    stream.add(records, writer.id)
    writer.log([(1, {"cpu": 0.5})])
    send(services, stream)
    answer = ask(services, stream, ["cpu"], x="rel", pixels=50, system=True)
    check_buckets(
        answer.series[0], [(float(second), float(second)) for second in range(600)], answer.exponent
    )
    assert raw(ask(services, stream, ["cpu"], pixels=50).series[0]) == [(1, 0.5)]


def test_only_what_changed(services: Services) -> None:
    name = project()
    one, two = Stream("one", project=name), Stream("two", project=name)
    writer = one.writer()
    writer.log([(1, {"loss": 1.0})])
    two.writer().log([(1, {"loss": 1.0})])
    send(services, one, two)
    rev = ask(services, one, ["loss"]).rev
    send(services, one)
    assert ask(services, one, ["loss"]).rev == rev, "nothing new, so no revision"
    writer.log([(2, {"loss": 2.0})])
    send(services, one)
    answer = ask(services, one, ["loss"], runs=["one", "two"], have={"one": rev, "two": rev})
    assert [series.kind for series in answer.series] == ["raw", "unchanged"]


def test_extreme_steps_and_numbers(services: Services) -> None:
    stream = Stream(project=project())
    steps = [-(1 << 62), -1, 0, 1, 1 << 62]
    values = [5e-324, -0.0, 1.7976931348623157e308, 1e-300, 3.0]
    stream.writer().log([(step, {"loss": value}) for step, value in zip(steps, values, strict=True)])
    send(services, stream)
    found = raw(ask(services, stream, ["loss"]).series[0])
    assert [y for _, y in found] == values
    assert math.copysign(1, found[1][1]) == -1
    series = ask(services, stream, ["loss"], pixels=2).series[0]
    assert series.kind == "buckets"
    assert sum(series.columns["n"].tolist()) == 5


@pytest.mark.parametrize("value", [1, True, 1 << 60])
def test_ints_and_bools_are_drawn(services: Services, value: object) -> None:
    stream = Stream(project=project())
    stream.writer().log([(1, {"v": value, "t": "text", "none": None})])
    send(services, stream)
    answer = ask(services, stream, ["v", "t", "none"])
    assert raw(answer.series[0]) == [(1, float(value))]  # type: ignore[arg-type]
    assert [series.kind for series in answer.series[1:]] == ["absent", "absent"]


def test_chosen_ranks(services: Services) -> None:
    stream = Stream(project=project())
    for rank in range(4):
        stream.writer(rank, world_size=4).log([(1, {"loss": rank})])
    send(services, stream)
    assert [series.rank for series in ask(services, stream, ["loss"], ranks=[3, 1, 9]).series] == [1, 3]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ranks_are_reduced_before_they_are_bucketed(services: Services, reduction: str) -> None:
    """Also where a step was logged twice, superseded, or by some of the ranks only."""
    name = project()
    one, two = Stream("r", project=name), Stream("r", project=name, attempt=2)
    points: dict[int, dict[int, float]] = {}
    for rank in range(3):
        values = noisy(3000, seed=rank)
        for source, steps in ((one, range(3000)), (two, range(2000, 2500))):
            writer = source.writer(rank, world_size=3)
            found = {step: values[step] + (5 if source is two else 0) for step in steps if (step + rank) % 4}
            writer.log([(step, {"loss": value}) for step, value in found.items()])
            if source is two:
                writer.log([(2100, {"loss": rank * 1.5})])
                found[2100] = rank * 1.5
            for step in [step for step in points if step >= 2000 and source is two]:
                points[step].pop(rank, None)
            for step, value in found.items():
                points.setdefault(step, {})[rank] = value
    send(services, one, two)
    expected = [
        (step, reduce_ranks(reduction, list(by_rank), list(by_rank.values())))
        for step, by_rank in sorted(points.items())
        if by_rank
    ]
    answer = ask(services, one, ["loss"], reduction=reduction, pixels=4000)
    assert len(answer.series) == 1
    found = raw(answer.series[0])
    assert [x for x, _ in found] == [x for x, _ in expected]
    np.testing.assert_allclose([y for _, y in found], [y for _, y in expected], rtol=1e-12, atol=1e-12)
    coarse = ask(services, one, ["loss"], reduction=reduction, pixels=50)
    check_buckets(coarse.series[0], found, coarse.exponent)
    assert coarse.series[0].extent is not None
    assert coarse.series[0].extent.n == len(expected)


def test_one_rank_reduced_is_that_rank(services: Services) -> None:
    stream = Stream(project=project())
    stream.writer(rank=5).log([(step, {"loss": step / 3}) for step in range(10)])
    send(services, stream)
    found = ask(services, stream, ["loss"], reduction="argmax").series
    assert [y for _, y in raw(found[0])] == [5.0] * 10
    assert ask(services, stream, ["none"], reduction="mean").series[0].kind == "absent"
