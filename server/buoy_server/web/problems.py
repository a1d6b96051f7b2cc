"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from buoy_server.errors import Busy, Conflict, Malformed, Missing, Refused, Stale, StorageTrouble, TooLarge
from buoy_server.web.safety import add_headers

_STATUS: dict[type[Refused], tuple[int, str]] = {
    Malformed: (400, "The request is wrong"),
    Missing: (404, "Not found"),
    Conflict: (409, "The request does not fit"),
    Stale: (412, "Changed meanwhile"),
    TooLarge: (413, "Too large"),
    Busy: (503, "Busy"),
    StorageTrouble: (503, "The server cannot store anything now"),
}
_RETRY_AFTER_S = {"storage_full": 5, "storage_failed": 5}

_log = logging.getLogger("buoy_server")


def problem(status: int, title: str, code: str, detail: str, **extra: object) -> Response:
    """A problem document."""
    document = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        **extra,
    }
    headers = {"Retry-After": str(_RETRY_AFTER_S.get(code, 1))} if status == 503 else {}
    return Response(json.dumps(document), status, headers, "application/problem+json")


async def refused(_request: Request, error: Exception) -> Response:
    """What the logic below refuses."""
    assert isinstance(error, Refused)
    status, title = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    return problem(status, title, error.code, error.detail, **error.extra)


async def http_error(_request: Request, error: Exception) -> Response:
    """What the router refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return problem(error.status_code, str(error.detail), code, f"{error.detail}.")


async def unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours. The log has the details; the address is logged without its query, which may hold a token."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    answer = problem(
        500, "Internal error", "internal_error", "The server met an error of its own; its log says more."
    )
    # Starlette sends this one past all middleware.
    add_headers(answer.headers)
    return answer
