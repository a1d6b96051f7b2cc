"""Routes that help to write filters."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.errors import Malformed
from buoy_server.filters.scanner import CHARACTERS_MAX
from buoy_server.query.filter_help import complete, explain
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, integer, read_object
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.shapes import COMPLETE, COMPLETIONS, EXPLAINED, FILTER_BODY


@Operation(
    "A filter as a line and as a tree, and what its keys mean in the project",
    path=("project",),
    body=json_of(FILTER_BODY),
    answers=json_of(EXPLAINED),
    problems=(400, 404, 413),
)
async def parse(request: Request) -> Response:
    """POST /api/v1/p/{project}/filters:parse."""
    services: Services = request.app.state.services
    given = (await read_object(request)).get("filter")
    path = request.path_params["project"]
    found = await run_in_threadpool(explain, services.metadata, services.runs.tables, path, given)
    return JSONAnswer(found)


@Operation(
    "What may stand at a place of a line: keys, or values of a key",
    path=("project",),
    body=json_of(COMPLETE),
    answers=json_of(COMPLETIONS),
    problems=(400, 404, 413),
)
async def propose(request: Request) -> Response:
    """POST /api/v1/p/{project}/filters:complete."""
    services: Services = request.app.state.services
    given = await read_object(request)
    line = given.get("text", "")
    if not isinstance(line, str) or len(line) > CHARACTERS_MAX:
        raise Malformed("bad_parameter", f"text is a line of at most {CHARACTERS_MAX} characters.")
    place = integer(given.get("place", len(line)), "place")
    path = request.path_params["project"]
    found = await run_in_threadpool(complete, services.metadata, services.runs.tables, path, line, place)
    return JSONAnswer(found)
