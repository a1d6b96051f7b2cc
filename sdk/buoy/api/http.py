"""Requests to the server, with the standard library only."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from buoy._version import __version__
from buoy.errors import AuthenticationError, CommError

_REFUSED = {401, 403}
_INTEGER = re.compile(r"-?(0x[0-9a-f]+|[0-9]{1,4000})")


class Http:
    """Talks JSON to one server. Blocks; safe to use from several threads.

    Args:
        base_url: the server, without a slash at the end.
        api_key: the key; empty for none.
        timeout_s: longest time to wait for an answer.
    """

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        self.base_url = base_url
        self._api_key = api_key
        self._timeout_s = timeout_s

    def get(self, path: str, **query: object) -> Any:
        """The decoded answer to a GET; parameters that are None are left out, lists are repeated.

        Raises:
            AuthenticationError: the server does not take the key.
            CommError: it cannot be reached or answers with an error.
        """
        return self._ask(_with(path, query), None)

    def post(self, path: str, body: object) -> Any:
        """The decoded answer to a POST; raises like `get`."""
        return self._ask(path, json.dumps(body).encode())

    def patch(self, path: str, body: object) -> Any:
        """The decoded answer to a PATCH; raises like `get`."""
        return self._ask(path, json.dumps(body).encode(), method="PATCH")

    def delete(self, path: str, **query: object) -> Any:
        """The decoded answer to a DELETE; takes what `get` takes, and raises like it."""
        return self._ask(_with(path, query), None, method="DELETE")

    def _ask(self, path: str, body: bytes | None, *, method: str | None = None) -> Any:
        headers = {"Accept": "application/json", "User-Agent": f"buoy/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        request = urllib.request.Request(self.base_url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:
                return json.loads(answer.read(), object_hook=_decoded)
        except urllib.error.HTTPError as error:
            raise _problem(self.base_url, error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise CommError(
                f"the server at {self.base_url} does not answer: {reason}; is `buoy server` running?"
            ) from None
        except (ValueError, RecursionError) as error:
            raise CommError(f"the server at {self.base_url} gave no JSON: {error}") from None


def _with(path: str, query: dict[str, object]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _decoded(found: dict[str, Any]) -> Any:
    """The values that JSON cannot hold, as the server writes them. Other objects that look alike are the user's."""
    if len(found) == 1:
        (name, text), *_ = found.items()
        if name == "$float" and text in ("nan", "inf", "-inf"):
            return float(text)
        if name == "$int" and isinstance(text, str) and _INTEGER.fullmatch(text):
            return int(text, 16 if "x" in text else 10)
    return found


def _problem(base_url: str, error: urllib.error.HTTPError) -> CommError:
    """The server's own words, where it has any."""
    try:
        document = json.loads(error.read())
    except (OSError, ValueError, http.client.HTTPException):
        document = {}
    if not isinstance(document, dict):
        document = {}
    text = document.get("detail") or document.get("title") or error.reason
    code = str(document.get("code") or "")
    if error.code in _REFUSED:
        return AuthenticationError(
            f"the server at {base_url} does not take the key: {text}. Give it with buoy.login(key=...) or BUOY_API_KEY",
            status=error.code,
            code=code,
        )
    return CommError(
        f"the server at {base_url} answers {error.code}: {text}",
        status=error.code,
        code=code,
        details=document,
    )
