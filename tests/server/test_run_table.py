"""Lists of runs from the table in memory: that it follows the database, whatever happens there, and its arithmetic."""

from __future__ import annotations

import itertools
import math
import random
import secrets
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from buoy_proto import v1
from buoy_server.deletion.marks import delete_run, restore_run
from buoy_server.errors import Malformed
from buoy_server.filters.nodes import BadFilter
from buoy_server.ingest.pipeline import Ingest
from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.reader import MetricsReader
from buoy_server.query.catalogue import find_project
from buoy_server.query.runs import RunsQuery, RunsRequest
from buoy_server.query.summaries import Summaries
from buoy_server.services import Services
from buoy_server.table.column import GONE, Column
from buoy_server.table.groups import group_rows
from buoy_server.table.order import sort_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import datasets
from tests.server.streams import START_US, Stream

NOW_US = START_US + 1_000_000_000_000


@pytest.fixture
def summaries(services: Services) -> Summaries:
    return Summaries(MetricsReader(services.engine))


@pytest.fixture
def query(metadata: Metadata, summaries: Summaries) -> RunsQuery:
    return RunsQuery(metadata, summaries)


def upload(ingest: Ingest, stream: Stream) -> None:
    ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))


def ids(query: RunsQuery, filter: object = None, **more: Any) -> list[str]:
    found = query.answer("local:p", RunsRequest(filter, **more), NOW_US)["ids"]
    assert isinstance(found, list)
    return found


class Life:
    """Runs that begin, log, resume, fork, are set by hand, deleted and restored: a random one of all that at a time."""

    def __init__(self, seed: int, metadata: Metadata, ingest: Ingest) -> None:
        self.random = random.Random(seed)
        self.metadata, self.ingest = metadata, ingest
        self.runs: list[list[Stream]] = []
        self.writers: dict[int, Any] = {}
        self.steps: dict[int, int] = {}

    def step(self) -> None:
        acts = [
            self.begin,
            self.log,
            self.log,
            self.log,
            self.config,
            self.by_hand,
            self.resume,
            self.fork,
            self.delete,
        ]
        (self.random.choice(acts) if self.runs else self.begin)()

    def begin(self, branch: v1.Branch | None = None) -> None:
        number = len(self.runs)
        stream = Stream(
            f"r{number}", project="p", name=f"run {number % 3}", start_us=START_US + number, branch=branch
        )
        self.runs.append([stream])
        self.start(stream)
        self.config(number)

    def start(self, stream: Stream) -> None:
        writer = stream.writer()
        self.writers[id(stream)], self.steps[id(stream)] = writer, self.random.randrange(5)
        upload(self.ingest, stream)

    def pick(self) -> tuple[int, Stream, Any]:
        number = self.random.randrange(len(self.runs))
        stream = self.runs[number][-1]
        return number, stream, self.writers[id(stream)]

    def log(self) -> None:
        _, stream, writer = self.pick()
        step = self.steps[id(stream)] = self.steps[id(stream)] + self.random.randrange(1, 3)
        value = self.random.choice([self.random.random(), math.nan, math.inf, "text", True, 3, 2**60])
        writer.log([(step, {self.random.choice(["loss", "acc"]): value})])
        upload(self.ingest, stream)

    def config(self, number: int | None = None) -> None:
        stream = self.runs[number][-1] if number is not None else self.pick()[1]
        value = self.random.choice(
            [0.1, 3, None, "adam", [1, 2], {"name": "sgd", "deep": {"er": 1}}, {}, 2**70]
        )
        removed = ["opt"] if self.random.random() < 0.2 else []
        self.writers[id(stream)].config({self.random.choice(["opt", "lr", "new"]): value}, removed)
        upload(self.ingest, stream)

    def by_hand(self) -> None:
        _, stream, writer = self.pick()
        writer.summary({self.random.choice(["loss", "best"]): self.random.choice([1, {"min": 0.5}, "x"])})
        if self.random.random() < 0.3:
            metric = v1.MetricDef(name="lo*", summary=[self.random.choice(["min", "none", "mean"])])
            stream.add([v1.Record(metric=metric)], writer.id)
        upload(self.ingest, stream)

    def resume(self) -> None:
        number, old, _ = self.pick()
        stream = Stream(
            old.info.run_id, project="p", start_us=old.start_us + 10_000, launch=secrets.token_bytes(16)
        )
        self.runs[number].append(stream)
        self.start(stream)

    def fork(self) -> None:
        _, old, _ = self.pick()
        self.begin(v1.Branch(run_id=old.info.run_id, step=self.random.randrange(6)))

    def delete(self) -> None:
        run_id = self.pick()[1].info.run_id
        delete_run(self.metadata, "local:p", run_id, "", NOW_US)
        if self.random.random() < 0.5:
            restore_run(self.metadata, "local:p", run_id, "", NOW_US)


QUESTIONS: list[dict[str, Any]] = [
    {},
    {"filter": "loss<0.5 OR acc>0.5"},
    {"filter": "min(loss)<0.5 -has:new", "sort": [("max(acc)", True)]},
    {"filter": "has:opt.name OR opt=`[1,2]`", "sort": [("config.opt", False), ("last(loss)", True)]},
    {"filter": "opt.deep.er=1 OR lr=0.1"},
    {"filter": "state:running name:*1", "sort": [("summary.best", False), ("name", True)]},
    {"filter": "has:summary.loss", "sort": [("summary.loss", False)]},
    {"filter": "exists:config.opt -first(loss)=3", "sort": [("mean(loss)", False)]},
    {"filter": "summary.best.min=0.5 OR loss=text"},
    {"group": ["config.opt", "name"], "columns": ["loss", "min(acc)", "duration"]},
]


def asked(query: RunsQuery) -> list[object]:
    """The answers to all questions; of a key that no run has the refusal."""
    found: list[object] = []
    for question in QUESTIONS:
        try:
            found.append(query.answer("local:p", RunsRequest(**question), NOW_US))
        except Malformed as refusal:
            found.append(refusal.code)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_a_table_that_follows_says_what_a_new_one_says(
    seed: int, metadata: Metadata, ingest: Ingest, summaries: Summaries
) -> None:
    # A replica that has seen everything, one that sees some, and one with no room to keep a column.
    always, seldom, small = (RunsQuery(metadata, summaries, size) for size in (1 << 28, 1 << 28, 1))
    life = Life(seed, metadata, ingest)
    for turn in range(24):
        life.step()
        found = asked(always)
        if turn % 8 == 7:
            fresh = asked(RunsQuery(metadata, summaries))
            for answers in (found, asked(seldom), asked(small)):
                for question, answer, expected in zip(QUESTIONS, answers, fresh, strict=True):
                    assert repr(answer) == repr(expected), (seed, turn, question)


def runs_of(ingest: Ingest, configs: list[dict[str, Any]], losses: list[float] | None = None) -> list[Stream]:
    streams = []
    for number, config in enumerate(configs):
        stream = Stream(f"r{number}", project="p", name=f"run-{number}", start_us=START_US + number)
        writer = stream.writer()
        writer.config(config)
        if losses is not None:
            writer.log([(0, {"loss": losses[number]})])
        upload(ingest, stream)
        streams.append(stream)
    return streams


def test_pages_go_on_in_the_order_that_they_began_with(ingest: Ingest, query: RunsQuery) -> None:
    runs_of(ingest, [{"lr": number} for number in range(6)])
    question = {"sort": [("lr", True)], "filter": "lr>=0", "limit": 2, "columns": ["name"]}
    first = query.answer("local:p", RunsRequest(**question), NOW_US)
    assert first["ids"] == ["r5", "r4"]
    late = Stream("late", project="p")
    late.writer().config({"lr": 100})
    upload(ingest, late)
    assert ids(query, **{**question, "offset": 2}) == ["r4", "r3"], "a run has come in at the top"
    rev = first["rev"]
    assert ids(query, **{**question, "offset": 2, "at_rev": rev}) == ["r3", "r2"]
    again = query.answer("local:p", RunsRequest(**question, offset=4, at_rev=rev), NOW_US)
    assert (again["ids"], again["total"], again["rev"]) == (["r1", "r0"], 6, rev)
    # Another order was never asked for at that revision: then it is that of now, and the answer says so.
    other = query.answer("local:p", RunsRequest(sort=[("name", False)], at_rev=rev), NOW_US)
    assert other["rev"] != rev
    assert other["total"] == 7


def test_what_a_name_means(ingest: Ingest, query: RunsQuery) -> None:
    runs_of(ingest, [{"loss": 9, "name": "inner", "lr": 0.1}, {"lr": 0.2}], [0.25, 0.5])
    assert ids(query, "name:run-0") == ["r0"], "a run's own column comes first"
    assert ids(query, "config.name=inner") == ["r0"]
    assert ids(query, "loss=9") == ["r0"], "then the config"
    assert ids(query, "summary.loss=0.5") == ["r1"]
    assert ids(query, "min(loss)=0.25") == ["r0"]
    with pytest.raises(BadFilter, match="did you mean loss") as refusal:
        ids(query, "lr>0 los<3")
    assert (refusal.value.code, refusal.value.extra) == ("unknown_key", {"column": 6, "length": 3})
    assert ids(query, "config.later=3 OR summary.later=3 OR max(later)=3") == []
    with pytest.raises(Malformed) as column:
        ids(query, columns=["nothing"])
    assert column.value.code == "bad_column"


def test_columns_are_exact(ingest: Ingest, query: RunsQuery) -> None:
    runs_of(ingest, [{"seed": 2**60 + 1, "opt": {"name": "adam"}, "x": 3}], [0.5])
    names = [
        "seed",
        "config.opt",
        "opt.name",
        "config.x",
        "loss",
        "max(loss)",
        "mean(loss)",
        "none(loss)",
        "tag",
    ]
    with pytest.raises(Malformed, match="none"):
        query.answer("local:p", RunsRequest(columns=names), NOW_US)
    names.remove("none(loss)")
    columns = query.answer("local:p", RunsRequest(columns=[*names, "archived", "duration"]), NOW_US)[
        "columns"
    ]
    assert columns == {
        "seed": [2**60 + 1], "config.opt": [{"name": "adam"}], "opt.name": ["adam"], "config.x": [3], "loss": [0.5],
        "max(loss)": [0.5], "mean(loss)": [0.5], "tag": [[]], "archived": [False], "duration": [columns["duration"][0]],
    }  # type: ignore[index]  # fmt: skip


def test_groups_have_mean_deviation_and_number(ingest: Ingest, query: RunsQuery) -> None:
    configs: list[dict[str, Any]] = [{"opt": "adam"}] * 4 + [{"opt": "sgd"}] * 2 + [{}, {"opt": None}]
    losses = [1.0, 2.0, 4.0, math.nan, 5.0, math.inf, 7.0, 9.0]
    runs_of(ingest, configs, losses)
    request = RunsRequest(group=["opt"], columns=["loss", "name"])
    groups: Any = query.answer("local:p", request, NOW_US)["groups"]
    assert (groups["total"], groups["keys"], groups["runs"]) == (3, {"opt": ["adam", "sgd", None]}, [4, 2, 2])
    loss = groups["columns"]["loss"]
    assert loss["n"] == [3, 1, 2], "NaN and infinity are no numbers to average"
    assert loss["mean"] == [pytest.approx(7 / 3), 5.0, 8.0]
    assert loss["std"] == [pytest.approx(statistics.pstdev([1, 2, 4])), 0.0, 1.0]
    assert (loss["min"], loss["max"]) == ([1.0, 5.0, 7.0], [4.0, 5.0, 9.0])
    assert groups["columns"]["name"]["mean"] == [None, None, None]
    by_mean: Any = query.answer(
        "local:p", RunsRequest(group=["opt"], sort=[("loss", True)], columns=[], offset=1, limit=1), NOW_US
    )
    assert (by_mean["groups"]["keys"], by_mean["total"]) == ({"opt": ["sgd"]}, 8)
    by_size: Any = query.answer(
        "local:p", RunsRequest(group=["opt"], sort=[("n", True), ("opt", True)]), NOW_US
    )
    assert by_size["groups"]["keys"] == {"opt": ["adam", "sgd", None]}
    # What a group says depends on its own runs alone.
    alone: Any = query.answer("local:p", RunsRequest("opt=adam", group=["opt"], columns=["loss"]), NOW_US)
    assert {name: column[:1] for name, column in loss.items()} == alone["groups"]["columns"]["loss"]


def test_a_run_that_is_not_there_yet_is_not_listed(
    metadata: Metadata, ingest: Ingest, query: RunsQuery
) -> None:
    runs_of(ingest, [{}])
    delete_run(metadata, "local:p", "r0", "", NOW_US)
    assert ids(query) == []
    restore_run(metadata, "local:p", "r0", "", NOW_US)
    assert ids(query) == ["r0"]


def test_many_changes_at_once(metadata: Metadata, query: RunsQuery) -> None:
    datasets.write(metadata, None, "p", datasets.shape_of("w4", 30), seed=3)
    everything = set(ids(query, "has:val/loss", limit=1000))
    low = ids(query, "val/loss<0.5", limit=1000)
    assert low == ids(RunsQuery(metadata, Summaries(None)), "val/loss<0.5", limit=1000)  # type: ignore[arg-type]
    assert set(low) | set(ids(query, "-val/loss<0.5", limit=1000)) == everything
    with metadata.read() as connection:
        assert find_project(connection, "local:p").rev == 30


# The arithmetic of columns

cells = st.one_of(
    st.just(GONE), st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=2), st.dictionaries(st.text(max_size=1), st.integers(0, 2), max_size=1),
)  # fmt: skip


@given(st.lists(cells, max_size=30), st.data())
@settings(max_examples=200, deadline=None)
def test_columns_keep_what_they_are_given(values: list[object], data: st.DataObject) -> None:
    filled, put = Column(len(values)), Column(0)
    filled.fill(None, values)
    for row, value in enumerate(values):
        put.grow(row + 1)
        put.put(row, value)
        assert put.value(row) == value or value != value  # noqa: PLR0124
        assert filled.value(row) == value or value != value  # noqa: PLR0124
        assert (put.kind[row], filled.kind[row]) == (filled.kind[row], filled.kind[row])
    rows = np.arange(len(values))
    keys = [(filled, data.draw(st.booleans())), (put, False)]
    order = sort_rows(rows, keys, rows.astype(np.int64)).tolist()
    assert sorted(order) == rows.tolist()
    missing = [_is_missing(values[row]) for row in order]
    assert missing == sorted(missing), "what is absent comes last"
    numbers = [
        values[row] for row in order if isinstance(values[row], (int, float)) and not _is_missing(values[row])
    ]
    doubled = [float(number) for number in numbers]  # type: ignore[arg-type]
    assert doubled == sorted(doubled, reverse=keys[0][1])


def _is_missing(value: object) -> bool:
    return value is GONE or value is None or value != value  # noqa: PLR0124


def _same(values: list[object]) -> Iterator[object]:
    """What is the same for a group has the same name."""
    for value in values:
        if value is GONE or value is None:
            yield "nothing"
        elif isinstance(value, float) and math.isnan(value):
            yield "nan"
        else:
            yield (isinstance(value, bool), repr(value + 0.0 if type(value) in (int, float) else value))  # type: ignore[operator]


@given(st.lists(st.tuples(cells, st.sampled_from(["a", "b"]), st.floats(-1e6, 1e6)), max_size=30))
@settings(max_examples=200, deadline=None)
def test_groups_against_plain_python(table: list[tuple[object, str, float]]) -> None:
    columns = [Column(len(table)) for _ in range(3)]
    for place, column in enumerate(columns):
        column.fill(None, [row[place] for row in table])
    groups = group_rows(np.arange(len(table)), columns[:2])
    names = list(zip(_same([row[0] for row in table]), [row[1] for row in table], strict=True))
    expected: dict[object, list[float]] = {}
    for name, row in zip(names, table, strict=True):
        expected.setdefault(name, []).append(row[2])
    assert len(groups.begins) == len(expected)
    said = groups.statistics(columns[2])
    ends = [*groups.begins.tolist(), len(table)]
    for place, (begin, end) in enumerate(itertools.pairwise(ends)):
        (name,) = {names[row] for row in groups.rows[begin:end].tolist()}
        values = expected[name]
        assert said.n[place] == len(values)
        assert said.mean[place] == pytest.approx(statistics.fmean(values), abs=1e-6)
        assert said.std[place] == pytest.approx(statistics.pstdev(values), abs=1e-6)
        assert (said.minimum[place], said.maximum[place]) == (min(values), max(values))
