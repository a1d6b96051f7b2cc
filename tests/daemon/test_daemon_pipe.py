"""From a spool to the server, with everything in working order."""

from __future__ import annotations

from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import SpoolRun, wait_until, writer_start


def test_records_reach_the_server_in_order_and_once(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon()
    start = writer_start(tmp_path / "run-a", server.base_url)
    run = SpoolRun(state_dir, start)
    answer = daemon.client.open(start, str(run.folder))
    assert answer.url == f"{server.base_url}/local/p/runs/r1"
    assert answer.server_answers
    assert answer.attempt == 1
    assert answer.run_dir == str(tmp_path / "run-a")
    run.log(5000)
    offset = run.finish()
    progress = list(daemon.client.close_writer(run.writer_id, offset, v1.DURABILITY_SERVER))
    assert progress[-1].on_disk
    assert progress[-1].records_acked == progress[-1].records
    stream = server.only_stream()
    assert values_of(stream, run.writer_id) == list(map(float, range(5000)))
    wait_until(lambda: stream.writer_ends(), "the end is there")
    assert stream.writer_ends() == {run.writer_id: v1.RUN_STATE_FINISHED}
    wait_until(lambda: not run.folder.exists(), "the spool is removed")
