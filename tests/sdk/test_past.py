"""What a resumed run learns of its past from a server, or from what stands in a server's place."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import buoy
import pytest
from buoy.api.http import Http
from buoy.errors import CommError
from buoy.past import past_on_server

STRANGE = [
    "null",
    "[]",
    "{}",
    '"run"',
    '{"attempts": null}',
    '{"attempts": [{}]}',
    '{"attempts": [1], "writers": 2}',
]


class Answering(HTTPServer):
    body = ""


class Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        body = self.server.body.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Answering]:
    server = Answering(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("body", STRANGE)
def test_an_answer_that_is_not_a_buoy_servers_is_trouble_with_the_server(
    server: Answering, body: str
) -> None:
    """Something in between answered 200 and `null`, and `init(resume=...)` raised a TypeError into the training."""
    server.body = body
    http = Http(f"http://127.0.0.1:{server.server_port}", None, 10)
    with pytest.raises(CommError, match="not that of a buoy server"):
        past_on_server(http, "local", "project", "run")


def test_init_goes_on_without_the_past_that_such_a_server_hides(
    server: Answering, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.body = json.dumps(None)
    monkeypatch.setenv("BUOY_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    with buoy.init(project="past", id="run", resume="allow") as run:
        run.log({"loss": 1.0})
    assert "buoy server" in capsys.readouterr().err
