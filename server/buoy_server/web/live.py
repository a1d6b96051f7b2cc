"""Routes that wait for changes: server-sent events, and the long poll for networks that break those."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from buoy_server.errors import Malformed, Missing
from buoy_server.events import Nudge
from buoy_server.query.catalogue import find_project
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, integer
from buoy_server.web.operations import Operation, Query, json_of
from buoy_server.web.shapes import INT, REVISION, TEXT

_WAIT_S_MAX = 60


@Operation(
    "Server-sent events, for ever: revisions of projects as they change",
    query=(Query("p", TEXT, "Only this project"),),
    answers={"text/event-stream": TEXT},
)
async def events(request: Request) -> Response:
    """GET /api/v1/events."""
    services: Services = request.app.state.services
    project = request.query_params.get("p")

    async def stream() -> AsyncIterator[str]:
        yield ": connected\nretry: 1000\n\n"
        greeted = False
        async for nudges in services.broadcaster.listen(project):
            if not greeted:
                # Whoever has this revision has missed nothing; what happened before is for the others to ask.
                yield await run_in_threadpool(_greeting, services, project)
                greeted = True
                continue
            yield "".join(map(_event, nudges)) or ": still here\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def _greeting(services: Services, project: str | None) -> str:
    """The present revision of a project, as a nudge that names no run; nothing for all projects, or for one to come."""
    if project is None:
        return ""
    try:
        with services.metadata.read() as connection:
            rev = find_project(connection, project).rev
    except Missing:
        return ""
    data = {"p": project, "rev": rev, "epoch": services.metadata.epoch, "runs": []}
    return f"event: rev\nid: {rev}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def _event(nudge: Nudge) -> str:
    runs = [[run, rev, bits] for run, (rev, bits) in nudge.runs.items()]
    data = json.dumps({"p": nudge.project, "rev": nudge.rev, "runs": runs}, separators=(",", ":"))
    found = f"event: rev\nid: {nudge.rev}\ndata: {data}\n\n"
    for view, (rev, by) in nudge.views.items():
        about = json.dumps({"p": nudge.project, "v": view, "rev": rev, "by": by}, separators=(",", ":"))
        found += f"event: view\nid: {nudge.rev}\ndata: {about}\n\n"
    return found


@Operation(
    "The revision of a project; waits until it is above `since`",
    path=("project",),
    query=(
        Query("since", INT, "Revision that the client has"),
        Query("wait", {"type": "integer", "minimum": 0, "maximum": _WAIT_S_MAX}, "Seconds to wait at most"),
    ),
    answers=json_of(REVISION),
    problems=(400, 404),
)
async def rev(request: Request) -> Response:
    """GET /api/v1/p/{project}/rev: answers when the revision is above `since`, or after `wait` seconds."""
    services: Services = request.app.state.services
    path = request.path_params["project"]
    since = integer(request.query_params.get("since", "-1"), "since")
    wait_s = integer(request.query_params.get("wait", "0"), "wait")
    if not 0 <= wait_s <= _WAIT_S_MAX:
        raise Malformed("bad_parameter", f"wait is from 0 to {_WAIT_S_MAX} seconds.")

    def current() -> int:
        with services.metadata.read() as connection:
            return find_project(connection, path).rev

    async with services.broadcaster.watch(path) as changed:
        # Watching begins before the question, so a change in between is not missed.
        found = await run_in_threadpool(current)
        if found <= since and wait_s:
            await changed(wait_s)
            found = await run_in_threadpool(current)
    return JSONAnswer({"epoch": services.metadata.epoch, "rev": found})
