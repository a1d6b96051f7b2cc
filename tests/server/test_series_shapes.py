"""What series:query makes of points: tails, smoothing, groups, densities, other axes; each against a plain oracle."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import buoy_core.python.series as plain
import numpy as np
import pytest
from buoy_server.errors import Malformed
from buoy_server.query import held
from buoy_server.query.panel import Chosen, Grouping, PanelAnswer, PanelRequest, SeriesAnswer
from buoy_server.query.smoothing import Smoothing
from buoy_server.services import Services

from tests.server.streams import START_US, Stream
from tests.server.test_series import ask, noisy, project, raw, send

LONG = 3000


@pytest.fixture(params=["short", "long"])
def _length(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long series are reduced by the engine, short ones here; the limit is so low here that tests need few points."""
    if request.param == "long":
        for module in ("held", "loading"):
            monkeypatch.setattr(f"buoy_server.query.{module}.TRACK_POINTS_MAX", 500)


short_and_long = pytest.mark.usefixtures("_length")


def logged(
    services: Services, name: str, run: str, values: list[float], first: int = 0, **more: Any
) -> Stream:
    stream = Stream(run, project=name, **more)
    stream.writer().log([(first + step, {"loss": value}) for step, value in enumerate(values)])
    send(services, stream)
    return stream


def patched(old: SeriesAnswer, new: SeriesAnswer) -> dict[str, list[float]]:
    """What a client shows that had `old` and got `new`."""
    if new.kind == "unchanged":
        new = old
    if not new.tail:
        return shown(new)
    before, after = shown(old), shown(new)
    kept = [place for place, x in enumerate(before["at"]) if x < after["at"][0]]
    return {name: [before[name][place] for place in kept] + after[name] for name in after}


def shown(answer: SeriesAnswer) -> dict[str, list[float]]:
    found = {name: column.astype(float).tolist() for name, column in answer.columns.items()}
    at = found["x"] if answer.kind == "raw" else (answer.first_bucket + answer.idx.astype(float)).tolist()
    return found | {"at": at}


def same(one: dict[str, list[float]], other: dict[str, list[float]]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-12, atol=1e-12, equal_nan=True)


def forgotten(services: Services) -> None:
    """As another replica, or this one after a restart, would see it."""
    services.series._cache._held.clear()
    services.series._cache._bytes = 0


@pytest.mark.parametrize("x", ["step", "rel", "wall"])
@pytest.mark.parametrize("fed", [True, False], ids=["fed", "read"])
@short_and_long
def test_a_client_that_gets_the_rest_only_shows_the_same(
    services: Services, x: str, fed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dozen times something is logged; whoever asks each time with what it has ends up with the whole."""
    if not fed:
        monkeypatch.setattr(services.ingest, "feed", lambda _: None)
    stream = Stream(project=project())
    writer, values, tails = stream.writer(), noisy(LONG), 0
    client: SeriesAnswer | None = None
    rev = -1
    exponent = {"step": 5, "rel": -5, "wall": -5}[x]
    for begin in range(0, LONG, 250):
        writer.log([(step, {"loss": values[step]}) for step in range(begin, begin + 250)])
        send(services, stream)
        request = {
            "x": x,
            "exponent": exponent,
            "pixels": 200,
            "columns": ("n", "min", "max", "last", "mean"),
        }
        have = {} if client is None else {"run1": rev}
        answer = ask(services, stream, ["loss"], have=have, **request)
        new = answer.series[0]
        tails += new.tail
        if new.tail:
            assert len(new.columns["n" if new.kind == "buckets" else "x"]) <= 251
        merged = shown(new) if client is None else patched(client, new)
        client = ask(services, stream, ["loss"], **request).series[0]
        same(merged, shown(client))
        rev = answer.rev
    assert tails >= 9, "all but the first, and the one that is no longer raw"


def test_what_was_just_ingested_needs_no_engine(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(project=project())
    writer = stream.writer()
    writer.log([(step, {"loss": float(step)}) for step in range(100)])
    send(services, stream)
    rev = ask(services, stream, ["loss"], exponent=0).rev
    reader = services.series._reader
    monkeypatch.setattr(reader, "query", None)
    writer.log([(step, {"loss": float(step)}) for step in range(100, 103)])
    send(services, stream)
    answer = ask(services, stream, ["loss"], exponent=0, have={"run1": rev}).series[0]
    assert (answer.tail, raw(answer)) == (True, [(float(step), float(step)) for step in range(99, 103)])
    assert answer.extent is not None
    assert (answer.extent.n, answer.extent.last_x, answer.extent.last_y) == (103, 102.0, 102.0)


def test_a_server_that_knows_nothing_of_the_client_sends_all(services: Services) -> None:
    stream = logged(services, project(), "r", [1.0] * 50)
    rev = ask(services, stream, ["loss"], exponent=0).rev
    forgotten(services)
    writer = stream.writer()
    writer.log([(50, {"loss": 2.0})])
    send(services, stream)
    answer = ask(services, stream, ["loss"], exponent=0, have={"r": rev}).series[0]
    assert not answer.tail
    assert len(raw(answer)) == 51


@pytest.mark.parametrize("how", ["rewind", "late", "again"])
@short_and_long
def test_what_changes_the_past_comes_as_a_whole(services: Services, how: str) -> None:
    name = project()
    one = logged(services, name, "r", [1.0] * 1000)
    request = {"exponent": 4, "pixels": 100}
    first = ask(services, one, ["loss"], **request)
    if how == "rewind":
        logged(services, name, "r", [2.0] * 100, first=600, attempt=2)
        expected = [1.0] * 600 + [2.0] * 100
    elif how == "late":
        later = logged(services, name, "r", [2.0] * 100, first=2000, attempt=2)
        first = ask(services, one, ["loss"], **request)
        one.writer().log([(step, {"loss": 3.0}) for step in range(1000, 1100)])
        send(services, one)
        assert later.info.run_id == "r"
        expected = [1.0] * 1000 + [3.0] * 100 + [2.0] * 100
    else:
        one.writer().log([(500, {"loss": 9.0})])
        send(services, one)
        expected = [1.0] * 500 + [9.0] + [1.0] * 499
    answer = ask(services, one, ["loss"], **request, have={"r": first.rev}).series[0]
    assert not answer.tail
    assert answer.columns["n"].sum() == len(expected)
    totals = answer.columns["n"] * answer.columns["mean"]
    assert totals.sum() == pytest.approx(sum(expected))


def test_a_rewind_ends_the_curves_of_keys_that_are_not_logged_again(services: Services) -> None:
    """They had no new points, so they were taken for unchanged, and a page showed what no longer counted."""
    name = project()
    one = Stream("r", project=name)
    one.writer().log([(step, {"loss": 1.0, "eval": 2.0}) for step in range(1000)])
    send(services, one)
    first = ask(services, one, ["eval"])
    logged(services, name, "r", [3.0] * 10, first=600, attempt=2)
    after = ask(services, one, ["eval"], have={"r": first.rev}).series[0]
    assert after.gen != first.series[0].gen
    assert after.columns["n"].sum() == 600


def test_ranks_as_one_go_on_where_the_slowest_was(services: Services) -> None:
    """The step that one rank had and the other had not changes when the other comes to it."""
    stream = Stream(project=project())
    ahead, behind = stream.writer(0, world_size=2), stream.writer(1, world_size=2)
    ahead.log([(step, {"loss": 1.0}) for step in range(100)])
    behind.log([(step, {"loss": 3.0}) for step in range(60)])
    send(services, stream)
    rev = ask(services, stream, ["loss"], exponent=0, reduction="mean").rev
    behind.log([(step, {"loss": 3.0}) for step in range(60, 80)])
    send(services, stream)
    answer = ask(services, stream, ["loss"], exponent=0, reduction="mean", have={"run1": rev}).series[0]
    assert answer.tail
    assert raw(answer) == [(float(step), 2.0 if step < 80 else 1.0) for step in range(59, 100)]


SMOOTHINGS = [
    Smoothing("twema", 0.6, 1024.0),
    Smoothing("ema", 0.9),
    Smoothing("gaussian", 3.0),
    Smoothing("running", 7.0),
]


def oracle(smoothing: Smoothing, x: list[float], y: list[float]) -> np.ndarray[Any, Any]:
    """By the plain twin."""
    out, state = np.zeros(len(y)), np.zeros(3)
    if smoothing.kind == "twema":
        rate = -math.log(min(math.sqrt(smoothing.parameter), 0.999)) * 1000 / smoothing.span
        plain.smooth_twema(x, y, out, state, rate)
    elif smoothing.kind == "ema":
        plain.smooth_ema(x, y, out, state, smoothing.parameter)
    elif smoothing.kind == "gaussian":
        plain.smooth_gaussian(x, y, out, smoothing.parameter * float(np.median(np.diff(x))))
    else:
        plain.smooth_running(y, out, int(smoothing.parameter) // 2)
    return out


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=lambda item: item.kind)
@short_and_long
def test_smoothing_does_not_depend_on_the_zoom(services: Services, smoothing: Smoothing) -> None:
    values = noisy(1200)
    stream = logged(services, project(), "r", values)
    expected = oracle(smoothing, [float(step) for step in range(1200)], values)
    for exponent, pixels, window in (
        (0, 1000, None), (3, 50, None), (6, 10, None), (9, 1, None), (0, 100, (300, 420)), (2, 20, (301, 900)),
        (4, 300, (50, 400)),
    ):  # fmt: skip
        found = ask(
            services, stream, ["loss"], exponent=exponent, pixels=pixels, range=window, smoothing=smoothing
        ).series[0]
        if found.kind == "raw":
            last = found.columns["x"].astype(int)
        else:
            buckets = found.first_bucket + found.idx.astype(int)
            last = np.minimum(((buckets + 1) << exponent) - 1, 1199)
        np.testing.assert_allclose(
            found.columns["smooth"], expected[last], rtol=1e-9, atol=1e-12, equal_nan=True
        )


@pytest.mark.parametrize("smoothing", SMOOTHINGS[:2], ids=lambda item: item.kind)
@pytest.mark.parametrize("window", [None, (640, 1000)])
@short_and_long
def test_a_client_can_go_on_from_the_state_at_the_left_edge(
    services: Services, smoothing: Smoothing, window: tuple[float, float] | None
) -> None:
    values = [math.sin(step / 30) for step in range(1200)]
    stream = logged(services, project(), "r", values)
    found = ask(services, stream, ["loss"], exponent=5, range=window, pixels=600, smoothing=smoothing).series[
        0
    ]
    assert found.kind == "raw"
    total, weights = found.state
    begin = int(found.columns["x"][0])
    assert (weights > 0) == (begin > 0)
    if begin:
        expected = oracle(smoothing, [float(step) for step in range(begin)], values[:begin])
        assert total / weights == pytest.approx(expected[-1])


@pytest.mark.parametrize("smoothing", SMOOTHINGS[:2], ids=lambda item: item.kind)
@short_and_long
def test_what_was_smoothed_stays(services: Services, smoothing: Smoothing) -> None:
    """And a client that gets the rest only sees the whole curve."""
    stream = Stream(project=project())
    writer, values = stream.writer(), noisy(1500)
    request = {"exponent": 3, "pixels": 60, "smoothing": smoothing}
    writer.log([(step, {"loss": values[step]}) for step in range(1000)])
    send(services, stream)
    before = ask(services, stream, ["loss"], **request)
    writer.log([(step, {"loss": values[step]}) for step in range(1000, 1500)])
    send(services, stream)
    rest = ask(services, stream, ["loss"], **request, have={"run1": before.rev}).series[0]
    after = ask(services, stream, ["loss"], **request).series[0]
    assert rest.tail
    same(patched(before.series[0], rest), shown(after))
    old = before.series[0].columns["smooth"]
    np.testing.assert_array_equal(after.columns["smooth"][: len(old)], old)


def grouped(services: Services, name: str, **more: Any) -> PanelAnswer:
    panel = PanelRequest(1, ["loss"], [], chosen=Chosen(), grouping=Grouping(("config.opt",)), **more)
    return services.series.answer(f"local:{name}", panel)


@short_and_long
def test_groups_vote_once_a_run(services: Services) -> None:
    name = project()
    rng = np.random.default_rng(5)
    members: dict[str, list[tuple[int, list[float]]]] = {"adam": [], "sgd": []}
    for number in range(5):
        opt = "adam" if number < 3 else "sgd"
        stride, values = number + 1, [float(value) for value in rng.normal(size=600 - 50 * number)]
        stream = Stream(f"r{number}", project=name)
        writer = stream.writer()
        writer.config({"opt": opt})
        writer.log([(step * stride, {"loss": value}) for step, value in enumerate(values)])
        send(services, stream)
        members[opt].append((stride, values))
    answer = grouped(services, name, exponent=6)
    assert {series.run for series in answer.series} == {'["adam"]', '["sgd"]'}
    for series in answer.series:
        runs = members[series.run[2:-2]]
        assert (series.kind, series.count) == ("group", len(runs))
        buckets: dict[int, list[list[float]]] = {}
        for stride, values in runs:
            mine: dict[int, list[float]] = {}
            for step, value in enumerate(values):
                mine.setdefault(step * stride >> 6, []).append(value)
            for bucket, found in mine.items():
                buckets.setdefault(bucket, []).append(found)
        assert (series.first_bucket + series.idx.astype(int)).tolist() == sorted(buckets)
        for place, bucket in enumerate(sorted(buckets)):
            means = [float(np.mean(found)) for found in buckets[bucket]]
            column = {key: float(values[place]) for key, values in series.columns.items()}
            assert column["n"] == len(means)
            assert column["mean"] == pytest.approx(np.mean(means))
            assert column["std"] == pytest.approx(np.std(means), abs=1e-12)
            assert column["se"] == pytest.approx(np.std(means) / math.sqrt(len(means)), abs=1e-12)
            every = [value for found in buckets[bucket] for value in found]
            assert (column["min"], column["max"]) == (min(every), max(every))
    last = answer.series[0].columns["n"]
    assert last[-1] < last[0], "no run is carried on past its last point"


def test_a_group_depends_on_its_runs_only(services: Services) -> None:
    name = project()
    for number in range(4):
        stream = Stream(f"r{number}", project=name)
        writer = stream.writer()
        writer.config({"opt": "a" if number < 2 else "b"})
        writer.log([(step, {"loss": math.sin(step * (number + 1))}) for step in range(500)])
        send(services, stream)
    both = {series.run: series for series in grouped(services, name, exponent=3).series}
    alone = services.series.answer(
        f"local:{name}",
        PanelRequest(1, ["loss"], ["r0", "r1"], exponent=3, grouping=Grouping(("config.opt",))),
    ).series
    assert len(alone) == 1
    for column, values in alone[0].columns.items():
        np.testing.assert_array_equal(values, both['["a"]'].columns[column])


def test_a_group_that_did_not_change_is_not_sent_again(services: Services) -> None:
    name = project()
    logged(services, name, "r", [1.0] * 10)
    rev = grouped(services, name).rev
    request = PanelRequest(1, ["loss"], ["r"], grouping=Grouping(("config.opt",)), have={"r": rev})
    assert [series.kind for series in services.series.answer(f"local:{name}", request).series] == [
        "unchanged"
    ]


def test_equal_votes_have_no_spread(services: Services) -> None:
    name = project()
    for number in range(3):
        logged(services, name, f"r{number}", [0.1] * 100)
    columns = grouped(services, name, exponent=2).series[0].columns
    assert not columns["std"].any()
    assert set(columns["mean"].tolist()) == {0.1}


def test_a_density_counts_every_series_in_every_cell_that_it_crosses(services: Services) -> None:
    name = project()
    values = {}
    for number in range(12):
        values[f"r{number:02}"] = [number + 0.4 * math.sin(step / (number + 3)) for step in range(400)]
        logged(services, name, f"r{number:02}", values[f"r{number:02}"])
    values["r05"][123] = 40.0
    spike = Stream("r05", project=name, attempt=2)
    spike.writer().log([(step, {"loss": values["r05"][step]}) for step in range(100, 400)])
    send(services, spike)
    panel = PanelRequest(1, ["loss"], sorted(values), exponent=4, density=5, top_lines=3, top=["r07"])
    answer = services.series.answer(f"local:{name}", panel)
    lines = [series.run for series in answer.series if series.kind != "density"]
    assert lines == ["r00", "r01", "r07"]
    field = answer.series[-1]
    assert field.grid is not None
    assert (field.kind, field.count, field.grid.nbytes <= 100_000) == ("density", 12, True)
    low, high = field.y_range
    assert (low, high) == (min(map(min, values.values())), 40.0)
    rows = field.grid.shape[1]
    for column in range(field.grid.shape[0]):
        expected = np.zeros(rows, int)
        for series in values.values():
            part = series[column << 4 : (column + 1) << 4]
            first, last = (
                min(int((y - low) * (rows / (high / 2 - low / 2) / 2)), rows - 1)
                for y in (min(part), max(part))
            )
            expected[first : last + 1] += 1
        np.testing.assert_array_equal(field.grid[column], expected)
    assert field.grid[123 >> 4, -1] == 1, "the spike is there"


def test_few_series_are_lines_in_a_panel_that_could_be_a_density(services: Services) -> None:
    stream = logged(services, project(), "r", [1.0] * 10)
    assert [series.kind for series in ask(services, stream, ["loss"], density=1).series] == ["raw"]


def test_runs_by_a_filter_and_keys_by_a_pattern(services: Services) -> None:
    name = project()
    for run, lr in (("a", 0.1), ("b", 0.2), ("c", 0.3)):
        stream = Stream(run, project=name)
        writer = stream.writer()
        writer.config({"lr": lr})
        writer.log([(1, {"layers.0.grad": 1.0, "layers.10.grad": 2.0, "loss": 3.0})])
        send(services, stream)
    chosen = Chosen({"config.lr": {"$gt": 0.15}}, (("config.lr", True),), 10)
    panel = PanelRequest(1, [], [], chosen=chosen, pattern=r"layers\.(\d+)\.grad")
    answer = services.series.answer(f"local:{name}", panel)
    assert [(series.run, series.key) for series in answer.series] == [
        (run, f"layers.{layer}.grad") for run in "cb" for layer in (0, 10)
    ]
    with pytest.raises(Malformed, match="no pattern"):
        services.series.answer(f"local:{name}", replace(panel, pattern="(?=x)"))


def test_another_key_as_x(services: Services) -> None:
    """In the same call, else the latest before; what has none has no place."""
    stream = Stream(project=project())
    writer = stream.writer()
    writer.log(
        [
            (0, {"loss": 9.0}), (1, {"tokens": 100, "loss": 8.0}), (2, {"loss": 7.0}), (3, {"tokens": math.nan}),
            (4, {"loss": 6.0}), (5, {"tokens": 250, "loss": 5.0}), (6, {"tokens": 300}), (7, {"loss": 4.0}),
        ]
    )  # fmt: skip
    send(services, stream)
    found = ask(services, stream, ["loss"], x_key="tokens").series[0]
    assert raw(found) == [(100, 8), (100, 7), (100, 6), (250, 5), (300, 4)]
    assert (found.count, "segment" in found.columns) == (3, False)
    assert ask(services, stream, ["loss"], x_key="no such key").series[0].kind == "absent"


@short_and_long
def test_x_that_falls_begins_a_new_piece(services: Services) -> None:
    """A data set read again, or a restart that counts from the start: nothing is joined that is not one."""
    stream = Stream(project=project())
    rows = [(step, {"x": step % 700, "y": float(step)}) for step in range(2000)]
    stream.writer().log(rows)
    send(services, stream)
    whole = ask(services, stream, ["y"], x_key="x", pixels=1000).series[0]
    assert raw(whole) == [(float(step % 700), float(step)) for step in range(2000)]
    assert whole.columns["segment"].tolist() == [step // 700 for step in range(2000)]
    coarse = ask(services, stream, ["y"], x_key="x", pixels=90, exponent=3).series[0]
    at = list(zip(coarse.columns["segment"].tolist(), coarse.idx.tolist(), strict=True))
    assert at == sorted({(step // 700, step % 700 >> 3) for step in range(2000)})
    assert coarse.columns["n"].sum() == 2000
    # A window that leaves the fall out keeps the pieces apart all the same.
    part = ask(services, stream, ["y"], x_key="x", range=(600, 690), exponent=0).series[0]
    assert set(np.diff(part.columns["segment"].astype(int)).tolist()) == {0, 1}


def test_process_time_leaves_out_the_pauses(services: Services) -> None:
    name = project()
    one = Stream("r", project=name)
    one.writer().log([(step, {"loss": 1.0}) for step in range(1000)])
    two = Stream("r", project=name, attempt=2, start_us=START_US + 3_600_000_000)
    writer = two.writer()
    rows = [
        record
        for step in range(1000, 1500)
        for record in writer.row(step, {"loss": 2.0}, time_us=two.start_us + 1000 * (step - 1000))
    ]
    two.add(rows, writer.id)
    send(services, one, two)
    x = [x for x, _ in raw(ask(services, one, ["loss"], x="proc", pixels=1000).series[0])]
    np.testing.assert_allclose(x, [step / 1000 if step < 1000 else (step - 1) / 1000 for step in range(1500)])
    gap = np.diff([x for x, _ in raw(ask(services, one, ["loss"], x="rel", pixels=1000).series[0])])
    assert gap.max() > 3500


def test_wide_buckets_when_there_is_little_room(services: Services) -> None:
    stream = logged(services, project(), "r", [float(step) for step in range(20000)])
    roomy = ask(services, stream, ["loss"], pixels=2000)
    tight = ask(services, stream, ["loss"], pixels=2000, bytes_max=20_000)
    least = ask(services, stream, ["loss"], pixels=2000, bytes_max=1)
    assert len(roomy.series[0].idx) > 1000
    assert 64 < len(tight.series[0].idx) * 48 / 8 <= 20_000 / 8
    assert 64 / 2 < len(least.series[0].idx) <= 64


def test_a_run_that_has_ended_is_sealed(services: Services) -> None:
    stream = logged(services, project(), "r", [1.0])
    assert not ask(services, stream, ["loss"]).series[0].sealed
    writer = stream.writer()
    writer.end()
    send(services, stream)


def test_series_grow_from_short_to_long(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "TRACK_POINTS_MAX", 300)
    monkeypatch.setattr("buoy_server.query.loading.TRACK_POINTS_MAX", 300)
    stream = Stream(project=project())
    writer = stream.writer()
    for begin in range(0, 2000, 100):
        writer.log([(step, {"loss": float(step)}) for step in range(begin, begin + 100)])
        send(services, stream)
        answer = ask(services, stream, ["loss"], exponent=4, pixels=20).series[0]
        assert answer.extent is not None
        assert answer.extent.n == begin + 100
        counted = answer.columns["n"].sum() if answer.kind == "buckets" else len(answer.columns["x"])
        assert counted == begin + 100
