"""Filters in the Mongo-like form, against what MongoDB answers."""

from __future__ import annotations

from typing import Any

import pytest
from buoy_server.errors import Malformed
from buoy_server.query.filters import ABSENT, compile_filter, keys_of
from buoy_server.query.runs import walk

RUN: dict[str, Any] = {
    "id": "r1",
    "name": "quiet-tide-3",
    "state": "finished",
    "tags": ["baseline", "v2"],
    "created_us": 100,
    "config.lr": 0.01,
    "config.layers": 4,
    "config.debug": True,
    "config.opt.name": "adam",
    "config.none": None,
    "config.nan": float("nan"),
    "summary.loss": 0.25,
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, True),
        ({}, True),
        ({"state": "finished"}, True),
        ({"state": "running"}, False),
        ({"tags": "baseline"}, True),
        ({"tags": ["baseline", "v2"]}, True),
        ({"tags": "other"}, False),
        ({"tags": {"$in": ["other", "v2"]}}, True),
        ({"tags": {"$nin": ["other"]}}, True),
        ({"tags": {"$nin": ["v2"]}}, False),
        ({"config.lr": {"$lt": 0.1}}, True),
        ({"config.lr": {"$gte": 0.01, "$lte": 0.01}}, True),
        ({"config.lr": {"$gt": 0.01}}, False),
        ({"config.lr": {"$gt": "0"}}, False),
        ({"config.debug": True}, True),
        ({"config.debug": 1}, False),
        ({"config.debug": {"$gt": 0}}, False),
        ({"config.layers": 4.0}, True),
        ({"config.nan": {"$gt": 0}}, False),
        ({"config.missing": {"$exists": False}}, True),
        ({"config.missing": {"$exists": True}}, False),
        ({"config.missing": None}, True),
        ({"config.none": None}, True),
        ({"config.none": {"$exists": True}}, True),
        ({"config.missing": {"$ne": 3}}, True),
        ({"config.missing": {"$lt": 3}}, False),
        ({"name": {"$regex": "^quiet"}}, True),
        ({"name": {"$regex": "tide$"}}, False),
        ({"config.layers": {"$regex": "4"}}, False),
        ({"$or": [{"state": "running"}, {"summary.loss": {"$lt": 1}}]}, True),
        ({"$and": [{"state": "finished"}, {"name": "x"}]}, False),
        ({"$nor": [{"state": "running"}, {"name": "x"}]}, True),
        ({"$not": {"state": "running"}}, True),
        ({"config.lr": {"$not": {"$gt": 1}}}, True),
        ({"state": "finished", "config.opt.name": "adam"}, True),
        ({"state": {"$eq": "finished"}}, True),
    ],
)
def test_filters(given: object, expected: bool) -> None:
    assert compile_filter(given)(lambda key: RUN.get(key, ABSENT)) is expected


@pytest.mark.parametrize(
    "given",
    [
        [],
        "x",
        {"$where": "1"},
        {"state": {"$like": "x"}},
        {"state": {"$in": "x"}},
        {"$and": {}},
        {"name": {"$regex": "("}},
        {"name": {"$regex": "a" * 2000}},
        {"name": {"$regex": 3}},
        {"password": "x"},
    ],
)
def test_bad_filters(given: object) -> None:
    with pytest.raises(Malformed) as refusal:
        compile_filter(given)
    assert refusal.value.code in ("bad_filter", "bad_column")


def test_nested_too_deep() -> None:
    deep: object = {"state": "x"}
    for _ in range(200):
        deep = {"$not": deep}
    with pytest.raises(Malformed):
        compile_filter(deep)


def test_the_keys_of_a_filter() -> None:
    given = {"$or": [{"config.a": 1}, {"$not": {"summary.b": {"$gt": 1}}}], "state": "x"}
    assert keys_of(given) == {"config.a", "summary.b", "state"}


def test_paths_into_nested_values() -> None:
    value = {"a": {"b": {"c": 1}}, "x.y": {"z": 2}, "train/loss.min": 3}
    assert walk(value, "a.b.c") == 1
    assert walk(value, "x.y.z") == 2
    assert walk(value, "train/loss.min") == 3
    assert walk(value, "a.c") is ABSENT
    assert walk(value, "a.b.c.d") is ABSENT
