"""The filter language: what it means, how it is refused, and that no text whatever is more than a refusal."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

import pytest
from buoy_server.filters.mongo import from_object
from buoy_server.filters.names import COLUMNS, column_of
from buoy_server.filters.nodes import (
    AGGREGATES,
    OPERATORS,
    And,
    BadFilter,
    Bare,
    Compare,
    Everything,
    Has,
    In,
    Json,
    Key,
    Node,
    Not,
    Or,
    Text,
    Word,
    as_json,
    keys_of,
)
from buoy_server.filters.parser import parse, parse_key
from buoy_server.filters.printer import print_filter
from buoy_server.filters.readings import moves
from buoy_server.jsonvalues import dumps
from buoy_server.table.column import Column
from buoy_server.table.configs import leaves, value_at, walk
from buoy_server.table.masks import Masks
from hypothesis import example, given, settings
from hypothesis import strategies as st

NOW_US = round(datetime(2026, 11, 21, 10, 10, 45, tzinfo=timezone.utc).timestamp() * 1e6)

_DAY_US = 86_400_000_000
RUN: dict[str, Any] = {
    "id": "r1", "name": "quiet-tide-3", "state": "finished", "tags": ["baseline", "v2"], "notes": "", "group": "",
    "created_us": NOW_US - 2 * _DAY_US, "ended_us": NOW_US - _DAY_US, "duration": 5400.0, "archived": False,
    "config.lr": 0.01, "config.layers": 4, "config.debug": True, "config.opt.name": "adam", "config.none": None,
    "config.nan": math.nan, "config.big": 2**60 + 1, "config.betas": [0.9, 0.95], "config.number": "3",
    "config.empty": [], "config.both": "config", "config.ünï côdé": 1,
    "summary.loss": 0.25, "summary.both": "summary", "summary.val/loss": 0.5, "min(val/loss)": 0.125,
}  # fmt: skip


class OneRun:
    """A table of one run, and what it knows."""

    def has_config(self, path: str) -> bool:
        return f"config.{path}" in RUN

    def has_metric(self, name: str) -> bool:
        return f"summary.{name}" in RUN

    def known(self) -> list[str]:
        return [name.partition(".")[2] for name in RUN if "." in name]

    def column(self, key: Key) -> tuple[str, Column]:
        name = column_of(key, self)
        column = Column(1)
        if name in RUN:
            column.fill(None, [RUN[name]])
        return name, column


def holds(tree: Node) -> bool:
    return bool(Masks(1, OneRun().column, NOW_US).of(tree)[0])


@pytest.mark.parametrize(
    "line",
    [
        "", "*", "state:finished", "state=finished name:quiet*", "lr<=1e-2 lr>0.009", "tag:baseline tag:v2",
        "min(val/loss)<0.2", 'name~"^quiet"', "name~^quiet", "(state:running OR tag:v2)", "-tag:x", "NOT tag:x",
        "opt.name in (adam, sgd)", "config.opt.name not in (sgd)", "created>-7d", "created<-36h", "created:2026-11-19",
        "created>=2026-11-19 created<2026-11-20", "created=2026-11-19T10:10", "created>2026-11-19T19:10:44+09:00",
        "ended:yesterday", "-created:today", "created<now", "duration>1h duration<2h", "duration=1h30m",
        "has:lr has:tag", "exists:notes -has:notes", "-has:config.missing", "-has:empty exists:empty", "layers=4",
        "layers=4.0", "layers!=5", "debug=true", "debug!=1", "none=null", "config.missing=null", "nan=nan",
        "-nan>0 -nan<=0", "big=1152921504606846977", "big!=1152921504606846976", "betas=0.9", "betas=`[0.9,0.95]`",
        "betas>0.94", "number=3", "number=`\"3\"`", "number!=`3`", 'number!="x"', "quiet", "TIDE r1", '"tide-3"',
        "both=config", "summary.both=summary", "loss<1", "val/loss=0.5", '"val/loss"=0.5', 'summary."val/loss"=0.5',
        "last(val/loss)!=7", "latest(x)=null", "config.later=null", "-archived:true", "name!~x", "name:*tide*",
        "name<r name>p", '"config.ünï côdé"=1', "a-b OR quiet", "created_us<1e30", "tag!=x", "tag!~^x", "tag~^base",
        "archived=false", "state!=running AND lr=0.01", "lr in (0.01)", "tags in (v2, v3)", "config.nan!=1",
        "state:fin*", "note=\"\"", "jobtype!=eval OR quiet", "name=quiet-tide-3",
    ],
)  # fmt: skip
def test_lines_that_hold(line: str) -> None:
    tree = parse(line)
    assert holds(tree)
    assert not holds(Not(tree))
    assert parse(print_filter(tree)) == tree


@pytest.mark.parametrize(
    ("line", "column", "length", "code", "expected"),
    [
        ("state:", 7, 1, "bad_filter", "a value is expected"),
        ("state:runing", 7, 6, "bad_filter", "running, finished"),
        ("lr<", 4, 1, "bad_filter", "a value is expected"),
        ("lr<<3", 4, 1, "bad_filter", "a value is expected"),
        ("lr < = 3", 6, 1, "bad_filter", "a value is expected"),
        ("(lr<3", 6, 1, "bad_filter", "closing parenthesis"),
        ("lr<3)", 5, 1, "bad_filter", "closes nothing"),
        ("lr<3 OR", 8, 1, "bad_filter", "a key, a word"),
        ("OR lr<3", 1, 2, "bad_filter", "a key, a word"),
        ("-", 2, 1, "bad_filter", "a key, a word"),
        ('name:"open', 6, 5, "bad_filter", "not closed"),
        ("x:`[1`", 3, 4, "bad_filter", "JSON"),
        ("created>soon", 9, 4, "bad_filter", "-7d"),
        ("created>7d", 9, 2, "bad_filter", "-7d"),
        ("created>2026-13-01", 9, 10, "bad_filter", "a time"),
        ("duration>long", 10, 4, "bad_filter", "2h30m"),
        ('state:running name~"("', 20, 3, "bad_filter", "pattern"),
        ("lr>`[1]`", 4, 5, "bad_filter", "takes a number"),
        ("state:running layer<3", 15, 5, "unknown_key", "did you mean layers"),
        ("a in (1 2)", 9, 1, "bad_filter", "',' or ')'"),
        ("min(val/loss<3", 13, 1, "bad_filter", "closing parenthesis"),
        ("min()<3", 5, 1, "bad_filter", "name of a metric"),
        ("has:", 5, 1, "bad_filter", "a key is expected"),
        ("a ! b", 3, 1, "bad_filter", "no meaning"),
        ("x" * 5000, 4097, 904, "bad_filter", "4096"),
        ("(" * 60 + "x" + ")" * 60, 52, 1, "bad_filter", "nested"),
        ("-" * 200 + "x", 52, 1, "bad_filter", "nested"),
        ("x " * 600, 1001, 1, "bad_filter", "500 terms"),
        ('name~"' + "a" * 2000 + '"', 6, 2002, "bad_filter", "1000 characters"),
    ],
)
def test_refusals_point_at_the_column(line: str, column: int, length: int, code: str, expected: str) -> None:
    with pytest.raises(BadFilter, match=expected.replace("(", r"\(").replace(")", r"\)")) as refusal:
        holds(parse(line))
    assert (refusal.value.code, refusal.value.extra) == (code, {"column": column, "length": length})
    assert f"at column {column}:" in refusal.value.detail


def test_the_tree_for_programs() -> None:
    assert as_json(parse('lr<1e-3 (-tag:"x y" OR min(val/loss) in (1, `2`)) has:lr exists:x gpt')) == {
        "and": [
            {"key": "lr", "op": "<", "value": {"word": "1e-3"}},
            {
                "or": [
                    {"not": {"key": "tag", "op": ":", "value": {"text": "x y"}}},
                    {
                        "key": "val/loss",
                        "aggregate": "min",
                        "op": "in",
                        "values": [{"word": "1"}, {"json": "2"}],
                    },
                ]
            },
            {"key": "lr", "op": "has"},
            {"key": "x", "op": "exists"},
            {"name_or_id": "gpt"},
        ]
    }
    assert as_json(parse("*")) == {"everything": True}


def test_whether_a_filter_depends_on_the_clock() -> None:
    assert moves(parse("state:running (-created>-7d OR x)"))
    assert moves(parse("created in (today)"))
    assert not moves(parse("created>2026-01-01 lr<-3 name:now1"))


def test_a_key_by_itself() -> None:
    assert parse_key("min(val/loss)") == parse_key('min("val/loss")') == Key("val/loss", "min")
    assert parse_key("latest(a(b))") == Key("a(b)", "last")
    assert parse_key("config.a b") == Key("config.a b")
    assert parse_key("max()") is None


# Every tree can be written as a line, and every text is a filter or refused

texts = st.text(max_size=12)
words = st.from_regex(r'[^\s()",<>=~!`\x00-\x1f\x85\xa0]{1,8}', fullmatch=True).filter(
    lambda word: not any(character.isspace() for character in word)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
values = st.builds(Word, words) | st.builds(Text, texts) | st.builds(Json, json_values.map(dumps))
names = texts | st.sampled_from(
    ["in", "not", "OR", "has", "min", "latest", "*", "config.lr", "-", "val/loss", "a:b"]
)
metrics = st.text(min_size=1, max_size=8) | st.sampled_from(["val/loss", "a b", '"', "x)"])
plain_keys = st.builds(Key, names)
keys = plain_keys | st.builds(Key, metrics, st.sampled_from(AGGREGATES))
nodes = st.recursive(
    st.builds(Everything)
    | st.builds(Bare, names)
    | st.builds(Compare, keys, st.sampled_from(OPERATORS), values)
    | st.builds(In, keys, st.lists(values, min_size=1, max_size=3).map(tuple))
    | st.builds(Has, keys, st.booleans()),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@given(nodes)
@settings(max_examples=400, deadline=None)
def test_what_is_printed_is_read_as_the_same(tree: Node) -> None:
    line = print_filter(tree)
    assert parse(line) == tree
    assert print_filter(parse(line)) == line


_PIECES = [
    *OPERATORS, "(", ")", '"', "`", "-", " ", ",", "OR", "AND", "NOT", "in", "not", "has:", "min(", "config.lr",
    "state", "created", "-7d", "2026-01-01", "1e999", "null", "*", "\\", "\ud800", "\0", "tag", "name~",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=4), max_size=20).map("".join))
@settings(max_examples=800, deadline=None)
@example("created>2026-01-01T25:61")
@example("created:0001-01-01T00:00:00+23:59")
@example("duration>" + "9" * 400 + "d")
@example("layers<" + "9" * 4000)
@example('name~"(?P<x>a)(?P=x)"')
def test_any_text_is_a_filter_or_refused(line: str) -> None:
    column = None
    try:
        holds(parse(line))
    except BadFilter as refusal:
        column = refusal.extra["column"]
    if column is None:
        assert parse(print_filter(parse(line))) == parse(line)
    else:
        assert isinstance(column, int)
        assert 1 <= column <= len(line) + 1


# The Mongo-like form


@pytest.mark.parametrize(
    ("given_filter", "expected"),
    [
        ({}, True),
        ({"state": "finished"}, True),
        ({"state": "running"}, False),
        ({"tags": "baseline"}, True),
        ({"tags": ["baseline", "v2"]}, True),
        ({"tags": "other"}, False),
        ({"tags": {"$in": ["other", "v2"]}}, True),
        ({"tags": {"$nin": ["other"]}}, True),
        ({"tags": {"$nin": ["v2"]}}, False),
        ({"tags": {"$in": []}}, False),
        ({"config.lr": {"$lt": 0.1}}, True),
        ({"config.lr": {"$gte": 0.01, "$lte": 0.01}}, True),
        ({"config.lr": {"$gt": 0.01}}, False),
        ({"config.lr": {"$gt": "0"}}, False),
        ({"config.debug": True}, True),
        ({"config.debug": 1}, False),
        ({"config.debug": {"$gt": 0}}, False),
        ({"config.layers": 4.0}, True),
        ({"config.number": 3}, False),
        ({"config.number": "3"}, True),
        ({"config.big": 2**60 + 1}, True),
        ({"config.big": {"$int": str(2**60)}}, False),
        ({"config.big": {"$gt": 2**60}}, True),
        ({"config.nan": {"$gt": 0}}, False),
        ({"config.nan": {"$float": "nan"}}, True),
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
        ({"tags": {"$regex": "^v"}}, True),
        ({"$or": [{"state": "running"}, {"summary.loss": {"$lt": 1}}]}, True),
        ({"$or": []}, False),
        ({"$and": []}, True),
        ({"$and": [{"state": "finished"}, {"name": "x"}]}, False),
        ({"$nor": [{"state": "running"}, {"name": "x"}]}, True),
        ({"$not": {"state": "running"}}, True),
        ({"config.lr": {"$not": {"$gt": 1}}}, True),
        ({"state": "finished", "config.opt.name": "adam"}, True),
        ({"state": {"$eq": "finished"}}, True),
        ({"state": "preempted"}, False),
        ({"created_us": {"$gt": NOW_US - 3 * _DAY_US}}, True),
        ({"min(val/loss)": {"$lt": 0.2}}, True),
        ({"config.betas": [0.9, 0.95]}, True),
        ({"config.opt": {"name": "x"}}, False),
    ],
)
def test_objects(given_filter: dict[str, Any], expected: bool) -> None:
    tree = from_object(given_filter)
    assert holds(tree) is expected
    assert parse(print_filter(tree)) == tree


@pytest.mark.parametrize(
    "given_filter",
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
        {"": "x"},
        {"created_us": "soon"},
    ],
)
def test_bad_objects(given_filter: Any) -> None:
    with pytest.raises(BadFilter) as refusal:
        holds(from_object(given_filter))
    assert refusal.value.code in ("bad_filter", "unknown_key")
    assert refusal.value.extra == {}, "there is no text to point at"


def test_thousands_of_values_at_once() -> None:
    many = [f"r{number}" for number in range(10_000)]
    assert holds(from_object({"id": {"$in": many}}))
    assert holds(from_object({"tags": {"$in": [*many[2:], "v2"]}}))
    assert not holds(from_object({"tags": {"$in": many}}))
    assert holds(from_object({"config.layers": {"$in": ["4", 4]}}))
    assert not holds(from_object({"config.layers": {"$in": ["4"]}}))
    with pytest.raises(BadFilter, match="10000"):
        from_object({"id": {"$in": [*many, "one more"]}})


def test_nested_too_deep() -> None:
    deep: object = {"state": "x"}
    for _ in range(200):
        deep = {"$not": deep}
    with pytest.raises(BadFilter):
        from_object(deep)


def test_the_keys_of_a_filter() -> None:
    tree = from_object({"$or": [{"config.a": 1}, {"$not": {"summary.b": {"$gt": 1}}}], "state": "x"})
    assert [key.name for key in keys_of(tree)] == ["config.a", "summary.b", "state"]
    assert "archived" in COLUMNS


def test_paths_into_nested_values() -> None:
    value = {"a": {"b": {"c": 1}}, "x.y": {"z": 2}, "train/loss.min": 3, "e": {}}
    assert walk(value, "a.b.c") == 1
    assert walk(value, "x.y.z") == 2
    assert walk(value, "train/loss.min") == 3
    found = dict(leaves(value))
    assert found == {"a.b.c": 1, "x.y.z": 2, "train/loss.min": 3, "e": {}}
    assert all(value_at(value, path) == leaf for path, leaf in found.items())
    assert walk(value, "a.c") is walk(value, "a.b.c.d")
