"""What a resumed run learns of its past from a server, or from what stands in a server's place."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import buoy
import pytest
from buoy.api.http import Http
from buoy.errors import CommError
from buoy.past import past_in_folders, past_on_server
from buoy_core.wal import WalWriter
from buoy_proto import v1

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


def stream(parent: Path, host: str, started_us: int, launch: bytes, steps: int) -> None:
    """A machine's run folder with a log of so many steps."""
    folder = parent / f"run-20260101_000000-run-{host}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"entity": "local", "project": "p", "run_id": "run"}))
    begin = v1.StreamStart(run=v1.RunInfo(run_id="run"), time_unix_us=started_us, launch_id=launch, host=host)
    rows = [v1.Record(row=v1.Row(step=step, slots=[0], values=[step])) for step in range(steps)]
    log = WalWriter(str(folder / "wal"), secrets.token_bytes(16))
    log.append_records([v1.Record(stream_start=begin).SerializeToString()], time_us=1)
    log.append_records(
        [v1.Record(key=v1.KeyDef(id=0, name="loss")).SerializeToString()], b"w" * 16, time_us=1
    )
    log.append_records([row.SerializeToString() for row in rows], b"w" * 16, time_us=1)
    log.close()


def test_folders_of_several_machines_of_one_launch_are_one_attempt(tmp_path: Path) -> None:
    """They counted as an attempt each, and the curve ended where the machine had come to that began last."""
    stream(tmp_path, "node0", 1_000, b"a" * 16, steps=500)
    stream(tmp_path, "node1", 1_001, b"a" * 16, steps=400)
    past = past_in_folders(tmp_path, "local", "p", "run")
    assert past is not None
    assert (past.attempts, past.last_step, past.summary["loss"]) == (1, 499, 499)
    stream(tmp_path, "node2", 2_000, b"b" * 16, steps=10)
    past = past_in_folders(tmp_path, "local", "p", "run")
    assert past is not None
    assert (past.attempts, past.last_step) == (2, 9)
