"""What housekeeping removes, and above all what it leaves alone."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from buoy_daemon.folders import policy, removal
from buoy_daemon.folders.destination import destination
from buoy_daemon.folders.recorded import Recorded
from buoy_proto import v1
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.ingest_server import Handler, IngestServer, values_of
from tests.daemon.processes import DaemonProcess, SpoolRun, wait_until, writer_start
from tests.daemon.run_folders import RunFolder

QUICK = ("--sync-interval-s", "0.1", "--housekeeping-interval-s", "0.1")

DAY_US = 86_400_000_000

ENTRY = {
    "stream_id": "ab" * 16, "run_dir": "/nowhere/run", "entity": "local", "project": "p", "run_id": "r", "name": "",
    "base_url": "", "next_seq": 1, "done_us": 1, "keep_days": 0.0, "keep_gb": 0,
}  # fmt: skip

Start = Callable[..., DaemonProcess]


def finished(state_dir: Path, run_dir: Path, base_url: str, **fields: object) -> SpoolRun:
    run = SpoolRun(state_dir, writer_start(run_dir, base_url, run_dir.name, **fields))
    run.log(50)
    run.finish()
    return run


def recorded(state_dir: Path) -> list[Path]:
    return sorted((state_dir / "streams/recorded").glob("*.json"))


# Which may go.

FOLDERS = st.builds(
    policy.Uploaded,
    stream_id=st.uuids().map(str),
    done_us=st.integers(0, 30 * DAY_US),
    size_bytes=st.integers(0, 4_000_000_000),
    keep_days=st.sampled_from([0.0, 1.0, 7.0, float("inf")]),
    keep_gb=st.sampled_from([0.0, 1.0, 10.0, float("inf")]),
)


@given(st.lists(FOLDERS, max_size=20, unique_by=lambda each: each.stream_id), st.integers(0, 40 * DAY_US))
def test_what_is_due_is_too_old_or_too_much(folders: list[policy.Uploaded], now_us: int) -> None:
    due = policy.due(folders, now_us)
    for folder in folders:
        newer = [
            each for each in folders if (each.done_us, each.stream_id) >= (folder.done_us, folder.stream_id)
        ]
        too_old = now_us - folder.done_us >= folder.keep_days * DAY_US and now_us >= folder.done_us
        too_old = too_old or folder.keep_days == 0
        too_much = sum(each.size_bytes for each in newer) > folder.keep_gb * 1e9
        assert (folder.stream_id in due) == (too_old or too_much)
    by_id = {folder.stream_id: folder for folder in folders}
    ages = [by_id[stream_id].done_us for stream_id in due]
    assert ages == sorted(ages), "the oldest go first"


def test_a_clock_that_was_set_back_removes_nothing() -> None:
    ahead = policy.Uploaded("a", done_us=400 * DAY_US, size_bytes=1, keep_days=7, keep_gb=10)
    assert policy.due([ahead], 10 * DAY_US) == {}


@pytest.mark.parametrize(
    ("own", "wanted", "from_here", "goes_to"),
    [
        ("http://a:1", "", True, "http://a:1"),
        ("http://a:1", "", False, "http://a:1"),
        ("", "", True, "http://default:1"),
        ("http://a:1", "HTTP://B:1/", True, "http://b:1"),
        ("http://127.0.0.1:8765", "", True, "http://127.0.0.1:8765"),
        # A server on the machine that recorded it is none on this one.
        ("http://127.0.0.1:8765", "", False, "http://default:1"),
        ("http://[::1", "", False, "http://[::1"),
    ],
)
def test_where_a_folder_goes(own: str, wanted: str, from_here: bool, goes_to: str) -> None:
    assert destination(own, wanted, "http://default:1/", from_here=from_here) == goes_to


# What is never taken for a folder that may go.


def test_links_foreign_logs_and_other_users(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    own = run.stream.stream_id
    assert removal.obstacle(run.path, own) == ""
    assert "another one" in removal.obstacle(run.path, bytes(16))
    (tmp_path / "link").symlink_to(run.path)
    assert "is a link" in removal.obstacle(tmp_path / "link", own)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/wal").symlink_to(run.wal)
    assert "is a link" in removal.obstacle(tmp_path / "linked", own)
    assert removal.obstacle(tmp_path / "gone", own)
    if os.getuid() == 0:
        os.chown(run.path, 12345, -1)
        assert "belongs to another user" in removal.obstacle(run.path, own)


def test_an_interrupted_removal_goes_on_and_is_no_run_meanwhile(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, segments=3)
    (run.path / "model.pt").write_text("the user's")
    removal.bury(run.path)
    assert removal.is_half_gone(run.path)
    assert not (run.path / "wal").exists()
    (run.path / removal.TOMBSTONE / "00000001.wal").unlink()
    assert removal.is_half_gone(run.path)
    removal.sweep(run.path)
    assert "model.pt" in removal.clear(run.path)
    assert [item.name for item in run.path.iterdir()] == ["model.pt"]
    assert not removal.is_half_gone(run.path)


# The daemon.


def test_uploaded_folders_go_and_all_others_stay(
    start_daemon: Start, state_dir: Path, tmp_path: Path, server: IngestServer
) -> None:
    """And files of the user's in a folder that goes."""
    runs = tmp_path / "runs"
    offline = finished(state_dir, runs / "offline", "", keep_days=0.0)
    unreachable = finished(state_dir, runs / "unreachable", "http://127.0.0.1:9", keep_days=0.0)
    kept = finished(state_dir, runs / "kept", server.base_url)
    live = SpoolRun(state_dir, writer_start(runs / "live", server.base_url, "live", keep_days=0.0))
    live.log(50)
    own_files = finished(state_dir, runs / "own-files", server.base_url, keep_days=0.0)
    (runs / "own-files").mkdir(parents=True)
    (runs / "own-files/model.pt").write_text("the user's")
    large = finished(state_dir, runs / "large", server.base_url, keep_gb=0.0)
    start_daemon(*QUICK)
    wait_until(lambda: not (runs / "large").exists(), "the removal of what is too large")
    wait_until(lambda: not (runs / "own-files/wal").exists(), "the removal of what is too old")
    last = finished(state_dir, runs / "last", server.base_url, keep_days=0.0)
    wait_until(lambda: server.of_run("last"), "another run")
    wait_until(lambda: not (runs / "last").exists(), "another round")
    for run in (own_files, large, last):
        (stream,) = server.of_run(run.start.run.run_id)
        assert values_of(stream, run.writer_id) == [float(value) for value in range(50)]
    for run in (offline, unreachable, kept, live):
        folder = runs / run.start.run.run_id
        assert (folder / "run.json").exists()
        assert list((folder / "wal").glob("*.wal"))
    wait_until(lambda: [item.name for item in (runs / "own-files").iterdir()] == ["model.pt"], "the rest")
    wait_until(lambda: len(recorded(state_dir)) == 2, "entries of nothing but offline and kept")


def test_the_server_is_asked_again_before_anything_goes(
    start_daemon: Start, state_dir: Path, tmp_path: Path, server: IngestServer
) -> None:
    """It was set back to a back-up after it had acknowledged the run."""
    asked: list[str] = []

    def forgetful(handler: Handler, body: bytes) -> bool:
        if body:
            return False
        asked.append(handler.path)
        handler.answer(200, {"next_seq": 1})
        return True

    server.script = forgetful
    finished(state_dir, tmp_path / "run", server.base_url, keep_days=0.0)
    daemon = start_daemon(*QUICK)
    wait_until(lambda: len(asked) > 3, "some rounds")
    assert list((tmp_path / "run/wal").glob("*.wal"))
    assert "has only 1 of its" in daemon.log()
    server.script = None
    wait_until(lambda: not (tmp_path / "run").exists(), "the removal")
    wait_until(lambda: not recorded(state_dir), "the end of the entry")


def test_a_worker_that_comes_after_the_removal(
    start_daemon: Start, state_dir: Path, tmp_path: Path, server: IngestServer
) -> None:
    """Of the same launch, so of the same stream, whose log is gone. The server has the rest, and sees no gap."""
    launch = secrets.token_bytes(16)
    first = finished(state_dir, tmp_path / "run", server.base_url, keep_days=0.0, launch_id=launch)
    start_daemon(*QUICK)
    wait_until(lambda: not (tmp_path / "run").exists() and server.streams, "the removal")
    late = finished(state_dir, tmp_path / "run", server.base_url, keep_days=0.0, launch_id=launch)
    wait_until(lambda: late.writer_id in server.only_stream().writer_ends(), "the late writer's end")
    for run in (first, late):
        assert values_of(server.only_stream(), run.writer_id) == [float(value) for value in range(50)]
    assert not server.only_stream().gaps
    wait_until(lambda: not (tmp_path / "run").exists(), "the removal of that, too")


def test_a_folder_that_the_user_has_deleted_is_forgotten(
    start_daemon: Start, state_dir: Path, tmp_path: Path, server: IngestServer
) -> None:
    finished(state_dir, tmp_path / "run", server.base_url)
    start_daemon(*QUICK)
    wait_until(lambda: recorded(state_dir), "the entry")
    for path in sorted((tmp_path / "run").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "run").rmdir()
    wait_until(lambda: not recorded(state_dir), "the end of the entry")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"", b"{", b"[]", b"{}", b"\xff\xfe",
        json.dumps(ENTRY | {"run_dir": 5}).encode(),
        json.dumps(ENTRY | {"run_dir": "relative"}).encode(),
        json.dumps(ENTRY | {"run_dir": "/a\0b"}).encode(),
        json.dumps(ENTRY | {"stream_id": "zz"}).encode(),
        json.dumps(ENTRY | {"keep_days": "7"}).encode(),
        json.dumps(ENTRY | {"next_seq": None}).encode(),
    ],
)  # fmt: skip
def test_an_entry_that_makes_no_sense_is_none(tmp_path: Path, nonsense: bytes) -> None:
    known = Recorded(tmp_path)
    (tmp_path / f"{'ab' * 16}.json").write_text(json.dumps(ENTRY))
    (tmp_path / f"{'cd' * 16}.json").write_bytes(nonsense)
    assert [entry.stream_id for entry in known.all()] == ["ab" * 16]


def test_a_folder_with_trouble_keeps_nobody_from_the_others(
    start_daemon: Start, state_dir: Path, tmp_path: Path, server: IngestServer
) -> None:
    """Its entry names a file in place of a folder's parent, and a link in place of a folder."""
    folder = state_dir / "streams/recorded"
    folder.mkdir(parents=True)
    (tmp_path / "file").write_text("")
    kept = [RunFolder(tmp_path / "kept", name) for name in ("a", "b")]
    (tmp_path / "link").symlink_to(kept[1].path)
    for run, run_dir in zip(kept, (tmp_path / "file/run", tmp_path / "link"), strict=True):
        stream = run.stream
        server.take(stream.stream_id, b"".join(stream.blocks))
        names = {"stream_id": stream.stream_id.hex(), "run_dir": str(run_dir), "base_url": server.base_url}
        (folder / f"{stream.stream_id.hex()}.json").write_text(json.dumps(ENTRY | names))
    finished(state_dir, tmp_path / "run", server.base_url, keep_days=0.0)
    start_daemon(*QUICK)
    wait_until(lambda: not (tmp_path / "run").exists() and len(server.streams) == 3, "the removal")
    assert [path.name for run in kept for path in run.wal.iterdir()] == ["00000000.wal"] * 2


def test_policies_travel_with_the_run(
    start_daemon: Start, state_dir: Path, tmp_path: Path, server: IngestServer
) -> None:
    """Not with whoever has started the daemon, and they outlive it."""
    forever = float("inf")
    run = SpoolRun(
        state_dir, writer_start(tmp_path / "a", server.base_url, "a", keep_days=forever, keep_gb=0.0)
    )
    run.log(10)
    first = start_daemon(*QUICK)
    wait_until(lambda: list((state_dir / "streams").glob("*.json")), "the stream")
    first.kill()
    run.finish()
    start_daemon(*QUICK)
    wait_until(lambda: not (tmp_path / "a").exists(), "the removal")
    assert server.only_stream().writer_ends() == {run.writer_id: v1.RUN_STATE_FINISHED}
