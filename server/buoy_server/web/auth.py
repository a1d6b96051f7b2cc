"""Who may ask: everybody who knows the token.

Programs send `Authorization: Bearer TOKEN`. A browser opens the printed link once; the token moves from the address
into a cookie, so that it stays out of the history, of referrers and of copied links.

A browser sends the cookie whoever has made it ask, so what may change something is taken from our own pages only. It
also sends it to every port of the host: the cookie has a name of its own for each token, so that two servers on one
machine do not log each other's viewers out.
"""

from __future__ import annotations

import hashlib
import html
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from buoy_server.access import same_token
from buoy_server.web.base import base_path, forwarded_prefix, is_https
from buoy_server.web.origin import SAFE_METHODS, from_own_page
from buoy_server.web.problems import problem

_COOKIE_AGE_S = 400 * 24 * 3600


class TokenGate:
    """ASGI middleware that lets only holders of the token through."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token
        self._cookie = cookie_name(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 303, 401 or 403."""
        if scope["type"] != "http" or _is_open(_path(scope)):
            await self._app(scope, receive, send)
            return
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = dict(given).get("token")
        if token is not None and scope["method"] in ("GET", "HEAD") and not _is_api(_path(scope)):
            await self._move_token(scope, token, given)(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    def _move_token(self, scope: Scope, token: str, given: list[tuple[str, str]]) -> Response:
        if not same_token(token, self._token):
            return _page(
                403,
                "This link's token is wrong",
                "Open the link that <code>buoy server</code> printed when it started.",
            )
        rest = urlencode([(name, value) for name, value in given if name != "token"])
        # The path as the browser sent it, made relative to the host: `//evil` must not become an address.
        path = "/" + scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0].lstrip(
            "/"
        )
        response = RedirectResponse(
            forwarded_prefix(scope) + path + ("?" + rest if rest else ""), 303, {"Cache-Control": "no-store"}
        )
        response.set_cookie(
            self._cookie,
            self._token,
            max_age=_COOKIE_AGE_S,
            path=base_path(scope),
            secure=is_https(scope),
            httponly=True,
            samesite="lax",
        )
        return response

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        by_cookie = scheme.lower() != "bearer"
        given = self._from_cookies(headers.get("cookie", "")) if by_cookie else bearer.strip()
        if given and same_token(given, self._token):
            foreign = by_cookie and scope["method"] not in SAFE_METHODS and not from_own_page(headers)
            return _foreign_page() if foreign else None
        if not _is_api(_path(scope)) and "text/html" in headers.get("accept", ""):
            return _page(
                401,
                "This page needs a token",
                "Open the link that <code>buoy server</code> printed when it started; it has the token in it. "
                "The token is also in the file <code>token</code> in the server's data folder.",
            )
        if given:
            return problem(
                403,
                "Forbidden",
                "wrong_token",
                "The token is wrong; see the server's data folder for the right one.",
            )
        response = problem(
            401, "Unauthorized", "token_missing", "Send the server's token as `Authorization: Bearer TOKEN`."
        )
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _from_cookies(self, header: str) -> str:
        # Every port of the host sets cookies; one that is malformed must not lock anybody out.
        return cookie_parser(header).get(self._cookie, "")


def cookie_name(token: str) -> str:
    """The cookie's name for a token; tells nothing of it."""
    return f"buoy_{hashlib.blake2b(token.encode(), digest_size=6).hexdigest()}"


def _path(scope: Scope) -> str:
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if root else path


def _is_open(path: str) -> bool:
    return path == "/healthz" or path.startswith("/assets/")


def _is_api(path: str) -> bool:
    return path.startswith("/api/") or path in ("/metrics", "/openapi.json")


def _foreign_page() -> Response:
    return problem(
        403,
        "Forbidden",
        "foreign_origin",
        "A browser has sent this from a page that is not this dashboard, so nothing was changed. Programs send the "
        "token as `Authorization: Bearer TOKEN`; a proxy in front of the server has to pass `Host` on as it came.",
    )


def _page(status: int, title: str, text: str) -> Response:
    title = html.escape(title)
    body = (
        f"<!doctype html><meta charset=utf-8><title>{title}</title>"
        "<body style='font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em'>"
        f"<h1>{title}</h1><p>{text}</p>"
    )
    return HTMLResponse(body, status, {"Cache-Control": "no-store"})
