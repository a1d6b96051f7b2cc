"""The gRPC transport: the same runs, carried to the daemon by a thread instead of a shared disk."""

from __future__ import annotations

import os
import platform
import signal
import tempfile
from pathlib import Path

import buoy
import pytest
from buoy.daemon_link import connect
from buoy.settings import Settings
from buoy_core.state import lock_path, outbox_root, spool_root, state_dir

from tests.sdk.training import Script, daemon_pid, ended_run, gone, only_run, wait_for

GRPC = Settings(transport="grpc")


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_everything_arrives(own_temporary_folder: Path) -> None:
    with buoy.init(config={"lr": 1}, settings=GRPC) as run:
        for step in range(1000):
            run.log({"a": step})
        run.summary["b"] = 2
    local = only_run()
    assert local.state == "finished"
    assert [row["a"] for row in local.rows()] == list(range(1000))
    assert (local.config, local.summary["b"]) == ({"lr": 1}, 2)
    assert not spool_root(state_dir()).exists() or not list(spool_root(state_dir()).iterdir())
    assert list(own_temporary_folder.iterdir()) == []
    assert list(outbox_root(state_dir(), platform.node()).iterdir()) == []


def test_rows_that_no_daemon_took_wait_for_the_next(capfd: pytest.CaptureFixture[str]) -> None:
    # A folder in the way of its lock file stands for whatever keeps the daemon from starting.
    lock_path(state_dir()).mkdir()
    run = buoy.init(settings=Settings(transport="grpc", start_timeout=0.5, finish_timeout=0.5))
    for step in range(100):
        run.log({"a": step})
    run.finish()
    assert "the next daemon takes it from there" in capfd.readouterr().err
    lock_path(state_dir()).rmdir()
    connect(state_dir(), 10).close()
    local = ended_run("finished")
    assert [row["a"] for row in local.rows()] == list(range(100))


def test_rows_arrive_while_the_run_lasts() -> None:
    run = buoy.init(settings=GRPC)
    run.log({"a": 1})
    wait_for(lambda: list(only_run().rows()), "the first row")


def test_a_daemon_that_dies_costs_nothing() -> None:
    run = buoy.init(settings=GRPC)
    for step in range(500):
        run.log({"a": step})
    pid = daemon_pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gone(pid), "the daemon is dead")
    for step in range(500, 1000):
        run.log({"a": step})
    run.finish()
    local = ended_run("finished")
    assert [row["a"] for row in local.rows()] == list(range(1000))


@pytest.mark.parametrize(
    ("tail", "state", "exit_code"),
    [
        ("", "finished", 0),
        ("sys.exit(3)", "failed", 3),
        ("1 / 0", "failed", 1),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", "killed", -signal.SIGTERM),
    ],
)
def test_states(script: Script, tail: str, state: str, exit_code: int) -> None:
    head = """
import buoy, os, signal, sys, time
run = buoy.init()
for step in range(10):
    run.log({"a": step})
"""
    found = script.run(head + tail, BUOY_TRANSPORT="grpc")
    assert found.returncode == exit_code, found.stderr
    assert [row["a"] for row in ended_run(state).rows()] == list(range(10))


def test_a_forked_child_has_its_rows_carried(script: Script) -> None:
    """gRPC does not survive a fork: until there was a courier, what a child logged was dropped with a message."""
    code = """
import buoy, os
run = buoy.init()
for step in range(10):
    run.log({"parent": step})
pids = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        for step in range(100):
            run.log({f"child{child}": step})
        os._exit(0)
    pids.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
run.log({"parent": 10})
"""
    found = script.run(code, BUOY_TRANSPORT="grpc")
    assert found.returncode == 0, found.stderr
    # finish() has waited for what the children have left.
    assert not list(outbox_root(state_dir(), platform.node()).glob("*/*.seg"))
    local = only_run()
    for child in range(3):
        assert [row[f"child{child}"] for row in local.rows() if f"child{child}" in row] == list(range(100))
    assert [row["parent"] for row in local.rows() if "parent" in row] == list(range(11))


def test_a_child_that_outlives_its_parent_has_its_rows_carried(script: Script) -> None:
    code = """
import buoy, os
run = buoy.init()
run.log({"parent": 1})
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    for descriptor in (0, 1, 2, write):
        os.close(descriptor)
    os.read(read, 1)  # The parent has ended.
    for step in range(100):
        run.log({"orphan": step})
    os._exit(0)
os.wait()
"""
    found = script.run(code, BUOY_TRANSPORT="grpc")
    assert found.returncode == 0, found.stderr
    wait_for(lambda: sum("orphan" in row for row in only_run().rows()) == 100, "the orphan's rows")
    wait_for(lambda: not list(outbox_root(state_dir(), platform.node()).glob("*/*.seg")), "an empty outbox")
