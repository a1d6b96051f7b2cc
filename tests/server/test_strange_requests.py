"""Requests and values that nobody sends on purpose. Each of these was once a 500, or a thread that never came back."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import httpx
import pytest
from buoy.api.http import Http
from buoy_proto import v1
from buoy_server.jsonvalues import DEPTH_MAX, dumps, from_json, tag, untag

from tests.server.processes import ServerProcess
from tests.server.streams import Stream

PROJECT = "/api/v1/p/local:strange"


@pytest.fixture(scope="module")
def strange(server: ServerProcess) -> ServerProcess:
    """The server with a run whose values are as odd as can be."""
    stream = Stream("r", project="strange")
    writer = stream.writer()
    writer.config({"big": 10**400, "float": {"$float": "no number"}, "int": {"$int": []}, "half": "\ud800x"})
    writer.config({"slow": "a" * 200 + "b"})
    writer.log([(step, {"loss": 0.5, "b": step}) for step in (-(1 << 63), 0, (1 << 63) - 2)])
    writer.log([(1, {"loss": 0.5})])
    deep: Any = 1
    for _ in range(DEPTH_MAX + 50):
        deep = [deep]
    writer.log([(2, {"deep": deep})])
    row = v1.Row(step=3, others=[v1.Value(key_id=1, big_integer=(1 << 60_000).to_bytes(7501, "little"))])
    stream.add([v1.Record(row=row)], writer.id)
    server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    return server


def query(server: ServerProcess, **body: Any) -> httpx.Response:
    return server.client.post(f"{PROJECT}/runs:query", content=json.dumps(body))


def panel(server: ServerProcess, accept: str = "*/*", **body: Any) -> httpx.Response:
    content = json.dumps({"panels": [{"keys": ["loss"], "runs": ["r"]} | body]})
    return server.client.post(f"{PROJECT}/series:query", content=content, headers={"Accept": accept})


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**30, "9" * 5000, "x", "1.5"])
@pytest.mark.parametrize(
    "where",
    [
        "keys?since=",
        "rev?since=",
        "runs/r/history?min_step=",
        "runs/r/history?max_step=",
        "runs/r/history?cursor=",
    ],
)
def test_numbers_beyond_64_bits(strange: ServerProcess, where: str, number: object) -> None:
    # SQLite and the engine hold no more.
    answer = strange.client.get(f"{PROJECT}/{where}{number}")
    assert (answer.status_code, answer.json()["code"][:4]) == (400, "bad_")


@pytest.mark.parametrize("x", ["step", "rel", "wall"])
@pytest.mark.parametrize(
    "ends", [[-1e308, 1e308], [0, 10**400], [-(10**400), 0], [-(1 << 63), (1 << 63) - 1], [5e-324, 5e-324]]
)
@pytest.mark.parametrize("exponent", [None, 0, -30, 63])
def test_ranges_without_end(strange: ServerProcess, ends: list[float], exponent: int | None, x: str) -> None:
    answer = panel(strange, range=ends, exp=exponent, x=x)
    assert answer.status_code == (400 if x == "step" and exponent == -30 else 200)


@pytest.mark.parametrize(
    "body", [{"cols": [[]]}, {"cols": [{}]}, {"range": [0, float("nan")]}, {"cols": "min"}]
)
def test_members_of_the_wrong_kind(strange: ServerProcess, body: dict[str, Any]) -> None:
    assert panel(strange, **body).status_code == 400


def test_text_that_is_no_text(strange: ServerProcess) -> None:
    # UTF-8 has no lone surrogates, PostgreSQL no NUL.
    for name in ("\ud800", "a\0b", "\udcff\0"):
        for accept in ("*/*", "application/vnd.buoy.frames"):
            assert panel(strange, accept, keys=[name], runs=[name, "r"]).status_code == 200
        assert query(strange, filter={"config.half": name}).json()["total"] == 0
        assert query(strange, filter={"config.half": {"$regex": name}}).status_code in (200, 400)
        assert query(strange, sort=[{"key": f"summary.{name}"}]).status_code == 200
    for path in ("/api/v1/p/a%00:b/keys", f"{PROJECT}/runs/%00", f"{PROJECT}/keys?run=%00"):
        assert strange.client.get(path).status_code == 404


@pytest.mark.parametrize("pattern", ["a{9999}", "(?=a)", "(", r"(?P<x>a)(?P=x)"])
def test_patterns_that_cannot_be_used(strange: ServerProcess, pattern: str) -> None:
    answer = query(strange, filter={"name": {"$regex": pattern}})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filter")


def test_a_pattern_cannot_keep_the_server_busy(strange: ServerProcess) -> None:
    # Python's own expressions try 2^200 ways here.
    began = time.monotonic()
    for pattern in ("(a+)+$", "(a|a)*$", "(" * 400 + ")" * 400, "a{99999999999}"):
        assert query(strange, filter={"config.slow": {"$regex": pattern}}).status_code == 200
    assert time.monotonic() - began < 20


def test_sorting_by_a_number_that_no_double_holds(strange: ServerProcess) -> None:
    answer = query(
        strange, sort=[{"key": "config.big", "desc": True}], columns=["config.big", "config.float"]
    )
    columns = answer.json()["columns"]
    assert columns["config.big"][0]["$int"] == str(10**400)
    assert columns["config.float"][0] == {"$float": "no number"}


def test_values_that_are_too_large_or_too_deep(strange: ServerProcess) -> None:
    # The upload failed each time it came, so that its stream stood still.
    rows = strange.client.get(f"{PROJECT}/runs/r/history").json()["rows"]
    found = {row["_step"]: row for row in rows}
    assert found[2]["deep"].startswith("[[[[")
    assert untag(found[3]["b"]) == 1 << 60_000
    summary = strange.client.get(f"{PROJECT}/runs/r").json()["summary"]
    assert summary["deep"] == found[2]["deep"]
    api = Http(strange.url, strange.token, 60).get(f"{PROJECT}/runs/r")
    assert api["config"]["big"] == 10**400
    assert api["config"]["float"] == {"$float": "no number"}


@pytest.mark.parametrize(
    "path", ["/assets/%00", "/assets/" + "a" * 300, "/a." + "b" * 300, "/%00.x", "/assets/.."]
)
def test_names_that_no_file_can_have(strange: ServerProcess, path: str) -> None:
    assert strange.client.get(path).status_code in (200, 404)


@pytest.mark.parametrize(
    "value",
    [{"$float": "1.5"}, {"$float": []}, {"$int": "x"}, {"$int": "1" * 5000}, {"$int": 5}, {"$int": ""}],
)
def test_what_only_looks_like_a_tagged_number(value: dict[str, object]) -> None:
    assert untag(value) == value


def test_tagged_numbers_come_back() -> None:
    for value in (1 << 53 | 1, -(1 << 70), 1 << 4095, 1 << 4096, -(1 << 60_000), math.inf):
        assert untag(tag(value)) == untag(json.loads(dumps(value))) == value


def test_json_that_is_too_deep_is_text() -> None:
    for depth in (DEPTH_MAX + 1, 400, 100_000):
        text = "[" * depth + "]" * depth
        assert json.loads(from_json(text)) == text
    fits = "[" * DEPTH_MAX + "]" * DEPTH_MAX
    assert from_json(fits) == fits


def test_names_that_no_address_can_have(server: ServerProcess) -> None:
    # A run without a name in its address was taken in and never seen again.
    blank = Stream("  ", project="strange-names")
    answer = server.client.post(blank.path, content=blank.blocks[0])
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_record")
    dots = Stream("..", project=".", entity="...")
    server.client.post(dots.path, content=dots.blocks[0]).raise_for_status()
    assert server.client.get("/api/v1/p/---:-/runs/--").status_code == 200
