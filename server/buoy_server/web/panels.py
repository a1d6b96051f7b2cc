"""The series route: several panels in one request, as binary frames or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from buoy_core.rank_reduction import REDUCTIONS
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from buoy_server.errors import Malformed
from buoy_server.metrics.selection import REDUCED
from buoy_server.query.bands import BAND
from buoy_server.query.buckets import EXPONENT_MAX, EXPONENT_MIN, PIXELS_MAX
from buoy_server.query.catalogue import find_project
from buoy_server.query.series import COLUMNS, PanelAnswer, PanelRequest, SeriesAnswer
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, integer, read_object
from buoy_server.web.frames import MEDIA_TYPE, encode_stream
from buoy_server.web.operations import Operation, json_of
from buoy_server.web.shapes import BINARY, SERIES, SERIES_QUERY

_PANELS_MAX = 200
_SERIES_MAX = 5000
_X_MAX = 1 << 64
"""Steps have 64 bits, and times in seconds are less."""


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
    panels = parse_panels(await read_object(request))
    path = request.path_params["project"]

    def check() -> int:
        # An unknown project is a 404, so it has to show before the answer starts.
        with services.metadata.read() as connection:
            return find_project(connection, path).rev

    rev = await run_in_threadpool(check)

    def answers() -> Iterator[PanelAnswer]:
        for panel in panels:
            query = services.bands if panel.reduction == BAND else services.series
            yield query.answer(path, panel)

    if MEDIA_TYPE in request.headers.get("accept", ""):
        frames = encode_stream(answers(), services.metadata.epoch)
        return StreamingResponse(
            frames, media_type=f"{MEDIA_TYPE}; v=1", headers={"Cache-Control": "no-store"}
        )
    found = await run_in_threadpool(lambda: list(answers()))
    rev = max([rev, *(answer.rev for answer in found)])
    return JSONAnswer(
        {"epoch": services.metadata.epoch, "rev": rev, "panels": [render(answer) for answer in found]}
    )


def parse_panels(given: dict[str, object]) -> list[PanelRequest]:
    """The panels of a request.

    Raises:
        Malformed: A member is of the wrong kind or out of bounds.
    """
    panels = given.get("panels")
    if not isinstance(panels, list) or len(panels) > _PANELS_MAX:
        raise _bad(f"panels is a list of at most {_PANELS_MAX}")
    return [_panel(panel) for panel in panels]


def _panel(given: object) -> PanelRequest:
    if not isinstance(given, dict):
        raise _bad("a panel is an object")
    runs = given.get("runs")
    keys, ids = (
        _names(given.get("keys"), "keys"),
        _names(runs.get("ids") if isinstance(runs, dict) else runs, "runs.ids"),
    )
    if len(keys) * len(ids) > _SERIES_MAX:
        raise _bad(f"a panel has at most {_SERIES_MAX} pairs of run and key")
    x, system = given.get("x", "step"), bool(given.get("system", False))
    if x not in ("step", "rel", "wall") or (system and x == "step"):
        raise _bad("x is step, rel or wall, and rel or wall for system metrics")
    ranks, reduction = _ranks(given.get("ranks"))
    if system and reduction is not None:
        raise _bad("system metrics have no steps at which ranks could be joined")
    attempts = given.get("attempts") or "latest"
    if attempts not in ("latest", "all") or (attempts == "all" and reduction not in (None, BAND)):
        raise _bad("attempts is latest or all, and latest where ranks are reduced")
    return PanelRequest(
        id=_within(given.get("id", 0), "id", 0, (1 << 32) - 1),
        keys=keys,
        runs=ids,
        x=x,
        exponent=_exponent(given.get("exp"), integer_x=x == "step"),
        pixels=_within(given.get("px", 160), "px", 1, PIXELS_MAX),
        range=_range(given.get("range")),
        columns=_columns(given.get("cols")),
        have=_have(given.get("have") or {}),
        system=system,
        ranks=ranks,
        reduction=reduction,
        superseded=attempts == "all",
    )


def _names(given: object, what: str) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise _bad(f"{what} is a list of names")
    return list(dict.fromkeys(given))


def _within(given: object, what: str, low: int, high: int) -> int:
    number = integer(given, what)
    if not low <= number <= high:
        raise _bad(f"{what} is from {low} to {high}")
    return number


def _exponent(given: object, *, integer_x: bool) -> int | None:
    return None if given is None else _within(given, "exp", 0 if integer_x else EXPONENT_MIN, EXPONENT_MAX)


def _range(given: object) -> tuple[float, float] | None:
    if given is None:
        return None
    if (
        not isinstance(given, list)
        or len(given) != 2
        or not all(isinstance(end, (int, float)) and not math.isnan(_inside(end)) for end in given)
        or given[0] > given[1]
    ):
        raise _bad("range is [low, high]")
    return _inside(given[0]), _inside(given[1])


def _inside(end: float) -> float:
    """`end`, or the end of what any axis can have, so that buckets of any width can be counted."""
    return min(max(end, -_X_MAX), _X_MAX)


def _ranks(given: object) -> tuple[tuple[int, ...] | None, str | None]:
    """Which ranks, and how they become one."""
    if given is None or given == "all":
        return None, None
    if isinstance(given, str) and given in (BAND, *REDUCTIONS):
        return None, given
    if isinstance(given, list):
        return tuple(_within(rank, "ranks", 0, (1 << 31) - 1) for rank in given), None
    raise _bad(f"ranks is all, band, a list of numbers, or one of {', '.join(REDUCTIONS)}")


def _columns(given: object) -> tuple[str, ...]:
    if given is None or given == []:
        return COLUMNS
    if not isinstance(given, list) or not all(name in COLUMNS for name in given):
        raise _bad(f"cols are of {', '.join(COLUMNS)}")
    return tuple(name for name in COLUMNS if name in given)


def _have(given: object) -> dict[str, int]:
    if not isinstance(given, dict):
        raise _bad("have is an object of run ids and revisions")
    return {str(run): integer(rev, "have") for run, rev in given.items()}


def _bad(reason: str) -> Malformed:
    return Malformed("bad_panel", f"The request cannot be used: {reason}.")


def render(answer: PanelAnswer) -> dict[str, object]:
    """A panel as JSON."""
    return {
        "id": answer.id,
        "exp": answer.exponent,
        "rev": answer.rev,
        "series": [_series(item) for item in answer.series],
    }


def _series(item: SeriesAnswer) -> dict[str, object]:
    rank = None if item.rank == REDUCED else item.rank
    found: dict[str, object] = {
        "run": item.run, "key": item.key, "rank": rank, "kind": item.kind, "rev": item.rev, "gen": item.gen,
    }  # fmt: skip
    if item.attempt:
        found["attempt"] = item.attempt
    if item.extent is not None:
        extent = item.extent
        found |= {
            "n_total": extent.n,
            "last_x": extent.x_max,
            "last_y": _number(extent.last_y),
            "last_t": extent.last_us / 1e6,
        }
        found |= {"x_min": extent.x_min, "x_max": extent.x_max}
    if item.kind == "buckets":
        found |= {"first_bucket": item.first_bucket, "idx": item.idx.tolist()}
    return found | {name: _numbers(column) for name, column in item.columns.items()}


def _numbers(column: NDArray[np.generic]) -> list[object]:
    values: list[object] = list(column.tolist())
    if column.dtype.kind == "f":
        for position in np.flatnonzero(~np.isfinite(column)).tolist():
            values[position] = _number(float(column[position]))
    return values


def _number(value: float) -> object:
    """A number, or the word for what JSON has no number for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
