"""Files of the daemon with anything in them, spools with nonsense in them, and calls that make no sense.

One of them must never keep the daemon from the others. Each test went wrong once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from buoy_core import Writer, frame_records
from buoy_core.format import RECORD_BYTES_MAX
from buoy_core.state import DAEMON_PROTOCOL, read_api_key, spool_root, store_api_key
from buoy_core.wal import WalWriter
from buoy_daemon.files import read_json
from buoy_daemon.index import Index
from buoy_daemon.source import AppendSource
from buoy_proto import v1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon.processes import DaemonProcess, SpoolRun, wait_until, writer_start
from tests.fuzz.seeds import state_files

DEEP = "[" * 200_000


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", DEEP, '{"a": ' + DEEP, "\ud800", '{"x": 1}'])
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    # RecursionError came out of the reader.
    path = tmp_path / "credentials.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert read_json(path) in (None, {"x": 1})
    assert read_api_key(tmp_path, "http://a") is None
    store_api_key(tmp_path, "http://a", "key")
    assert read_api_key(tmp_path, "http://a") == "key"


def test_a_key_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text(json.dumps({"http://a": {"api_key": 5}}))
    assert read_api_key(tmp_path, "http://a") is None


ENTRY: dict[str, Any] = json.loads(state_files()[0])


@pytest.mark.parametrize("name", sorted(ENTRY))
def test_an_index_entry_of_the_wrong_type_is_set_aside(tmp_path: Path, name: str) -> None:
    # It was believed, and the daemon stumbled over it each time it came to it.
    index = Index(tmp_path)
    strange: list[Any] = [None, [], {}, 1.5, "zz", -1]
    for number, value in enumerate(strange):
        (tmp_path / f"{number}.json").write_text(json.dumps(ENTRY | {name: value}))
    (tmp_path / "good.json").write_text(json.dumps(ENTRY))
    for entry in index.load():
        assert json.loads(json.dumps(entry.to_json())) == entry.to_json()
        assert isinstance(entry.run_dir, str)
        assert isinstance(entry.attempt, int)
    assert (tmp_path / "good.json").exists()
    if name not in (
        "run_id",
        "base_url",
        "host",
        "run_dir",
        "attempt",
        "created_us",
        "final_seq",
        "writers",
        "system_keys",
    ):
        assert len(list(tmp_path.glob("*.damaged"))) >= len(strange) - 1


def test_one_spool_with_nonsense_does_not_stop_the_others(tmp_path: Path) -> None:
    # A path with a zero in it raised ValueError, and none of the spools behind that one was taken on.
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    for number, fields in enumerate(({"run_dir": "/a\0b"}, {"run_dir": "runs/relative"}, {"run_id": "r\0"})):
        start = writer_start(tmp_path / "x", run_id="bad")
        start.writer_id = bytes([0] * 15 + [number])
        start.run_dir = fields.get("run_dir", "")
        start.run.run_id = fields.get("run_id", "bad")
        nonsense = Writer(str(spool_root(state) / start.writer_id.hex()), writer_id=start.writer_id)
        nonsense.append(v1.Record(writer_start=start).SerializeToString())
        nonsense.close()
    good = SpoolRun(state, writer_start(tmp_path / "run"))
    good.log(5)
    offset = good.finish()
    daemon = DaemonProcess(state).wait_ready()
    try:
        wait_until(lambda: daemon.client.flush(good.writer_id, offset, v1.DURABILITY_DISK, 5), "it is logged")
        assert "no absolute path" in daemon.log()
        # What has no folder of its own gets one with a name that is one file's.
        assert [path.name for path in (state / "runs").iterdir()] == ["run-r%00"]
    finally:
        assert daemon.stop() == 0


def test_a_run_id_cannot_lead_out_of_the_state_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    daemon = DaemonProcess(state).wait_ready()
    try:
        start = writer_start(tmp_path / "x", run_id="../../../out")
        start.run_dir = ""
        assert Path(daemon.client.open(start).run_dir).parent == state / "runs"
        assert not (tmp_path / "out").exists()
    finally:
        assert daemon.stop() == 0


def test_frames_that_no_block_can_hold(tmp_path: Path) -> None:
    # They were taken, and then the log refused the block for ever.
    start = writer_start(tmp_path)
    source = AppendSource(start.writer_id, 0, grace_s=1)
    source.resume(b"")
    connection = source.attach()
    # One record of the largest size: a start with as much to say of itself.
    start.metadata_json = "x" * (RECORD_BYTES_MAX - start.ByteSize() - 10)
    record = v1.Record(writer_start=start).SerializeToString()
    assert RECORD_BYTES_MAX - 16 < len(record) <= RECORD_BYTES_MAX
    frames = frame_records([record])
    assert source.offer(connection, 0, frames)
    with pytest.raises(ValueError, match="fit into a block"):
        source.offer(connection, len(frames), bytes(RECORD_BYTES_MAX + 9))
    chunk = source.read(1)
    assert chunk is not None
    log = WalWriter(str(tmp_path), bytes(16))
    log.append(chunk, bytes(16), time_us=1)
    log.close()


_METHODS = ("Status", "Open", "Flush", "Close", "Append", "Shutdown")


def test_calls_that_make_no_sense(tmp_path: Path) -> None:
    """Any bytes as any message: an answer or a documented status, and the daemon goes on."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    daemon = DaemonProcess(state).wait_ready()
    channel = grpc.insecure_channel(daemon.client._address)
    start = writer_start(tmp_path / "run")
    frames = SpoolRun(tmp_path / "other", start)
    requests = [
        v1.OpenRequest(protocol=DAEMON_PROTOCOL, writer=start),
        v1.OpenRequest(protocol=DAEMON_PROTOCOL, writer=start, spool_dir=str(frames.folder)),
        v1.FlushRequest(writer_id=start.writer_id, offset=5, timeout_s=0.1, durability=1),
        v1.CloseRequest(writer_id=start.writer_id, offset=5, durability=2),
        v1.AppendRequest(writer_id=start.writer_id, begin_offset=0, frames=b"\x01\0\0\0abcdx"),
    ]
    seeds = [request.SerializeToString() for request in requests]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        method=st.sampled_from(_METHODS[:-1]),
        seed=st.sampled_from(seeds),
        cut=st.integers(0, 60),
        noise=st.binary(max_size=12),
        keep=st.integers(0, 40),
    )
    def check(method: str, seed: bytes, cut: int, noise: bytes, keep: int) -> None:
        request = seed if not cut else seed[:cut] + noise + seed[cut + keep :]
        assert status_of(channel, method, request) in EXPECTED, (method, request)

    check()
    channel.close()
    try:
        assert daemon.client.status().pid == daemon.process.pid
        assert "unexpected" not in daemon.log()
        # What gRPC says when a handler of ours raises.
        assert "Exception calling application" not in daemon.log()
    finally:
        assert daemon.stop() == 0


EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    # What gRPC itself says to bytes that are no message, and to a call that takes longer than it may.
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


def status_of(channel: grpc.Channel, method: str, request: bytes) -> grpc.StatusCode:
    """How a call with raw bytes ends; answers are read and dropped."""
    try:
        _call(channel, method, request)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def _call(channel: grpc.Channel, method: str, request: bytes) -> None:
    path = f"/buoy.v1.Daemon/{method}"
    if method == "Append":
        list(channel.stream_stream(path)(iter([request]), timeout=0.3))
    elif method == "Close":
        list(channel.unary_stream(path)(request, timeout=0.3))
    else:
        channel.unary_unary(path)(request, timeout=10)
