"""One curve out of attempts, rewinds and forks, against an oracle that simply plays them one after the other."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
from buoy_core.format import ZERO_ID
from buoy_proto import v1
from buoy_server.ingest.attempts import EPOCH_S, number_of
from buoy_server.query.catalogue import find_project, find_run, list_keys
from buoy_server.query.history import HistoryRequest
from buoy_server.query.lineage import Attempt, Parent, lineage
from buoy_server.query.panel import PanelRequest, SeriesAnswer
from buoy_server.query.run_page import describe_run
from buoy_server.services import Services

from tests.server.streams import START_US, Stream

SECOND_US = 1_000_000


@dataclass
class Told:
    """An attempt as its user sees it."""

    start_us: int
    points: list[tuple[int, float]]
    rewind: int | None = None


@dataclass
class ToldRun:
    """A run as its user sees it; `parent` is (run, last step taken over, start of its last attempt that counts)."""

    name: str
    attempts: list[Told] = field(default_factory=list)
    parent: tuple[ToldRun, int, int] | None = None


def curve(run: ToldRun, until_us: int | None = None) -> dict[int, float]:
    """What the run's curve must be."""
    found: dict[int, float] = {}
    if run.parent is not None:
        parent, step, attempt_us = run.parent
        found = {at: value for at, value in curve(parent, attempt_us or None).items() if at <= step}
    for attempt in run.attempts:
        if until_us is not None and attempt.start_us > until_us:
            break
        starts = [step for step, _ in attempt.points]
        if attempt.rewind is not None:
            starts.append(attempt.rewind + 1)
        if starts:
            found = {at: value for at, value in found.items() if at < min(starts)}
        found.update(dict(attempt.points))
    return found


def superseded(run: ToldRun) -> dict[int, dict[int, float]]:
    """What later attempts have taken over, by the ordinal of the attempt that had logged it."""
    found = {}
    for number, attempt in enumerate(run.attempts):
        starts = [
            start
            for later in run.attempts[number + 1 :]
            for start in [step for step, _ in later.points]
            + ([] if later.rewind is None else [later.rewind + 1])
        ]
        part = {step: value for step, value in attempt.points if starts and step >= min(starts)}
        if part:
            found[number + 1] = part
    return found


def streams_of(run: ToldRun, project: str) -> list[Stream]:
    """Each attempt as one machine's stream; the machine numbers it 1, because it knows of no other."""
    streams = []
    for number, attempt in enumerate(run.attempts):
        branch = None
        if attempt.rewind is not None:
            branch = v1.Branch(run_id=run.name, step=attempt.rewind)
        elif number == 0 and run.parent is not None:
            branch = v1.Branch(run_id=run.parent[0].name, step=run.parent[1], attempt_unix_us=run.parent[2])
        stream = Stream(
            run.name,
            project=project,
            start_us=attempt.start_us,
            launch=secrets.token_bytes(16),
            branch=branch,
        )
        writer = stream.writer()
        writer.log([(step, {"loss": value, "word": f"w{step}:{value}"}) for step, value in attempt.points])
        streams.append(stream)
    return streams


def send(services: Services, *streams: Stream) -> None:
    for stream in streams:
        services.ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))


def shown(services: Services, project: str, run: str, **more: Any) -> dict[int, float]:
    """The raw series of a run."""
    panel = PanelRequest(1, ["loss"], [run], pixels=4096, **more)
    (series,) = services.series.answer(f"local:{project}", panel).series
    return raw(series)


def raw(series: SeriesAnswer) -> dict[int, float]:
    if series.kind == "absent":
        return {}
    assert series.kind == "raw"
    xs = [int(x) for x in series.columns["x"]]
    assert len(set(xs)) == len(xs)
    return dict(zip(xs, series.columns["y"].tolist(), strict=True))


def history(services: Services, project: str, run: str, limit: int) -> dict[int, float]:
    found: dict[int, float] = {}
    cursor = None
    while True:
        request = HistoryRequest(limit=limit, cursor=cursor)
        answer = services.history.page(f"local:{project}", run, request)
        for step, row in zip(answer.page.step, answer.page.rows(), strict=True):
            assert step not in found
            found[step] = float(str(row["loss"]))
        cursor = answer.cursor
        if cursor is None:
            return found


def invent(rng: random.Random) -> list[ToldRun]:
    """A family of runs: restarts that overlap, rewinds, forks of forks, at growing times."""
    now_us = START_US
    family: list[ToldRun] = []
    for _ in range(rng.randint(1, 5)):
        run = ToldRun(f"run{len(family)}")
        if family and rng.random() < 0.7:
            parent = rng.choice(family)
            counted = rng.choice(parent.attempts).start_us if rng.random() < 0.5 else 0
            run.parent = (parent, rng.randint(-1, 30), counted)
        family.append(run)
        for number in range(rng.randint(1, 4)):
            now_us += rng.randint(1, 100) * SECOND_US
            first = rng.randint(0, 40)
            steps = sorted(rng.sample(range(first, first + 30), rng.randint(0, 20)))
            rewind = rng.randint(-1, 40) if number and rng.random() < 0.3 else None
            if rewind is not None:
                steps = [step for step in steps if step > rewind]
            run.attempts.append(Told(now_us, [(step, rng.random()) for step in steps], rewind))
    return family


@pytest.mark.parametrize("seed", range(12))
def test_curve_of_a_family_of_runs(services: Services, seed: int) -> None:
    """However the uploads come in, and whichever machine they come from."""
    rng = random.Random(seed)
    project = f"lineage-{secrets.token_hex(4)}"
    family = invent(rng)
    streams = [stream for run in family for stream in streams_of(run, project)]
    rng.shuffle(streams)
    send(services, *streams)
    for run in family:
        expected = curve(run)
        assert shown(services, project, run.name) == expected
        assert history(services, project, run.name, rng.choice([1, 7, 1000])) == expected
        panel = PanelRequest(1, ["loss"], [run.name], pixels=4096, superseded=True)
        _, *parts = services.series.answer(f"local:{project}", panel).series
        assert {part.attempt: raw(part) for part in parts} == superseded(run)


@pytest.mark.parametrize("seed", range(6))
def test_summary_of_a_family_of_runs(services: Services, seed: int) -> None:
    """No aggregate knows of a step that was superseded, taken back, or logged by the parent after the fork."""
    rng = random.Random(1000 + seed)
    project = f"lineage-{secrets.token_hex(4)}"
    family = invent(rng)
    streams = [stream for run in family for stream in streams_of(run, project)]
    for stream in streams:
        definition = v1.MetricDef(name="loss", summary=["min", "max", "mean", "first", "last"])
        stream.add([v1.Record(metric=definition)], ZERO_ID)
    rng.shuffle(streams)
    send(services, *streams)
    with services.metadata.read() as connection:
        found = find_project(connection, f"local:{project}")
        summaries = {
            run.name: describe_run(connection, services.summaries, found, run.name)["summary"]
            for run in family
        }
    for run in family:
        expected = curve(run)
        if not expected:
            assert summaries[run.name] == {}
            continue
        values = [expected[step] for step in sorted(expected)]
        summary: Any = summaries[run.name]
        assert summary["loss"] == {
            "min": min(values), "max": max(values), "mean": pytest.approx(sum(values) / len(values)),
            "first": values[0], "last": values[-1],
        }  # fmt: skip
        assert summary["word"] == f"w{max(expected)}:{values[-1]}"


def test_fork_draws_buckets_over_the_seam(services: Services) -> None:
    project = f"lineage-{secrets.token_hex(4)}"
    parent = ToldRun("parent", [Told(START_US, [(step, float(step)) for step in range(5000)])])
    fork = ToldRun(
        "fork", [Told(START_US + SECOND_US, [(step, -1.0) for step in range(3000, 9000)])], (parent, 2999, 0)
    )
    send(services, *streams_of(parent, project), *streams_of(fork, project))
    panel = PanelRequest(1, ["loss"], ["fork", "parent"], exponent=10, pixels=16)
    of_fork, of_parent = services.series.answer(f"local:{project}", panel).series
    assert (of_fork.kind, of_parent.kind) == ("buckets", "buckets")
    assert of_fork.columns["n"].tolist() == [1024] * 8 + [9000 - 8192]
    assert of_fork.columns["max"].tolist() == [1023.0, 2047.0, 2999.0] + [-1.0] * 6
    assert of_fork.columns["min"].tolist() == [0.0, 1024.0] + [-1.0] * 7
    assert sum(of_parent.columns["n"].tolist()) == 5000


def test_keys_that_only_the_parent_logged_belong_to_the_fork(services: Services) -> None:
    project = f"lineage-{secrets.token_hex(4)}"
    parent, fork = (
        Stream("parent", project=project),
        Stream(
            "fork", project=project, branch=v1.Branch(run_id="parent", step=4), start_us=START_US + SECOND_US
        ),
    )
    parent.writer().log([(step, {"old": step, "word": "x"}) for step in range(10)])
    fork.writer().log([(5, {"new": 1.0})])
    send(services, fork, parent)
    with services.metadata.read() as connection:
        project_row = find_project(connection, f"local:{project}")
        keys = list_keys(connection, project_row, find_run(connection, project_row, "fork").id, None, -1)
    assert [key["key"] for key in keys] == ["new", "old", "word"]
    page = services.history.page(f"local:{project}", "fork", HistoryRequest()).page
    assert page.attempt == [0] * 5 + [1]
    assert page.rows() == [{"old": step, "word": "x"} for step in range(5)] + [{"new": 1.0}]


def test_streams_of_one_launch_are_one_attempt_on_every_machine(services: Services) -> None:
    project = f"lineage-{secrets.token_hex(4)}"
    first, second = secrets.token_bytes(16), secrets.token_bytes(16)
    nodes = [
        Stream("r", project=project, launch=launch, host=host, start_us=START_US + late * SECOND_US)
        for launch, host, late in ((second, "a", 101), (first, "b", 3), (second, "b", 100), (first, "a", 1))
    ]
    for rank, node in enumerate(nodes):
        node.writer(rank % 2, world_size=2).end()
    send(services, *nodes)
    with services.metadata.read() as connection:
        run: Any = describe_run(
            connection, services.summaries, find_project(connection, f"local:{project}"), "r"
        )
    assert [attempt["attempt"] for attempt in run["attempts"]] == [1, 2]
    assert [attempt["started_us"] for attempt in run["attempts"]] == [
        START_US + SECOND_US,
        START_US + 100 * SECOND_US,
    ]
    assert sorted((writer["attempt"], writer["host"]) for writer in run["writers"]) == [
        (1, "a"), (1, "b"), (2, "a"), (2, "b"),
    ]  # fmt: skip


def test_numbers_of_attempts() -> None:
    at_us = (EPOCH_S + 1000) * SECOND_US
    assert number_of({}, "", 0, at_us) == 1
    assert number_of({}, "", 7, at_us) == 7
    assert number_of({}, "a", 1, at_us) == 1000
    assert number_of({1000: "a"}, "a", 1, at_us + 5 * SECOND_US) == 1000
    assert number_of({1000: "a", 1001: "b"}, "c", 1, at_us) == 1002
    assert number_of({}, "a", 1, 0) == 1
    assert number_of({}, "a", 1, (1 << 63) - 1) < 1 << 31


def test_run_that_is_its_own_ancestor_has_an_end() -> None:
    attempts = {1: [Attempt(1, 5, 0)], 2: [Attempt(1, 9, 0)]}
    parents = {1: Parent(2, 100, 0), 2: Parent(1, 100, 0)}
    found = lineage(1, attempts, parents)
    assert [(item.run, item.source, item.below) for item in found.inherited] == [(1, 2, 5)]
