"""What holds for a writer however its records come to the daemon: by a spool, or by frames over gRPC."""

from __future__ import annotations

import json

import pytest
from buoy_core.wal import WalReader
from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import AppendRun, SpoolRun, wait_until, writer_start

QUICK = ("--sync-interval-s", "0.1", "--append-grace-s", "1")
DISK, SERVER = v1.DURABILITY_DISK, v1.DURABILITY_SERVER


@pytest.fixture(params=[SpoolRun, AppendRun], ids=["spool", "append"])
def make_run(request, state_dir, tmp_path, server):
    """Makes writers of one transport."""
    made = []

    def make(daemon, *, run_id="r1", folder="run", base_url=None, **fields):
        base_url = server.base_url if base_url is None else base_url
        start = writer_start(tmp_path / folder, base_url, run_id, **fields)
        run = request.param(state_dir, start)
        run.answer = daemon.client.open(start, str(run.folder) if request.param is SpoolRun else "")
        made.append(run)
        return run

    yield make
    for run in made:
        if isinstance(run, AppendRun):
            run.vanish()


def numbers(count):
    return list(map(float, range(count)))


def test_records_arrive_once_and_in_order(make_run, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = make_run(daemon)
    assert run.answer.url == f"{server.base_url}/local/p/runs/r1"
    assert run.answer.server_answers
    assert run.answer.attempt == 1
    assert run.answer.run_dir == str(tmp_path / "run")
    run.log(5000)
    offset = run.finish()
    progress = list(daemon.client.close_writer(run.writer_id, offset, SERVER))
    assert progress[-1].on_disk
    assert progress[-1].records_acked == progress[-1].records == 5000 + 4
    stream = server.only_stream()
    assert values_of(stream, run.writer_id) == numbers(5000)
    assert stream.writer_ends() == {run.writer_id: v1.RUN_STATE_FINISHED}
    first = v1.Record.FromString(stream.records[0][1])
    assert first.stream_start.run.run_id == "r1"
    assert first.stream_start.attempt == 1
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["run_id"] == "r1"
    assert about["stream_id"] == first.stream_start.stream_id.hex()


def test_the_daemon_is_killed_again_and_again(make_run, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = make_run(daemon)
    for begin in range(0, 6000, 1500):
        run.log(1000, begin)
        wait_until(lambda floor=begin: len(arrived(server, run)) > floor, "some of it arrives")
        daemon.kill()
        run.log(500, begin + 1000)
        daemon = start_daemon(*QUICK)
    run.finish()
    wait_until(lambda: server.only_stream().writer_ends(), "the end arrives", 60)
    assert values_of(server.only_stream(), run.writer_id) == numbers(6000)


def arrived(server, run):
    return values_of(server.only_stream(), run.writer_id) if server.streams else []


def test_writers_of_a_run_share_its_stream(make_run, start_daemon, server, tmp_path):
    daemon = start_daemon(*QUICK)
    runs = [make_run(daemon, folder=f"run-{rank}", rank=rank, world_size=3) for rank in range(3)]
    assert {run.answer.run_dir for run in runs} == {str(tmp_path / "run-0")}
    assert {run.answer.attempt for run in runs} == {1}
    for run in runs:
        run.log(300)
    ranks = {writer.rank for writer in daemon.client.status().runs[0].writers}
    assert ranks == {0, 1, 2}
    for run in runs:
        run.finish()
    wait_until(lambda: len(server.only_stream().writer_ends()) == 3, "the ends arrive")
    for run in runs:
        assert values_of(server.only_stream(), run.writer_id) == numbers(300)
    assert not (tmp_path / "run-1").exists()


def test_a_writer_after_the_end_begins_a_new_attempt(make_run, start_daemon, server, tmp_path):
    daemon = start_daemon(*QUICK)
    for attempt in (1, 2, 3):
        run = make_run(daemon)
        assert run.answer.attempt == attempt
        run.log(10 * attempt)
        list(daemon.client.close_writer(run.writer_id, run.finish(), SERVER))
        wait_until(lambda n=attempt: len(server.of_run("r1")) == n, "the attempt arrives")
        wait_until(lambda n=attempt: server.of_run("r1")[n - 1].writer_ends(), "its end arrives")
        if attempt == 2:
            # The next daemon goes on counting.
            assert daemon.stop() == 0
            daemon = start_daemon(*QUICK)
    assert [len(stream.records) for stream in server.of_run("r1")] == [14, 24, 34]
    assert len(list(tmp_path.glob("run*/wal"))) == 3


def test_an_attempt_that_is_named_is_kept(make_run, start_daemon, server):
    daemon = start_daemon(*QUICK)
    first = make_run(daemon, attempt=7)
    assert first.answer.attempt == 7
    first.log(5)
    list(daemon.client.close_writer(first.writer_id, first.finish(), SERVER))
    wait_until(lambda: server.only_stream().writer_ends(), "its end arrives")
    late = make_run(daemon, attempt=7, rank=1)
    assert (late.answer.attempt, late.answer.run_dir) == (7, first.answer.run_dir)
    late.log(6)
    late.finish()
    wait_until(lambda: len(server.only_stream().writer_ends()) == 2, "both ends are in one stream")
    assert values_of(server.only_stream(), late.writer_id) == numbers(6)
    assert make_run(daemon).answer.attempt == 8


def test_flush_waits_for_disk_and_server(make_run, start_daemon, server):
    daemon = start_daemon("--sync-interval-s", "3600")
    run = make_run(daemon)
    run.log(100)
    offset = run.writer.committed
    if isinstance(run, AppendRun):
        wait_until(lambda: committed(daemon) >= offset, "the frames have come in")
    assert daemon.client.flush(run.writer_id, offset, DISK, 5)
    status = daemon.client.status().runs[0].writers[0]
    assert status.logged_offset >= offset
    assert daemon.client.flush(run.writer_id, offset, SERVER, 5)
    assert values_of(server.only_stream(), run.writer_id) == numbers(100)
    assert not daemon.client.flush(run.writer_id, offset + 1, DISK, 0.2)
    run.finish()


def committed(daemon):
    return daemon.client.status().runs[0].writers[0].committed_offset


def test_flush_to_the_server_gives_up_when_there_is_none(make_run, start_daemon):
    daemon = start_daemon(*QUICK)
    away = make_run(daemon, base_url="http://127.0.0.1:9")
    assert not away.answer.server_answers
    assert not daemon.client.flush(away.writer_id, 1, SERVER, 0.3)
    offline = make_run(daemon, run_id="r2", folder="run2", base_url="")
    assert offline.answer.url == ""
    assert not daemon.client.flush(offline.writer_id, 1, SERVER, 30)
    offset = offline.finish()
    progress = list(daemon.client.close_writer(offline.writer_id, offset, SERVER))
    assert progress[-1].on_disk
    assert progress[-1].records_acked == 0
    states = {run.run.run_id: run.upload_state for run in daemon.client.status().runs}
    assert states == {"r1": "unreachable", "r2": "offline"}
    away.finish()


def test_close_of_a_writer_that_is_gone(make_run, start_daemon):
    daemon = start_daemon(*QUICK)
    run = make_run(daemon)
    offset = run.finish()
    list(daemon.client.close_writer(run.writer_id, offset, SERVER))
    wait_until(
        lambda: daemon.client.status().runs[0].writers[0].state == v1.RUN_STATE_FINISHED, "it has ended"
    )
    for _ in range(2):
        again = list(daemon.client.close_writer(run.writer_id, offset, SERVER))
        assert again[-1].on_disk
        assert again[-1].records_acked == again[-1].records
        daemon.stop()
        daemon = start_daemon(*QUICK)


def test_all_rows_are_in_the_local_log(make_run, start_daemon, tmp_path):
    daemon = start_daemon(*QUICK)
    run = make_run(daemon, base_url="")
    run.log(2000)
    list(daemon.client.close_writer(run.writer_id, run.finish(), DISK))
    blocks = list(WalReader(str(tmp_path / "run" / "wal")).blocks())
    assert sum(block.header.records for block in blocks) == 2004
    ends = [block.header.spool_end for block in blocks if block.header.writer_id == run.writer_id]
    assert ends == sorted(ends)
    assert ends[-1] == run.writer.committed


def test_a_row_larger_than_a_block(make_run, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = make_run(daemon)
    run.writer.log({"text": "x" * (20 << 20), "value": 0})
    run.log(10, begin=1)
    run.finish()
    wait_until(lambda: server.streams and server.only_stream().writer_ends(), "the end arrives")
    assert values_of(server.only_stream(), run.writer_id) == numbers(11)
