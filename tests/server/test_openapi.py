"""The API's description is true: every route is in it, and what a real server answers fits it to the last member."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from typing import Any

import httpx
import jsonschema_rs
import pytest
from buoy_proto import v1
from buoy_server.web.app import make_app
from buoy_server.web.operations import document
from schemathesis.openapi import from_dict
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.server.processes import ServerProcess
from tests.server.streams import Stream


@pytest.fixture(scope="module")
def description(server: ServerProcess) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def project(server: ServerProcess) -> str:
    """A project with a run that has one of everything."""
    name = f"openapi-{secrets.token_hex(4)}"
    stream = Stream("r1", project=name)
    writer = stream.writer(metadata={"program": "train.py"})
    writer.config({"lr": 0.1, "big": 1 << 70})
    writer.summary({"best": float("nan")})
    writer.log([(step, {"loss": 1.0 / (step + 1), "note": f"s{step}"}) for step in range(600)])
    writer.log([(601, {"loss": float("nan")}), (602, {"loss": float("inf"), "few": 3})])
    writer.log([(0, {"gpu.0": 5.0})], system=True)
    stream.add_gap(3)
    stream.add([_event(), _metric()], writer.id)
    writer.end()
    resumed = Stream("r1", project=name, attempt=2)
    resumed.writer()
    for each in (stream, resumed):
        server.client.post(each.path, content=b"".join(each.blocks)).raise_for_status()
    return f"local:{name}"


def _event() -> Any:
    return v1.Record(event=v1.Event(code="c", text="t", level=v1.LEVEL_WARN, json='{"a": 1}', time_unix_us=5))


def _metric() -> Any:
    metric = v1.MetricDef(name="loss", step_metric="few", summary=["min"], goal=v1.GOAL_MINIMIZE, hidden=True)
    return v1.Record(metric=metric)


def strict(schema: Any) -> Any:
    """The same schema, but members that it does not name are faults."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def check(description: dict[str, Any], path: str, answer: httpx.Response) -> None:
    """`answer`, to a request whose route is `path`, is one that the description has."""
    said = description["paths"][path][answer.request.method.lower()]["responses"]
    assert str(answer.status_code) in said, (path, answer.status_code, answer.text)
    content = said[str(answer.status_code)].get("content")
    if content is None:
        assert answer.content == b""
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in content, (path, media_type)
    if not media_type.endswith("json"):
        return
    schema = strict(content[media_type]["schema"] | {"components": description["components"]})
    jsonschema_rs.validator_for(schema).validate(answer.json())


def test_the_document_is_openapi(description: dict[str, Any]) -> None:
    operations = [found.ok() for found in from_dict(description).get_all_operations()]
    assert len(operations) == sum(len(methods) for methods in description["paths"].values())
    for name, schema in description["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})
        assert schema["description"], name


def test_every_route_for_programs_is_in_it(description: dict[str, Any]) -> None:
    app = make_app(None, "token")  # type: ignore[arg-type] - no request is made
    routes = [route for route in app.routes if isinstance(route, Route)]
    methods: dict[str, set[str]] = defaultdict(set)
    for route in routes:
        about_it = re.search(r"^/(api/v1/|healthz$|metrics$|openapi\.json$)", route.path) is not None
        assert about_it == route.include_in_schema, route.path
        if about_it:
            methods[route.path] |= {method.lower() for method in route.methods or ()} - {"head"}
    assert methods == {path: set(about) for path, about in description["paths"].items()}


def test_a_route_that_says_nothing_is_a_fault() -> None:
    def silent(_request: object) -> Response:
        return Response()

    with pytest.raises(AssertionError, match="/silent says nothing about itself"):
        document(Starlette(routes=[Route("/silent", silent)]).routes, "1")


def ask_again(server: ServerProcess, path: str, query: dict[str, str], etag: str) -> httpx.Response:
    """Asks with the tag of the last answer; with a newer one where a sign of life has come in between."""
    for _ in range(5):
        answer = server.client.get(path, params=query, headers={"If-None-Match": etag})
        if answer.status_code == 304:
            break
        assert answer.headers["etag"] != etag
        etag = answer.headers["etag"]
    return answer


def test_everything_that_is_read_fits(
    server: ServerProcess, description: dict[str, Any], project: str
) -> None:
    for route, query in (
        ("/healthz", {}),
        ("/metrics", {}),
        ("/openapi.json", {}),
        ("/api/v1/projects", {}),
        ("/api/v1/p/{project}/runs/{run}", {}),
        ("/api/v1/p/{project}/runs:columns", {}),
        ("/api/v1/p/{project}/keys", {}),
        ("/api/v1/p/{project}/keys", {"run": "r1", "kind": "scalar", "since": "0"}),
        ("/api/v1/p/{project}/keys", {"kind": "other"}),
        ("/api/v1/p/{project}/keys", {"run": "no such run"}),
        ("/api/v1/p/{project}/runs/{run}/history", {"limit": "7"}),
        ("/api/v1/p/{project}/runs/{run}/history", {"keys": "loss,note", "rank": "all", "min_step": "598"}),
        ("/api/v1/p/{project}/runs/{run}/history", {"stream": "system"}),
        ("/api/v1/p/{project}/runs/{run}/history", {"cursor": "x"}),
        ("/api/v1/p/{project}/rev", {"since": "0", "wait": "1"}),
        ("/api/v1/p/{project}/rev", {"wait": "61"}),
        ("/api/v1/streams/{stream}", {}),
    ):
        path = route.format(project=project, run="r1", stream="0" * 32)
        answer = server.client.get(path, params=query)
        check(description, route, answer)
        if "etag" in answer.headers:
            again = ask_again(server, path, query, answer.headers["etag"])
            assert again.status_code == 304
            check(description, route, again)
        check(description, route, server.client.get(route.format(project="no:where", run="r1", stream="x")))


def test_everything_that_is_asked_for_fits(
    server: ServerProcess, description: dict[str, Any], project: str
) -> None:
    columns = ["name", "config.lr", "config.big", "summary.best", "summary.loss", "tags"]
    route = "/api/v1/p/{project}/runs:query"
    for body in ({}, {"columns": columns, "sort": [{"key": "summary.loss", "desc": True}]}, {"limit": -1}):
        check(description, route, server.client.post(route.format(project=project), json=body))
    body = {"filter": "lr>0", "group": ["lr"], "columns": ["loss"]}
    check(description, route, server.client.post(route.format(project=project), json=body))
    check(description, route, server.client.post(route.format(project=project), json={"filter": "lr<"}))
    for route, body in (
        ("/api/v1/p/{project}/runs:csv", {"filter": "lr>0", "columns": columns}),
        ("/api/v1/p/{project}/runs:csv", {"columns": ["no such key"]}),
        ("/api/v1/p/{project}/filters:parse", {"filter": "lr<3 (tag:x OR min(loss)=0)"}),
        ("/api/v1/p/{project}/filters:parse", {"filter": "lr<3 ("}),
        ("/api/v1/p/{project}/filters:complete", {"text": "l"}),
        ("/api/v1/p/{project}/filters:complete", {"text": "state:r", "place": 7}),
    ):
        check(description, route, server.client.post(route.format(project=project), json=body))
    route = "/api/v1/p/{project}/series:query"
    panel = {"keys": ["loss", "few", "note", "none"], "runs": ["r1", "r2"], "px": 16}
    for panels in ([panel], [panel | {"x": "wall", "cols": ["min"]}], [panel | {"x": "no"}]):
        check(description, route, server.client.post(route.format(project=project), json={"panels": panels}))
    frames = {"Accept": "application/vnd.buoy.frames"}
    answer = server.client.post(route.format(project=project), json={"panels": [panel]}, headers=frames)
    check(description, route, answer)


def test_heartbeats_and_stops_fit(server: ServerProcess, description: dict[str, Any], project: str) -> None:
    route = "/api/v1/p/{project}/runs/{run}/stop"
    for body in ({"via": "cli", "by": "ada"}, {}, {"via": "x"}):
        check(description, route, server.client.post(route.format(project=project, run="r1"), json=body))
    check(description, route, server.client.post(route.format(project=project, run="none")))
    route = "/api/v1/p/{project}/runs/{run}"
    check(description, route, server.client.get(route.format(project=project, run="r1")))
    for body in ({"streams": ["0" * 32], "wait_s": 0}, {"streams": 1}):
        check(description, "/api/v1/heartbeat", server.client.post("/api/v1/heartbeat", json=body))


def test_changes_fit(server: ServerProcess, description: dict[str, Any], project: str) -> None:
    route = "/api/v1/p/{project}/runs/{run}"
    for body in ({"notes": "n", "tags": ["a"], "config": {"new": {"$float": "nan"}}}, {"name": 3}):
        check(description, route, server.client.patch(route.format(project=project, run="r1"), json=body))
    stale = server.client.patch(
        route.format(project=project, run="r1"), json={"notes": "x"}, headers={"If-Match": '"old"'}
    )
    assert stale.status_code == 412
    check(description, route, stale)
    route = "/api/v1/p/{project}/runs:batch"
    path = route.format(project=project)
    tagged = server.client.post(path, json={"do": "tag", "runs": ["r1", "none"], "tags": ["b"]})
    check(description, route, tagged)
    check(description, route, server.client.post(path, json={"do": "undo", "undo": tagged.json()["undo"]}))
    check(description, route, server.client.post(path, json={"do": "explode"}))
    route, listed = "/api/v1/p/{project}/views/{view}", "/api/v1/p/{project}/views"
    path = route.format(project=project, view="main")
    wish = {"name": "Main", "content": {"schema": 1, "more": [1]}, "by": "ada"}
    for body in (wish, {"name": "Main"}):
        check(description, route, server.client.put(path, json=body))
    check(description, route, server.client.put(path, json=wish, headers={"If-None-Match": "*"}))
    check(description, route, server.client.get(path))
    check(description, listed, server.client.get(listed.format(project=project)))
    check(description, route, server.client.delete(path))
    check(description, route, server.client.get(path))


def test_uploads_fit(server: ServerProcess, description: dict[str, Any]) -> None:
    stream = Stream("late", project="openapi")
    stream.add_gap(1)
    route = "/api/v1/streams/{stream}/blocks"
    for content in (stream.blocks[1], stream.blocks[0][:-1], b"", stream.blocks[0]):
        check(description, route, server.client.post(stream.path, content=content))


def test_without_a_token_the_answers_fit(server: ServerProcess, description: dict[str, Any]) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        for route, methods in description["paths"].items():
            path = route.format(project="a:b", run="r", stream="0" * 32, view="v")
            for method in methods:
                for headers in ({}, {"Authorization": "Bearer wrong"}):
                    check(description, route, client.request(method, path, headers=headers))
