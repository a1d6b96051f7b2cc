"""The series route: several panels in one request, as binary frames or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from buoy_server.errors import Refused
from buoy_server.query.bands import BAND
from buoy_server.query.catalogue import find_project
from buoy_server.query.panel import PanelAnswer, PanelRequest, SeriesAnswer
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, read_object
from buoy_server.web.frames import MEDIA_TYPE, encode_stream
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.panel_answer import render
from buoy_server.web.panel_request import parse_panels
from buoy_server.web.shapes import BINARY, SERIES, SERIES_QUERY


class Room:
    """Divides the bytes of an answer among its panels; what one does not need is for those after it."""

    def __init__(self, bytes_max: int, panels: int) -> None:
        self._left = bytes_max
        self._panels = panels

    def share(self) -> int:
        """How many bytes the next panel may take."""
        return max(0, self._left) // max(1, self._panels)

    def take(self, frame: bytes) -> bytes:
        """Counts a panel that is done."""
        self._left -= len(frame)
        self._panels -= 1
        return frame


@Operation(
    "The series of several panels, reduced to what can be drawn",
    path=("project",),
    body=json_of(SERIES_QUERY),
    answers=json_of(SERIES) | {MEDIA_TYPE: BINARY},
    problems=(400, 404, 413),
)
async def series(request: Request) -> Response:
    """POST /api/v1/p/{project}/series:query. Panels are answered in the order of the request, each when it is ready."""
    services: Services = request.app.state.services
    panels, bytes_max = parse_panels(await read_object(request))
    path = request.path_params["project"]

    def check() -> int:
        # An unknown project is a 404, so it has to show before the answer starts.
        with services.metadata.read() as connection:
            return find_project(connection, path).rev

    rev = await run_in_threadpool(check)

    def answers() -> Iterator[PanelAnswer]:
        for panel in panels:
            query = services.bands if panel.reduction == BAND else services.series
            try:
                yield query.answer(path, replace(panel, bytes_max=room.share()))
            except Refused as error:
                # The other panels have nothing to do with it.
                yield failed(panel, error)

    room = Room(bytes_max, len(panels))
    if MEDIA_TYPE in request.headers.get("accept", ""):
        frames = map(room.take, encode_stream(answers(), services.metadata.epoch))
        # Panel by panel: a proxy that collected them would hold back the first for the last.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(frames, media_type=f"{MEDIA_TYPE}; v=1", headers=headers)
    found = await run_in_threadpool(lambda: list(answers()))
    rev = max([rev, *(answer.rev for answer in found)])
    return JSONAnswer(
        {"epoch": services.metadata.epoch, "rev": rev, "panels": [render(answer) for answer in found]}
    )


def failed(panel: PanelRequest, error: Refused) -> PanelAnswer:
    """What a panel that cannot be answered says: the code for programs, the message for people."""
    return PanelAnswer(panel.id, 0, 0, [SeriesAnswer(error.code, error.detail, 0, "error")])
