"""The proxy itself, before a server that counts what reaches it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.crash.proxy import FAULTS, LOGIN_PAGE, Proxy

BODY = b"x" * 300_000


class Counting(ThreadingHTTPServer):
    """Answers each whole request with how many there were."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CountingHandler)
        self.whole = 0
        self.lock = threading.Lock()


class CountingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        if len(self.rfile.read(size)) < size:
            return
        with self.server.lock:
            self.server.whole += 1
        body = json.dumps({"whole": self.server.whole}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Counting]:
    server = Counting()
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def post(proxy: Proxy) -> tuple[int, bytes] | str:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    try:
        connection.request("POST", "/", BODY)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def test_without_faults_it_is_not_there(server: Counting) -> None:
    with Proxy(server.server_port) as proxy:
        assert [post(proxy) for _ in range(3)] == [(200, b'{"whole": %d}' % n) for n in (1, 2, 3)]
        assert proxy.done == {"passed": 3}


# What reaches the server of one request, and whether its answer comes back.
OUTCOMES = {
    "cut_before": (0, False),
    "cut_in_body": (0, False),
    "cut_after": (1, False),
    "cut_in_answer": (1, False),
    "delay_before": (1, True),
    "delay_after": (1, True),
    "trickle": (1, True),
    "twice": (2, True),
    "twice_at_once": (2, True),
    "old_again": (2, True),
    "status": (0, False),
    "status_after": (1, False),
    "garbage": (0, False),
    "garbage_json": (0, False),
    "login_page": (0, False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_does_what_it_says(server: Counting, fault: str) -> None:
    with Proxy(server.server_port, delay_max_s=0.1) as proxy:
        assert post(proxy) == (200, b'{"whole": 1}')
        proxy.rate, proxy.faults = 1.0, (fault,)
        answer = post(proxy)
        assert proxy.done[fault] == 1
    arrived, heard = OUTCOMES[fault]
    assert server.whole - 1 == arrived
    assert (answer in [(200, b'{"whole": %d}' % n) for n in (2, 3)]) == heard, answer
    if fault == "status":
        assert answer[0] in (429, 500, 502, 503)
    if fault == "login_page":
        assert answer == (200, LOGIN_PAGE)


def test_a_seed_repeats_its_schedule(server: Counting) -> None:
    def faults(seed: int) -> list[str]:
        with Proxy(server.server_port, seed=seed, rate=0.5, delay_max_s=0.0) as proxy:
            return [proxy._draw()[0] for _ in range(100)]

    assert faults(1) == faults(1)
    assert faults(1) != faults(2)
    assert 30 < faults(1).count("passed") < 70


def test_a_server_that_is_away_is_a_cut_connection(server: Counting) -> None:
    with Proxy(1) as proxy:
        assert post(proxy) == "RemoteDisconnected"
        proxy.upstream_port = server.server_port
        assert post(proxy) == (200, b'{"whole": 1}')
