"""Routes by which people change runs, one or many, and keep views."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.editing.batch import ACTIONS, RUNS_MAX, change_runs
from buoy_server.editing.edits import edit_run
from buoy_server.editing.fields import read_edit
from buoy_server.editing.views import delete_view, find_view, list_views, put_view
from buoy_server.errors import Malformed
from buoy_server.ingest.pipeline import BITS_CONFIG, BITS_STATE
from buoy_server.liveness.pulse import wall_us
from buoy_server.liveness.signs import Changed
from buoy_server.query.catalogue import find_project
from buoy_server.query.run_page import describe_run
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, read_object, tagged
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.shapes import (
    BATCH,
    BATCH_ANSWER,
    RUN,
    RUN_EDIT,
    VIEW,
    VIEW_ABOUT,
    VIEW_DELETED,
    VIEW_WISH,
    VIEWS,
)


@Operation(
    "Changes what people say of a run; with If-Match only if its `edit_tag` is still that",
    path=("project", "run"),
    body=json_of(RUN_EDIT),
    answers=json_of(RUN),
    problems=(400, 404, 412, 413),
)
async def patch(request: Request) -> Response:
    """PATCH /api/v1/p/{project}/runs/{run}."""
    services: Services = request.app.state.services
    edit = read_edit(await read_object(request))
    project, run = request.path_params["project"], request.path_params["run"]
    match = _match(request)

    def change() -> dict[str, object]:
        changed = edit_run(services.metadata, project, run, edit, match, now_us=wall_us())
        if changed is not None:
            _announce(services, changed)
        with services.metadata.read() as connection:
            return describe_run(connection, services.summaries, find_project(connection, project), run)

    found = await run_in_threadpool(change)
    return JSONAnswer({"epoch": services.metadata.epoch} | found)


@Operation(
    "Does the same to many runs, each for itself; the answer has a token that takes it back",
    path=("project",),
    body=json_of(BATCH),
    answers=json_of(BATCH_ANSWER),
    problems=(400, 404, 413),
)
async def batch(request: Request) -> Response:
    """POST /api/v1/p/{project}/runs:batch."""
    services: Services = request.app.state.services
    given = await read_object(request)
    action, runs = given.get("do"), given.get("runs", [])
    if action not in ACTIONS:
        raise Malformed("bad_parameter", f"do is one of {', '.join(ACTIONS)}.")
    if not isinstance(runs, list) or len(runs) > RUNS_MAX or not all(isinstance(run, str) for run in runs):
        raise Malformed("bad_parameter", f"runs is a list of at most {RUNS_MAX:,} ids.")
    path = request.path_params["project"]
    unique = list(dict.fromkeys(runs))
    outcome = await run_in_threadpool(
        partial(change_runs, now_us=wall_us()), services.metadata, path, action, unique, given
    )
    for changed in outcome.changed:
        _announce(services, changed)
    return JSONAnswer({"results": outcome.results, "undo": outcome.undo or None})


def _announce(services: Services, changed: Changed) -> None:
    services.broadcaster.publish(changed.project, changed.run_id, changed.rev, BITS_STATE | BITS_CONFIG)


def _match(request: Request) -> list[str] | None:
    """The tags of If-Match; none for `If-None-Match: *`, which wants that there is nothing yet."""
    given = request.headers.get("if-match")
    if given is None:
        return [] if request.headers.get("if-none-match", "").strip() == "*" else None
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in given.split(",")]
    return None if "*" in tags else tags


@Operation("The views of a project, without their content", path=("project",), answers=json_of(VIEWS),
           problems=(404,), kept=True)  # fmt: skip
def views(request: Request) -> Response:
    """GET /api/v1/p/{project}/views."""
    services: Services = request.app.state.services
    with services.metadata.read() as connection:
        project = find_project(connection, request.path_params["project"])
        found = list_views(connection, project)
    return tagged(request, {"epoch": services.metadata.epoch, "rev": project.rev, "views": found})


@Operation(
    "A view with its content", path=("project", "view"), answers=json_of(VIEW), problems=(404,), kept=True
)
def view(request: Request) -> Response:
    """GET /api/v1/p/{project}/views/{view}."""
    services: Services = request.app.state.services
    with services.metadata.read() as connection:
        project = find_project(connection, request.path_params["project"])
        return tagged(request, find_view(connection, project, request.path_params["view"]))


@Operation(
    "Keeps a view: over one whose `edit_tag` is that of If-Match, as a new one with If-None-Match: *, else in any case",
    path=("project", "view"),
    body=json_of(VIEW_WISH),
    answers=json_of(VIEW_ABOUT),
    problems=(400, 404, 412, 413),
)
async def keep_view(request: Request) -> Response:
    """PUT /api/v1/p/{project}/views/{view}."""
    services: Services = request.app.state.services
    given = await read_object(request)
    path, name = request.path_params["project"], request.path_params["view"]
    found, changed = await run_in_threadpool(
        partial(put_view, now_us=wall_us()), services.metadata, path, name, given, _match(request)
    )
    if changed:
        _announce_view(services, path, name, found)
    return JSONAnswer(found)


@Operation(
    "Deletes a view; with If-Match only if its `edit_tag` is still that",
    path=("project", "view"),
    answers=json_of(VIEW_DELETED),
    problems=(404, 412),
)
async def drop_view(request: Request) -> Response:
    """DELETE /api/v1/p/{project}/views/{view}."""
    services: Services = request.app.state.services
    path, name = request.path_params["project"], request.path_params["view"]
    rev = await run_in_threadpool(delete_view, services.metadata, path, name, _match(request))
    if rev is not None:
        _announce_view(services, path, name, {"rev": rev, "changed_by": ""})
    return JSONAnswer({"id": name, "deleted": rev is not None})


def _announce_view(services: Services, path: str, name: str, about: dict[str, Any]) -> None:
    services.broadcaster.publish_view(path, name, int(about["rev"]), str(about["changed_by"]))
