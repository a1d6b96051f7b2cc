"""What waits on a machine: worked out from few marks, told when it has waited, and to whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from buoy_daemon.backlog import LATE_S, Lateness, Waymarks
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.ingest_server import Handler, IngestServer
from tests.daemon.processes import DaemonProcess, SpoolRun, wait_until, writer_start


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5000)), min_size=1, max_size=400),
    st.integers(0, 10000),
)
def test_marks_are_exact_where_it_matters(blocks: list[tuple[int, int]], acked: int) -> None:
    marks = Waymarks()
    seq = offset = 0
    exact = {0: 0}
    for records, size in blocks:
        seq, offset = seq + records, offset + size
        exact[seq] = offset
        marks.note(seq, offset, min(acked, seq - records))
        assert len(marks._marks) <= 66
    acked = min(acked, seq)
    below = max(end for end in exact if end <= acked)
    found = marks.offset_at(acked)
    # No more is said to be on the server than the block after it could hold, as far as marks were thinned out.
    assert 0 <= found <= offset
    assert found == offset if acked == seq else True
    if len(blocks) < 60:
        nearest = min(end for end in exact if end >= acked)
        assert exact[below] <= found <= exact[nearest]


def test_marks_of_a_log_that_is_opened_again() -> None:
    marks = Waymarks()
    for number in range(1, 11):
        marks.note(10 * number, 1000 * number, 0)
    marks.restart(55, 5500)
    assert [marks.offset_at(seq) for seq in (0, 20, 50, 55, 99)] == [0, 2000, 5000, 5500, 5500]


def test_it_is_late_only_after_a_while() -> None:
    late = Lateness()

    def look(now: float, recorded: int, arrived: int) -> bool:
        return late.look(now, recorded=recorded, logged=recorded, next_seq=recorded, acked_seq=arrived)

    assert not any(look(second, 100 * second, 100 * second - 50) for second in range(60))
    stuck = [look(60 + second, 6000 + 100 * second, 5950) for second in range(20)]
    assert stuck.index(True) in (LATE_S, LATE_S + 1)
    assert all(stuck[stuck.index(True) :])
    assert not look(90, 8000, 7990)


@pytest.fixture
def server() -> Iterator[IngestServer]:
    server = IngestServer()
    yield server
    server.stop()


def test_status_and_heartbeats_tell_of_what_waits(server: IngestServer, tmp_path: Path) -> None:
    """The server answers heartbeats and takes no blocks; then it takes them."""
    server.heartbeat = lambda _: (200, {"stop": [], "crashed_after_s": 1})

    def refuse(handler: Handler, _: bytes) -> bool:
        if handler.command != "POST" or not handler.path.endswith("/blocks"):
            return False
        handler.answer(503, {"code": "busy"})
        return True

    server.script = refuse
    daemon = DaemonProcess(tmp_path / "state").wait_ready()
    try:
        start = writer_start(tmp_path / "run", server.base_url, "r1", host="node7")
        run = SpoolRun(daemon.state_dir, start)
        daemon.client.open(run.start, str(run.folder))
        run.log(50)
        behind = wait_until(
            lambda: next((beat["behind"] for beat in list(server.beats) if beat.get("behind")), None),
            "a backlog",
        )
        (told,) = behind.values()
        ((writer_id, handed),) = told["writers"].items()
        (status,) = daemon.client.status().runs[0].writers
        assert (writer_id, handed) == (status.writer_id.hex(), status.committed_offset)
        assert told["next_seq"] > 50
        assert (status.host, status.last_step) == ("node7", 49)
        assert abs(status.last_row_unix_us / 1e6 - time.time()) < 120
        assert status.backlog_bytes == status.committed_offset > 0
        server.script = None
        wait_until(lambda: daemon.client.status().runs[0].writers[0].backlog_bytes == 0, "its arrival")
        wait_until(lambda: "behind" not in server.beats[-1], "nothing more to tell")
        run.finish()
    finally:
        daemon.stop()
