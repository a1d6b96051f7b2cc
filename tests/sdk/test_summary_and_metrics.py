"""Summary and define_metric(), on a real writer without any daemon."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buoy.errors import UsageError
from buoy.tracking import metric as metrics
from buoy.tracking.metric import Metrics, Synchroniser
from buoy.tracking.summary import Summary
from buoy_core import Writer


class Bench:
    """A summary over a real writer, with what it told."""

    def __init__(self, folder: Path) -> None:
        self.writer = Writer(str(folder), writer_id=bytes(16))
        self.metrics = Metrics()
        self.told: list[tuple[dict[str, object], list[str]]] = []
        self.summary = Summary(
            self.writer, self.metrics, lambda values, removed: self.told.append((values, removed))
        )

    def define(self, *arguments: Any, overwrite: bool = False, **named: Any) -> None:
        self.metrics.define(metrics.checked(*arguments, **named), overwrite=overwrite)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "spool")
    yield bench
    bench.writer.close()


def test_the_last_value_by_default(bench: Bench) -> None:
    bench.writer.log({"a": 1, "this": {"that": 3}})
    bench.writer.log({"a": 2, "this": {"that": 4}, "text": "x"})
    assert dict(bench.summary) == {"a": 2, "this.that": 4, "text": "x"}
    assert bench.summary["this"]["that"] == bench.summary.this.that == bench.summary["this.that"] == 4
    assert "this" in bench.summary
    with pytest.raises(KeyError):
        _ = bench.summary["none"]
    with pytest.raises(AttributeError, match="'none'"):
        _ = bench.summary.none


def test_a_later_log_beats_an_explicit_value(bench: Bench) -> None:
    bench.summary.update({"a": 1})
    bench.writer.log({"a": 2})
    assert bench.summary["a"] == 2
    bench.summary["a"] = 3
    assert bench.summary["a"] == 3
    bench.writer.log({"b": 1})
    assert bench.summary["a"] == 3
    bench.writer.log({"a": 2})
    assert bench.summary["a"] == 2


def test_nested_values(bench: Bench) -> None:
    bench.summary["a"] = {"b": 2}
    bench.summary["a"]["c"] = 3
    bench.summary.a.d = {"e": (1,)}
    assert dict(bench.summary) == {"a.b": 2, "a.c": 3, "a.d.e": [1]}
    del bench.summary["a"]["b"]
    assert dict(bench.summary["a"]) == {"c": 3, "d.e": [1]}
    bench.summary["a"] = 1
    assert dict(bench.summary) == {"a": 1}
    assert bench.told[-1] == ({"a": 1}, ["a.c", "a.d.e"])


def test_removal(bench: Bench) -> None:
    bench.writer.log({"a": 1, "b": {"x": 1, "y": 2}})
    del bench.summary["a"]
    del bench.summary["b"]["x"]
    assert dict(bench.summary) == {"b.y": 2}
    assert bench.told == [({}, ["a"]), ({}, ["b.x"])]
    with pytest.raises(KeyError):
        del bench.summary["a"]
    bench.writer.log({"a": 1})
    assert bench.summary["a"] == 1


@pytest.mark.parametrize(
    ("summary", "goal", "expected"),
    [
        ("min", None, {"min": 1}),
        ("max", None, {"max": 8}),
        ("last", None, {"last": 3}),
        ("mean", None, {"mean": 4}),
        ("first", None, {"first": 1}),
        ("min,max", None, {"min": 1, "max": 8}),
        ("best", "maximize", {"best": 8}),
        ("best", "minimize", {"best": 1}),
        ("copy", None, 3),
        (None, None, 3),
    ],
)
def test_aggregates(bench: Bench, summary: str | None, goal: str | None, expected: object) -> None:
    bench.define("val", summary=summary, goal=goal)
    for value in (1, 8, 3):
        bench.writer.log({"val": value})
    assert bench.summary["val"] == expected


def test_aggregates_leave_text_out(bench: Bench) -> None:
    bench.define("val", summary="min,max,mean,first")
    for value in (1, "oops", 3):
        bench.writer.log({"val": value})
    assert bench.summary["val"] == {"min": 1, "max": 3, "mean": 2, "first": 1}


def test_nan_hides_nothing_that_is_finite(bench: Bench) -> None:
    bench.define("val", summary="min,max,mean")
    for value in (2, math.nan, 4):
        bench.writer.log({"val": value})
    assert bench.summary["val"] == {"min": 2, "max": 4, "mean": 3}


def test_none_removes_the_key(bench: Bench) -> None:
    bench.define("val", summary="none")
    bench.writer.log({"val": 1, "other": 1})
    assert dict(bench.summary) == {"other": 1}


def test_globs_and_own_definitions(bench: Bench) -> None:
    bench.define("train*", summary="min")
    bench.define("train/acc*", summary="max")
    bench.define("train/acc/top1", summary="last")
    bench.writer.log({"train/loss": 1, "train/acc": 2, "train": {"x": 3}, "train/acc/top1": 4})
    assert dict(bench.summary) == {
        "train/loss": {"min": 1}, "train/acc": {"max": 2}, "train.x": {"min": 3}, "train/acc/top1": {"last": 4},
    }  # fmt: skip


def test_later_definitions_merge_or_overwrite(bench: Bench) -> None:
    bench.define("val", summary="min")
    bench.define("val", summary="max")
    bench.writer.log({"val": 1})
    assert bench.summary["val"] == {"min": 1, "max": 1}
    bench.define("val", summary="max", overwrite=True)
    assert bench.summary["val"] == {"max": 1}


def test_an_escaped_dot(bench: Bench) -> None:
    bench.define("this\\.that", summary="min")
    bench.writer.log({"this": {"that": 2}})
    assert bench.summary["this.that"] == {"min": 2}


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": 1},
        {"name": ""},
        {"name": "a*b"},
        {"name": "a", "step_metric": 1},
        {"name": "a", "step_metric": "b*"},
        {"name": "a", "step_sync": 1},
        {"name": "a", "hidden": "yes"},
        {"name": "a", "summary": "median"},
        {"name": "a", "summary": ["min"]},
        {"name": "a", "goal": "win"},
        {"name": "a", "summary": "best"},
    ],
)
def test_bad_definitions(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="define_metric"):
        metrics.checked(**arguments)


def test_step_sync(bench: Bench) -> None:
    bench.define("train/*", step_metric="train/step")
    bench.define("free", step_metric="train/step", step_sync=False)
    sync = Synchroniser(bench.metrics, bench.writer.last_values)
    assert sync.fill({"train/loss": 1}) == {"train/loss": 1}
    assert sync.fill({"train/step": 3}) == {"train/step": 3}
    row = {"train/loss": 2}
    assert sync.fill(row) == {"train/loss": 2, "train/step": 3}
    assert row == {"train/loss": 2}
    assert sync.fill({"free": 1}) == {"free": 1}
    assert sync.fill({"train/loss": 1, "train/step": 4}) == {"train/loss": 1, "train/step": 4}


def test_step_sync_with_nested_rows(bench: Bench) -> None:
    bench.define("train.loss", step_metric="train.step")
    sync = Synchroniser(bench.metrics, bench.writer.last_values)
    sync.fill({"train": {"step": 7}})
    assert sync.fill({"train": {"loss": 1}}) == {"train": {"loss": 1}, "train.step": 7}
