"""`buoy sync PATH...`: run folders from anywhere, each record once, whoever is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import buoy
import pytest
from buoy.cli import main, sync_folders
from buoy_core.wal_segment import SegmentHeader
from click.testing import CliRunner

from tests.daemon.ingest_server import IngestServer, values_of
from tests.daemon.run_folders import RunFolder
from tests.sdk.training import daemon_pid, daemons, only_run, wait_for


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch, own_user_settings: None) -> Iterator[IngestServer]:  # noqa: ARG001
    server = IngestServer()
    monkeypatch.setenv("BUOY_BASE_URL", server.base_url)
    yield server
    server.stop()
    assert not server.errors


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "buoy", "sync", *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def sync(*arguments: object, code: int = 0, **environment: str) -> str:
    """What it says; it must end with `code`."""
    done = CliRunner().invoke(main, ["sync", *map(str, arguments)], env=environment)
    assert done.exit_code == code, done.output
    return done.output


def values(server: IngestServer, folder: RunFolder) -> list[float]:
    return values_of(server.streams[folder.stream.stream_id], folder.writer_id)


def all_of(folder: RunFolder) -> list[float]:
    return [float(step) for step in range(folder.rows)]


def test_several_folders_and_parents_each_record_once(ingest: IngestServer, tmp_path: Path) -> None:
    """From two trees, one run in each depth; the folders are only read, and a second sync sends nothing."""
    runs = [RunFolder(tmp_path / "usb", f"r{number}") for number in range(3)]
    deep = RunFolder(tmp_path / "other" / "project" / "buoy", "deep", segments=3)
    (tmp_path / "other" / "wal").mkdir()
    (tmp_path / "usb" / "loop").symlink_to(tmp_path / "usb")
    before = [run.digest() for run in (*runs, deep)]
    listed = sync("--dry-run", tmp_path / "usb", tmp_path / "other")
    assert listed.count("local/p/r") == 3
    assert ingest.requests["POST"] == 0
    said = sync(runs[0].path, tmp_path / "usb", tmp_path / "other")
    total = sum(run.stream.seq for run in (*runs, deep))
    assert (
        f"on the server: {total:,} records of 4 runs, {total:,} of them sent now ({ingest.base_url})" in said
    )
    for run in (*runs, deep):
        assert values(ingest, run) == all_of(run)
    sent = ingest.requests["POST"]
    said = sync(tmp_path / "usb", tmp_path / "other")
    assert f"nothing to send: {ingest.base_url} has all {total:,} records of 4 runs already" in said
    assert ingest.requests["POST"] == sent
    assert before == [run.digest() for run in (*runs, deep)]


def test_what_the_server_has_is_not_sent_again(ingest: IngestServer, tmp_path: Path) -> None:
    """It got a part from somebody else. And when it has lost everything, it gets everything again."""
    run = RunFolder(tmp_path)
    half = b"".join(run.stream.blocks[:6])
    assert ingest.take(run.stream.stream_id, half)[0] == 200
    there = ingest.streams[run.stream.stream_id].next_seq
    listed = sync("--dry-run", run.path)
    assert f"{there}" in listed
    assert f"{run.stream.seq - there}" in listed
    assert f"{run.stream.seq - there:,} of them sent now" in sync(run.path)
    assert values(ingest, run) == all_of(run)
    ingest.streams.clear()
    assert f"{run.stream.seq:,} of them sent now" in sync(run.path)
    assert values(ingest, run) == all_of(run)


def test_include_and_exclude(ingest: IngestServer, tmp_path: Path) -> None:
    runs = {
        run_id: RunFolder(tmp_path, run_id, project=project, name=name, blocks=1)
        for run_id, project, name in [
            ("a1", "vision", "calm-sea"),
            ("a2", "text", "wild-sea"),
            ("b1", "text", "old"),
        ]
    }

    def arrived() -> set[str]:
        return {run_id for run_id, run in runs.items() if run.stream.stream_id in ingest.streams}

    sync(tmp_path, "--include", "*-sea", "--exclude", "vision")
    assert arrived() == {"a2"}
    said = sync(tmp_path, "--include", "zz*", code=2)
    assert "none of the 3 runs is like --include" in said
    sync(tmp_path, "--include", "vision/*", "--include", "b1", "--exclude", "a2")
    assert arrived() == {"a1", "a2", "b1"}


def test_wrong_use_is_told_from_failure(ingest: IngestServer, tmp_path: Path) -> None:  # noqa: ARG001
    assert "is no folder" in sync(tmp_path / "nowhere", code=2)
    (tmp_path / "empty").mkdir()
    assert "is no run folder, and there is none in it" in sync(tmp_path / "empty", code=2)
    assert "need PATHS" in sync("--dry-run", code=2)


def test_an_offline_run_goes_to_the_configured_server(ingest: IngestServer, tmp_path: Path) -> None:
    """Also while it goes on; and another time, when it is over, the rest."""
    run = buoy.init(project="off", mode="offline")
    for step in range(100):
        run.log({"value": float(step)})
    said = sync(run.dir)
    assert "sent now" in said
    stream = ingest.only_stream()
    assert values_of(stream, run._recorder.writer_id) == [float(step) for step in range(100)]
    assert "goes on" in sync("--dry-run", run.dir)
    run.log({"value": 100.0})
    run.finish()
    wait_for(lambda: only_run().state == "finished", "the end in the log")
    sync(tmp_path / "buoy")
    assert values_of(stream, run._recorder.writer_id) == [float(step) for step in range(101)]
    assert list(stream.writer_ends().values()) == [2]
    assert "nothing to send" in sync(tmp_path / "buoy")


def test_another_server_by_name(ingest: IngestServer, tmp_path: Path) -> None:
    run = RunFolder(tmp_path, base_url="http://buoy.example:1")
    other = IngestServer()
    try:
        sync(run.path, "--base-url", other.base_url + "/")
        assert values(other, run) == all_of(run)
        assert not ingest.streams
    finally:
        other.stop()


def test_a_torn_tail_is_no_loss(ingest: IngestServer, tmp_path: Path) -> None:
    run = RunFolder(tmp_path, goes_on=True)
    run.tear()
    sync(run.path)
    assert values(ingest, run) == all_of(run)[:-5]
    assert not ingest.streams[run.stream.stream_id].gaps


def test_damage_in_the_middle_is_named_and_becomes_a_gap(ingest: IngestServer, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.flip(4)
    whole = RunFolder(tmp_path, "whole")
    path, offset, _ = run.offsets[4]
    said = sync(tmp_path, code=3)
    assert f"lost: {path} is damaged at byte {offset}: " in said
    assert "5 records lost; the run page shows a gap" in said
    assert values(ingest, run) == all_of(run)[:10] + all_of(run)[15:]
    assert [records for _, records, _ in ingest.streams[run.stream.stream_id].gaps] == [5]
    assert values(ingest, whole) == all_of(whole)
    assert "nothing to send" in sync(tmp_path)


def test_an_end_that_cannot_be_read_is_not_declared_lost(ingest: IngestServer, tmp_path: Path) -> None:
    """The last block is damaged where a later segment says that it was whole: the original may still have it."""
    run = RunFolder(tmp_path, segments=1)
    following = SegmentHeader(run.stream.stream_id, 1, run.stream.seq, run.stream.start_us)
    (run.wal / "00000001.wal").write_bytes(following.pack())
    run.flip(-1)
    said = sync(run.path, code=1)
    assert f"local/p/r1: 1 of {run.stream.seq} records are not on " in said
    assert "incomplete (the end of its log cannot be read)" in said
    assert values(ingest, run) == all_of(run)
    assert not ingest.streams[run.stream.stream_id].gaps


def test_what_cannot_be_read_or_sent_is_named(ingest: IngestServer, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs", base_url="http://203.0.113.1:9")
    broken = RunFolder(tmp_path / "runs", "broken")
    (broken.wal / "00000000.wal").write_bytes(b"nonsense")
    said = sync(tmp_path / "runs", "--timeout", "1", code=1)
    assert "records are not on http://203.0.113.1:9: " in said
    assert f"{broken.path}: unreadable (" in said
    assert "the same command sends the rest" in said
    ingest.api_key = "right"
    said = sync(run.path, "--base-url", ingest.base_url, "--timeout", "1", code=1, BUOY_API_KEY="wrong")
    assert "refused (HTTP 401" in said
    sync(run.path, "--base-url", ingest.base_url, BUOY_API_KEY="right")
    assert values(ingest, run) == all_of(run)


def test_a_run_that_is_deleted_on_the_server(ingest: IngestServer, tmp_path: Path) -> None:
    """It is stored, and nobody is shown it: whoever sends it should know."""

    def hides(handler: Any, body: bytes) -> bool:
        if body:
            status, answer = handler.take(body)
            handler.answer(status, answer | {"deleted": True})
        return bool(body)

    ingest.script = hides
    assert "local/p/r1: the run is deleted on the server" in sync(RunFolder(tmp_path).path)


def test_many_folders_wait_for_their_turn(
    ingest: IngestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server was asked about each of a thousand before the first was sent, and the command ran out of patience."""
    monkeypatch.setattr(sync_folders, "_PATIENCE_S", 3.0)
    runs = [RunFolder(tmp_path, f"r{number}", blocks=1) for number in range(100)]

    def slow(_handler: Any, body: bytes) -> bool:
        time.sleep(0 if body else 0.1)
        return False

    ingest.script = slow
    sync(tmp_path)
    assert all(values(ingest, run) == all_of(run) for run in runs)


class Slow:
    """A server that takes one block at a time, and its time for each."""

    def __init__(self, server: IngestServer) -> None:
        server.body_bytes_max = 60_000
        server.script = self
        self.posts = 0

    def __call__(self, _handler: Any, body: bytes) -> bool:
        self.posts += bool(body)
        time.sleep(0.03 if body else 0)
        return False


@pytest.mark.parametrize("victim", ["daemon", "command"])
def test_whoever_is_killed_on_the_way(ingest: IngestServer, tmp_path: Path, victim: str) -> None:
    """The command goes on with another daemon. The daemon goes on without the command."""
    run = RunFolder(tmp_path, blocks=30, pad=10_000)
    slow = Slow(ingest)
    process = start(run.path)
    stream = ingest.streams[run.stream.stream_id]
    wait_for(lambda: stream.next_seq > 30, "a part on the server", 60)
    assert stream.next_seq < run.stream.seq
    if victim == "daemon":
        os.kill(daemon_pid(), signal.SIGKILL)
        said = process.communicate(timeout=120)[0]
        assert process.returncode == 0, said
        assert (
            f"on the server: {run.stream.seq:,} records of 1 run, {run.stream.seq:,} of them sent now" in said
        )
    else:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 130, said
        assert "the daemon goes on with it" in said
        wait_for(lambda: stream.next_seq == run.stream.seq, "everything on the server", 60)
        # The daemon may not have looked at the last answer yet.
        wait_for(lambda: "nothing to send" in sync(run.path), "a sync with nothing to send")
        ingest.streams.clear()
        assert "sent now" in sync(run.path), "a moment later the server has lost everything, and says so"
    assert values(ingest, run) == all_of(run)
    assert slow.posts > 10


def test_two_machines_send_the_same_folder(ingest: IngestServer, tmp_path: Path) -> None:
    """A copy, and the original: each record arrives once, and whoever is late has nothing to do."""
    run = RunFolder(tmp_path / "one", blocks=30, pad=10_000)
    Slow(ingest)
    (tmp_path / "two").mkdir()
    subprocess.run(["cp", "-r", run.path, tmp_path / "two"], check=True)
    other = {"BUOY_STATE_DIR": str(tmp_path / "other-state")}
    both = [start(tmp_path / "one"), start(tmp_path / "two", **other)]
    try:
        said = [process.communicate(timeout=120)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
    finally:
        stop = [sys.executable, "-m", "buoy", "daemon", "stop"]
        subprocess.run(stop, env={**os.environ, **other}, check=False, capture_output=True)
    assert values(ingest, run) == all_of(run)


def test_a_daemon_ends_when_nothing_is_on_its_way(ingest: IngestServer, tmp_path: Path) -> None:
    """A folder that was sent keeps no daemon."""
    run = RunFolder(tmp_path)
    state = Path(os.environ["BUOY_STATE_DIR"])
    state.mkdir(mode=0o700)
    command = [
        sys.executable,
        "-m",
        "buoy_daemon",
        "run",
        "--state-dir",
        str(state),
        "--auto",
        "--idle-exit-s",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for((state / "daemon.sock").exists, "the daemon's socket")
    sync(run.path)
    assert values(ingest, run) == all_of(run)
    assert process.wait(60) == 0
    assert not daemons()
