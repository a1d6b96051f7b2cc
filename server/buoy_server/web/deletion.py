"""Routes by which people delete runs and bring them back."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.deletion.marks import delete_run, list_deleted, restore_run
from buoy_server.errors import Malformed
from buoy_server.liveness.pulse import wall_us
from buoy_server.liveness.stops import BY_CHARACTERS_MAX
from buoy_server.query.catalogue import find_project
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer
from buoy_server.web.operations import Operation, Query, json_of
from buoy_server.web.shapes import BY, DELETED, DELETION

_BY = Query("by", BY, "Who asks, as far as the client says; for the run's events")


@Operation(
    "Hides a run everywhere; its data is removed later, but for what its forks need",
    path=("project", "run"),
    query=(_BY,),
    answers=json_of(DELETION),
    problems=(400, 404),
)
async def delete(request: Request) -> Response:
    """DELETE /api/v1/p/{project}/runs/{run}: deleting it again changes nothing."""
    services: Services = request.app.state.services
    project, run = request.path_params["project"], request.path_params["run"]
    deleted_us, changed = await run_in_threadpool(
        delete_run, services.metadata, project, run, _by(request), wall_us()
    )
    if changed is not None:
        services.announce(changed)
    return JSONAnswer(_deletion(services, run, deleted_us))


@Operation(
    "Brings a deleted run back as it was, with what has arrived meanwhile",
    path=("project", "run"),
    query=(_BY,),
    answers=json_of(DELETION),
    problems=(400, 404),
)
async def restore(request: Request) -> Response:
    """POST /api/v1/p/{project}/runs/{run}/restore: a run that is not deleted stays as it is."""
    services: Services = request.app.state.services
    project, run = request.path_params["project"], request.path_params["run"]
    changed = await run_in_threadpool(restore_run, services.metadata, project, run, _by(request), wall_us())
    if changed is not None:
        services.announce(changed)
    return JSONAnswer(_deletion(services, run, None))


@Operation(
    "The deleted runs of a project that can be restored, the latest deleted first",
    path=("project",),
    answers=json_of(DELETED),
    problems=(404,),
)
def deleted(request: Request) -> Response:
    """GET /api/v1/p/{project}/runs:deleted."""
    services: Services = request.app.state.services
    with services.metadata.read() as connection:
        project = find_project(connection, request.path_params["project"])
        runs = list_deleted(connection, project, services.sweeper.removed_after_us)
    return JSONAnswer({"epoch": services.metadata.epoch, "rev": project.rev, "runs": runs})


def _deletion(services: Services, run: str, deleted_us: int | None) -> dict[str, object]:
    removed_us = None if deleted_us is None else deleted_us + services.sweeper.removed_after_us
    return {"run": run, "deleted_us": deleted_us, "removed_us": removed_us}


def _by(request: Request) -> str:
    by = str(request.query_params.get("by", ""))
    if len(by) > BY_CHARACTERS_MAX:
        raise Malformed("bad_parameter", f"by is a text of at most {BY_CHARACTERS_MAX} characters.")
    return "".join(character if character.isprintable() else " " for character in by)
