"""The API as programs and the dashboard see it."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from buoy_core.format import ZERO_ID
from buoy_proto import v1

from tests.server.processes import ServerProcess
from tests.server.streams import START_US, Stream, Writer


def send(server: ServerProcess, *streams: Stream) -> None:
    for stream in streams:
        server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()


def project() -> str:
    return f"rest-{secrets.token_hex(4)}"


def get_run(server: ServerProcess, stream: Stream) -> dict[str, Any]:
    answer = server.client.get(f"/api/v1/p/local:{stream.info.project}/runs/{stream.info.run_id}")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def define(writer: Writer, **fields: Any) -> None:
    writer.stream.add([v1.Record(metric=v1.MetricDef(**fields))], writer.id)


def test_projects(server: ServerProcess) -> None:
    name = project()
    one, two = Stream("one", project=name), Stream("two", project=name)
    one.writer().end()
    two.writer()
    other = Stream("x", project=name, entity="team")
    send(server, one, two, other)
    answer = server.client.get("/api/v1/projects")
    found = {item["id"]: item for item in answer.json()["projects"]}
    mine = found[f"local:{name}"]
    assert (mine["runs"], mine["live"], mine["created_us"]) == (2, 1, START_US)
    assert found[f"team:{name}"]["entity"] == "team"
    assert answer.json()["epoch"] < 1 << 53
    again = server.client.get("/api/v1/projects", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_names_that_are_no_addresses(server: ServerProcess) -> None:
    stream = Stream("a/b", project="my project/v1:x", entity="team/a")
    send(server, stream)
    path = "/api/v1/p/team-a:my%20project-v1-x/runs/a-b"
    assert server.client.get(path).json()["project"] == "my project-v1-x"


def test_no_project_is_the_default_project(server: ServerProcess) -> None:
    stream = Stream("nameless", project="")
    send(server, stream)
    assert server.client.get("/api/v1/p/local:uncategorized/runs/nameless").json()["entity"] == "local"


def test_a_run(server: ServerProcess) -> None:
    stream = Stream("r1", project=project(), name="quiet-tide")
    stream.info.tags.append("a")
    writer = stream.writer(metadata={"program": "train.py", "cpu_count": 2})
    writer.config({"lr": 0.1, "nan": float("nan"), "big": 1 << 70, "nested": {"a": [1, None, float("-inf")]}})
    writer.config({"lr": 0.2}, removed=["big"])
    writer.log([(0, {"loss": 1.5, "epoch": 1}), (7, {"loss": 0.5})])
    define(writer, name="loss", summary=["min"], step_metric="epoch")
    stream.add(
        [v1.Record(event=v1.Event(time_unix_us=5, level=2, code="records_dropped", text="3 were lost"))],
        writer.id,
    )
    stream.add([v1.Record(run=v1.RunUpdate(notes="better", tags=v1.Tags(values=["b", "c"])))], writer.id)
    send(server, stream)
    run = get_run(server, stream)
    assert (run["id"], run["name"], run["state"], run["notes"]) == ("r1", "quiet-tide", "running", "better")
    assert run["tags"] == ["b", "c"]
    assert run["config"] == {
        "lr": 0.2,
        "nan": {"$float": "nan"},
        "nested": {"a": [1, None, {"$float": "-inf"}]},
    }
    assert run["summary"] == {"loss": {"min": 0.5}, "epoch": 1}
    assert run["metrics"] == [{"name": "loss", "summary": ["min"], "step_metric": "epoch"}]
    assert run["metadata"]["program"] == "train.py"
    assert run["events"][0] | {"text": ""} == {
        "time_us": 5, "level": "warn", "code": "records_dropped", "text": "", "details": {}, "host": "host1", "rank": 0,
    }  # fmt: skip
    assert [(item["rank"], item["last_step"], item["state"]) for item in run["writers"]] == [
        (0, 7, "running")
    ]
    writer.end(state=v1.RUN_STATE_FAILED, exit_code=3)
    send(server, stream)
    run = get_run(server, stream)
    assert (run["state"], run["exit_code"], run["ended_us"]) == ("failed", 3, START_US + 60_000_000)


def test_events_say_where_they_happened(server: ServerProcess) -> None:
    """The machine, and the rank if a process of one has told; those of the server itself as far as they are of one."""
    name = project()
    for node, ranks in (("node0", (0, 1)), ("node1", (2, 3))):
        stream = Stream("wide", project=name, host=node, launch=b"x" * 16)
        writers = [stream.writer(rank, world_size=4) for rank in ranks]
        for number, writer_id in enumerate((ZERO_ID, writers[1].id)):
            event = v1.Event(time_unix_us=10 * ranks[0] + number, code="e", text=node)
            stream.add([v1.Record(event=event)], writer_id)
        send(server, stream)
    server.client.delete(f"/api/v1/p/local:{name}/runs/wide").raise_for_status()
    server.client.post(f"/api/v1/p/local:{name}/runs/wide/restore").raise_for_status()
    events = get_run(server, stream)["events"]
    assert [(event["host"], event["rank"]) for event in events] == [
        ("node0", None), ("node0", 1), ("node1", None), ("node1", 3), (None, None), (None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([], "running"),
        ([2], "running"),
        ([2, 2], "finished"),
        ([2, 3], "failed"),
        ([4, 3], "killed"),
        ([4, 5], "crashed"),
    ],
)
def test_the_state_is_that_of_the_worst_writer(server: ServerProcess, ends: list[int], expected: str) -> None:
    stream = Stream("r", project=project())
    writers = [stream.writer(rank, world_size=2) for rank in (0, 1)]
    for writer, state in zip(writers, ends, strict=False):
        writer.end(state=state)
    send(server, stream)
    assert get_run(server, stream)["state"] == expected


def test_only_the_latest_attempt_decides(server: ServerProcess) -> None:
    name = project()
    first, second = Stream("r", project=name), Stream("r", project=name, attempt=2, start_us=START_US + 10**9)
    first.writer().end(state=5)
    second.writer()
    send(server, first)
    assert get_run(server, first)["state"] == "crashed"
    send(server, second)
    run = get_run(server, first)
    assert (run["state"], run["ended_us"], run["exit_code"]) == ("running", None, None)
    assert [(item["attempt"], item["state"]) for item in run["attempts"]] == [(1, "crashed"), (2, "running")]
    assert run["started_us"] == START_US


def test_summary_rules(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    one, zero = stream.writer(1, world_size=2), stream.writer(0, world_size=2)
    one.log([(5, {"both": 1.0, "only1": "x"})])
    zero.log(
        [(9, {"both": 9.0, "back": 9.0}), (3, {"back": 3.0, "big": 1 << 60, "flag": True, "none": None})]
    )
    zero.log([(10, {"hand": 1.0, "later": 1.0, "nan": float("nan"), "list": [1, 2]})])
    zero.summary({"hand": 2.0, "later": 2.0, "extra": {"a": 1}, "gone": 1})
    zero.log([(11, {"later": 3.0})])
    zero.summary({}, removed=["gone"])
    send(server, stream)
    assert get_run(server, stream)["summary"] == {
        "both": 9.0,
        "only1": "x",
        "back": 9.0,
        "big": {"$int": str(1 << 60)},
        "flag": True,
        "none": None,
        "hand": 2.0,
        "later": 3.0,
        "nan": {"$float": "nan"},
        "list": [1, 2],
        "extra": {"a": 1},
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"summary": ["max", "mean"]}, {"max": 4.0, "mean": 2.5}),
        ({"summary": ["best"], "goal": v1.GOAL_MAXIMIZE}, {"best": 4.0}),
        ({"summary": ["best"], "goal": v1.GOAL_MINIMIZE}, {"best": 1.0}),
        ({"summary": ["first", "last"]}, {"first": 4.0, "last": 3.0}),
        ({"summary": ["copy"]}, 3.0),
        ({"summary": ["none"]}, None),
        ({"name": "lo*", "summary": ["min"]}, {"min": 1.0}),
    ],
)
def test_aggregates_of_the_summary(server: ServerProcess, fields: dict[str, Any], expected: object) -> None:
    stream = Stream("r", project=project())
    writer = stream.writer()
    define(writer, **{"name": "loss"} | fields)
    writer.log([(step, {"loss": value}) for step, value in enumerate([4.0, 1.0])])
    writer.log(
        [(step, {"loss": value}) for step, value in enumerate([float("nan"), 2.0, float("inf"), 3.0], 2)]
    )
    send(server, stream)
    assert get_run(server, stream)["summary"].get("loss") == expected


def test_keys(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    writers = [stream.writer(rank, world_size=2) for rank in (0, 1)]
    writers[0].log([(step, {"loss": 1.0, "note": "x", "acc/a": 1}) for step in range(5)])
    writers[1].log([(9, {"loss": 1.0})])
    writers[0].log([(0, {"cpu": 1.0})], system=True)
    define(writers[0], name="acc/*", step_metric="epoch")
    define(writers[0], name="lo*", goal=v1.GOAL_MINIMIZE)
    send(server, stream)
    path = f"/api/v1/p/local:{stream.info.project}/keys"
    found = {item["key"]: item for item in server.client.get(path, params={"run": "r"}).json()["keys"]}
    assert found["loss"] == {
        "key": "loss", "kind": "scalar", "runs": 1, "ranks": [0, 1], "n": 6, "last_step": 9, "step_metric": None,
        "goal": "minimize",
    }  # fmt: skip
    assert (found["note"]["kind"], found["note"]["n"]) == ("text", 5)
    assert (found["cpu"]["kind"], found["cpu"]["last_step"]) == ("system", None)
    assert found["acc/a"]["step_metric"] == "epoch"
    rev = server.client.get(path).json()["rev"]
    assert server.client.get(path, params={"since": rev}).json()["keys"] == []
    writers[0].log([(10, {"new": 1})])
    send(server, stream)
    assert [item["key"] for item in server.client.get(path, params={"since": rev}).json()["keys"]] == ["new"]
    found_by = {
        text: server.client.get(path, params={"q": text}).json()["keys"] for text in ("OS", "A", "zz", "%")
    }
    assert [[item["key"] for item in keys] for keys in found_by.values()] == [["loss"], ["acc/a"], [], []]
    kinds = server.client.get(path, params={"kind": "system"}).json()["keys"]
    assert [item["key"] for item in kinds] == ["cpu"]
    assert server.client.get(path, params={"kind": "video"}).status_code == 400


def test_a_list_of_runs(server: ServerProcess) -> None:
    name = project()
    for index in range(5):
        stream = Stream(f"r{index}", project=name, name=f"run {index}", start_us=START_US + index)
        writer = stream.writer()
        writer.config({"lr": 10.0**-index, "opt": {"name": "adam" if index % 2 else "sgd"}})
        if index < 4:
            writer.log([(1, {"loss": float("nan") if index == 2 else index / 10})])
        if index == 0:
            writer.end()
        send(server, stream)

    def query(**body: Any) -> dict[str, Any]:
        answer = server.client.post(f"/api/v1/p/local:{name}/runs:query", json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    everything = query()
    assert everything["ids"] == ["r4", "r3", "r2", "r1", "r0"], "the newest first"
    assert everything["columns"]["name"][0] == "run 4"
    assert everything["columns"]["state"][-1] == "finished"
    shown = query(
        columns=["config.lr", "config.opt.name", "summary.loss"], sort=[{"key": "name"}], offset=1, limit=2
    )
    assert (shown["total"], shown["ids"]) == (5, ["r1", "r2"])
    assert shown["columns"] == {
        "config.lr": [0.1, 0.01],
        "config.opt.name": ["adam", "sgd"],
        "summary.loss": [0.1, {"$float": "nan"}],
    }
    assert query(filter={"config.opt.name": "adam", "summary.loss": {"$gt": 0.2}})["ids"] == ["r3"]
    assert query(filter={"summary.loss": {"$exists": False}})["ids"] == ["r4"]
    assert query(filter={"state": "finished"})["total"] == 1
    assert query(sort=[{"key": "summary.loss", "desc": True}])["ids"][:3] == ["r3", "r1", "r0"]
    assert query(limit=0)["ids"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"filter": {"state": {"$near": 1}}}, "bad_filter"),
        ({"columns": ["secret"]}, "bad_column"),
        ({"columns": "name"}, "bad_column"),
        ({"sort": ["name"]}, "bad_sort"),
        ({"sort": [{"key": "nope"}]}, "bad_column"),
        ({"limit": 1001}, "bad_limit"),
        ({"limit": "many"}, "bad_parameter"),
        ({"offset": -1}, "bad_limit"),
    ],
)
def test_bad_lists(server: ServerProcess, body: dict[str, Any], code: str) -> None:
    stream = Stream("r", project="bad-lists")
    send(server, stream)
    answer = server.client.post("/api/v1/p/local:bad-lists/runs:query", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_what_is_not_there(server: ServerProcess) -> None:
    stream = Stream("r", project="there")
    send(server, stream)
    codes = {
        "/api/v1/p/local:nowhere/runs/r": "no_such_project",
        "/api/v1/p/nowhere/keys": "no_such_project",
        "/api/v1/p/local:there/runs/none": "no_such_run",
        "/api/v1/p/local:there/runs/none/history": "no_such_run",
        "/api/v1/p/local:there/keys?run=none": "no_such_run",
    }
    for path, code in codes.items():
        answer = server.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    answer = server.client.post("/api/v1/p/local:nowhere/series:query", json={"panels": []})
    assert answer.status_code == 404


def test_samples_of_the_daemon_go_under_its_writers_rank(server: ServerProcess) -> None:
    stream = Stream("r", project=project(), host="node3")
    writer = stream.writer(rank=3, world_size=8)
    daemon = Writer.__new__(Writer)
    daemon.stream, daemon.id, daemon.ids, daemon.rank = stream, bytes(16), {}, 0
    stream.add(daemon.row(0, {"cpu": 50.0}, system=True, time_us=START_US), bytes(16))
    writer.log([(1, {"loss": 1.0})])
    send(server, stream)
    keys = server.client.get(f"/api/v1/p/local:{stream.info.project}/keys?kind=system").json()["keys"]
    assert keys[0]["ranks"] == [3]
    assert [item["rank"] for item in get_run(server, stream)["writers"]] == [3]


def test_series_as_json(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    stream.writer().log([(step, {"loss": [1.0, float("nan"), float("inf")][step % 3]}) for step in range(9)])
    send(server, stream)
    path = f"/api/v1/p/local:{stream.info.project}/series:query"
    panel = {"id": 7, "keys": ["loss", "none"], "runs": {"ids": ["r"]}, "px": 160}
    answer = server.client.post(
        path, json={"panels": [panel, panel | {"id": 8, "px": 2, "cols": ["max", "n"]}]}
    ).json()
    raw, absent = answer["panels"][0]["series"]
    assert (answer["panels"][0]["id"], raw["kind"], absent["kind"]) == (7, "raw", "absent")
    assert (raw["y"][:3], raw["x"][:3]) == ([1.0, "NaN", "Infinity"], [0, 1, 2])
    assert (raw["n_total"], raw["last_y"], raw["x_max"]) == (9, "Infinity", 8)
    buckets = answer["panels"][1]["series"][0]
    assert (answer["panels"][1]["exp"], buckets["idx"], buckets["n"]) == (3, [0, 1], [8, 1])
    assert buckets["max"] == [1.0, "NaN"]
    assert "min" not in buckets


@pytest.mark.parametrize(
    "panel",
    [
        {"keys": "loss"},
        {"runs": {"ids": [1]}},
        {"x": "tokens"},
        {"px": 0},
        {"px": 100_000},
        {"exp": -1},
        {"exp": "a"},
        {"range": [2, 1]},
        {"range": [0]},
        {"range": [0, "NaN"]},
        {"cols": ["median"]},
        {"have": []},
        {"id": -1},
        {"system": True},
    ],
)
def test_bad_panels(server: ServerProcess, panel: dict[str, Any]) -> None:
    stream = Stream("r", project="bad-panels")
    send(server, stream)
    good = {"id": 1, "keys": ["a"], "runs": {"ids": ["r"]}}
    answer = server.client.post("/api/v1/p/local:bad-panels/series:query", json={"panels": [good | panel]})
    if panel == {"have": []}:
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer.json()["code"][:4]) == (400, "bad_")


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_objects(server: ServerProcess, body: bytes) -> None:
    stream = Stream("r", project="bad-json")
    send(server, stream)
    answer = server.client.post("/api/v1/p/local:bad-json/runs:query", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")


def test_the_server_describes_itself(server: ServerProcess) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    assert "post" in paths["/api/v1/streams/{stream}/blocks"]
    assert all(operation["summary"] for path in paths.values() for operation in path.values())
    text = server.client.get("/metrics").text
    assert "# TYPE buoy_ingest_points_total counter" in text
    values = {
        line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")
    }
    assert values["buoy_ingest_uploads_total"] > 0
    assert values["process_resident_memory_bytes"] > 1e7
