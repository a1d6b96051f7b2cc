"""Help with writing filters: what is being written at a place, and what the server proposes there."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from buoy_server.filters.completion import matching, spelled, wanted_at
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.processes import ServerProcess
from tests.server.streams import Stream


@pytest.mark.parametrize(
    ("line", "kind", "key", "begun", "column", "length"),
    [
        ("|", "key", None, "", 1, 0),
        ("st|", "key", None, "st", 1, 2),
        ("st|ate:running", "key", None, "st", 1, 5),
        ("state:|", "value", "state", "", 7, 0),
        ("state:run|ning lr<3", "value", "state", "run", 7, 7),
        ("lr<1e-3 opt|", "key", None, "opt", 9, 3),
        ("lr<1e-3 |", "key", None, "", 9, 0),
        ("(tag:a OR -ta|", "key", None, "ta", 12, 2),
        ("has:l|", "key", None, "l", 5, 1),
        ("opt in (adam, s|", "value", "opt", "s", 15, 1),
        ("opt not in (|", "value", "opt", "", 13, 0),
        ("min(val/loss)<0|", "value", "val/loss", "0", 15, 1),
        ('name:"qui|', "value", "name", "qui", 6, 4),
        ("state:running |", "key", None, "", 15, 0),
        ("created>-7d|", "value", "created", "-7d", 9, 3),
    ],
)
def test_what_is_being_written(  # noqa: PLR0917 - the columns of the table
    line: str, kind: str, key: str | None, begun: str, column: int, length: int
) -> None:
    place = line.index("|")
    wanted = wanted_at(line.replace("|", ""), place)
    assert (wanted.kind, wanted.begun, wanted.column, wanted.length) == (kind, begun, column, length)
    assert (wanted.key.name if wanted.key else None) == key


@given(st.text(alphabet='abst: <("`-in)~,\\', max_size=30), st.integers(-3, 40))
@settings(max_examples=500, deadline=None)
def test_any_line_is_being_written_somehow(line: str, place: int) -> None:
    wanted = wanted_at(line, place)
    assert 1 <= wanted.column <= wanted.column + wanted.length <= len(line) + 1


def test_the_likeliest_come_first() -> None:
    items = [("val/loss", 3), ("loss", 1), ("LOSS2", 9), ("acc", 100)]
    assert [text for text, _ in matching(items, "lo", 10)] == ["LOSS2", "loss", "val/loss"]
    assert len(matching(items, "", 2)) == 2
    assert (spelled("a b"), spelled("val/loss"), spelled("in")) == ('"a b"', "val/loss", '"in"')


@pytest.fixture(scope="module")
def path(server: ServerProcess) -> str:
    name = f"help-{secrets.token_hex(4)}"
    for number in range(3):
        stream = Stream(f"r{number}", project=name, name=f"run {number}")
        stream.info.tags.extend(["baseline", "two words"] if number else ["baseline"])
        writer = stream.writer()
        writer.config({"opt": {"name": "adam" if number else "sgd"}, "my key": 1})
        writer.log([(0, {"val/loss": 0.5})])
        server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    return f"/api/v1/p/local:{name}"


def proposed(server: ServerProcess, path: str, line: str) -> list[tuple[str, int | None]]:
    answer = server.client.post(f"{path}/filters:complete", json={"text": line})
    answer.raise_for_status()
    return [(item["text"], item["runs"]) for item in answer.json()["items"]]


def test_keys_and_values_are_proposed(server: ServerProcess, path: str) -> None:
    assert proposed(server, path, "opt") == [("opt.name", 3)]
    assert proposed(server, path, "my") == [('"my key"', 3)]
    assert ("val/loss", None) in proposed(server, path, "min(val") + proposed(server, path, "val")
    assert proposed(server, path, "opt.name:") == [("adam", 2), ("sgd", 1)]
    assert proposed(server, path, "tag:") == [("baseline", 3), ('"two words"', 2)]
    assert proposed(server, path, "state:f") == [("failed", None), ("finished", None)]
    assert ("-7d", None) in proposed(server, path, "created>")
    assert proposed(server, path, "nothing:") == []
    assert "state" in [text for text, _ in proposed(server, path, "")]


def test_a_line_is_explained(server: ServerProcess, path: str) -> None:
    def explained(given_filter: object) -> Any:
        answer = server.client.post(f"{path}/filters:parse", json={"filter": given_filter})
        return answer.json()

    assert explained("opt.name=sgd  val/loss<1") == {
        "text": "opt.name=sgd val/loss<1",
        "tree": {
            "and": [
                {"key": "opt.name", "op": "=", "value": {"word": "sgd"}},
                {"key": "val/loss", "op": "<", "value": {"word": "1"}},
            ]
        },
        "keys": [
            {"column": 1, "length": 8, "key": "opt.name", "means": "config.opt.name"},
            {"column": 15, "length": 8, "key": "val/loss", "means": "summary.val/loss"},
        ],
    }
    assert explained({"config.lr": {"$lt": 3}, "tags": "x"})["text"] == 'config.lr<`3` tags="x"'
    assert explained(None)["text"] == ""
    problem = explained("state:running layers>3")
    assert (problem["status"], problem["code"], problem["column"], problem["length"]) == (
        400,
        "unknown_key",
        15,
        6,
    )


def test_lists_take_lines_and_objects(server: ServerProcess, path: str) -> None:
    def ids(given_filter: object, **more: object) -> list[str]:
        answer = server.client.post(f"{path}/runs:query", json={"filter": given_filter, **more})
        assert answer.status_code == 200, answer.text
        found: list[str] = answer.json()["ids"]
        return sorted(found)

    assert (
        ids("opt.name=adam tag:baseline")
        == ids({"config.opt.name": "adam", "tags": "baseline"})
        == ["r1", "r2"]
    )
    groups = server.client.post(
        f"{path}/runs:query",
        json={"group": ["opt.name"], "columns": ["val/loss"], "sort": [{"key": "n", "desc": True}]},
    ).json()["groups"]
    assert groups["keys"] == {"opt.name": ["adam", "sgd"]}
    assert groups["columns"]["val/loss"]["n"] == [2, 1]
    body = {"filter": "opt.name=adam", "columns": ["name"]}
    first = server.client.post(f"{path}/runs:query", json=body)
    again = server.client.post(
        f"{path}/runs:query", json=body, headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("filters:parse", {"filter": 3}),
        ("filters:parse", {"filter": "("}),
        ("filters:complete", {"text": 3}),
        ("filters:complete", {"text": "x" * 5000}),
        ("filters:complete", {"text": "x", "place": "y"}),
        ("runs:query", {"group": "x"}),
        ("runs:query", {"group": ["nothing"]}),
        ("runs:query", {"sort": [{"key": "name"}] * 20}),
        ("runs:query", {"at_rev": "x"}),
        ("runs:query", {"filter": True}),
    ],
)
def test_what_cannot_be_helped(server: ServerProcess, path: str, route: str, body: dict[str, Any]) -> None:
    answer = server.client.post(f"{path}/{route}", json=body)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)
