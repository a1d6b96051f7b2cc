"""Routes of streams: where uploads go."""

from __future__ import annotations

import re

import anyio
from anyio.to_thread import run_sync
from buoy_core.format import BLOCK_HEADER_BYTES, BLOCK_RAW_BYTES_MAX
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.errors import Busy, Malformed, Refused
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, read_body
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.shapes import ACKNOWLEDGED, BINARY, POSITION

BODY_BYTES_MAX = BLOCK_RAW_BYTES_MAX + BLOCK_HEADER_BYTES + (1 << 20)

_WORKERS = 4
_SMALL_BYTES = 1 << 20
_SMALL_BODIES = 128
_LARGE_BODIES = 8
_QUEUE_MAX = 256

_STREAM_ID = re.compile(r"[0-9a-f]{32}")


@Operation(
    "The next record that the server expects of a stream",
    path=("stream",),
    answers=json_of(POSITION),
    problems=(400,),
)
async def position(request: Request) -> Response:
    """GET /api/v1/streams/{stream}: the next sequence the server expects."""
    services: Services = request.app.state.services
    stream_id = _stream_id(request)
    return JSONAnswer({"next_seq": await run_in_threadpool(services.ingest.position, stream_id)})


@Operation(
    "Blocks as they stand in the log; docs/format.md has them",
    path=("stream",),
    body={"application/vnd.buoy.blocks": BINARY},
    answers=json_of(ACKNOWLEDGED),
    problems=(400, 409, 413, 503),
)
async def append(request: Request) -> Response:
    """POST /api/v1/streams/{stream}/blocks: blocks as they stand in the log."""
    services: Services = request.app.state.services
    room: Room = request.app.state.room
    try:
        stream_id = _stream_id(request)
        async with room.large if _is_large(request) else room.small:
            body = bytes(await read_body(request, BODY_BYTES_MAX))
            next_seq = await run_sync(services.ingest.append, stream_id, body, limiter=room.workers)
    except Refused:
        services.ingest.counters.refused += 1
        raise
    # Said, because whoever goes on with a deleted run would wait for it to appear.
    deleted = {"deleted": True} if services.ingest.is_deleted(stream_id) else {}
    return JSONAnswer({"next_seq": next_seq} | deleted)


class Room:
    """Bounds what uploads may take of the server: threads, and memory for bodies that are being read or wait."""

    def __init__(self) -> None:
        self.workers = anyio.CapacityLimiter(_WORKERS)
        self.large = _Waiting(_LARGE_BODIES)
        self.small = _Waiting(_SMALL_BODIES)


class _Waiting:
    """A semaphore with a bounded queue."""

    def __init__(self, places: int) -> None:
        self._places = anyio.CapacityLimiter(places)

    async def __aenter__(self) -> None:
        if self._places.statistics().tasks_waiting >= _QUEUE_MAX:
            raise Busy("busy", "Too many uploads wait; try again shortly.")
        await self._places.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._places.release()


def _is_large(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return not length.isdecimal() or int(length) > _SMALL_BYTES


def _stream_id(request: Request) -> str:
    stream_id = str(request.path_params["stream"])
    if not _STREAM_ID.fullmatch(stream_id):
        raise Malformed("bad_stream_id", "A stream id has 32 hexadecimal digits, in lower case.")
    return stream_id
