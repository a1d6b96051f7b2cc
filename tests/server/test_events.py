"""Nudges: what a listener hears, and how seldom."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Queue
from typing import Any

import httpx

from tests.server.processes import ServerProcess
from tests.server.streams import Stream


@contextmanager
def listening(server: ServerProcess, path: str) -> Iterator[Queue[tuple[float, dict[str, str]]]]:
    """Events as they come, each with its time of arrival."""
    events: Queue[tuple[float, dict[str, str]]] = Queue()
    connected = threading.Event()
    stop = threading.Event()

    def listen() -> None:
        # The stream has no end of its own; the server's end is the end of the test session.
        with suppress(httpx.TransportError), server.client.stream("GET", path, timeout=None) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                connected.set()
                if stop.is_set():
                    return
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    # That of the beginning names no run.
                    if json.loads(fields["data"])["runs"]:
                        events.put((time.monotonic(), fields))
                    fields = {}

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert connected.wait(20)
    yield events
    stop.set()


def send(server: ServerProcess, stream: Stream, *blocks: bytes) -> None:
    server.client.post(stream.path, content=b"".join(blocks)).raise_for_status()


def test_a_listener_hears_what_changed(server: ServerProcess) -> None:
    stream = Stream("r1", project="nudges")
    other = Stream("r2", project="other-nudges")
    with listening(server, "/api/v1/events?p=local:nudges") as events:
        send(server, other, *other.blocks)
        writer = stream.writer()
        send(server, stream, *stream.blocks)
        _, event = events.get(timeout=20)
        assert event["event"] == "rev"
        data = json.loads(event["data"])
        assert data["p"] == "local:nudges"
        assert int(event["id"]) == data["rev"]
        assert data["runs"] == [["r1", data["rev"], 2]]
        send(server, stream, writer.log([(1, {"loss": 1.0})]))
        send(server, stream, writer.log([(1, {"cpu": 1.0})], system=True), writer.config({"a": 1}))
        bits, rev = 0, data["rev"]
        while bits != 1 | 32 | 4:
            data = json.loads(events.get(timeout=20)[1]["data"])
            assert data["rev"] > rev
            rev = data["rev"]
            bits |= data["runs"][0][2]
    assert server.client.get("/api/v1/p/local:nudges/rev").json()["rev"] == rev


def test_a_listener_learns_first_what_it_may_have_missed(server: ServerProcess) -> None:
    """A page that has asked before it listened asks again only if something has changed in between."""
    stream = Stream("r1", project="greeted")
    send(server, stream, *stream.blocks)
    now = server.client.get("/api/v1/p/local:greeted/rev").json()
    with server.client.stream("GET", "/api/v1/events?p=local:greeted", timeout=60) as answer:
        data = next(line for line in answer.iter_lines() if line.startswith("data: "))
    assert json.loads(data[6:]) == {"p": "local:greeted", "runs": [], **now}


def test_at_most_four_a_second(server: ServerProcess) -> None:
    stream = Stream("r1", project="chatty")
    writer = stream.writer()
    send(server, stream, *stream.blocks)
    with listening(server, "/api/v1/events") as events:
        began = time.monotonic()
        sent = 0
        while time.monotonic() < began + 2:
            send(server, stream, writer.log([(sent, {"loss": 1.0})]))
            sent += 1
        final = server.client.get("/api/v1/p/local:chatty/rev").json()["rev"]
        revs: list[tuple[float, Any]] = []
        while not revs or revs[-1][1] < final:
            at, event = events.get(timeout=20)
            revs.append((at, json.loads(event["data"])["rev"]))
    assert sent > len(revs)
    assert len(revs) <= 4 * (revs[-1][0] - began) + 2


def test_the_long_poll_waits_for_a_change(server: ServerProcess) -> None:
    stream = Stream("r1", project="polled")
    writer = stream.writer()
    send(server, stream, *stream.blocks)
    rev = server.client.get("/api/v1/p/local:polled/rev").json()["rev"]
    answers: Queue[dict[str, int]] = Queue()
    waiter = threading.Thread(
        target=lambda: answers.put(
            server.client.get(f"/api/v1/p/local:polled/rev?since={rev}&wait=20").json()
        )
    )
    waiter.start()
    step = 0
    # The waiter may connect at any time; it hears of the first change after that, or finds it done.
    while answers.empty():
        send(server, stream, writer.log([(step, {"loss": 1.0})]))
        step += 1
    assert answers.get()["rev"] > rev
    waiter.join()


def test_the_long_poll_ends_without_a_change(server: ServerProcess) -> None:
    stream = Stream("r1", project="quiet")
    send(server, stream, *stream.blocks)
    rev = server.client.get("/api/v1/p/local:quiet/rev").json()["rev"]
    assert server.client.get(f"/api/v1/p/local:quiet/rev?since={rev}&wait=1").json()["rev"] == rev
    assert server.client.get("/api/v1/p/local:quiet/rev?wait=61").json()["code"] == "bad_parameter"
    assert server.client.get("/api/v1/p/local:none/rev").status_code == 404
