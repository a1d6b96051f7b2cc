"""The ASGI application: every route in one table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from buoy_server.errors import Busy, Conflict, Malformed, Missing, Stale, StorageTrouble, TooLarge
from buoy_server.services import Services
from buoy_server.web import (
    about,
    control,
    deletion,
    editing,
    filters,
    history,
    live,
    panels,
    points,
    reading,
    run_file,
    static,
    uploads,
)
from buoy_server.web.auth import TokenGate
from buoy_server.web.problems import http_error, problem, refused, unexpected
from buoy_server.web.safety import SafeAnswers

_API = [
    Route("/healthz", about.healthz),
    Route("/metrics", about.metrics),
    Route("/openapi.json", about.openapi),
    Route("/api/v1/projects", reading.projects),
    Route("/api/v1/p/{project}/runs:query", reading.runs, methods=["POST"]),
    Route("/api/v1/p/{project}/runs:columns", reading.run_columns),
    Route("/api/v1/p/{project}/runs:csv", run_file.runs_file, methods=["POST"]),
    Route("/api/v1/p/{project}/filters:parse", filters.parse, methods=["POST"]),
    Route("/api/v1/p/{project}/filters:complete", filters.propose, methods=["POST"]),
    Route("/api/v1/p/{project}/runs:deleted", deletion.deleted),
    Route("/api/v1/p/{project}/runs/{run}", reading.run),
    Route("/api/v1/p/{project}/runs:batch", editing.batch, methods=["POST"]),
    Route("/api/v1/p/{project}/runs/{run}", editing.patch, methods=["PATCH"]),
    Route("/api/v1/p/{project}/views", editing.views),
    Route("/api/v1/p/{project}/views/{view}", editing.view),
    Route("/api/v1/p/{project}/views/{view}", editing.keep_view, methods=["PUT"]),
    Route("/api/v1/p/{project}/views/{view}", editing.drop_view, methods=["DELETE"]),
    Route("/api/v1/p/{project}/runs/{run}", deletion.delete, methods=["DELETE"]),
    Route("/api/v1/p/{project}/runs/{run}/restore", deletion.restore, methods=["POST"]),
    Route("/api/v1/p/{project}/runs/{run}/stop", control.stop, methods=["POST"]),
    Route("/api/v1/p/{project}/runs/{run}/history", history.history),
    Route("/api/v1/p/{project}/keys", reading.keys),
    Route("/api/v1/p/{project}/series:query", panels.series, methods=["POST"]),
    Route("/api/v1/p/{project}/series:points", points.points, methods=["POST"]),
    Route("/api/v1/p/{project}/rev", live.rev),
    Route("/api/v1/events", live.events),
    Route("/api/v1/heartbeat", control.heartbeat, methods=["POST"]),
    Route("/api/v1/streams/{stream}", uploads.position),
    Route("/api/v1/streams/{stream}/blocks", uploads.append, methods=["POST"]),
]


def _no_route(request: Request) -> Response:
    if any(route.path_regex.match(request.scope["path"]) for route in _API):
        return problem(
            405, "Method not allowed", "method_not_allowed", "The route has other methods; see /openapi.json."
        )
    return problem(404, "Not found", "no_such_route", "The API has no such route; see /openapi.json.")


_PAGES = [
    Route(
        "/api/{rest:path}",
        _no_route,
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        include_in_schema=False,
    ),
    Route("/assets/{path:path}", static.asset, include_in_schema=False),
    Route("/", static.page, include_in_schema=False),
    Route("/{name}", static.top_file, include_in_schema=False),
    Route("/{entity}/{project}", static.page, include_in_schema=False),
    Route("/{entity}/{project}/{rest:path}", static.page, include_in_schema=False),
]


def make_app(services: Services, token: str) -> Starlette:
    """The application over opened stores. It does not close them."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        services.broadcaster.start(asyncio.get_running_loop())
        app.state.room = uploads.Room()
        hands = (services.pulse, services.rank_watch, services.sweeper)
        tasks = [asyncio.create_task(hand.run()) for hand in hands]
        yield
        services.end_waiting()
        await asyncio.gather(*tasks)

    app = Starlette(
        routes=[*_API, *_PAGES],
        middleware=[Middleware(SafeAnswers), Middleware(TokenGate, token=token)],
        exception_handlers={
            **dict.fromkeys((Malformed, Missing, Conflict, Stale, TooLarge, Busy, StorageTrouble), refused),
            HTTPException: http_error,
            Exception: unexpected,
        },
        lifespan=lifespan,
    )
    app.state.services = services
    return app
