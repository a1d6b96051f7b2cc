"""The dashboard: files that Vite built into `static/`, and the one page that all addresses share.

Assets have their hash in their name and are kept for ever; the page is asked for again each time and carries an
ETag. `<base href>` is written into it, so that it works behind any prefix. Nothing the page loads comes from
elsewhere; `safety.POLICY` has the browser see to that.
"""

from __future__ import annotations

import hashlib
import html
import mimetypes
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from buoy_server.web.base import base_path
from buoy_server.web.problems import problem

STATIC = Path(__file__).parent.parent / "static"

_PAGE_HEADERS = {"Cache-Control": "no-cache"}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))

_NOT_BUILT = """<!doctype html><meta charset=utf-8><title>buoy: the dashboard is not built</title>
<body style="font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em">
<h1>The dashboard is not built</h1>
<p>The server works and takes runs in. This copy has no dashboard in it: run <code>make web</code> in the repository,
then reload. A released wheel always has it.</p>"""


def page(request: Request) -> Response:
    """Any page: index.html with this server's base path in it."""
    try:
        text = (STATIC / "index.html").read_text(encoding="utf-8")
    except FileNotFoundError:
        return HTMLResponse(_NOT_BUILT, 503, _PAGE_HEADERS)
    text = _with_base(text, base_path(request.scope))
    tag = f'"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"'
    headers = _PAGE_HEADERS | {"ETag": tag, "Vary": "X-Forwarded-Prefix"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return HTMLResponse(text, 200, headers)


def _with_base(text: str, base: str) -> str:
    element = f'<base href="{html.escape(base, quote=True)}">'
    text = re.sub(r"<base\b[^>]*>", "", text)
    return re.sub(r"<head[^>]*>", lambda match: match.group() + element, text, count=1)


def asset(request: Request) -> Response:
    """A built file, compressed if the client takes it."""
    name = str(request.path_params["path"])
    path = STATIC / "assets" / name
    if not _is_there(path, STATIC / "assets"):
        return problem(404, "Not found", "no_such_file", "The dashboard has no such file.")
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    accepted = request.headers.get("accept-encoding", "")
    for encoding, suffix in _ENCODINGS:
        packed = path.with_name(path.name + suffix)
        if re.search(rf"\b{encoding}\b", accepted) and packed.is_file():
            return FileResponse(
                packed, headers=headers | {"Content-Encoding": encoding}, media_type=media_type
            )
    return FileResponse(path, headers=headers, media_type=media_type)


def top_file(request: Request) -> Response:
    """A file beside index.html, such as the icon; any other name is a page of the dashboard."""
    name = str(request.path_params["name"])
    path = STATIC / name
    if (
        "." in name
        and not name.startswith(".")
        and path.suffix not in (".br", ".gz", ".html")
        and _is_there(path, STATIC)
    ):
        return FileResponse(path, headers={"Cache-Control": "no-cache"})
    return page(request)


def _is_there(path: Path, folder: Path) -> bool:
    """Whether there is such a file in a folder. A name that no file can have is no error."""
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):
        return False
