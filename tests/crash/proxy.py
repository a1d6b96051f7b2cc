"""A bad network between daemon and server: a TCP proxy that cuts, delays, repeats, and answers in the server's place.

It understands just enough HTTP to know where a request ends, so that it can cut in the middle of a body, or after the
server has done its work and before the daemon hears of it; bodies must have a Content-Length, as the daemon's and the
server's answers to it have. What happens to the n-th request comes from the seed and n. One thing it never does: to
make up a server's answer that makes sense, because the server's word is the truth by design.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

_PIECE = 1 << 16
_HEAD_BYTES_MAX = 1 << 16
_TIMEOUT_S = 60.0

LOGIN_PAGE = b"<!doctype html><title>Sign in</title><form action=/login><input name=password></form>"


@dataclass(frozen=True)
class Message:
    """A request or an answer: its head up to and with the empty line, and its body."""

    head: bytes
    body: bytes

    @property
    def data(self) -> bytes:
        return self.head + self.body


Fault = Callable[["_Exchange"], bytes]


class Proxy:
    """Listens on a port of its own and passes connections on to `upstream_port` on this machine.

    Args:
        upstream_port: The server's; it may come and go.
        seed: Where the faults come from.
        rate: How many of the requests meet a fault, 0 to 1; may be changed at any time.
        delay_max_s: Longest delay.
    """

    def __init__(
        self, upstream_port: int, *, seed: int = 0, rate: float = 0.0, delay_max_s: float = 1.0
    ) -> None:
        self.upstream_port = upstream_port
        self.rate = rate
        self.delay_max_s = delay_max_s
        self.faults: tuple[str, ...] = tuple(FAULTS)
        """The faults in use."""
        self.done: Counter[str] = Counter()
        """How many requests met each fault; "passed" counts the others."""
        self._seed = seed
        self._requests = 0
        self._lock = threading.Lock()
        self._old: deque[Message] = deque(maxlen=8)
        self._clients: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.base_url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cuts every connection and listens no more."""
        # A thread that waits in accept() keeps the listener alive: shutdown() wakes it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def cut_all(self) -> None:
        """Cuts every connection there is."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    # -- a client ---------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._clients.add(client)
            threading.Thread(target=self._serve, args=[client], name="proxy-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(_TIMEOUT_S)
        try:
            while request := read_message(client):
                self._answer(client, request)
        except OSError:
            pass
        finally:
            with self._lock:
                self._clients.discard(client)
            client.close()

    def _answer(self, client: socket.socket, request: Message) -> None:
        fault, rng = self._draw()
        exchange = _Exchange(self, client, request, rng)
        answer = FAULTS[fault](exchange) if fault != "passed" else exchange.forward()
        if request.body:
            with self._lock:
                self._old.append(request)
        client.sendall(answer)

    def _draw(self) -> tuple[str, random.Random]:
        with self._lock:
            self._requests += 1
            rng = random.Random(f"{self._seed}:{self._requests}")
            fault = rng.choice(self.faults) if rng.random() < self.rate else "passed"
            self.done[fault] += 1
            return fault, rng

    def old_request(self, rng: random.Random) -> Message | None:
        """One of the latest requests with a body, of whichever client."""
        with self._lock:
            return rng.choice(self._old) if self._old else None


@dataclass(frozen=True)
class _Exchange:
    """One request, and the way to the server."""

    proxy: Proxy
    client: socket.socket
    request: Message
    rng: random.Random

    def forward(self, message: Message | None = None) -> bytes:
        """The server's answer; the connection ends if it has none."""
        with self.upstream() as server:
            server.sendall((message or self.request).data)
            answer = read_message(server)
        if answer is None:
            raise _cut()
        return answer.data

    @contextlib.contextmanager
    def upstream(self) -> Iterator[socket.socket]:
        """A connection for one request: what is cut then is cut for nobody else."""
        try:
            server = socket.create_connection(("127.0.0.1", self.proxy.upstream_port), timeout=_TIMEOUT_S)
        except OSError:
            raise _cut() from None
        with server:
            yield server

    def pause(self) -> None:
        time.sleep(self.rng.random() * self.proxy.delay_max_s)


def _cut() -> OSError:
    """What ends the connection to the client."""
    return ConnectionAbortedError("cut by the proxy")


# -- the faults -----------------------------------------------------------------------------------------------


def _cut_before(exchange: _Exchange) -> bytes:  # noqa: ARG001 - as all faults
    raise _cut()


def _cut_in_body(exchange: _Exchange) -> bytes:
    data = exchange.request.data
    with exchange.upstream() as server:
        server.sendall(data[: exchange.rng.randrange(1, len(data))])
    raise _cut()


def _cut_after(exchange: _Exchange) -> bytes:
    """The server has done it, and nobody hears of it."""
    exchange.forward()
    raise _cut()


def _cut_in_answer(exchange: _Exchange) -> bytes:
    answer = exchange.forward()
    exchange.client.sendall(answer[: exchange.rng.randrange(1, len(answer))])
    raise _cut()


def _delay_before(exchange: _Exchange) -> bytes:
    exchange.pause()
    return exchange.forward()


def _delay_after(exchange: _Exchange) -> bytes:
    answer = exchange.forward()
    exchange.pause()
    return answer


def _trickle(exchange: _Exchange) -> bytes:
    """The request arrives in small pieces, the answer byte for byte."""
    data = exchange.request.data
    piece = max(1, len(data) // 20)
    with exchange.upstream() as server:
        for begin in range(0, len(data), piece):
            server.sendall(data[begin : begin + piece])
            time.sleep(exchange.proxy.delay_max_s / 40)
        answer = read_message(server)
    if answer is None:
        raise _cut()
    for byte in answer.data[:-1]:
        exchange.client.sendall(bytes([byte]))
    return answer.data[-1:]


def _twice(exchange: _Exchange) -> bytes:
    exchange.forward()
    return exchange.forward()


def _twice_at_once(exchange: _Exchange) -> bytes:
    """Two at the same time, as when something on the way thinks that the first was lost."""

    def again() -> None:
        with contextlib.suppress(OSError):
            exchange.forward()

    other = threading.Thread(target=again, daemon=True)
    other.start()
    answer = exchange.forward()
    other.join(_TIMEOUT_S)
    return answer


def _old_again(exchange: _Exchange) -> bytes:
    """A request of before comes once more, late and out of turn; its answer goes nowhere."""
    if old := exchange.proxy.old_request(exchange.rng):
        with contextlib.suppress(OSError):
            exchange.forward(old)
    return exchange.forward()


def _status(exchange: _Exchange) -> bytes:
    status, reason = exchange.rng.choice(
        [
            (429, "Too Many Requests"),
            (500, "Internal Server Error"),
            (502, "Bad Gateway"),
            (503, "Service Unavailable"),
        ]
    )
    headers = [b"Retry-After: 1"] if exchange.rng.random() < 0.5 else []
    return _response(status, reason, b"", *headers)


def _status_after(exchange: _Exchange) -> bytes:
    """The server has done it, and what is in between says that it has not."""
    exchange.forward()
    return _status(exchange)


def _garbage(exchange: _Exchange) -> bytes:
    exchange.client.sendall(exchange.rng.randbytes(exchange.rng.randrange(1, 200)))
    raise _cut()


def _garbage_json(exchange: _Exchange) -> bytes:
    body = exchange.rng.choice(
        [b"{", b"[]", b"null", b'{"next_seq": "seven"}', b'{"next_seq": -1}', b"\xff\xfe", b""]
    )
    return _response(200, "OK", body, b"Content-Type: application/json")


def _login_page(exchange: _Exchange) -> bytes:  # noqa: ARG001 - as all faults
    return _response(200, "OK", LOGIN_PAGE, b"Content-Type: text/html")


FAULTS: dict[str, Fault] = {
    "cut_before": _cut_before,
    "cut_in_body": _cut_in_body,
    "cut_after": _cut_after,
    "cut_in_answer": _cut_in_answer,
    "delay_before": _delay_before,
    "delay_after": _delay_after,
    "trickle": _trickle,
    "twice": _twice,
    "twice_at_once": _twice_at_once,
    "old_again": _old_again,
    "status": _status,
    "status_after": _status_after,
    "garbage": _garbage,
    "garbage_json": _garbage_json,
    "login_page": _login_page,
}


def _response(status: int, reason: str, body: bytes, *headers: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}".encode(), *headers, b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(lines) + body


# -- HTTP -----------------------------------------------------------------------------------------------------


def read_message(connection: socket.socket) -> Message | None:
    """The next request or answer with its body; None if the other side has closed, or is no HTTP."""
    data = b""
    while (end := data.find(b"\r\n\r\n") + 4) < 4:
        piece = connection.recv(_PIECE)
        if not piece or len(data) > _HEAD_BYTES_MAX:
            return None
        data += piece
    head, parts = data[:end], [data[end:]]
    left = _body_size(head) - len(parts[0])
    while left > 0:
        piece = connection.recv(_PIECE)
        if not piece:
            return None
        parts.append(piece)
        left -= len(piece)
    return Message(head, b"".join(parts))


def _body_size(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
