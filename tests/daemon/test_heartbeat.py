"""The daemon's heartbeats, against a server that can be told what to answer; and how a stop is passed on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buoy_core import SpoolReader, Writer
from buoy_core.format import CONTROL_STOP
from buoy_daemon.index import StreamEntry, WriterEntry
from buoy_daemon.source import SpoolSource
from buoy_daemon.stop import StopOrder
from buoy_daemon.tail import Tail
from buoy_daemon.uploader.heartbeat import OLD_SERVER_S, BeatPlan, Heard, heard_of
from buoy_daemon.uploader.plan import Busy, Refused, Trouble
from buoy_proto import v1

from tests.daemon.ingest_server import IngestServer
from tests.daemon.processes import DaemonProcess, SpoolRun, WriterProcess, wait_until, writer_start


@pytest.fixture
def server() -> Iterator[IngestServer]:
    server = IngestServer()
    yield server
    server.stop()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    daemon = DaemonProcess(tmp_path / "state").wait_ready()
    yield daemon
    daemon.stop()


def patient(_: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """As a server answers that has nothing to say."""
    threading.Event().wait(3)
    return 200, {"stop": []}


def announced(daemon: DaemonProcess, tmp_path: Path, server: IngestServer, run_id: str) -> SpoolRun:
    start = writer_start(tmp_path / run_id, server.base_url, run_id, host=os.uname().nodename)
    run = SpoolRun(daemon.state_dir, start)
    daemon.client.open(run.start, str(run.folder))
    return run


def test_one_poll_names_all_streams_and_is_renewed_when_there_are_more(
    daemon: DaemonProcess, server: IngestServer, tmp_path: Path
) -> None:
    server.heartbeat = patient
    first = announced(daemon, tmp_path, server, "r1")
    wait_until(lambda: [len(beat["streams"]) for beat in server.beats] == [1], "a heartbeat")
    begin = time.monotonic()
    second = announced(daemon, tmp_path, server, "r2")
    wait_until(lambda: len(server.beats) > 1 and len(server.beats[1]["streams"]) == 2, "another")
    # Before the server would have answered; on an idle machine it takes a second.
    assert time.monotonic() - begin < 3
    assert server.beats[1]["machine_id"] == server.beats[0]["machine_id"] != ""
    first.finish()
    wait_until(lambda: len(server.beats[-1]["streams"]) == 1, "the ended one is left out")
    second.finish()


def test_an_older_server_is_asked_once(daemon: DaemonProcess, server: IngestServer, tmp_path: Path) -> None:
    run = announced(daemon, tmp_path, server, "r1")
    run.log(10)
    wait_until(lambda: len(server.only_stream().records) > 10 and server.old_beats, "upload and heartbeat")
    asked = server.old_beats
    more = announced(daemon, tmp_path, server, "r2")
    more.finish()
    run.finish()
    wait_until(
        lambda: all(status.state != 1 for each in daemon.client.status().runs for status in each.writers),
        "end",
    )
    assert (asked, server.old_beats) == (1, 1)


def test_a_stop_is_passed_on_at_once_and_told_back(
    daemon: DaemonProcess, server: IngestServer, tmp_path: Path
) -> None:
    """The bit comes at once. The process never logs again to see it, so SIGINT follows."""

    def answer(beat: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        fresh = [stream for stream in beat["streams"] if stream not in beat["told"]]
        if fresh and stopping.is_set():
            return 200, {"stop": [{"stream": stream, "reason": "because"} for stream in fresh]}
        stopping.wait(5)
        return 200, {"stop": []}

    stopping = threading.Event()
    server.heartbeat = answer
    process = WriterProcess(daemon.state_dir, tmp_path / "run", server.base_url, count=5, end="hold")
    process.wait_logged()
    wait_until(lambda: server.beats, "a heartbeat")
    begin = time.monotonic()
    stopping.set()
    reader = SpoolReader(str(process.folder))

    def bit() -> int:
        reader.read()
        return reader._latest().control & CONTROL_STOP

    wait_until(bit, "the bit in the spool's header")
    assert time.monotonic() - begin < 5
    assert process.wait() != 0
    assert reader.stop_seen
    reader.close()
    wait_until(lambda: server.beats[-1]["told"] or not server.beats[-1]["streams"], "it is told back")
    records = [record for _, record in server.only_stream().messages()]
    events = [record.event for record in records if record.WhichOneof("kind") == "event"]
    assert [event.code for event in events] == ["stop_passed_on"]
    assert events[0].text.endswith("processes to stop: 1.")


# Decisions


def test_what_answers_mean() -> None:
    stream = "ab" * 16
    body = f'{{"stop": [{{"stream": "{stream}", "reason": "r"}}], "crashed_after_s": 180}}'.encode()
    assert heard_of(200, {}, body) == Heard({bytes.fromhex(stream): "r"}, 180.0)
    for wrong in (
        b"",
        b"{}",
        b"[]",
        b'{"stop": 1}',
        b'{"stop": [{"stream": "x"}]}',
        b"<html>",
        b'{"stop": [1]}',
    ):
        assert isinstance(heard_of(200, {}, wrong), Trouble), wrong
    assert isinstance(heard_of(503, {}, b""), Busy)
    assert isinstance(heard_of(404, {}, b""), Refused)


def test_pauses() -> None:
    plan = BeatPlan()
    plan.apply(Heard({}), status=200, now=100.0, chance=1.0)
    assert 100 < plan.not_before < 101
    pauses = []
    for _ in range(20):
        plan.apply(Trouble("x"), status=0, now=200.0, chance=1.0)
        pauses.append(plan.not_before - 200)
    assert pauses == sorted(pauses)
    assert 5 < pauses[-1] <= 10
    plan.apply(Heard({}, 4.0), status=200, now=300.0, chance=1.0)
    assert plan.not_before < 301
    for _ in range(20):
        plan.apply(Trouble("x"), status=0, now=300.0, chance=1.0)
        assert plan.not_before <= 301
    plan.apply(Busy("x", 30.0), status=503, now=300.0, chance=0.0)
    assert 330 <= plan.not_before < 331
    plan.apply(Refused("x"), status=401, now=400.0, chance=1.0)
    assert 401 < plan.not_before <= 460
    assert plan.known
    plan.apply(Refused("x"), status=404, now=500.0, chance=1.0)
    assert (plan.known, plan.not_before) == (False, 500 + OLD_SERVER_S)


def test_a_forked_worker_hears_of_it_later_and_gets_no_signal(tmp_path: Path) -> None:
    """The signal would end this very process, which is the writer's."""
    writer = Writer(str(tmp_path / "spool"), writer_id=bytes(range(16)))
    writer.log({"a": 1})
    source = SpoolSource(writer.directory, 0, unseen_grace_s=1)
    tail = Tail(writer.writer_id, WriterEntry(writer.directory, forked=True), source)
    order = StopOrder("because")
    assert order.pass_on([tail], 100.0) == 0
    assert not writer.control & CONTROL_STOP
    for now in (101.0, 102.0, 200.0):
        assert order.pass_on([tail], now) == 0
        assert writer.control & CONTROL_STOP
    source.close()


def test_an_entry_of_a_newer_daemon_can_be_read() -> None:
    entry = StreamEntry(
        bytes(16), v1.RunInfo(), 1, "", "", False, 0, "", {bytes(16): WriterEntry("x", forked=True)}
    )
    data = entry.to_json()
    data["writers"]["00" * 16] = {**data["writers"]["00" * 16], "more": 1}
    assert StreamEntry.from_json(data).writers == entry.writers
