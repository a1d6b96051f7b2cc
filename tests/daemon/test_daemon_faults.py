"""The daemon dies at each of its fault points while a process logs; nothing is lost, doubled or out of order."""

from __future__ import annotations

import signal

import pytest
from buoy_daemon import faults
from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import WriterProcess, wait_until

ROWS = 3000
QUICK = ("--sync-interval-s", "0.1")
LATER = {
    "log.before_append": 3,
    "log.after_append": 3,
    "log.before_sync": 2,
    "log.after_sync": 2,
    "upload.after_send": 2,
}
"""Points that come many times: not only the first one matters."""

ENDS_BY_SIGNAL = {"end.before_record", "end.after_record"}


@pytest.mark.parametrize("name", faults.NAMES)
def test_nothing_is_lost_when_the_daemon_dies(name, state_dir, tmp_path, start_daemon, server):
    fault = f"{name}:{LATER.get(name, 1)}"
    first = start_daemon(*QUICK, env={"BUOY_FAULT": fault})
    end = "kill" if name in ENDS_BY_SIGNAL else "finish"
    writer = WriterProcess(state_dir, tmp_path / "run", server.base_url, count=ROWS, rate=4000, end=end)
    writer.announce(first.client)
    assert first.process.wait(30) == -signal.SIGKILL, "the fault point was never reached"
    second = start_daemon(*QUICK)
    writer.wait()
    wait_until(lambda: server.streams and server.only_stream().writer_ends(), "the writer's end arrives")
    stream = server.only_stream()
    assert values_of(stream, writer.writer_id) == list(map(float, range(ROWS)))
    state = v1.RUN_STATE_CRASHED if name in ENDS_BY_SIGNAL else v1.RUN_STATE_FINISHED
    assert stream.writer_ends() == {writer.writer_id: state}
    wait_until(lambda: not writer.folder.exists(), "the spool is removed")
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "the stream is complete")
    assert "Traceback" not in second.log()


def test_an_unknown_fault_point_is_refused(start_daemon):
    daemon = start_daemon(env={"BUOY_FAULT": "nonsense:1"}, ready=False)
    assert daemon.process.wait(20) == 1
    assert "nonsense" in daemon.log()
