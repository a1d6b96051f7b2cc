"""What every answer tells the browser, so that nothing that was logged can do harm in it.

The policy is the only line between a run's name and the viewer's cookie that does not depend on the page's code: no
script but the server's own files, no request to elsewhere, no frame around the page. An answer that says more of
itself, such as a logged file in a sandbox, keeps its own words.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; script-src 'self'; worker-src 'self'; img-src 'self' blob: data:; "
    "style-src 'self' 'unsafe-inline'; frame-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    # `default-src` stands for neither of these two: who may frame the page, and where a form may be sent.
    "frame-ancestors 'self'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SafeAnswers:
    """ASGI middleware that adds the headers to whatever leaves the server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)


def add_headers(headers: MutableHeaders) -> None:
    """Adds those that are not there yet."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
