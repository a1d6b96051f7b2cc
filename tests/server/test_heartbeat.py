"""Heartbeats and stop requests over HTTP, on real servers."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.processes import PATIENCE_S, ServerProcess
from tests.server.streams import Stream

NO_STREAM = "0" * 32


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return value


def running(server: ServerProcess) -> Stream:
    """A run with one live writer."""
    stream = Stream("r1", project=f"beat-{secrets.token_hex(4)}")
    stream.writer()
    server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    return stream


def beat(server: ServerProcess, *streams: Stream, **more: object) -> list[dict[str, str]]:
    ids = [stream.stream_id.hex() for stream in streams]
    answer = server.client.post("/api/v1/heartbeat", json={"streams": ids, **more})
    answer.raise_for_status()
    stops: list[dict[str, str]] = answer.json()["stop"]
    return stops


def run_path(stream: Stream) -> str:
    return f"/api/v1/p/local:{stream.info.project}/runs/{stream.info.run_id}"


def state(server: ServerProcess, stream: Stream) -> str:
    found: str = server.client.get(run_path(stream)).json()["state"]
    return found


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with little patience."""
    with ServerProcess(tmp_path_factory.mktemp("hasty"), "--crashed-after", "2") as process:
        yield process


def test_a_waiting_daemon_hears_of_a_stop_at_once(server: ServerProcess, threads: ThreadPoolExecutor) -> None:
    stream, other = running(server), running(server)
    polls = [threads.submit(beat, server, each, wait_s=60) for each in (stream, other)]
    wait_until(lambda: server.client.get(run_path(stream)).json()["machines"][0]["seen_us"], "a beat")
    begin = time.monotonic()
    answer = server.client.post(run_path(stream) + "/stop", json={"via": "dashboard", "by": "ada"})
    assert (answer.status_code, answer.json()["via"], answer.json()["open"]) == (200, "dashboard", True)
    (stop,) = polls[0].result(PATIENCE_S)
    assert time.monotonic() - begin < 20
    assert stop == {"stream": stream.stream_id.hex(), "reason": "Stop requested from the dashboard (ada)."}
    assert not polls[1].done()
    # Who comes later hears it at once; who has passed it on is left to wait.
    assert beat(server, stream, wait_s=20) == [stop]
    assert beat(server, stream, told=[stream.stream_id.hex()], wait_s=0.1) == []
    server.client.post(run_path(other) + "/stop").raise_for_status()
    assert [each["stream"] for each in polls[1].result(PATIENCE_S)] == [other.stream_id.hex()]


def test_what_is_no_heartbeat_and_no_stop(server: ServerProcess) -> None:
    for body in (
        {},
        {"streams": "x"},
        {"streams": ["x"]},
        {"streams": [NO_STREAM.upper().replace("0", "A")]},
        {"streams": [NO_STREAM] * 10_001},
        {"streams": [], "told": [1]},
        {"streams": [], "wait_s": "long"},
        {"streams": [], "wait_s": True},
        {"streams": [], "wait_s": -1},
        {"streams": [], "wait_s": 10**400},
        {"streams": [], "behind": []},
        {"streams": [], "behind": {"x": {"next_seq": 1}}},
        {"streams": [], "behind": {NO_STREAM: {"writers": {}}}},
        {"streams": [], "behind": {NO_STREAM: {"next_seq": 1, "writers": {"x": 1}}}},
        {"streams": [], "behind": {NO_STREAM: {"next_seq": 1, "writers": {NO_STREAM: 1 << 63}}}},
    ):
        answer = server.client.post("/api/v1/heartbeat", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter"), body
    stream = running(server)
    for wish in ({"via": "x"}, {"via": 1}, {"by": "x" * 201}, {"by": None}):
        answer = server.client.post(run_path(stream) + "/stop", json=wish)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter"), wish
    assert server.client.get(run_path(stream)).json()["stop"] is None
    for path, code in (
        (run_path(stream).replace("/r1", "/r2"), "no_such_run"),
        (run_path(stream).replace("local", "nobody"), "no_such_project"),
    ):
        answer = server.client.post(path + "/stop")
        assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_a_run_that_has_ended_cannot_be_stopped(server: ServerProcess) -> None:
    stream = Stream("r1", project=f"beat-{secrets.token_hex(4)}")
    stream.writer().end()
    server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    answer = server.client.post(run_path(stream) + "/stop")
    assert (answer.status_code, answer.json()["code"]) == (409, "run_not_running")
    assert "finished" in answer.json()["detail"]


def test_a_beat_that_comes_before_the_first_upload_counts(
    hasty: ServerProcess, threads: ThreadPoolExecutor
) -> None:
    """Its machine may die before the next one, and would be waited for for ever."""
    stream = Stream("r1", project=f"beat-{secrets.token_hex(4)}")
    stream.writer()
    poll = threads.submit(beat, hasty, stream, wait_s=60)
    answer = hasty.client.post(stream.path, content=b"".join(stream.blocks))
    answer.raise_for_status()
    assert poll.result(PATIENCE_S) == []
    wait_until(lambda: state(hasty, stream) == "crashed", "the run counts as crashed")


def test_a_daemon_that_hung_up_does_not_hold_the_server(
    server: ServerProcess, threads: ThreadPoolExecutor
) -> None:
    stream = running(server)
    body = {"streams": [stream.stream_id.hex()], "wait_s": 60}
    headers = {"Authorization": f"Bearer {server.token}"}
    for _ in range(20):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(server.url + "/api/v1/heartbeat", json=body, headers=headers, timeout=0.05)
    poll = threads.submit(beat, server, stream, wait_s=60)
    server.client.post(run_path(stream) + "/stop").raise_for_status()
    assert len(poll.result(PATIENCE_S)) == 1


def test_a_server_ends_with_daemons_waiting(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    with ServerProcess(tmp_path) as server:
        stream = running(server)
        poll: Future[Any] = threads.submit(beat, server, stream, wait_s=60)
        wait_until(lambda: server.client.get(run_path(stream)).json()["machines"][0]["seen_us"], "a beat")
        server.process.send_signal(signal.SIGTERM)
        # An answer, not a connection that was cut when the server's own patience was over.
        assert poll.result(PATIENCE_S) == []
        assert server.process.wait(PATIENCE_S) == 0


def test_two_replicas(tmp_path: Path, postgres_url: str, threads: ThreadPoolExecutor) -> None:
    """A stop that one was asked for reaches the daemon that waits at the other within a second or two."""
    options = ("--metadata-url", postgres_url, "--crashed-after", "3")
    with ServerProcess(tmp_path / "a", *options) as one, ServerProcess(tmp_path / "b", *options) as two:
        stream = running(one)
        poll = threads.submit(beat, two, stream, wait_s=20)
        wait_until(lambda: two.client.get(run_path(stream)).json()["machines"][0]["seen_us"], "a beat")
        polls = [poll]
        begin = time.monotonic()
        one.client.post(run_path(stream) + "/stop").raise_for_status()
        while not (stops := polls[-1].result(PATIENCE_S)):
            polls.append(threads.submit(beat, two, stream, wait_s=20))
        assert [stop["stream"] for stop in stops] == [stream.stream_id.hex()]
        assert time.monotonic() - begin < 30
        wait_until(lambda: state(one, stream) == "crashed", "silence")
        beat(one, stream)
        wait_until(lambda: state(two, stream) == "running", "the return")
        codes = [event["code"] for event in two.client.get(run_path(stream)).json()["events"]]
        assert sorted(codes[:3]) == ["machine_back", "machine_missing", "stop_requested"]
