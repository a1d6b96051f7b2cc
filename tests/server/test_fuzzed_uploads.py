"""Uploads that are sound outside and anything inside, through the real application and stores, and read again.

Refused, they change nothing; taken in, they can be sent again without effect, and every page can be shown, in the
shape that the API's description says.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from buoy_server.metadata.schema import PROJECTS, RUNS, STREAMS
from buoy_server.services import Services
from buoy_server.web.app import make_app
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.fuzz.uploads import uploads
from tests.server.test_openapi import check

BLOCKS = "/api/v1/streams/{stream}/blocks"
PROJECT = "/api/v1/p/{project}"


class Client:
    """The application in this process: an error of ours is raised here, not hidden in a 500."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.request, method, path, **more))


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[Client]:
    app = make_app(services, "t")
    asked = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://s", headers={"Authorization": "Bearer t"}
    )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
        portal.wrap_async_context_manager(asked),
    ):
        yield Client(portal, asked)


@pytest.fixture(scope="module")
def description(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.request("GET", "/openapi.json").json()
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_records(
    services: Services, client: Client, description: dict[str, Any], data: st.DataObject
) -> None:
    stream_id = secrets.token_bytes(16)
    body = data.draw(uploads(stream_id))
    path = f"/api/v1/streams/{stream_id.hex()}"
    answer = client.request("POST", f"{path}/blocks", content=body)
    check(description, BLOCKS, answer)
    position = client.request("GET", path).json()["next_seq"]
    if answer.status_code != 200:
        assert position == 0
        return
    assert position == answer.json()["next_seq"]
    run = find_run(services, stream_id)
    if run is None:
        return
    shown = [without_revisions(item) for item in read_everything(client, description, *run)]
    assert client.request("POST", f"{path}/blocks", content=body).json() == answer.json()
    again = [without_revisions(item) for item in read_everything(client, description, *run)]
    for before, after in zip(shown, again, strict=True):
        assert {key: before[key] for key in before if before[key] != after[key]} == {}


def find_run(services: Services, stream_id: bytes) -> tuple[str, str] | None:
    """The project's path and the run's id of a stream."""
    with services.metadata.read() as connection:
        row = connection.execute(
            select(RUNS.c.run_id, PROJECTS.c.entity, PROJECTS.c.name)
            .join(STREAMS, STREAMS.c.run == RUNS.c.id)
            .join(PROJECTS, PROJECTS.c.id == RUNS.c.project)
            .where(STREAMS.c.stream_id == stream_id.hex())
        ).one_or_none()
    return None if row is None else (f"{row.entity}:{row.name}", row.run_id)


def read_everything(client: Client, description: dict[str, Any], project: str, run: str) -> list[Any]:
    """Everything that pages ask about a run."""
    found = []

    def ask(method: str, route: str, **more: Any) -> Any:
        path = route.format(project=quoted(project), run=quoted(run))
        answer = client.request(method, path, **more)
        assert answer.status_code == 200, answer.text
        check(description, route, answer)
        if answer.headers["content-type"] == "application/json":
            found.append(answer.json())
        return found[-1]

    ask("GET", f"{PROJECT}/runs/{{run}}")
    columns = ["name", "tags", "config.lr", "config.a", "summary.best", "summary.loss"]
    sort = [{"key": "config.lr", "desc": True}, {"key": "summary.loss"}]
    text = {"$or": [{"config.a": {"$regex": "."}}, {"summary.loss": {"$gt": 0}}, {"name": {"$ne": 1}}]}
    body = {"columns": columns, "sort": sort, "filter": text, "limit": 5}
    # Other examples' runs are in the same list.
    ask("POST", f"{PROJECT}/runs:query", json=body)
    found.pop()
    keys = ask("GET", f"{PROJECT}/keys", params={"run": run})["keys"]
    for system in (False, True):
        ask("GET", f"{PROJECT}/runs/{{run}}/history", params={"stream": "system" if system else "default"})
        names = [item["key"] for item in keys if (item["kind"] == "system") == system]
        panels = [
            {"keys": names, "runs": [run], "x": x, "px": 1, "system": system}
            for x in (("rel", "wall") if system else ("step", "rel", "wall"))
        ]
        ask("POST", f"{PROJECT}/series:query", json={"panels": panels})
        frames = {"Accept": "application/vnd.buoy.frames"}
        ask("POST", f"{PROJECT}/series:query", json={"panels": panels}, headers=frames)
    return found


def quoted(name: str) -> str:
    """`name` as it stands in a path; `.` and `..` would be taken out by the client."""
    return "".join(f"%{byte:02X}" for byte in name.encode())


def without_revisions(value: Any) -> Any:
    """What stays when the same comes again: counters of changes move, and so do signs of life."""
    if isinstance(value, dict):
        return {
            key: without_revisions(item)
            for key, item in value.items()
            if key not in ("rev", "gen", "seen_us")
        }
    return [without_revisions(item) for item in value] if isinstance(value, list) else value
