"""What only a gRPC writer has: offsets that are acknowledged, connections that break, silence that means death."""

from __future__ import annotations

import os
import shutil

import grpc
import pytest
from buoy_core import frame_records
from buoy_core.state import spool_root
from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import AppendRun, wait_until, writer_start

QUICK = ("--sync-interval-s", "0.1", "--append-grace-s", "0.5")
PATIENT = ("--sync-interval-s", "0.1", "--append-grace-s", "20")


def row(number):
    return v1.Record(row=v1.Row(step=number, slots=[0], values=[number])).SerializeToString()


def tables(start):
    """What a writer says before its first row."""
    key = v1.Record(key=v1.KeyDef(id=0, name="value"))
    return [v1.Record(writer_start=start).SerializeToString(), key.SerializeToString()]


@pytest.fixture
def opened(tmp_path, start_daemon, server):
    daemon = start_daemon(*PATIENT)
    start = writer_start(tmp_path / "run", server.base_url)
    daemon.client.open(start)
    return daemon, start


def append(daemon, start, *parts):
    """Sends (offset, frames) pairs and returns the answers."""
    requests = [v1.AppendRequest(writer_id=start.writer_id)]
    requests += [v1.AppendRequest(begin_offset=offset, frames=frames) for offset, frames in parts]
    return [answer.logged_offset for answer in daemon.client.append(iter(requests))]


def test_the_first_answer_says_where_to_go_on(opened, server):
    daemon, start = opened
    first = frame_records([*tables(start), row(0), row(1)])
    assert append(daemon, start, (0, first)) == [0, len(first)]
    second = frame_records([row(2)])
    # All of it again, in pieces that overlap: what is known is skipped.
    answers = append(daemon, start, (0, first), (0, first + second), (len(first), second))
    assert answers[0] == len(first)
    assert answers[-1] == len(first + second)
    wait_until(
        lambda: server.streams and len(values_of(server.only_stream(), start.writer_id)) == 3, "3 rows"
    )
    assert values_of(server.only_stream(), start.writer_id) == [0.0, 1.0, 2.0]


NONSENSE = {
    "gap": (5, lambda frames: frames, "begin at offset 5"),
    "cut": (0, lambda frames: frames[:-1], "damaged"),
    "damaged": (0, lambda frames: frames[:9] + b"\xff" + frames[10:], "damaged"),
}


@pytest.mark.parametrize(("offset", "damage", "text"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused_and_changes_nothing(opened, offset, damage, text):
    daemon, start = opened
    frames = frame_records([*tables(start), row(0)])
    with pytest.raises(grpc.RpcError) as caught:
        append(daemon, start, (offset, damage(frames)))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert text in caught.value.details()
    assert append(daemon, start, (0, frames)) == [0, len(frames)]


def test_an_unknown_writer_has_to_open_first(opened, tmp_path):
    daemon, _ = opened
    with pytest.raises(grpc.RpcError) as caught:
        append(daemon, writer_start(tmp_path / "other"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_spool_writer_cannot_append(opened, state_dir, tmp_path):
    from tests.daemon.processes import SpoolRun

    daemon, _ = opened
    run = SpoolRun(state_dir, writer_start(tmp_path / "run2", run_id="r2"))
    daemon.client.open(run.start, str(run.folder))
    with pytest.raises(grpc.RpcError) as caught:
        append(daemon, run.start)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_a_writer_that_stays_away_has_crashed(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = AppendRun(state_dir, writer_start(tmp_path / "run", server.base_url))
    run.log(100)
    wait_until(lambda: run.acknowledged >= run.writer.committed, "all is acknowledged")
    run.vanish()
    wait_until(lambda: server.only_stream().writer_ends(), "the daemon says so")
    assert server.only_stream().writer_ends() == {run.writer_id: v1.RUN_STATE_CRASHED}
    assert values_of(server.only_stream(), run.writer_id) == list(map(float, range(100)))
    assert daemon.client.status().runs[0].writers[0].state == v1.RUN_STATE_CRASHED


def test_a_writer_that_comes_back_too_late_loses_nothing(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    start = writer_start(tmp_path / "run", server.base_url)
    daemon.client.open(start)
    first, second = frame_records([*tables(start), row(0)]), frame_records([row(1)])
    append(daemon, start, (0, first))
    wait_until(lambda: server.only_stream().writer_ends(), "it counts as crashed")
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "the stream is complete")
    assert daemon.client.open(start).logged_offset == len(first)
    end = frame_records(
        [v1.Record(writer_end=v1.WriterEnd(writer_id=start.writer_id, state=2)).SerializeToString()]
    )
    answers = append(daemon, start, (len(first), second + end))
    assert answers[-1] == len(first + second + end)
    wait_until(lambda: len(values_of(server.only_stream(), start.writer_id)) == 2, "the late row arrives")
    assert values_of(server.only_stream(), start.writer_id) == [0.0, 1.0]
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "the stream is complete again")


def test_a_writer_that_opens_and_never_sends_has_crashed(tmp_path, start_daemon, server):
    start = writer_start(tmp_path / "run", server.base_url)
    start_daemon(*QUICK).client.open(start)
    wait_until(lambda: server.streams and server.only_stream().writer_ends(), "the daemon says so")
    assert server.only_stream().writer_ends() == {start.writer_id: v1.RUN_STATE_CRASHED}


def test_a_new_connection_takes_over_from_one_that_hangs(opened):
    daemon, start = opened
    import threading

    hold = threading.Event()

    def silent():
        yield v1.AppendRequest(writer_id=start.writer_id)
        hold.wait(30)

    hanging = daemon.client.append(silent())
    assert next(hanging).logged_offset == 0
    frames = frame_records([*tables(start), row(0)])
    assert append(daemon, start, (0, frames))[-1] == len(frames)
    with pytest.raises(grpc.RpcError) as caught:
        list(hanging)
    assert caught.value.code() == grpc.StatusCode.ABORTED
    hold.set()


def two_attempts(state_dir, tmp_path, start_daemon, server):
    """A gRPC writer that was given up, a later attempt of the run, and a daemon that has forgotten the first."""
    daemon = start_daemon(*QUICK)
    run = AppendRun(state_dir, writer_start(tmp_path / "run", server.base_url, launch_id=b"1" * 16))
    run.log(100)
    wait_until(lambda: run.acknowledged >= run.writer.committed, "all is acknowledged")
    run.vanish()
    done = state_dir / "streams/done"
    wait_until(lambda: list(done.glob("*.json")), "the first attempt is complete")
    start = writer_start(tmp_path / "run", server.base_url, launch_id=b"2" * 16)
    daemon.client.open(start)
    assert append(daemon, start, (0, frame_records([*tables(start), row(0)])))
    wait_until(lambda: list(done.glob("*/*.json")), "the second attempt is complete")
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "nothing is left")
    daemon.kill()
    # The daemon knows those of the last minutes, for its clients.
    for entry in done.glob("*.json"):
        os.utime(entry, (0, 0))
    return run


def ends_of(streams, writer_id):
    ends = [
        record.writer_end
        for stream in streams
        for _, record in stream.messages()
        if record.HasField("writer_end")
    ]
    return [end.state for end in ends if end.writer_id == writer_id]


@pytest.mark.parametrize("log", ["there", "deleted"])
def test_a_spool_that_turns_up_after_a_later_attempt(state_dir, tmp_path, start_daemon, server, log):
    """The outbox was another container's disk, say. All of it was taken for a third attempt, and counted twice."""
    run = two_attempts(state_dir, tmp_path, start_daemon, server)
    run.log(50, 100)
    run.finish()
    if log == "deleted":
        shutil.rmtree(tmp_path / "run")
    run.folder.rename(spool_root(state_dir) / run.folder.name)
    start_daemon(*QUICK)
    wait_until(lambda: not list(spool_root(state_dir).iterdir()), "the spool is read")
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "the stream is complete again")
    streams = server.of_run("r1")
    assert len(streams) == 2
    assert [value for stream in streams for value in values_of(stream, run.writer_id)] == list(
        map(float, range(150))
    )
    # First the daemon's word, then its own.
    assert ends_of(streams, run.writer_id) == [v1.RUN_STATE_CRASHED, v1.RUN_STATE_FINISHED]


def test_a_client_that_comes_back_after_a_later_attempt(state_dir, tmp_path, start_daemon, server):
    """It was told that nothing of it was there, and that nothing more would be taken."""
    run = two_attempts(state_dir, tmp_path, start_daemon, server)
    daemon = start_daemon(*QUICK)
    assert daemon.client.open(run.start).logged_offset == run.acknowledged
    more = frame_records([v1.Record(row=v1.Row(step=100, slots=[0], values=[100.0])).SerializeToString()])
    assert append(daemon, run.start, (run.acknowledged, more)) == [
        run.acknowledged,
        run.acknowledged + len(more),
    ]
    streams = server.of_run("r1")
    wait_until(lambda: sum(len(values_of(stream, run.writer_id)) for stream in streams) == 101, "101 rows")
