"""What the server says about itself: health, counters, and the description of its API."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import psutil
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer
from buoy_server.web.operations import Operation, document, json_of
from buoy_server.web.shapes import ANYTHING, HEALTH, TEXT


def product_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("buoy")
    except PackageNotFoundError:
        return "0+unknown"


@Operation("Whether the server answers", answers=json_of(HEALTH), public=True)
async def healthz(_request: Request) -> Response:
    """GET /healthz. No token: it tells nothing but that the server answers."""
    return JSONAnswer({"status": "ok", "version": product_version()})


@Operation("Counters in Prometheus' text format", answers={"text/plain": TEXT})
def metrics(request: Request) -> Response:
    """GET /metrics: counters in Prometheus' text format."""
    services: Services = request.app.state.services
    counters = services.ingest.counters
    process = psutil.Process()
    lines = [
        ("buoy_ingest_uploads_total", "counter", "Uploads taken in", counters.uploads),
        ("buoy_ingest_blocks_total", "counter", "Blocks in those uploads", counters.blocks),
        ("buoy_ingest_bytes_total", "counter", "Bytes in those uploads", counters.bytes),
        ("buoy_ingest_points_total", "counter", "Points stored", counters.points),
        ("buoy_ingest_refused_total", "counter", "Uploads refused", counters.refused),
        ("process_resident_memory_bytes", "gauge", "Memory of the process", process.memory_info().rss),
        ("process_cpu_seconds_total", "counter", "CPU time of the process", sum(process.cpu_times()[:2])),
        ("process_start_time_seconds", "gauge", "Start of the process since 1970", process.create_time()),
    ]
    text = "".join(
        f"# HELP {name} {about}.\n# TYPE {name} {kind}\n{name} {value}\n"
        for name, kind, about, value in lines
    )
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


@Operation("This document", answers=json_of(ANYTHING))
def openapi(request: Request) -> Response:
    """GET /openapi.json: every route with what it takes and gives."""
    return JSONAnswer(document(request.app.routes, product_version()))
