"""Servers that are away, busy, broken or unwilling: each record arrives once, in order, as soon as that is possible."""

from __future__ import annotations

import json
import socket
import time

import pytest
from buoy_core.state import read_api_key
from buoy_proto import v1

from tests.daemon.ingest_server import Handler, IngestServer, values_of
from tests.daemon.processes import SpoolRun, wait_until, writer_start

QUICK = ("--sync-interval-s", "0.1", "--upload-timeout-s", "0.5")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def opened(daemon, state_dir, tmp_path, base_url, **fields) -> SpoolRun:
    start = writer_start(tmp_path / f"run-{fields.get('run_id', 'r1')}", base_url, **fields)
    run = SpoolRun(state_dir, start)
    daemon.client.open(start, str(run.folder))
    return run


def run_status(daemon, run_id="r1"):
    return next(run for run in daemon.client.status().runs if run.run.run_id == run_id)


def assert_complete(server, run, count):
    wait_until(lambda: server.streams and server.only_stream().writer_ends(), "the writer's end arrives")
    assert values_of(server.only_stream(), run.writer_id) == list(map(float, range(count)))


class Trouble:
    """Misbehaves for the first few requests, then lets the server do its work."""

    def __init__(self, times: int, misbehave) -> None:
        self.left = times
        self.misbehave = misbehave
        self.seen_at: list[float] = []

    def __call__(self, handler: Handler, body: bytes) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        self.seen_at.append(time.monotonic())
        self.misbehave(handler, body)
        return True


def answers(*answer):
    return lambda handler, _: handler.answer(*answer)


def stores_then_cuts(handler: Handler, body: bytes) -> None:
    if body:
        handler.take(body)
    handler.cut()


def cuts_within_the_answer(handler: Handler, body: bytes) -> None:
    if body:
        handler.take(body)
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{")
    handler.wfile.flush()
    handler.cut()


MISBEHAVIOURS = {
    "500": answers(500, {"title": "oops"}),
    "502 with a page": answers(502, b"<html>bad gateway</html>"),
    "503": answers(503, {"title": "busy"}, {"Retry-After": "0"}),
    "429": answers(429, {"title": "slow down"}),
    "garbage": answers(200, b"\x00\xff garbage"),
    "200 without a sequence": answers(200, {"ok": True}),
    "200 with nonsense": answers(200, {"next_seq": -3}),
    "no HTTP": lambda handler, _: handler.wfile.write(b"SSH-2.0-nonsense\r\n\r\n"),
    "cut": lambda handler, _: handler.cut(),
    "stored, then cut": stores_then_cuts,
    "cut within the answer": cuts_within_the_answer,
    "hangs": lambda *_: time.sleep(0.7),
    "409 back to the start": answers(409, {"next_seq": 0}),
    "413 without reading": lambda handler, _: handler.answer(413, {}, {"Connection": "close"}),
    "409 without a sequence": answers(409, {}),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_trouble_passes(name, state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(100)
    wait_until(lambda: server.requests["POST"] > 0, "the first blocks arrive")
    server.script = trouble = Trouble(2, MISBEHAVIOURS[name])
    run.log(900, begin=100)
    wait_until(lambda: trouble.left == 0, "the trouble is over")
    run.finish()
    assert_complete(server, run, 1000)


def test_retry_after_is_kept(state_dir, tmp_path, start_daemon, server):
    server.script = trouble = Trouble(2, answers(503, {"title": "busy"}, {"Retry-After": "1"}))
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(10)
    run.finish()
    assert_complete(server, run, 10)
    assert trouble.seen_at[1] - trouble.seen_at[0] >= 1.0


def test_a_server_that_comes_late_gets_everything(state_dir, tmp_path, start_daemon):
    port = free_port()
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, f"http://127.0.0.1:{port}")
    run.log(1000)
    wait_until(lambda: run_status(daemon).upload_state == "unreachable", "the server is away")
    assert "refused" in run_status(daemon).upload_error
    server = IngestServer(port)
    try:
        run.log(500, begin=1000)
        run.finish()
        assert_complete(server, run, 1500)
        wait_until(lambda: run_status(daemon).acked_seq == run_status(daemon).next_seq, "all is acknowledged")
        assert run_status(daemon).upload_state == "idle"
        assert run_status(daemon).upload_error == ""
    finally:
        server.stop()


def test_open_does_not_wait_for_a_server_that_hangs(state_dir, tmp_path, start_daemon):
    daemon = start_daemon(*QUICK)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = writer_start(tmp_path / "run", f"http://127.0.0.1:{silent.getsockname()[1]}")
        run = SpoolRun(state_dir, start)
        began = time.monotonic()
        answer = daemon.client.open(start, str(run.folder))
        assert time.monotonic() - began < 0.5
        assert not answer.server_answers


def test_a_server_that_dies_half_way(state_dir, tmp_path, start_daemon):
    server = IngestServer()
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(500)
    wait_until(lambda: values_of(server.only_stream(), run.writer_id)[-1:] == [499.0], "half is there")
    server.stop()
    run.log(500, begin=500)
    wait_until(lambda: run_status(daemon).upload_state == "unreachable", "the daemon notices")
    other = server.restarted()
    try:
        run.finish()
        assert_complete(other, run, 1000)
    finally:
        other.stop()


def test_a_server_that_lost_its_data_gets_everything_again(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(500)
    wait_until(lambda: values_of(server.only_stream(), run.writer_id)[-1:] == [499.0], "half is there")
    with server.lock:
        server.streams.clear()
    run.log(500, begin=500)
    run.finish()
    assert_complete(server, run, 1000)


def test_large_bodies_are_cut_down_to_what_the_server_takes(state_dir, tmp_path, start_daemon, server):
    server.script = lambda *_: time.sleep(0.3) or False
    daemon = start_daemon(*QUICK, "--upload-timeout-s", "10")
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    server.body_bytes_max = 20_000
    # Paced, so that there are many small blocks while the slow server works on the first.
    for begin in range(0, 20_000, 1000):
        run.log(1000, begin)
        status = wait_until(lambda: next(iter(daemon.client.status().runs)), "a status")
        wait_until(lambda seq=status.next_seq: run_status(daemon).next_seq > seq, "another block")
    server.script = None
    run.finish()
    assert_complete(server, run, 20_000)


def test_a_server_that_resets_large_bodies_gets_smaller_ones(state_dir, tmp_path, start_daemon, server):
    """Many servers answer 413 and close before they have read the body; the client sees only a reset."""
    server.script = lambda *_: time.sleep(0.3) or False
    daemon = start_daemon(*QUICK, "--upload-timeout-s", "10")
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    for begin in range(0, 8000, 1000):
        run.log(1000, begin)
        assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_DISK, 10)

    def resets(handler: Handler, body: bytes) -> bool:
        if len(body) > 30_000:
            handler.cut()
            return True
        return False

    server.script = resets
    run.finish()
    assert_complete(server, run, 8000)


def test_a_block_that_is_too_large_for_the_server_is_kept_and_reported(
    state_dir, tmp_path, start_daemon, server
):
    server.body_bytes_max = 50
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(10)
    wait_until(lambda: run_status(daemon).upload_state == "refused", "the daemon gives in")
    assert "413" in run_status(daemon).upload_error
    server.body_bytes_max = 1 << 20
    run.finish()
    assert_complete(server, run, 10)


def test_a_missing_key_is_said_and_a_later_one_used(state_dir, tmp_path, start_daemon, server):
    server.api_key = "secret-key-1"
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(10)
    wait_until(lambda: run_status(daemon).upload_state == "refused", "the daemon is refused")
    assert "key" in run_status(daemon).upload_error
    daemon.client.open(run.start, str(run.folder), api_key="secret-key-1")
    run.finish()
    assert_complete(server, run, 10)
    assert read_api_key(state_dir, server.base_url) == "secret-key-1"
    assert "secret-key-1" not in daemon.log()


def test_a_wrong_key_of_the_environment_does_not_hide_the_stored_one(
    state_dir, tmp_path, start_daemon, server
):
    server.api_key = "right"
    daemon = start_daemon(*QUICK, env={"BUOY_API_KEY": "wrong"})
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    daemon.client.open(run.start, str(run.folder), api_key="also-wrong")
    run.log(10)
    run.finish()
    wait_until(lambda: run_status(daemon).upload_state == "refused", "the daemon is refused")
    (state_dir / "credentials.json").write_text(json.dumps({server.base_url: {"api_key": "right"}}))
    assert_complete(server, run, 10)


def test_a_key_that_is_no_header_does_not_show_in_status_or_log(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK, env={"BUOY_API_KEY": "hidden\nkey"})
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(10)
    status = wait_until(lambda: run_status(daemon).upload_error, "the daemon complains")
    assert "hidden" not in status
    assert "hidden" not in daemon.log()


def test_a_refused_stream_is_kept_and_sent_later(state_dir, tmp_path, start_daemon, server):
    server.script = trouble = Trouble(2, answers(400, {"detail": "I do not like it"}))
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(10)
    run.finish()
    wait_until(lambda: "I do not like it" in run_status(daemon).upload_error, "the reason shows")
    assert run_status(daemon).upload_state == "refused"
    assert_complete(server, run, 10)
    assert trouble.left == 0


def test_a_stuck_server_holds_up_nobody_else(state_dir, tmp_path, start_daemon, server):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        daemon = start_daemon("--upload-timeout-s", "20")
        stuck = [
            opened(
                daemon,
                state_dir,
                tmp_path,
                f"http://127.0.0.1:{silent.getsockname()[1]}",
                run_id=f"s{number}",
            )
            for number in range(6)
        ]
        for run in stuck:
            run.log(10)
        run = opened(daemon, state_dir, tmp_path, server.base_url)
        began = time.monotonic()
        run.log(10)
        run.finish()
        assert_complete(server, run, 10)
        assert time.monotonic() - began < 3


def test_what_is_left_is_sent_by_the_next_daemon(state_dir, tmp_path, start_daemon):
    port = free_port()
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, f"http://127.0.0.1:{port}")
    run.log(100)
    offset = run.finish()
    list(daemon.client.close_writer(run.writer_id, offset, v1.DURABILITY_DISK))
    assert daemon.stop() == 0
    server = IngestServer(port)
    try:
        start_daemon(*QUICK)
        assert_complete(server, run, 100)
        # The next daemon has nothing left to do, and asks the server nothing about it.
        wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "the stream is complete")
    finally:
        server.stop()


def test_latency_from_log_to_server(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon()
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    delays = []
    for number in range(12):
        server.received_at.pop(run.writer_id, None)
        began = time.monotonic()
        run.log(1, begin=number)
        wait_until(lambda: run.writer_id in server.received_at, "the row arrives")
        delays.append(server.received_at[run.writer_id] - began)
    print("log() to server, s:", sorted(delays))
    assert sorted(delays)[9] < 0.5
