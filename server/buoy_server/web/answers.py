"""Reads requests and writes answers: JSON bodies, ETags, numbers that JSON has no word for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from buoy_server.errors import Malformed, TooLarge

_JSON_BYTES_MAX = 4 << 20


class JSONAnswer(Response):
    """JSON without NaN: whoever puts one in gets an error instead of an answer that no browser reads."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def tagged(request: Request, content: object) -> Response:
    """JSON with an ETag; 304 if the client has it already."""
    answer = JSONAnswer(content)
    tag = f'"{hashlib.blake2b(bytes(answer.body), digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return answer


async def read_body(request: Request, bytes_max: int) -> bytearray:
    """The body, never more than `bytes_max` of it in memory.

    Raises:
        TooLarge: It is longer. What was read is dropped.
        Malformed: The client left before the end.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise TooLarge(
            "body_too_large", f"The body has {announced} bytes; the server takes {bytes_max} at once."
        )
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > bytes_max:
                raise TooLarge("body_too_large", f"The body is longer than {bytes_max} bytes.")
    except ClientDisconnect:
        raise Malformed("truncated_body", "The connection ended before the body did.") from None
    return body


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body; {} if there is none.

    Raises:
        Malformed: It is no JSON object.
    """
    body = await read_body(request, _JSON_BYTES_MAX)
    if not body:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("bad_json", "The body is no JSON.") from None
    if not isinstance(found, dict):
        raise Malformed("bad_json", "The body is no JSON object.")
    return found


def integer(value: object, name: str) -> int:
    """`value` as an int of 64 bits, which is what the databases hold; raises Malformed if it is none."""
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            value = None
    if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63:
        return value
    raise Malformed("bad_parameter", f"{name} is a whole number of at most 64 bits.")
