"""Which writers share an attempt: those of one launch, and without a launch those that live side by side."""

from __future__ import annotations

import errno
import os
import secrets
import signal
import subprocess
import sys
import time

import grpc
import psutil
import pytest
from buoy_daemon.errors import LogTrouble
from buoy_daemon.folders.recorded import Recorded
from buoy_daemon.index import Index, StreamEntry
from buoy_daemon.registry import Registry
from buoy_proto import v1

from tests.crash.seam import Operation, Seam
from tests.daemon.processes import SpoolRun, WriterProcess, wait_until, writer_start

QUICK = ("--sync-interval-s", "0.05")


@pytest.fixture
def make_run(state_dir, tmp_path, server):
    """Makes writers of this process; each asks for a folder of its own."""

    def make(daemon, **fields):
        start = writer_start(tmp_path / f"run-{secrets.token_hex(4)}", server.base_url, **fields)
        run = SpoolRun(state_dir, start)
        run.answer = daemon.client.open(start, str(run.folder))
        return run

    return make


def starts(server, run_id="r1"):
    return [v1.Record.FromString(stream.records[0][1]).stream_start for stream in server.of_run(run_id)]


def test_whoever_comes_right_after_a_kill_begins_an_attempt(start_daemon, server, tmp_path):
    """The daemon looks for dead writers once a second; a restarted training is faster."""
    daemon = start_daemon(*QUICK)
    first = WriterProcess(daemon.state_dir, tmp_path / "run", server.base_url, count=100, end="hold")
    first.wait_logged()
    first.announce(daemon.client)
    other = WriterProcess(daemon.state_dir, tmp_path / "run-b", server.base_url, count=100, end="hold")
    other.wait_logged()
    other.announce(daemon.client)
    wait_until(lambda: len(daemon.client.status().runs[0].writers) == 2, "both write")
    for writer in (first, other):
        psutil.Process(writer.process.pid).send_signal(signal.SIGKILL)
        writer.process.wait()
    second = WriterProcess(daemon.state_dir, tmp_path / "run-c", server.base_url, count=50)
    second.announce(daemon.client)
    second.wait()
    wait_until(lambda: len(server.of_run("r1")) == 2, "two attempts")
    wait_until(lambda: all(stream.writer_ends() for stream in server.of_run("r1")), "all ends")
    assert [start.attempt for start in starts(server)] == [1, 2]
    assert len({start.launch_id for start in starts(server)}) == 2
    ends = [set(stream.writer_ends().values()) for stream in server.of_run("r1")]
    assert ends == [{v1.RUN_STATE_CRASHED}, {v1.RUN_STATE_FINISHED}]


@pytest.mark.parametrize("restarted", [False, True])
def test_writers_of_one_launch_share_an_attempt_whenever_they_come(make_run, start_daemon, server, restarted):
    daemon = start_daemon(*QUICK)
    launch = secrets.token_bytes(16)
    early = make_run(daemon, launch_id=launch, world_size=2)
    early.log(5)
    list(daemon.client.close_writer(early.writer_id, early.finish(), v1.DURABILITY_SERVER))
    if restarted:
        assert daemon.stop() == 0
        daemon = start_daemon(*QUICK)
    late = make_run(daemon, launch_id=launch, rank=1, world_size=2)
    assert (late.answer.attempt, late.answer.run_dir) == (1, early.answer.run_dir)
    late.finish()
    wait_until(lambda: len(server.only_stream().writer_ends()) == 2, "both ends are in one stream")
    assert starts(server)[0].launch_id == launch


def test_another_launch_is_another_attempt_though_the_first_still_ends(make_run, start_daemon, server):
    """torchrun starts workers anew while it still waits for one of the old ones to go."""
    daemon = start_daemon(*QUICK)
    branch = v1.Branch(run_id="r1", step=7, attempt_unix_us=9)
    before = [make_run(daemon, launch_id=bytes(15) + b"1", rank=rank, world_size=2) for rank in range(2)]
    after = [
        make_run(daemon, launch_id=bytes(15) + b"2", rank=rank, world_size=2, branch=branch)
        for rank in range(2)
    ]
    assert [run.answer.attempt for run in before + after] == [1, 1, 2, 2]
    for run in (*after, *before):
        run.log(3)
        run.finish()
    wait_until(lambda: [len(s.writer_ends()) for s in server.of_run("r1")] == [2, 2], "all ends")
    first, second = starts(server)
    assert not first.HasField("branch")
    assert second.branch == branch


def test_an_attempt_begins_after_the_one_that_it_goes_on_from(make_run, start_daemon, server):
    """That was on a machine whose clock is an hour ahead; the server orders attempts by when they began."""
    daemon = start_daemon(*QUICK)
    ahead_us = time.time_ns() // 1000 + 3600 * 1_000_000
    for run_id, after_us in (("r1", ahead_us), ("nonsense", (1 << 64) - 1)):
        run = make_run(daemon, run_id=run_id, after_unix_us=after_us)
        run.finish()
        wait_until(lambda name=run_id: server.of_run(name), "the stream arrives")
    (told,) = starts(server)
    assert ahead_us < told.time_unix_us <= ahead_us + 1_000_000
    (other,) = starts(server, "nonsense")
    assert abs(other.time_unix_us - time.time_ns() // 1000) < 60 * 1_000_000


def test_fields_of_a_launch_survive_the_daemon(start_daemon, server, state_dir, tmp_path):
    """A daemon that dies between the index entry and the log writes the same StreamStart as it would have."""
    daemon = start_daemon(*QUICK, env={"BUOY_FAULT": "stream.after_index:1"})
    branch = v1.Branch(run_id="x", step=-1)
    start = writer_start(tmp_path / "run", server.base_url, launch_id=bytes(16), branch=branch)
    run = SpoolRun(state_dir, start)
    with pytest.raises(grpc.RpcError):
        daemon.client.open(start, str(run.folder))
    wait_until(lambda: daemon.process.poll() is not None, "the daemon's death")
    start_daemon(*QUICK)
    run.finish()
    wait_until(lambda: server.only_stream().writer_ends(), "the end arrives")
    (told,) = starts(server)
    assert (told.launch_id, told.branch) == (bytes(16), branch)


FORKED = """
import sys
from pathlib import Path
from tests.daemon.processes import SpoolRun, writer_start
state_dir, run_dir, base_url, parent = sys.argv[1:]
run = SpoolRun(Path(state_dir), writer_start(Path(run_dir), base_url, parent_writer=bytes.fromhex(parent)))
run.log(10)
run.finish()
"""


def test_forked_processes_share_their_parents_attempt_though_they_are_met_first(
    start_daemon, state_dir, server, tmp_path
):
    """No daemon ran when a training forked. The next one met the spool of a process that had ended first, and took its
    parent for another attempt, which superseded everything that it had logged."""
    start = writer_start(tmp_path / "run", server.base_url)
    words = [str(state_dir), str(tmp_path / "run"), server.base_url, start.writer_id.hex()]
    for _ in range(2):
        subprocess.run([sys.executable, "-c", FORKED, *words], check=True)
    daemon = start_daemon(*QUICK)
    wait_until(
        lambda: server.of_run("r1") and not list((state_dir / "spool").iterdir()), "the forked ones' end"
    )
    parent = SpoolRun(state_dir, start)
    daemon.client.open(start, str(parent.folder))
    parent.log(10)
    parent.finish()
    wait_until(lambda: not list((state_dir / "spool").iterdir()), "the parent's end")
    assert len(server.of_run("r1")) == 1


def test_a_stream_that_could_not_be_noted_for_sure_is_the_same_one_at_the_next_try(
    start_daemon, state_dir, server, tmp_path
):
    """The index entry had its name when the sync of its folder failed. The next try made another stream, and the first
    one, found by the next daemon, could never be opened: its folder held the other one's log."""
    seam = Seam(tmp_path / "seam")
    run = SpoolRun(state_dir, writer_start(tmp_path / "run", server.base_url))
    run.log(10)
    streams = state_dir / "streams"
    with seam.fail(streams, Operation.SYNC, errno.EIO, skip=1, limit=1) as rule:
        daemon = start_daemon(*QUICK, env=seam.environment())
        wait_until(lambda: rule.hits, "the failed sync")
        wait_until(lambda: daemon.client.status().runs, "the second try")
    assert len(list(streams.glob("*.json"))) == 1
    run.finish()
    wait_until(lambda: not list(streams.glob("*.json")), "the end of the stream")


class DoubtfulIndex(Index):
    """Saves, and then says for a while that it may not have: so does a disk whose sync fails after the rename."""

    doubtful = True

    def save(self, entry: StreamEntry) -> None:
        super().save(entry)
        if self.doubtful:
            self.doubtful = False
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_forked_process_joins_its_parents_stream_though_that_may_not_be_noted(state_dir, tmp_path):
    """It came before the parent's next try and got a stream of its own. The next daemon found both in the index: one
    launch had become two attempts, and one of them hid all rows of the other."""
    index = DoubtfulIndex(state_dir / "streams")
    registry = Registry(
        index,
        Recorded(state_dir / "recorded"),
        machine_id="machine",
        state_dir=state_dir,
        append_grace_s=1.0,
        unseen_grace_s=1.0,
    )
    parent = writer_start(tmp_path / "run", "")
    with pytest.raises(LogTrouble):
        registry.adopt(parent, "")
    forked = registry.adopt(writer_start(tmp_path / "run", "", parent_writer=parent.writer_id), "")
    assert [entry.stream_id for entry in index.load()] == [forked.stream_id]
    assert registry.adopt(parent, "") is forked
