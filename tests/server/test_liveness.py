"""Silent machines and requests to stop, on every database that may hold the metadata."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from buoy_proto import v1
from buoy_server.errors import Conflict, Missing
from buoy_server.ingest.pipeline import Ingest
from buoy_server.liveness.signs import find_silent, mark_back, mark_missing, note_signs
from buoy_server.liveness.stops import Wish, open_stops, request_stop
from buoy_server.metadata.engine import Metadata
from buoy_server.query.catalogue import find_project
from buoy_server.query.run_page import describe_run
from buoy_server.query.runs import RunsQuery, RunsRequest
from buoy_server.query.summaries import Summaries

from tests.server.streams import START_US, Stream

S = 1_000_000
NOW = START_US + 86_400 * S
GRACE = 180 * S

# No run here logs the same steps twice, so nobody asks for points.
SUMMARIES = Summaries(None)  # type: ignore[arg-type]


def send(ingest: Ingest, *streams: Stream) -> None:
    for stream in streams:
        ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))


def run_of(metadata: Metadata, run_id: str = "r") -> dict[str, Any]:
    with metadata.read() as connection:
        return describe_run(connection, SUMMARIES, find_project(connection, "local:p"), run_id)


def codes(run: dict[str, Any]) -> list[str]:
    return [event["code"] for event in run["events"]]


def beat(metadata: Metadata, now: int, *streams: Stream) -> list[int]:
    known, back = note_signs(metadata, set(), {stream.stream_id.hex() for stream in streams}, now)
    assert known == {stream.stream_id.hex() for stream in streams}
    return back


def sweep(metadata: Metadata, now: int) -> int:
    """How many streams were marked."""
    with metadata.read() as connection:
        silent = find_silent(connection, now - GRACE)
    marked = [mark_missing(metadata, stream, now - GRACE, now) for stream in silent]
    return sum(changed is not None for changed in marked)


def test_a_silent_machine_and_its_return(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p", host="node7")
    writer = stream.writer()
    writer.log([(0, {"loss": 1.0})])
    send(ingest, stream)
    beat(metadata, NOW, stream)
    assert sweep(metadata, NOW + GRACE) == 0
    before = run_of(metadata)
    assert (before["state"], before["machines"][0]["seen_us"]) == ("running", NOW)
    assert sweep(metadata, NOW + GRACE + S) == 1
    assert sweep(metadata, NOW + GRACE + 2 * S) == 0
    run = run_of(metadata)
    assert (run["state"], run["attempts"][0]["state"]) == ("crashed", "crashed")
    assert [each["state"] for each in run["writers"]] == ["crashed"]
    assert (run["ended_us"], run["rev"] > before["rev"]) == (run["heartbeat_us"], True)
    assert run["machines"][0]["missing_us"] == NOW + GRACE + S
    event = run["events"][-1]
    assert (event["code"], event["level"], event["details"]["host"]) == ("machine_missing", "error", "node7")
    assert "node7 for 181 s" in event["text"]
    listed = RunsQuery(metadata, SUMMARIES).answer("local:p", RunsRequest(columns=["state"]), NOW)
    assert listed["columns"] == {"state": ["crashed"]}
    (row,) = beat(metadata, NOW + 2 * GRACE, stream)
    assert mark_back(metadata, row, NOW + 2 * GRACE) is not None
    assert mark_back(metadata, row, NOW + 2 * GRACE) is None
    run = run_of(metadata)
    assert (run["state"], run["ended_us"]) == ("running", None)
    assert codes(run) == ["machine_missing", "machine_back"]
    assert sweep(metadata, NOW + 3 * GRACE) == 0


def test_an_upload_is_a_sign_of_life(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    stream.writer()
    send(ingest, stream)
    beat(metadata, NOW, stream)
    known, back = note_signs(metadata, {stream.stream_id.hex()}, set(), NOW + GRACE)
    assert (known, back) == ({stream.stream_id.hex()}, [])
    assert sweep(metadata, NOW + GRACE + S) == 0
    assert sweep(metadata, NOW + 2 * GRACE + S) == 1


def test_a_daemon_that_never_beats_is_never_judged(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    stream.writer()
    send(ingest, stream)
    note_signs(metadata, {stream.stream_id.hex()}, set(), NOW)
    assert sweep(metadata, NOW + 100 * GRACE) == 0


def test_ended_writers_are_not_judged(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    stream.writer().end()
    send(ingest, stream)
    beat(metadata, NOW, stream)
    assert sweep(metadata, NOW + 100 * GRACE) == 0
    assert run_of(metadata)["state"] == "finished"


def test_the_end_of_a_missing_writer_is_what_it_says(metadata: Metadata, ingest: Ingest) -> None:
    """A machine without its network for an hour has finished meanwhile; its backlog tells, and nothing flaps."""
    stream = Stream("r", project="p")
    writer = stream.writer()
    send(ingest, stream)
    beat(metadata, NOW, stream)
    sweep(metadata, NOW + 2 * GRACE)
    writer.log([(step, {"loss": 1.0}) for step in range(10)])
    writer.end()
    send(ingest, stream)
    assert run_of(metadata)["state"] == "finished"
    _, (row,) = note_signs(metadata, {stream.stream_id.hex()}, set(), NOW + 3 * GRACE)
    assert mark_back(metadata, row, NOW + 3 * GRACE) is None
    run = run_of(metadata)
    assert (run["state"], codes(run)) == ("finished", ["machine_missing"])
    assert run["machines"][0]["missing_us"] is None


def test_a_new_attempt_is_not_judged_by_the_old_one(metadata: Metadata, ingest: Ingest) -> None:
    first = Stream("r", project="p")
    first.writer()
    send(ingest, first)
    beat(metadata, NOW, first)
    assert sweep(metadata, NOW + 2 * GRACE) == 1
    second = Stream("r", project="p", attempt=2)
    second.writer()
    send(ingest, second)
    beat(metadata, NOW + 2 * GRACE, second)
    assert sweep(metadata, NOW + 3 * GRACE) == 0
    run = run_of(metadata)
    assert (run["state"], [attempt["state"] for attempt in run["attempts"]]) == (
        "running", ["crashed", "running"],
    )  # fmt: skip


def test_one_of_two_machines(metadata: Metadata, ingest: Ingest) -> None:
    """The run goes on as long as any of its machines does, but says what is missing."""
    streams = [Stream("r", project="p", host=f"node{rank}") for rank in range(2)]
    for rank, stream in enumerate(streams):
        stream.writer(rank, world_size=2)
    send(ingest, *streams)
    beat(metadata, NOW, *streams)
    beat(metadata, NOW + GRACE, streams[0])
    assert sweep(metadata, NOW + GRACE + S) == 1
    run = run_of(metadata)
    assert run["state"] == "running"
    assert [writer["state"] for writer in run["writers"]] == ["running", "crashed"]
    assert "node1" in run["events"][-1]["text"]


def test_replicas_that_sweep_at_once_tell_it_once(metadata: Metadata, ingest: Ingest) -> None:
    streams = [Stream(f"r{number}", project="p") for number in range(5)]
    for stream in streams:
        stream.writer()
    send(ingest, *streams)
    beat(metadata, NOW, *streams)
    with ThreadPoolExecutor(4) as pool:
        marked = sum(pool.map(lambda _: sweep(metadata, NOW + 2 * GRACE), range(4)))
    assert marked == 5
    for stream in streams:
        assert codes(run_of(metadata, stream.info.run_id)) == ["machine_missing"]


def test_who_beats_between_the_look_and_the_mark_is_not_marked(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    stream.writer()
    send(ingest, stream)
    beat(metadata, NOW, stream)
    with metadata.read() as connection:
        (silent,) = find_silent(connection, NOW + S)
    beat(metadata, NOW + 2 * S, stream)
    assert mark_missing(metadata, silent, NOW + S, NOW + GRACE) is None


def test_a_stop_reaches_every_stream_of_the_attempt(metadata: Metadata, ingest: Ingest) -> None:
    streams = [Stream("r", project="p", host=f"node{rank}") for rank in range(2)]
    writers = [stream.writer(rank, world_size=2) for rank, stream in enumerate(streams)]
    other = Stream("other", project="p")
    other.writer()
    send(ingest, *streams, other)
    stop, changed = request_stop(metadata, "local:p", "r", Wish("cli", "ada@laptop"), NOW)
    assert changed is not None
    assert stop == {"requested_us": NOW, "via": "cli", "by": "ada@laptop", "open": True}
    again, unchanged = request_stop(metadata, "local:p", "r", Wish("api"), NOW + S)
    assert (again, unchanged) == (stop, None)
    late = Stream("r", project="p", host="node2")
    late_writer = late.writer(2, world_size=3)
    send(ingest, late)
    with metadata.read() as connection:
        found = open_stops(connection)
    assert set(found) == {stream.stream_id.hex() for stream in (*streams, late)}
    assert set(found.values()) == {"Stop requested by `buoy stop` (ada@laptop)."}
    run = run_of(metadata)
    assert (run["state"], codes(run), run["stop"]) == ("running", ["stop_requested"], stop)
    for writer in (*writers, late_writer):
        with metadata.read() as connection:
            assert open_stops(connection)
        writer.end(v1.RUN_STATE_KILLED, 130)
        send(ingest, writer.stream)
    with metadata.read() as connection:
        assert open_stops(connection) == {}
    run = run_of(metadata)
    assert (run["state"], run["exit_code"], run["stop"]["open"]) == ("killed", 130, False)


def test_a_resume_is_not_stopped(metadata: Metadata, ingest: Ingest) -> None:
    first = Stream("r", project="p")
    writer = first.writer()
    send(ingest, first)
    request_stop(metadata, "local:p", "r", Wish(), NOW)
    writer.end(v1.RUN_STATE_KILLED, 130)
    second = Stream("r", project="p", attempt=2)
    second.writer()
    send(ingest, first, second)
    with metadata.read() as connection:
        assert open_stops(connection) == {}
    run = run_of(metadata)
    assert (run["state"], run["stop"]) == ("running", None)
    stop, _ = request_stop(metadata, "local:p", "r", Wish(), NOW)
    assert run_of(metadata)["stop"] == stop


def test_what_cannot_be_stopped(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    stream.writer().end()
    send(ingest, stream)
    with pytest.raises(Conflict, match="Run r has ended \\(finished\\)"):
        request_stop(metadata, "local:p", "r", Wish(), NOW)
    with pytest.raises(Missing, match="no run x"):
        request_stop(metadata, "local:p", "x", Wish(), NOW)
    with pytest.raises(Missing, match="no project"):
        request_stop(metadata, "local:q", "r", Wish(), NOW)


def test_a_missing_machine_can_be_asked_to_stop_when_it_is_back(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    stream.writer()
    send(ingest, stream)
    beat(metadata, NOW, stream)
    sweep(metadata, NOW + 2 * GRACE)
    request_stop(metadata, "local:p", "r", Wish(), NOW + 2 * GRACE)
    with metadata.read() as connection:
        assert set(open_stops(connection)) == {stream.stream_id.hex()}


def test_a_thousand_machines_are_noted_in_one_short_transaction(metadata: Metadata, ingest: Ingest) -> None:
    streams = [Stream(f"r{number}", project="p") for number in range(30)]
    send(ingest, *streams)
    ids = {stream.stream_id.hex() for stream in streams} | {f"{number:032x}" for number in range(1000)}
    begin = time.perf_counter()
    known, _ = note_signs(metadata, set(), ids, NOW)
    took_s = time.perf_counter() - begin
    assert len(known) == 30
    print(f"{len(ids)} signs in {took_s * 1000:.1f} ms")
    assert took_s < 1.0
