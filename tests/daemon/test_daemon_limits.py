"""A daemon, and trainers, with few descriptors."""

from __future__ import annotations

import subprocess
import sys

from buoy.local import LocalRun, run_folders
from buoy_core import Writer
from buoy_core.state import spool_root
from buoy_core.wal import WalReader, WalWriter
from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import DaemonProcess, wait_until, writer_start

DESCRIPTORS = 64
RUNS = 120


def test_many_runs_with_64_descriptors(state_dir, tmp_path, server):
    """The logs of so many runs that go on at the same time do not fit; each had to wait until others ended."""
    runs = []
    for number in range(RUNS):
        start = writer_start(tmp_path / f"run-{number}", server.base_url, f"r{number}")
        folder = spool_root(state_dir) / start.writer_id.hex()
        folder.parent.mkdir(parents=True, exist_ok=True)
        writer = Writer(str(folder), writer_id=start.writer_id, segment_bytes=1 << 14)
        writer.append(v1.Record(writer_start=start).SerializeToString())
        runs.append((start, writer))
    limited = ["/bin/sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh"]
    daemon = DaemonProcess(state_dir, "--sync-interval-s", "0.5", prefix=limited)
    try:
        daemon.wait_ready()
        for number in range(30):
            for _, writer in runs:
                writer.log({"value": number})
            if number == 15:
                wait_until(lambda: len(server.streams) == RUNS, "all runs have begun on the server", 100)
        # While all of them are still open.
        for start, _ in runs:
            wait_until(
                lambda s=start: len(values_of(server.of_run(s.run.run_id)[0], s.writer_id)) == 30,
                "all rows",
                60,
            )
        for start, writer in runs:
            end = v1.WriterEnd(writer_id=start.writer_id, state=v1.RUN_STATE_FINISHED)
            writer.append(v1.Record(writer_end=end).SerializeToString())
            writer.close()
        wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "all streams are complete", 100)
        for start, _ in runs:
            values = values_of(server.of_run(start.run.run_id)[0], start.writer_id)
            assert values == list(map(float, range(30)))
        said = daemon.log()
        assert "Too many open files" not in said
        assert "Traceback" not in said
    finally:
        daemon.stop()


def test_a_parked_log_goes_on_where_it_was(tmp_path):
    log = WalWriter(str(tmp_path), bytes(16))
    for number in range(10):
        log.append_records([b"\x0a\x02\x08" + bytes([number])], time_us=1)
        if number % 2:
            log.park()
            log.park()
            log.sync()
    assert log.synced_seq == 10
    log.close()
    found = [block.header.first_seq for block in WalReader(str(tmp_path)).blocks()]
    assert found == list(range(10))


def test_a_training_process_with_few_descriptors(tmp_path):
    """Twenty runs in one process, all open at once, with 64 descriptors: none of them keeps one."""
    code = f"""
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
import buoy
runs = []
for number in range(20):
    runs.append(buoy.init(project="few", mode="offline", reinit="create_new"))
    runs[-1].log({{"a": number}})
print(len(os.listdir("/proc/self/fd")))
for run in runs:
    run.log({{"a": -1}})
    run.finish()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Too many" not in done.stderr
    assert int(done.stdout) < 40
    subprocess.run(
        [sys.executable, "-m", "buoy", "daemon", "stop"], check=True, capture_output=True, timeout=60
    )
    states = [LocalRun(folder).state for folder in run_folders(tmp_path / "buoy")]
    assert states == ["finished"] * 20
