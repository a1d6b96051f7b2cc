"""The points route: raw points as a file, written while they are read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from buoy_core.rank_reduction import REDUCTIONS
from pyarrow.csv import CSVWriter
from pyarrow.parquet import ParquetWriter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from buoy_server.errors import Malformed
from buoy_server.metrics.selection import REDUCED, STEP_MAX, STEP_MIN
from buoy_server.query.point_batches import Batch, PointsRequest
from buoy_server.services import Services
from buoy_server.web.answers import integer, read_object
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.panel_answer import numbers
from buoy_server.web.panel_request import names_of, ranks_of, smoothing_of
from buoy_server.web.shapes import BINARY, POINTS, POINTS_QUERY

_PAIRS_MAX = 5000
_TYPES = {"csv": "text/csv", "json": "application/json", "parquet": "application/vnd.apache.parquet"}


@Operation(
    "All points of some series as they were logged, as CSV, JSON or Parquet",
    path=("project",),
    body=json_of(POINTS_QUERY),
    answers=json_of(POINTS) | {_TYPES["csv"]: BINARY, _TYPES["parquet"]: BINARY},
    problems=(400, 404, 413),
)
async def points(request: Request) -> Response:
    """POST /api/v1/p/{project}/series:points."""
    services: Services = request.app.state.services
    given = await read_object(request)
    form = given.get("format", "csv")
    if form not in _TYPES:
        raise _bad(f"format is one of {', '.join(_TYPES)}")
    asked = _points_request(given)
    batches = await run_in_threadpool(services.points.read, request.path_params["project"], asked)
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="points.{form}"'}
    write = WRITERS[str(form)]
    return StreamingResponse(
        write(batches, asked.smoothing is not None), media_type=_TYPES[str(form)], headers=headers
    )


def _points_request(given: dict[str, object]) -> PointsRequest:
    runs = given.get("runs")
    keys = names_of(given.get("keys"), "keys")
    ids = names_of(runs.get("ids") if isinstance(runs, dict) else runs, "runs.ids")
    if len(keys) * len(ids) > _PAIRS_MAX:
        raise _bad(f"there are at most {_PAIRS_MAX} pairs of run and key")
    ranks, reduction = ranks_of(given.get("ranks"))
    system, smoothing = bool(given.get("system", False)), smoothing_of(given.get("smooth"))
    if reduction is not None and (system or reduction not in REDUCTIONS):
        raise _bad("ranks of system metrics cannot be reduced, and bands have no points")
    if smoothing is not None and not smoothing.causal:
        raise _bad("smooth.kind is twema or ema: the others look ahead")
    return PointsRequest(keys, ids, _steps(given.get("range")), system, ranks, reduction, smoothing)


def _steps(given: object) -> tuple[int, int]:
    if given is None:
        return STEP_MIN, STEP_MAX
    if not isinstance(given, list) or len(given) != 2:
        raise _bad("range is [low, high] in steps")
    low, high = (min(max(integer(end, "range"), STEP_MIN), STEP_MAX) for end in given)
    return low, high


def _bad(reason: str) -> Malformed:
    return Malformed("bad_points", f"The request cannot be used: {reason}.")


def _schema(smoothed: bool) -> pa.Schema:
    fields = [("run", pa.string()), ("key", pa.string()), ("rank", pa.uint32()), ("step", pa.int64())]
    fields += [("time_us", pa.int64()), ("value", pa.float64())]
    return pa.schema([*fields, ("smooth", pa.float64())] if smoothed else fields)


def _table(batch: Batch, schema: pa.Schema) -> pa.Table:
    """A batch with what it belongs to in each row; the rank is null where all ranks are one."""
    rank = None if batch.rank == REDUCED else batch.rank
    known = {"run": batch.run, "key": batch.key, "rank": rank}
    rows = len(batch)
    columns = [
        pa.array([known[field.name]] * rows, field.type)
        if field.name in known
        else pa.array(np.ascontiguousarray(batch.columns[field.name]), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _written(
    batches: Iterator[Batch],
    smoothed: bool,
    make: Callable[[io.BytesIO, pa.Schema], CSVWriter | ParquetWriter],
) -> Iterator[bytes]:
    """What a writer puts into a file, as it does."""
    sink, schema = io.BytesIO(), _schema(smoothed)
    # The writer may close what it writes to, and asks how far it is.
    written = 0

    class Outlet(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            nonlocal written
            size = sink.write(memoryview(data))  # type: ignore[arg-type]
            written += size
            return size

        def tell(self) -> int:
            return written

    writer = make(pa.PythonFile(Outlet(), "w"), schema)
    for batch in batches:
        writer.write_table(_table(batch, schema))
        yield sink.getvalue()
        sink.seek(0)
        sink.truncate()
    writer.close()
    yield sink.getvalue()


def _csv(batches: Iterator[Batch], smoothed: bool) -> Iterator[bytes]:
    return _written(batches, smoothed, CSVWriter)


def _parquet(batches: Iterator[Batch], smoothed: bool) -> Iterator[bytes]:
    return _written(batches, smoothed, lambda sink, schema: ParquetWriter(sink, schema, compression="zstd"))


def _json(batches: Iterator[Batch], _smoothed: bool) -> Iterator[bytes]:
    """`{"parts": [...]}`: columns of each batch."""
    separator = '{"parts": ['
    for batch in batches:
        rank = None if batch.rank == REDUCED else batch.rank
        part: dict[str, object] = {"run": batch.run, "key": batch.key, "rank": rank}
        part |= {name: numbers(column) for name, column in batch.columns.items()}
        yield (separator + json.dumps(part)).encode()
        separator = ",\n"
    yield (("" if separator == ",\n" else separator) + "]}\n").encode()


WRITERS: dict[str, Callable[[Iterator[Batch], bool], Iterator[bytes]]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}
