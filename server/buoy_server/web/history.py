"""The history route: every value of a run, a page at a time, row by row or column by column."""

from __future__ import annotations

from buoy_core.rank_reduction import REDUCTIONS
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.errors import Malformed
from buoy_server.query.history import ALL, LOWEST, HistoryPage, HistoryRequest
from buoy_server.services import Services
from buoy_server.web.answers import JSONAnswer, integer
from buoy_server.web.operations import Operation, Query, json_of
from buoy_server.web.shapes import (
    HISTORY,
    HISTORY_ATTEMPTS,
    HISTORY_LAYOUT,
    HISTORY_LIMIT,
    HISTORY_RANK,
    HISTORY_STREAM,
    INT,
    TEXT,
)


@Operation(
    "The complete history of a run, a page at a time: exact values, ordered by step",
    path=("project", "run"),
    query=(
        Query("keys", TEXT, "Only these keys; separated by commas"),
        Query("key", {"type": "array", "items": TEXT}, "The same for names with commas; may be repeated"),
        Query("min_step", INT, "First step"),
        Query("max_step", INT, "Last step, inside"),
        Query(
            "limit", HISTORY_LIMIT, "Rows at most; more if a step has several ranks, fewer if rows are long"
        ),
        Query("cursor", TEXT, "What the page before gave"),
        Query("stream", HISTORY_STREAM, "Logged or system metrics"),
        Query(
            "rank",
            HISTORY_RANK,
            "`lowest`, the default: one row a step, the lowest rank that has a key speaks for it. `all`: a row for "
            "each rank. A number: this rank alone. A reduction: each key over all ranks that have a number at the step",
        ),
        Query("attempts", HISTORY_ATTEMPTS, "`all`: steps that a later attempt has superseded come too"),
        Query(
            "layout",
            HISTORY_LAYOUT,
            "`rows`, the default: only rows that have all of the keys. `columns`: rows that have any of them",
        ),
    ),
    answers=json_of(HISTORY),
    problems=(400, 404),
)
def history(request: Request) -> Response:
    """GET /api/v1/p/{project}/runs/{run}/history."""
    services: Services = request.app.state.services
    query = request.query_params
    layout, attempts = (
        _word(query, "layout", ("rows", "columns")),
        _word(query, "attempts", ("latest", "all")),
    )
    asked = HistoryRequest(
        keys=[name for name in query.get("keys", "").split(",") if name] + query.getlist("key"),
        complete=layout == "rows",
        min_step=integer(query["min_step"], "min_step") if "min_step" in query else None,
        max_step=integer(query["max_step"], "max_step") if "max_step" in query else None,
        limit=integer(query.get("limit", "1000"), "limit"),
        cursor=query.get("cursor"),
        system=_word(query, "stream", ("default", "system")) == "system",
        ranks=_ranks(query.get("rank", LOWEST)),
        superseded=attempts == "all",
    )
    found = services.history.page(request.path_params["project"], request.path_params["run"], asked)
    return JSONAnswer(_rows(found, asked) if layout == "rows" else _columns(found, asked))


def _word(query: QueryParams, name: str, words: tuple[str, ...]) -> str:
    """A parameter that is one of some words, the first by default."""
    found = query.get(name, words[0])
    if found not in words:
        raise Malformed("bad_parameter", f"{name} is one of {', '.join(words)}.")
    return found


def _ranks(given: str) -> str | int:
    if given in (LOWEST, ALL, *REDUCTIONS):
        return given
    if given.isdecimal() and len(given) <= 10:
        return int(given)
    raise Malformed("bad_parameter", f"rank is {LOWEST}, {ALL}, a number, or one of {', '.join(REDUCTIONS)}.")


def _rows(found: HistoryPage, asked: HistoryRequest) -> dict[str, object]:
    page = found.page
    rows = page.rows()
    for number, row in enumerate(rows):
        if not asked.system:
            row["_step"] = page.step[number]
        if asked.superseded:
            row["_attempt"] = page.attempt[number]
        if asked.has_ranks:
            row["_rank"] = page.rank[number]
        if found.nodes is not None:
            row["_node"] = found.nodes[number]
        row["_timestamp"] = page.time_us[number] / 1e6
        row["_runtime"] = (page.time_us[number] - found.started_us) / 1e6
    return {"rows": rows, "cursor": found.cursor}


def _columns(found: HistoryPage, asked: HistoryRequest) -> dict[str, object]:
    page = found.page
    columns = {
        name: {"values": column.values} | ({} if column.at is None else {"at": column.at})
        for name, column in page.columns.items()
    }
    own: dict[str, object] = {"step": page.step, "attempt": page.attempt, "time_us": page.time_us}
    if asked.has_ranks:
        own["rank"] = page.rank
    if found.nodes is not None:
        own["node"] = found.nodes
    return {
        "rows": len(page.step),
        "points": page.points,
        "started_us": found.started_us,
        **own,
        "columns": columns,
        "cursor": found.cursor,
    }
