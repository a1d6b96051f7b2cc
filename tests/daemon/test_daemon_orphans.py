"""What is left behind: spools without a daemon, and logs that somebody has deleted meanwhile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from buoy_core.format import KIND_DATA, KIND_GAP, KIND_TABLES
from buoy_core.state import outbox_root, spool_root
from buoy_core.wal import WalReader
from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import SpoolRun, WriterProcess, wait_until, writer_start

QUICK = ("--sync-interval-s", "0.1")
NOWHERE = "http://127.0.0.1:9"


def numbers(count, begin=0):
    return list(map(float, range(begin, count)))


def opened(daemon, state_dir, tmp_path, base_url, **fields):
    start = writer_start(tmp_path / "run", base_url, **fields)
    run = SpoolRun(state_dir, start)
    daemon.client.open(start, str(run.folder))
    return run


def retarget(state_dir: Path, base_url: str) -> None:
    """The server has come up, at last."""
    for path in (state_dir / "streams").glob("*.json"):
        path.write_text(path.read_text().replace(NOWHERE, base_url))


def ends(server):
    return server.streams and server.only_stream().writer_ends()


def test_a_run_folder_that_is_deleted_while_no_daemon_runs(state_dir, tmp_path, start_daemon, server):
    """It began at sequence 0 again, and the server took the records of several writers for those it had."""
    daemon = start_daemon(*QUICK)
    runs = [opened(daemon, state_dir, tmp_path, server.base_url, rank=rank) for rank in range(3)]
    for begin in range(0, 60_000, 20_000):
        for run in runs:
            run.log(20_000, begin)
    for run in runs:
        assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 30)
    daemon.kill()
    shutil.rmtree(tmp_path / "run")
    for run in runs:
        run.log(5_000, 60_000)
    start_daemon(*QUICK)
    for run in reversed(runs):
        run.log(5_000, 65_000)
        run.finish()
    wait_until(lambda: len(ends(server) or ()) == 3, "the ends arrive")
    stream = server.only_stream()
    for run in runs:
        assert values_of(stream, run.writer_id) == numbers(70_000)
    assert not stream.gaps, "the server has had everything before"
    kinds = [block.header.kind for block in WalReader(str(tmp_path / "run/wal")).blocks()]
    assert kinds[:2] == [KIND_DATA, KIND_GAP]
    assert KIND_TABLES in kinds[2:5]


def test_a_run_folder_that_is_deleted_before_any_server_has_seen_it(
    state_dir, tmp_path, start_daemon, server
):
    """The names of the keys were in the log, and in segments of the spool that are released: rows without names."""
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, NOWHERE)
    run.log(60_000)
    assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_DISK, 30)
    wait_until(lambda: not (run.folder / "00000000.seg").exists(), "the first segment is released")
    daemon.kill()
    shutil.rmtree(tmp_path / "run")
    run.log(1_000, 60_000)
    retarget(state_dir, server.base_url)
    start_daemon(*QUICK)
    run.finish()
    wait_until(lambda: ends(server), "the end arrives")
    stream = server.only_stream()
    assert values_of(stream, run.writer_id) == numbers(61_000, 60_000)
    assert len(stream.gaps) == 1
    assert b"log_deleted" in stream.gaps[0][2]


@pytest.mark.parametrize("part", ["folder", "last half of the log"])
def test_a_finished_run_whose_folder_is_deleted_before_it_was_sent(
    part, state_dir, tmp_path, start_daemon, server
):
    """Such a stream waited for ever: for blocks that nobody had any more."""
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, NOWHERE)
    for begin in range(0, 2000, 500):
        run.log(500, begin)
        assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_DISK, 10)
    offset = run.finish(v1.RUN_STATE_FAILED)
    list(daemon.client.close_writer(run.writer_id, offset, v1.DURABILITY_DISK))
    wait_until(lambda: not run.folder.exists(), "the writer is settled")
    daemon.kill()
    if part == "folder":
        shutil.rmtree(tmp_path / "run")
    else:
        log = tmp_path / "run/wal/00000000.wal"
        log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    retarget(state_dir, server.base_url)
    start_daemon(*QUICK)
    wait_until(lambda: ends(server), "the end arrives")
    stream = server.only_stream()
    assert stream.writer_ends() == {run.writer_id: v1.RUN_STATE_FAILED}
    assert len(stream.gaps) == 1
    kept = values_of(stream, run.writer_id)
    assert kept == numbers(len(kept))
    assert (len(kept) > 0) == (part != "folder")
    wait_until(lambda: not list((state_dir / "streams").glob("*.*")), "nothing waits any more")


def test_a_log_that_is_older_than_what_the_server_has(state_dir, tmp_path, start_daemon, server):
    """Both the log and the state folder come from a back-up: new records must not get numbers that were used."""
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(1000)
    assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 10)
    shutil.copytree(tmp_path / "run", tmp_path / "backup")
    run.log(1000, 1000)
    assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 10)
    daemon.kill()
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "backup").rename(tmp_path / "run")
    for path in (state_dir / "streams").glob("*.position"):
        path.unlink()
    (tmp_path / "run/ack.json").unlink(missing_ok=True)
    start_daemon(*QUICK)
    wait_until(lambda: "it goes on behind that" in (state_dir / "daemon.log").read_text(), "it is noticed")
    run.log(1000, 2000)
    run.finish()
    wait_until(lambda: ends(server), "the end arrives")
    values = values_of(server.only_stream(), run.writer_id)
    assert values[-1000:] == numbers(3000, 2000)
    assert set(values) == set(numbers(3000))


def test_damaged_positions_are_no_obstacle(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(500)
    assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 10)
    daemon.kill()
    for path in [*(state_dir / "streams").glob("*.position"), *(state_dir / "streams").glob("*.tables")]:
        path.write_bytes(b"\xff\x00nonsense")
    (tmp_path / "run/ack.json").write_text('{"next_seq": "many"')
    (state_dir / "machine-id").write_bytes(b"")
    daemon = start_daemon(*QUICK)
    run.log(500, 500)
    run.finish()
    wait_until(lambda: ends(server), "the end arrives")
    assert values_of(server.only_stream(), run.writer_id) == numbers(1000)
    assert "Traceback" not in daemon.log()
    assert len((state_dir / "machine-id").read_text()) == 32


def test_spools_of_another_boot_in_spool_and_outbox(state_dir, tmp_path, start_daemon, server):
    """The machine was restarted, and has got another name since."""
    from tests.daemon.boots import pretend_other_boot

    first = WriterProcess(state_dir, tmp_path / "run1", server.base_url, count=5000, end="kill", run_id="r1")
    second = WriterProcess(state_dir, tmp_path / "run2", server.base_url, count=5000, end="kill", run_id="r2")
    first.wait()
    second.wait()
    outbox = outbox_root(state_dir, "name-of-yesterday")
    outbox.mkdir(parents=True)
    for folder in (first.folder, second.folder):
        pretend_other_boot(folder)
    second.folder.rename(outbox / second.folder.name)
    start_daemon(*QUICK)
    for run_id, writer in (("r1", first), ("r2", second)):
        wait_until(lambda r=run_id: server.of_run(r) and server.of_run(r)[0].writer_ends(), "its end")
        assert values_of(server.of_run(run_id)[0], writer.writer_id) == numbers(5000)
    assert not list(spool_root(state_dir).iterdir())


def test_a_damaged_index_entry_costs_no_other_run_anything(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    runs = [
        SpoolRun(state_dir, writer_start(tmp_path / name, server.base_url, run_id=name))
        for name in ("r1", "r2")
    ]
    for run in runs:
        daemon.client.open(run.start, str(run.folder))
        run.log(500)
        assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 10)
    daemon.kill()
    damaged = json.loads((tmp_path / "r1/run.json").read_text())["stream_id"]
    (state_dir / f"streams/{damaged}.json").write_bytes(b"\x00" * 512)
    start_daemon(*QUICK)
    for run in runs:
        run.log(500, 500)
        run.finish()
    for run in runs:
        wait_until(lambda r=run: server.of_run(r.start.run.run_id)[0].writer_ends(), "its end")
        assert values_of(server.of_run(run.start.run.run_id)[0], run.writer_id) == numbers(1000)
    assert len(server.streams) == 2, "the stream of the damaged entry was found again in its log"
    assert (state_dir / f"streams/{damaged}.damaged").exists()
