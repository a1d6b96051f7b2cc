"""Machines that keep their run folders on one file system: each log is one machine's, whatever they are all told.

`BUOY_DIR` is `./buoy` by default, and the working folder of a cluster's job is on a network file system. All its
machines begin the run in the same second, with the same id, so they ask for the same folder.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from buoy_core.wal import claim_directory

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import DaemonProcess, SpoolRun, wait_until, writer_start

QUICK = ("--sync-interval-s", "0.05")
MACHINES = 4


def test_one_of_many_gets_a_folder(tmp_path: Path) -> None:
    for number in range(20):
        folder = str(tmp_path / str(number) / "run/wal")
        start, got = threading.Barrier(8), []

        def claim(folder: str = folder, start: threading.Barrier = start, got: list[bool] = got) -> None:
            start.wait()
            got.append(claim_directory(folder))

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False] * 7 + [True]


def test_machines_that_begin_at_once_have_a_log_each(tmp_path: Path, server) -> None:
    """They used to look whether there was a log, and then make one: two of them wrote into the same file."""
    daemons, runs = [], []
    try:
        for number in range(MACHINES):
            state = tmp_path / f"state{number}"
            state.mkdir(mode=0o700)
            start = writer_start(
                tmp_path / "shared/run", server.base_url, host=f"node{number}", launch_id=b"l" * 16
            )
            # Adopted at the daemon's first look, so that all of them look at about the same time.
            runs.append(SpoolRun(state, start))
            runs[-1].log(200, number * 1000)
        daemons = [DaemonProcess(tmp_path / f"state{number}", *QUICK) for number in range(MACHINES)]
        for daemon in daemons:
            daemon.wait_ready()
        for number, run in enumerate(runs):
            run.log(200, number * 1000 + 200)
            run.finish()
        wait_until(lambda: ended(server) == MACHINES, "the end of all writers")
        for number, run in enumerate(runs):
            stream = next(each for each in server.of_run("r1") if run.writer_id in each.writer_ends())
            assert values_of(stream, run.writer_id) == [number * 1000.0 + n for n in range(400)]
    finally:
        for daemon in daemons:
            daemon.stop()
    folders = [path.parent for path in (tmp_path / "shared").glob("*/run.json")]
    assert len({json.loads((folder / "run.json").read_text())["stream_id"] for folder in folders}) == MACHINES
    assert len(list((tmp_path / "shared").iterdir())) == MACHINES


def ended(server) -> int:
    return sum(bool(stream.writer_ends()) for stream in server.of_run("r1"))


def test_a_folder_is_taken_before_its_log_is_begun(tmp_path: Path, server) -> None:
    """The first machine's daemon dies in between, and comes back when another machine has begun its own."""
    states = [tmp_path / name for name in ("state of one", "state of another")]
    runs = []
    for number, state in enumerate(states):
        state.mkdir(mode=0o700)
        runs.append(
            SpoolRun(state, writer_start(tmp_path / "shared/run", server.base_url, host=f"node{number}"))
        )
        runs[-1].log(100)
        runs[-1].finish()
    DaemonProcess(states[0], *QUICK, env={"BUOY_FAULT": "stream.after_index"}).process.wait(60)
    daemons = [DaemonProcess(states[1], *QUICK)]
    try:
        wait_until(lambda: ended(server) == 1, "the end of the second one's")
        daemons.append(DaemonProcess(states[0], *QUICK))
        wait_until(lambda: ended(server) == 2, "the end of the first one's")
    finally:
        for daemon in daemons:
            daemon.stop()


def test_another_machines_log_is_left_alone(tmp_path: Path, start_daemon, server) -> None:
    """A daemon looked for lost entries of its own there as one that goes on writing: it cut what seemed to be torn."""
    daemon = start_daemon(*QUICK)
    first = SpoolRun(daemon.state_dir, writer_start(tmp_path / "shared/run", server.base_url))
    daemon.client.open(first.start, str(first.folder))
    first.log(100)
    segment = tmp_path / "shared/run/wal/00000000.wal"
    wait_until(
        lambda: server.streams and len(values_of(server.only_stream(), first.writer_id)) == 100, "100 rows"
    )
    # As the other machine may see it while a block is being written.
    with segment.open("ab") as file:
        file.write(b"BYBK and then the rest of a block")
    before = segment.read_bytes()
    state = tmp_path / "state of another"
    state.mkdir(mode=0o700)
    other = DaemonProcess(state, *QUICK).wait_ready()
    try:
        second = SpoolRun(state, writer_start(tmp_path / "shared/run", server.base_url, host="other"))
        answer = other.client.open(second.start, str(second.folder))
        assert answer.run_dir == str(tmp_path / "shared/run-other")
        assert segment.read_bytes() == before
        second.finish()
    finally:
        other.stop()
