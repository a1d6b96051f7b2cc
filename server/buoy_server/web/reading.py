"""Routes that read projects, runs and keys."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.errors import Malformed
from buoy_server.jsonvalues import tag
from buoy_server.liveness.pulse import wall_us
from buoy_server.query.catalogue import find_project, find_run, list_keys, list_projects
from buoy_server.query.run_page import describe_run
from buoy_server.query.runs import DEFAULT_COLUMNS, RunsRequest
from buoy_server.services import Services
from buoy_server.web.answers import integer, read_object, tagged
from buoy_server.web.operations import Operation, Query, json_of
from buoy_server.web.shapes import (
    INT,
    KEY_KIND,
    KEYS,
    PROJECTS,
    RUN,
    RUN_COLUMNS,
    RUNS_PAGE,
    RUNS_QUERY,
    TEXT,
)

_KINDS = ("scalar", "text", "system")


@Operation("All projects, the latest activity first", answers=json_of(PROJECTS), kept=True)
def projects(request: Request) -> Response:
    """GET /api/v1/projects."""
    services: Services = request.app.state.services
    with services.metadata.read() as connection:
        found = list_projects(connection)
    return tagged(request, {"epoch": services.metadata.epoch, "projects": found})


@Operation(
    "Runs that match a filter, in the asked order, column by column",
    path=("project",),
    body=json_of(RUNS_QUERY),
    answers=json_of(RUNS_PAGE),
    problems=(400, 404, 413),
    kept=True,
)
async def runs(request: Request) -> Response:
    """POST /api/v1/p/{project}/runs:query."""
    services: Services = request.app.state.services
    asked = read_runs_request(await read_object(request))
    path = request.path_params["project"]
    found = await run_in_threadpool(services.runs.answer, path, asked, wall_us())
    answer = {"epoch": services.metadata.epoch} | {name: tag(value) for name, value in found.items()}
    return tagged(request, answer)


def read_runs_request(given: dict[str, object]) -> RunsRequest:
    """A request for a list of runs.

    Raises:
        Malformed: A member is of the wrong kind.
    """
    sort, default = given.get("sort"), RunsRequest()
    if sort is not None and not (
        isinstance(sort, list)
        and all(isinstance(key, dict) and isinstance(key.get("key"), str) for key in sort)
    ):
        raise Malformed("bad_sort", 'sort is a list of {"key": NAME, "desc": BOOL}.')
    columns, at_rev = _names(given, "columns"), given.get("at_rev")
    return RunsRequest(
        filter=given.get("filter"),
        sort=[(key["key"], bool(key.get("desc"))) for key in sort] if sort else None,
        columns=DEFAULT_COLUMNS if columns is None else columns,
        group=_names(given, "group") or (),
        offset=integer(given.get("offset", 0), "offset"),
        limit=integer(given.get("limit", default.limit), "limit"),
        at_rev=None if at_rev is None else integer(at_rev, "at_rev"),
    )


def _names(given: dict[str, object], member: str) -> list[str] | None:
    names = given.get(member)
    if names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return names
    raise Malformed("bad_column", f"{member} is a list of names.")


@Operation(
    "What lists of runs may show beside the runs' own columns",
    path=("project",),
    answers=json_of(RUN_COLUMNS),
    problems=(404,),
    kept=True,
)
def run_columns(request: Request) -> Response:
    """GET /api/v1/p/{project}/runs:columns."""
    services: Services = request.app.state.services
    found = services.runs.known_columns(request.path_params["project"])
    return tagged(request, {"epoch": services.metadata.epoch} | found)


@Operation(
    "Everything about one run, its points aside",
    path=("project", "run"),
    answers=json_of(RUN),
    problems=(404,),
    kept=True,
)
def run(request: Request) -> Response:
    """GET /api/v1/p/{project}/runs/{run}."""
    services: Services = request.app.state.services
    with services.metadata.read() as connection:
        project = find_project(connection, request.path_params["project"])
        found = describe_run(connection, services.summaries, project, request.path_params["run"])
    return tagged(request, {"epoch": services.metadata.epoch} | found)


@Operation(
    "The keys of a project or of one run",
    path=("project",),
    query=(
        Query("kind", KEY_KIND, "Only keys of this kind"),
        Query("q", TEXT, "Only keys with this text in their name, in whatever case"),
        Query("run", TEXT, "Only keys that this run has"),
        Query("since", INT, "Only keys that were new after this revision"),
    ),
    answers=json_of(KEYS),
    problems=(400, 404),
    kept=True,
)
def keys(request: Request) -> Response:
    """GET /api/v1/p/{project}/keys."""
    services: Services = request.app.state.services
    kind, run_id = request.query_params.get("kind"), request.query_params.get("run")
    if kind not in (None, *_KINDS):
        raise Malformed("bad_parameter", f"kind is one of {', '.join(_KINDS)}.")
    since = integer(request.query_params.get("since", "-1"), "since")
    with services.metadata.read() as connection:
        project = find_project(connection, request.path_params["project"])
        found_run = find_run(connection, project, run_id).id if run_id else None
        found = list_keys(connection, project, found_run, kind, since, request.query_params.get("q", ""))
    return tagged(request, {"epoch": services.metadata.epoch, "rev": project.rev, "keys": found})
