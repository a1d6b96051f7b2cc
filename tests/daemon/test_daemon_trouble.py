"""Disks that are full, spools that are damaged, files that are gone, and many writers at once."""

from __future__ import annotations

import json
import os
import resource
import shutil
import zlib
from pathlib import Path

import psutil
from buoy_core import Writer
from buoy_core.format import KIND_GAP
from buoy_core.state import spool_root
from buoy_core.wal import WalReader
from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import SpoolRun, WriterProcess, wait_until, writer_start

QUICK = ("--sync-interval-s", "0.1")


def numbers(count, begin=0):
    return list(map(float, range(begin, count)))


def opened(daemon, state_dir, tmp_path, base_url, **fields):
    start = writer_start(tmp_path / f"run-{fields.get('run_id', 'r1')}", base_url, **fields)
    run = SpoolRun(state_dir, start)
    daemon.client.open(start, str(run.folder))
    return run


def ends(server):
    return server.streams and server.only_stream().writer_ends()


def test_a_full_disk_costs_nothing(state_dir, tmp_path, start_daemon, server):
    """The kernel refuses to let the daemon's files grow beyond 200 kB, then lets it again."""
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    process = psutil.Process(daemon.process.pid)
    process.rlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    for begin in range(0, 200_000, 20_000):
        run.log(20_000, begin)
    wait_until(lambda: "its records stay in the spool" in daemon.log(), "the daemon notices")
    freed_below = daemon.client.status().runs[0].writers[0].logged_offset
    assert freed_below < run.writer.committed
    process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    run.finish()
    wait_until(lambda: ends(server), "everything arrives")
    assert values_of(server.only_stream(), run.writer_id) == numbers(200_000)
    assert daemon.log().count("its records stay in the spool") == 1
    wait_until(lambda: "can be written again" in daemon.log(), "the end of the trouble is logged")


def test_a_run_folder_that_cannot_be_made_yet(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    runs = tmp_path / "runs"
    runs.write_text("in the way")
    run = opened(daemon, state_dir, runs, server.base_url)
    run.log(100)
    wait_until(lambda: "its records stay in the spool" in daemon.log(), "the daemon notices")
    runs.unlink()
    run.finish()
    wait_until(lambda: ends(server), "everything arrives")
    assert values_of(server.only_stream(), run.writer_id) == numbers(100)


def test_a_damaged_spool_costs_one_segment_and_is_reported(state_dir, tmp_path, start_daemon, server):
    start = writer_start(tmp_path / "run", server.base_url)
    run = SpoolRun(state_dir, start)
    run.log(30_000)
    run.finish()
    path = run.folder / "00000001.seg"
    with path.open("r+b") as file:
        file.seek(4096 + 10_000)
        file.write(b"\xff" * 64)
    daemon = start_daemon(*QUICK)
    wait_until(lambda: ends(server), "the rest arrives")
    stream = server.only_stream()
    values = values_of(stream, run.writer_id)
    assert values == sorted(set(values))
    assert 15_000 < len(values) < 30_000
    assert values[-1] == 29_999
    events = [record.event for _, record in stream.messages() if record.WhichOneof("kind") == "event"]
    assert [event.code for event in events] == ["spool_damaged"]
    assert json.loads(events[0].json)["path"] == str(path)
    assert str(path) in daemon.log()
    assert stream.writer_ends() == {run.writer_id: v1.RUN_STATE_FINISHED}


def test_a_damaged_log_block_becomes_a_gap_on_the_server(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, "http://127.0.0.1:9")
    for begin in range(0, 1000, 100):
        run.log(100, begin)
        offset = run.writer.committed
        assert daemon.client.flush(run.writer_id, offset, v1.DURABILITY_DISK, 5)
    offset = run.finish()
    list(daemon.client.close_writer(run.writer_id, offset, v1.DURABILITY_DISK))
    daemon.stop()
    blocks = list(WalReader(str(tmp_path / "run-r1" / "wal")).blocks())
    victim = blocks[4]
    with Path(victim.path).open("r+b") as file:
        file.seek(victim.offset + 100)
        file.write(b"\xff\xff\xff")
    entry_path = next((state_dir / "streams").glob("*.json"))
    entry_path.write_text(entry_path.read_text().replace("http://127.0.0.1:9", server.base_url))
    start_daemon(*QUICK)
    wait_until(lambda: ends(server), "the rest arrives")
    stream = server.only_stream()
    assert [gap[:2] for gap in stream.gaps] == [(victim.header.first_seq, victim.header.records)]
    assert b"block_damaged" in stream.gaps[0][2]
    assert len(values_of(stream, run.writer_id)) == 1000 - victim.header.records


def test_a_trainer_that_is_killed_is_noticed(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    writer = WriterProcess(state_dir, tmp_path / "run", server.base_url, count=5000, end="kill")
    writer.announce(daemon.client)
    writer.wait()
    wait_until(lambda: ends(server), "the daemon says how it ended")
    assert server.only_stream().writer_ends() == {writer.writer_id: v1.RUN_STATE_CRASHED}
    assert values_of(server.only_stream(), writer.writer_id) == numbers(5000)
    wait_until(lambda: not writer.folder.exists(), "the spool is removed")


def test_a_spool_that_nobody_announced_is_found(state_dir, tmp_path, start_daemon, server):
    """The trainer ran and died while there was no daemon at all."""
    writer = WriterProcess(state_dir, tmp_path / "run", server.base_url, count=5000, end="kill")
    writer.wait()
    start_daemon(*QUICK)
    wait_until(lambda: ends(server), "everything arrives")
    assert values_of(server.only_stream(), writer.writer_id) == numbers(5000)


def test_a_lost_index_is_made_again(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(500)
    assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 10)
    daemon.kill()
    shutil.rmtree(state_dir / "streams")
    run.log(500, begin=500)
    start_daemon(*QUICK)
    run.finish()
    wait_until(lambda: ends(server), "everything arrives")
    assert values_of(server.only_stream(), run.writer_id) == numbers(1000)


def test_a_damaged_index_entry_is_set_aside(state_dir, start_daemon):
    (state_dir / "streams").mkdir()
    (state_dir / "streams" / "00.json").write_text("{")
    daemon = start_daemon()
    assert "kept as .damaged" in daemon.log()
    assert (state_dir / "streams" / "00.damaged").exists()


def test_strange_folders_in_the_spool_root_do_no_harm(state_dir, tmp_path, start_daemon, server):
    root = spool_root(state_dir)
    root.mkdir()
    (root / "lost+found").mkdir()
    (root / ("ab" * 16)).mkdir()
    (root / ("cd" * 16)).mkdir()
    (root / ("cd" * 16) / "00000000.seg").write_bytes(b"nonsense")
    (root / ("ef" * 16)).write_text("a file")
    Writer(str(root / ("12" * 16)), writer_id=bytes.fromhex("12" * 16)).log({"no": "start"})
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(10)
    run.finish()
    wait_until(lambda: ends(server), "the good one arrives")
    assert "Traceback" not in daemon.log()
    assert (root / ("cd" * 16) / "00000000.seg").exists()
    assert (root / ("12" * 16)).exists()


def test_a_writer_that_died_before_its_first_segment_leaves_nothing(state_dir, start_daemon):
    """It was killed in init(): nothing was logged, but four megabytes are reserved."""
    old, young = (spool_root(state_dir) / (name * 16) for name in ("ab", "cd"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "00000000.tmp").write_bytes(bytes(1000))
    os.utime(old, (1, 1))
    start_daemon(*QUICK)
    wait_until(lambda: not old.exists(), "the old one is deleted")
    assert young.exists()


def test_the_run_folder_of_another_stream_is_not_mixed_up(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    first = opened(daemon, state_dir, tmp_path, server.base_url)
    start = writer_start(tmp_path / "run-r1", server.base_url, "r2")
    second = SpoolRun(state_dir, start)
    answer = daemon.client.open(start, str(second.folder))
    assert answer.run_dir != str(tmp_path / "run-r1")
    for run in (first, second):
        run.log(10)
        run.finish()
    wait_until(lambda: len(server.streams) == 2, "two streams")
    for run_id, run in (("r1", first), ("r2", second)):
        wait_until(lambda r=run_id: server.of_run(r)[0].writer_ends(), "its end")
        assert values_of(server.of_run(run_id)[0], run.writer_id) == numbers(10)


def test_a_hundred_writers(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    runs = []
    for number in range(100):
        start = writer_start(tmp_path / f"run-{number}", server.base_url, f"r{number % 50}")
        root = spool_root(state_dir) / start.writer_id.hex()
        writer = Writer(str(root), writer_id=start.writer_id, segment_bytes=1 << 16)
        writer.append(v1.Record(writer_start=start).SerializeToString())
        daemon.client.open(start, str(root))
        runs.append((start, writer))
    for number in range(50):
        for _, writer in runs:
            writer.log({"value": number})
    for start, writer in runs:
        end = v1.WriterEnd(writer_id=start.writer_id, state=v1.RUN_STATE_FINISHED)
        writer.append(v1.Record(writer_end=end).SerializeToString())
        writer.close()
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "all streams are complete", 60)
    assert len(server.streams) == 50
    for start, _ in runs:
        stream = server.of_run(start.run.run_id)[0]
        assert values_of(stream, start.writer_id) == numbers(50)
    assert psutil.Process(daemon.process.pid).memory_info().rss < 200 << 20


def test_nothing_is_lost_when_a_live_run_s_folder_is_deleted(state_dir, tmp_path, start_daemon, server):
    """Somebody tidies up: the local copy is gone, but training and upload go on."""
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    for begin in range(0, 1500, 500):
        run.log(500, begin)
        assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 15)
        shutil.rmtree(tmp_path / "run-r1")
    run.log(500, 1500)
    run.finish()
    wait_until(lambda: ends(server), "the end arrives")
    assert values_of(server.only_stream(), run.writer_id) == numbers(2000)
    assert not server.only_stream().gaps
    blocks = list(WalReader(str(tmp_path / "run-r1" / "wal")).blocks())
    assert any(block.header.kind == KIND_GAP for block in blocks)


def test_after_a_power_cut_the_frames_are_trusted_and_not_the_header(
    state_dir, tmp_path, start_daemon, server
):
    """The machine has restarted: the spool is of another boot, and the end of it never reached the disk."""
    run = SpoolRun(state_dir, writer_start(tmp_path / "run", server.base_url))
    run.log(1000)
    path = run.folder / "00000000.seg"
    data = bytearray(path.read_bytes())
    data[56:72] = bytes(16)
    data[76:80] = zlib.crc32(data[:76]).to_bytes(4, "little")
    lost_from = 4096 + run.writer.committed * 3 // 4
    data[lost_from:] = bytes(len(data) - lost_from)
    path.write_bytes(data)
    start_daemon(*QUICK)
    wait_until(lambda: ends(server), "what is left arrives")
    values = values_of(server.only_stream(), run.writer_id)
    assert 700 < len(values) < 800
    assert values == numbers(len(values))
    assert server.only_stream().writer_ends() == {run.writer_id: v1.RUN_STATE_CRASHED}


def test_a_deleted_spool_folder_stops_nobody_else(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon(*QUICK)
    run = opened(daemon, state_dir, tmp_path, server.base_url)
    run.log(100)
    assert daemon.client.flush(run.writer_id, run.writer.committed, v1.DURABILITY_SERVER, 10)
    shutil.rmtree(spool_root(state_dir))
    run.log(100, begin=100)
    other = opened(daemon, state_dir, tmp_path, server.base_url, run_id="r2")
    other.log(10)
    other.finish()
    wait_until(lambda: server.of_run("r2") and server.of_run("r2")[0].writer_ends(), "the other run arrives")
    # What was mapped when the folder was deleted is not lost either.
    run.finish()
    wait_until(server.of_run("r1")[0].writer_ends, "the end arrives")
    assert values_of(server.of_run("r1")[0], run.writer_id) == numbers(200)
