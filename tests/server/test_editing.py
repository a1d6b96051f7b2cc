"""What people change about runs and views, and how that stands beside what processes say."""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

import httpx
import pytest
from buoy_proto import v1
from buoy_server.editing.fields import Said, counting, noted
from hypothesis import given
from hypothesis import strategies as st

from tests.server.processes import ServerProcess
from tests.server.streams import Stream

FAR_US = 4_000_000_000_000_000
"""Later than any edit that these tests make."""


_ALIVE = ("machines", "writers")
"""What tells when the server last heard of the run."""


class Project:
    """A project of its own on the server."""

    def __init__(self, server: ServerProcess) -> None:
        self.client = server.client
        self.name = f"edit-{secrets.token_hex(4)}"
        self.path = f"/api/v1/p/local:{self.name}"

    def send(self, stream: Stream) -> None:
        self.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()

    def run(self, run_id: str = "r", *, name: str = "", tags: tuple[str, ...] = (), **more: Any) -> Stream:
        stream = Stream(run_id, project=self.name, name=name, **more)
        stream.info.tags.extend(tags)
        stream.writer().config({"lr": 0.1})
        self.send(stream)
        return stream

    def get(self, run_id: str = "r") -> dict[str, Any]:
        answer = self.client.get(f"{self.path}/runs/{run_id}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def patch(self, body: dict[str, Any], run_id: str = "r", **headers: str) -> httpx.Response:
        return self.client.patch(f"{self.path}/runs/{run_id}", json=body, headers=headers)

    def batch(self, do: str, *runs: str, **more: Any) -> dict[str, Any]:
        answer = self.client.post(f"{self.path}/runs:batch", json={"do": do, "runs": runs, **more})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def listed(self, filter_: str = "") -> list[str]:
        answer = self.client.post(
            f"{self.path}/runs:query", json={"filter": filter_, "sort": [{"key": "id"}]}
        )
        answer.raise_for_status()
        found: list[str] = answer.json()["ids"]
        return found


@pytest.fixture
def project(server: ServerProcess) -> Project:
    return Project(server)


def test_a_run_is_changed(project: Project) -> None:
    project.run(name="first", tags=("a",))
    before = project.get()
    assert (before["archived"], before["tags"]) == (False, ["a"])
    body = {
        "name": "Größer", "notes": "# why\n\n\0", "tags": ["b", "a", "b"], "group": "g", "job_type": "eval",
        "config": {"lr": 0.2, "new": {"$float": "nan"}, "big": 2**60},
    }  # fmt: skip
    answer = project.patch(body)
    assert answer.status_code == 200
    after = answer.json()
    assert {**after, **dict.fromkeys(_ALIVE)} == {**project.get(), **dict.fromkeys(_ALIVE)}
    assert (after["name"], after["notes"], after["tags"]) == ("Größer", "# why\n\n\\0", ["b", "a"])
    assert (after["group"], after["job_type"], after["rev"] > before["rev"]) == ("g", "eval", True)
    assert after["config"] == {"lr": 0.2, "new": {"$float": "nan"}, "big": {"$int": str(2**60)}}
    assert project.listed("name=Größer tag:b lr=0.2") == ["r"], "the table of runs follows"
    again = project.patch({"name": "Größer"}).json()
    assert again["edit_tag"] == after["edit_tag"]


def test_archived_runs_are_listed_only_when_asked_for(project: Project) -> None:
    project.run("r")
    project.run("s")
    project.patch({"archived": True})
    assert project.listed() == ["s"]
    assert project.listed("archived:true") == ["r"]
    assert project.listed("archived:true OR archived:false") == ["r", "s"]
    assert project.get()["archived"] is True
    project.patch({"archived": False})
    assert project.listed() == ["r", "s"]


def test_nobody_writes_over_what_they_have_not_seen(project: Project) -> None:
    project.run(name="first")
    seen = project.get()["edit_tag"]
    assert project.patch({"name": "mine"}, **{"If-Match": f'"{seen}"'}).status_code == 200
    stale = project.patch({"name": "yours"}, **{"If-Match": f'"{seen}"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")
    assert project.get()["name"] == "mine"
    assert stale.json()["edit_tag"] == project.get()["edit_tag"]
    assert (
        project.patch({"name": "yours"}, **{"If-Match": f'"{stale.json()["edit_tag"]}"'}).status_code == 200
    )
    assert project.patch({"name": "any"}, **{"If-Match": "*"}).status_code == 200


def test_points_that_come_in_do_not_make_an_edit_stale(project: Project) -> None:
    stream = Stream("r", project=project.name)
    writer = stream.writer()
    project.send(stream)
    seen = project.get()["edit_tag"]
    writer.log([(0, {"loss": 1.0})])
    project.send(stream)
    assert project.patch({"notes": "x"}, **{"If-Match": f'"{seen}"'}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"state": "finished"}, {"name": ""}, {"name": " "}, {"name": 3}, {"name": "x" * 600}, {"tags": "a"},
        {"tags": [1]}, {"tags": [""]}, {"tags": ["x" * 300]}, {"tags": [str(n) for n in range(300)]}, {"archived": 1},
        {"config": []},
        {"notes": "x" * 70_000}, {"config": {"deep": json.loads("[" * 300 + "]" * 300)}},
    ],
)  # fmt: skip
def test_changes_that_are_refused_change_nothing(project: Project, body: dict[str, Any]) -> None:
    project.run(name="first")
    before = project.get()
    answer = project.patch({"notes": "new", **body})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_edit")
    assert (project.get()["edit_tag"], project.get()["config"]) == (before["edit_tag"], before["config"])


def test_what_does_not_exist_cannot_be_changed(project: Project) -> None:
    project.run()
    assert project.patch({"name": "x"}, "none").status_code == 404
    project.client.delete(f"{project.path}/runs/r")
    assert project.patch({"name": "x"}).json()["code"] == "run_deleted"


# People beside processes


def test_a_resumed_run_does_not_take_its_name_back(project: Project) -> None:
    project.run(name="made-up-1", tags=("a",))
    project.patch({"name": "mine", "tags": ["kept"]})
    resumed = Stream(
        "r", project=project.name, name="made-up-1", start_us=FAR_US, launch=secrets.token_bytes(16)
    )
    resumed.info.tags.append("a")
    resumed.writer()
    project.send(resumed)
    assert (project.get()["name"], project.get()["tags"]) == ("mine", ["kept"])
    # A name that nobody has said yet is somebody's later will.
    renamed = Stream(
        "r", project=project.name, name="second", start_us=FAR_US, launch=secrets.token_bytes(16)
    )
    project.send(renamed)
    assert (project.get()["name"], project.get()["tags"]) == ("second", ["kept"])


def test_the_later_change_counts(project: Project) -> None:
    stream = project.run(name="first")
    project.patch({"name": "mine", "notes": "mine"})
    # What the process said before the edit arrives after it, as from a machine that was out of reach.
    update = v1.Record(run=v1.RunUpdate(name="earlier"))
    stream.add([update], bytes(16))
    project.send(stream)
    assert project.get()["name"] == "mine"
    stream.start_us = FAR_US
    stream.add([v1.Record(run=v1.RunUpdate(name="later"))], bytes(16))
    project.send(stream)
    assert (project.get()["name"], project.get()["notes"]) == ("later", "mine")
    project.patch({"name": "again"})
    assert project.get()["name"] == "again"


values = st.sampled_from(["", "a", "b"])
events = st.lists(
    st.tuples(st.sampled_from(["person", "start", "update"]), values, st.integers(0, 50)), max_size=8
)


@given(events)
def test_the_rule_of_later_changes(said: list[tuple[str, str, int]]) -> None:
    """An edit holds until a process says something later, other than a start that repeats the processes' last word."""
    edited, value, mine, told = "{}", "", None, ""
    for now, (who, word, time_us) in enumerate(said):
        if who == "person":
            edited = noted(edited, {"name": value}, {"name": word}, now)
            value, mine = word, now
            continue
        counted, edited = counting(edited, {"name": Said(word, time_us, starting=who == "start")})
        counts = mine is None or (time_us > mine and not (who == "start" and word == told))
        assert counted == ({"name": word} if counts else {})
        told = word
        if counts:
            value, mine = word, None


# Many runs at once


def test_a_batch_and_its_undo(project: Project) -> None:
    for run, tags in (("a", ("x",)), ("b", ()), ("c", ("new",))):
        project.run(run, tags=tags)
    done = project.batch("tag", "a", "b", "c", "none", tags=["new"])
    assert [(each["run"], each["status"]) for each in done["results"]] == [
        ("a", "changed"), ("b", "changed"), ("c", "unchanged"), ("none", "refused"),
    ]  # fmt: skip
    assert done["results"][3]["code"] == "no_such_run"
    assert project.listed("tag:new") == ["a", "b", "c"]
    assert project.get("a")["tags"] == ["x", "new"]
    project.patch({"tags": ["other"]}, "b")
    undone = project.batch("undo", undo=done["undo"])
    assert [(each["run"], each["status"]) for each in undone["results"]] == [
        ("a", "changed"),
        ("b", "refused"),
    ]
    assert undone["results"][1]["code"] == "changed_meanwhile"
    assert (project.get("a")["tags"], project.get("b")["tags"]) == (["x"], ["other"])
    # Undoing is a change like others, and can be undone.
    project.batch("undo", undo=undone["undo"])
    assert project.get("a")["tags"] == ["x", "new"]


@pytest.mark.parametrize(
    ("do", "more", "filter_"),
    [
        ("group", {"group": "g"}, "group:g"),
        ("archive", {}, "archived:true"),
        ("untag", {"tags": ["x"]}, "-tag:x"),
    ],
)
def test_each_action_has_its_undo(project: Project, do: str, more: dict[str, Any], filter_: str) -> None:
    project.run("a", tags=("x",))
    project.run("b", tags=("x", "y"))
    before = project.listed(filter_)
    done = project.batch(do, "a", "b", **more)
    assert project.listed(filter_) == ["a", "b"] != before
    project.batch("undo", undo=done["undo"])
    assert project.listed(filter_) == before
    assert project.batch("unarchive", "a")["results"] == [{"run": "a", "status": "unchanged"}]


def test_deleting_many_and_taking_it_back(project: Project) -> None:
    project.run("a")
    project.run("b")
    done = project.batch("delete", "a", "b", "none")
    assert [each["status"] for each in done["results"]] == ["changed", "changed", "refused"]
    assert project.listed() == []
    restored = project.batch("undo", undo=done["undo"])
    assert project.listed() == ["a", "b"]
    project.batch("undo", undo=restored["undo"])
    assert project.listed() == []
    assert project.batch("restore", "a")["results"] == [{"run": "a", "status": "changed"}]


@pytest.mark.parametrize(
    "body",
    [{}, {"do": "explode"}, {"do": "tag", "runs": ["a"]}, {"do": "tag", "runs": "a", "tags": []}, {"do": "undo"},
     {"do": "undo", "undo": [1]}, {"do": "group", "runs": ["a"]}, {"do": "undo", "undo": [{"run": "a", "from": {}}]}],
)  # fmt: skip
def test_bad_batches(project: Project, body: dict[str, Any]) -> None:
    project.run("a")
    answer = project.client.post(f"{project.path}/runs:batch", json=body)
    assert answer.status_code == 400, answer.text


def test_a_made_up_undo_harms_nobody(project: Project) -> None:
    project.run("a")
    token = [{"run": "a", "from": {"name": 3}, "to": {"state": "x"}}, {"run": "b", "from": {}, "to": {}}]
    answer = project.client.post(f"{project.path}/runs:batch", json={"do": "undo", "undo": token})
    assert answer.status_code in (200, 400)


def test_pages_hear_of_changes(project: Project, server: ServerProcess) -> None:
    project.run("a")
    heard: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        with server.client.stream("GET", "/api/v1/events", params={"p": f"local:{project.name}"}) as stream:
            for line in stream.iter_lines():
                ready.set()
                heard.append(line)
                if line.startswith("event: view"):
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    assert ready.wait(60)
    project.patch({"name": "x"}, "a")
    content = {"name": "Main", "content": {"schema": 1}, "by": "ada"}
    project.client.put(f"{project.path}/views/main", json=content).raise_for_status()
    listener.join(60)
    assert not listener.is_alive()
    runs = [json.loads(line[6:])["runs"] for line in heard if line.startswith("data: ") and '"runs"' in line]
    assert {run[0] for change in runs for run in change} == {"a"}
    assert any("event: view" in line for line in heard)


# Views


def test_views_are_kept_as_they_are(project: Project) -> None:
    project.run()
    path = f"{project.path}/views"
    content = {
        "schema": 3,
        "panels": [{"kind": "from the future", "x": {"$float": "nan"}}],
        "z": None,
        "a": 1.0,
    }
    wish = {"name": "Main ✓", "content": content, "by": "ada"}
    made = project.client.put(f"{path}/main", json=wish, headers={"If-None-Match": "*"})
    assert made.status_code == 200, made.text
    found = project.client.get(f"{path}/main").json()
    assert found["content"] == content
    assert list(found["content"]) == list(content), "members stay in their order"
    assert (found["name"], found["changed_by"]) == ("Main ✓", "ada")
    twice = project.client.put(f"{path}/main", json=wish, headers={"If-None-Match": "*"})
    assert (twice.status_code, twice.json()["code"]) == (412, "changed_meanwhile")
    seen = {"If-Match": f'"{found["edit_tag"]}"'}
    changed = project.client.put(f"{path}/main", json=wish | {"name": "Other"}, headers=seen).json()
    assert (changed["created_us"], changed["rev"] > found["rev"]) == (found["created_us"], True)
    assert project.client.put(f"{path}/main", json=wish, headers=seen).status_code == 412
    project.client.put(f"{path}/second", json=wish).raise_for_status()
    listed = project.client.get(path)
    assert [(view["id"], view["name"]) for view in listed.json()["views"]] == [
        ("second", "Main ✓"),
        ("main", "Other"),
    ]
    assert "content" not in listed.json()["views"][0]
    assert project.client.delete(f"{path}/main", headers=seen).status_code == 412
    assert project.client.delete(f"{path}/main").json() == {"id": "main", "deleted": True}
    assert project.client.delete(f"{path}/main").json() == {"id": "main", "deleted": False}
    assert project.client.get(f"{path}/main").json()["code"] == "no_such_view"


@pytest.mark.parametrize(
    ("view", "body", "status"),
    [
        ("main", {"name": "x"}, 400),
        ("main", {"name": "x", "content": []}, 400),
        ("main", {"name": "x", "content": {}}, 400),
        ("main", {"name": "x", "content": {"schema": "1"}}, 400),
        ("main", {"name": "x", "content": {"schema": 0}}, 400),
        ("main", {"name": "", "content": {"schema": 1}}, 400),
        ("main", {"name": "x" * 300, "content": {"schema": 1}}, 400),
        ("a.b", {"name": "x", "content": {"schema": 1}}, 400),
        ("main", {"name": "x", "content": {"schema": 1, "large": "x" * (1 << 20)}}, 413),
        ("main", {"name": "x", "content": {"schema": 1, "deep": json.loads("[" * 300 + "]" * 300)}}, 400),
    ],
)
def test_views_that_are_refused(project: Project, view: str, body: dict[str, Any], status: int) -> None:
    project.run()
    assert project.client.put(f"{project.path}/views/{view}", json=body).status_code == status
    assert project.client.get(f"{project.path}/views").json()["views"] == []
