"""The route that gives a list of runs as a CSV file (RFC 4180), written while it is read.

A spreadsheet takes a cell that begins with one of `= + - @` for a formula, and runs it. Whoever can log a text could so
run something at whoever opens the file; such texts get an apostrophe in front. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from buoy_server.jsonvalues import tag
from buoy_server.liveness.pulse import wall_us
from buoy_server.services import Services
from buoy_server.web.answers import read_object
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.reading import read_runs_request
from buoy_server.web.shapes import BINARY, RUNS_FILE

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@Operation(
    "All runs that match a filter, in the asked order, as CSV: the id and the asked columns",
    path=("project",),
    body=json_of(RUNS_FILE),
    answers={"text/csv": BINARY},
    problems=(400, 404, 413),
)
async def runs_file(request: Request) -> Response:
    """POST /api/v1/p/{project}/runs:csv."""
    services: Services = request.app.state.services
    asked = read_runs_request(await read_object(request))
    path = request.path_params["project"]
    batches = await run_in_threadpool(services.runs.batches, path, asked, wall_us())
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="runs.csv"'}
    return StreamingResponse(_lines(batches, asked.columns), media_type="text/csv", headers=headers)


def _lines(batches: Iterator[list[dict[str, object]]], columns: Sequence[str]) -> Iterator[bytes]:
    names = list(dict.fromkeys(("id", *columns)))
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow([cell_text(name) for name in names])
    for batch in batches:
        writer.writerows([[cell_text(row[name]) for name in names] for row in batch])
        yield sink.getvalue().encode("utf-8", "replace")
        sink.seek(0)
        sink.truncate()
    yield sink.getvalue().encode("utf-8", "replace")


def cell_text(value: object) -> str:
    """A value as a cell: numbers so that they read back as the same, what is absent or null empty, objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        return words.get(repr(value), repr(value))
    if isinstance(value, int):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(tag(value), ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text
