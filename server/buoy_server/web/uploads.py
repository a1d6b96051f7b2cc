"""Routes of streams: where uploads go."""

from __future__ import annotations

import re

from buoy_core.format import BLOCK_HEADER_BYTES, BLOCK_RAW_BYTES_MAX
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.errors import Malformed, Refused
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, read_body

BODY_BYTES_MAX = BLOCK_RAW_BYTES_MAX + BLOCK_HEADER_BYTES + (1 << 20)
_STREAM_ID = re.compile(r"[0-9a-f]{32}")


async def position(request: Request) -> Response:
    """GET /api/v1/streams/{stream}: the next sequence the server expects."""
    services: Services = request.app.state.services
    stream_id = _stream_id(request)
    return JSONAnswer({"next_seq": await run_in_threadpool(services.ingest.position, stream_id)})


async def append(request: Request) -> Response:
    """POST /api/v1/streams/{stream}/blocks: blocks as they stand in the log."""
    services: Services = request.app.state.services
    try:
        stream_id = _stream_id(request)
        body = await read_body(request, BODY_BYTES_MAX)
        next_seq = await run_in_threadpool(services.ingest.append, stream_id, body)
    except Refused:
        services.ingest.counters.refused += 1
        raise
    return JSONAnswer({"next_seq": next_seq})


def _stream_id(request: Request) -> str:
    stream_id = str(request.path_params["stream"])
    if not _STREAM_ID.fullmatch(stream_id):
        raise Malformed("bad_stream_id", "A stream id has 32 hexadecimal digits, in lower case.")
    return stream_id
