"""HTTP to one server, over a connection that is kept. Failures come back as outcomes, never as exceptions."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from buoy_daemon.uploader.plan import Outcome, Refused, Trouble, outcome_of

CONTENT_TYPE = "application/vnd.buoy.blocks"
CONNECT_TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 1 << 16

T = TypeVar("T")
Judge = Callable[[int, Mapping[str, str], bytes], T]
"""Says what status, headers (names in lower case) and body of an answer mean."""


class Client:
    """Not for several threads at once, except `interrupt`.

    Args:
        base_url: `http://host:port` or `https://...`, with or without a path.
        timeout_s: How long the server may be silent.
        keys: The API keys to try, best first; asked before each request, because a login may add one.
    """

    def __init__(self, base_url: str, *, timeout_s: float, keys: Callable[[], list[str]]) -> None:
        self._url = urlsplit(base_url)
        self._timeout_s = timeout_s
        self._keys = keys
        self._connection: http.client.HTTPConnection | None = None
        self._key_choice = 0
        self._interrupted = False

    def next_seq(self, stream_id: bytes) -> Outcome:
        """Asks which sequence the server expects."""
        return self._request("GET", f"/api/v1/streams/{stream_id.hex()}", None, outcome_of)

    def send(self, stream_id: bytes, body: bytes) -> Outcome:
        """Sends blocks."""
        return self._request("POST", f"/api/v1/streams/{stream_id.hex()}/blocks", body, outcome_of)

    def post_json(self, path: str, body: bytes, judge: Judge[T]) -> T | Outcome:
        """Sends JSON; `judge` says what the answer means."""
        return self._request("POST", path, body, judge, content_type="application/json")

    def interrupt(self) -> None:
        """Breaks off the request that another thread waits for, and those to come until `resume`: they are Trouble."""
        self._interrupted = True
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket, which would change what the other thread reads from.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def resume(self) -> None:
        """Requests are made again."""
        self._interrupted = False

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def is_healthy(self) -> bool:
        """Whether the server answers GET /healthz with 200."""
        try:
            return self._exchange("GET", "/healthz", None, CONTENT_TYPE)[0] == 200
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def _request(
        self, method: str, path: str, body: bytes | None, judge: Judge[T], content_type: str = CONTENT_TYPE
    ) -> T | Outcome:
        fresh = self._connection is None
        try:
            try:
                answer = self._exchange(method, path, body, content_type)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A kept connection may have been closed by the server meanwhile; a new one tells.
                self.close()
                if fresh or self._interrupted:
                    raise
                answer = self._exchange(method, path, body, content_type)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Trouble(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        except ValueError:
            # Such a message may quote the header with the key in it.
            self.close()
            return Refused(
                f"no request can be made for {self._url.geturl()!r}: check the address and the API key"
            )
        if answer[0] in (401, 403):
            self._key_choice += 1
            if not self._keys():
                return Refused("the server wants an API key and there is none; `buoy login` stores one")
        return judge(*answer)

    def _exchange(
        self, method: str, path: str, body: bytes | None, content_type: str
    ) -> tuple[int, dict[str, str], bytes]:
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        connection.request(method, self._url.path.rstrip("/") + path, body, self._headers(body, content_type))
        if self._interrupted:
            raise InterruptedError("broken off")
        response = connection.getresponse()
        answer = response.read(ANSWER_BYTES_MAX)
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, answer

    def _headers(self, body: bytes | None, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        keys = self._keys()
        if keys:
            headers["Authorization"] = f"Bearer {keys[self._key_choice % len(keys)]}"
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname, self._url.port
        if self._url.scheme not in ("http", "https") or not host:
            raise ValueError("the address is not like http://host:port")
        timeout_s = min(CONNECT_TIMEOUT_S, self._timeout_s)
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        connection.connect()
        connection.sock.settimeout(self._timeout_s)
        return connection
