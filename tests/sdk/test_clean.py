"""`buoy clean`: shows, asks, and never takes what is only here unless it is named."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import buoy
import pytest
from buoy.cli import main
from click.testing import CliRunner

from tests.daemon.ingest_server import Handler, IngestServer
from tests.daemon.run_folders import RunFolder
from tests.sdk.training import wait_for


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch, own_user_settings: None) -> Iterator[IngestServer]:  # noqa: ARG001
    server = IngestServer()
    monkeypatch.setenv("BUOY_BASE_URL", server.base_url)
    yield server
    server.stop()
    assert not server.errors


def clean(*arguments: object, code: int = 0, says: str = "") -> str:
    done = CliRunner().invoke(main, ["clean", *map(str, arguments)], input=says)
    assert done.exit_code == code, done.output
    return done.output


def run(run_id: str, **settings: object) -> Path:
    """The folder of a run that has ended."""
    with buoy.init(project="p", id=run_id, settings={"silent": True, **settings}) as made:
        made.log({"a": 1})
    folder = Path(made.dir)
    wait_for(lambda: not folder.exists() or (folder / "wal/00000000.wal").exists(), "the log")
    return folder


def uploaded(run_id: str) -> Path:
    folder = run(run_id)
    wait_for((folder / "ack.json").exists, "everything on the server")
    wait_for(lambda: "uploaded to" in line_of(clean("--dry-run"), run_id), "the end of the stream")
    return folder


def line_of(output: str, run_id: str) -> str:
    return next((line for line in output.splitlines() if f"local/p/{run_id} " in line), "")


def test_what_is_uploaded_goes_when_it_is_due_or_asked_for(ingest: IngestServer, tmp_path: Path) -> None:  # noqa: ARG001
    first, second = uploaded("first"), uploaded("second")
    said = clean()
    assert "nothing is to be removed" in said
    assert "--all-synced would remove 2 folders" in said
    assert "nothing is to be removed" in clean("--older-than", "1")
    assert "nothing is to be removed" in clean("--all-synced", tmp_path / "elsewhere")
    assert "to remove: 2 folders" in clean("--all-synced", "--dry-run")
    assert first.exists()
    assert "remove 2 folders, " in clean("--all-synced", says="n\n")
    assert first.exists()
    clean("--all-synced", first, says="y\n")
    assert not first.exists()
    log = second / "wal/00000000.wal"
    os.utime(log, (time.time() - 3 * 86400,) * 2)
    said = clean("--older-than", "2.5", "--yes")
    assert "3 days" in line_of(said, "second")
    assert f"removed {second}" in said
    assert not second.exists()
    assert "nothing is to be removed" in clean("--all-synced")


def test_what_housekeeping_would_take_is_said_with_the_reason(ingest: IngestServer) -> None:  # noqa: ARG001
    folder = run("due", keep_gb=0)
    wait_for(lambda: "takes more than 0 GB" in line_of(clean("--dry-run"), "due"), "the end of the stream")
    assert "removed" in clean("--yes")
    assert not folder.exists()


def test_what_is_only_here_is_named_or_stays(ingest: IngestServer) -> None:
    """Offline; not uploaded; on a server that has lost it; and one that goes on."""
    os.environ["BUOY_MODE"] = "offline"
    offline = [run("off1"), run("off2")]
    del os.environ["BUOY_MODE"]
    lost = uploaded("lost")
    ingest.streams.clear()
    unsent = run("unsent", base_url="http://127.0.0.1:9")
    live = buoy.init(project="p", id="live", mode="offline", settings={"silent": True})
    live.log({"a": 1})
    folders = [*offline, lost, unsent, Path(live.dir)]
    wait_for(lambda: "the run goes on" in line_of(clean("--dry-run"), "live"), "the live run")
    said = clean("--all-synced", "--older-than", "0", "--yes")
    assert "nothing is to be removed" in said
    assert "of an offline run" in line_of(said, "off1")
    assert "records are not on" in line_of(said, "lost")
    assert "does not say what it has" in line_of(said, "unsent")
    assert all((folder / "wal").exists() for folder in folders)
    assert "this machine has no folder of a run nobody" in clean("--include-unsynced", "nobody", code=2)
    assert "goes on; its folder stays" in clean("--include-unsynced", "live", "--yes", code=2)
    said = clean("--include-unsynced", "off1", "--include-unsynced", "local/p/lost", says="n\ny\n")
    assert "remove local/p/off1 " in said
    assert (offline[0].exists(), lost.exists()) == (True, False)
    clean("--include-unsynced", offline[0], "--include-unsynced", "unsent", "--yes")
    assert [folder.exists() for folder in folders] == [False, True, False, False, True]
    live.finish()


def test_a_run_whose_arrival_nobody_has_noted(ingest: IngestServer) -> None:
    """The server has everything and says so, but its last answer to the daemon is cut; this used to be refused."""

    def stores_then_cuts(handler: Handler, body: bytes) -> bool:
        if body:
            answer = handler.take(body)
            handler.cut() if ingest.only_stream().writer_ends() else handler.answer(*answer)
        return bool(body)

    ingest.script = stores_then_cuts
    folder = run("r")
    wait_for(lambda: ingest.streams and ingest.only_stream().writer_ends(), "everything on the server")
    wait_for(lambda: "uploaded to" in line_of(clean("--dry-run"), "r"), "the server's word for it")
    assert f"removed {folder}" in clean("--all-synced", "--yes")
    assert not folder.exists()


def test_folders_of_others_are_not_its_business(ingest: IngestServer, tmp_path: Path) -> None:
    foreign = RunFolder(tmp_path / "buoy")
    ingest.take(foreign.stream.stream_id, b"".join(foreign.stream.blocks))
    assert "nothing is to be removed" in clean("--all-synced", "--yes")
    assert "has no folder of a run r1" in clean("--include-unsynced", "r1", "--yes", code=2)
    assert foreign.path.exists()
