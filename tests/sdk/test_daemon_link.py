"""Finding, starting and losing the daemon."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path

import buoy
import psutil
import pytest
from buoy.daemon_link import DaemonLink, Starter, connect
from buoy_core.state import lock_path, log_path, socket_path, state_dir

from tests.sdk.training import Script, daemon_pid, daemons, ended_run, gone, only_run, wait_for


def test_processes_that_start_together_get_one_daemon(script: Script) -> None:
    code = """
import buoy
run = buoy.init()
run.log({"a": 1})
from buoy.daemon_link import DaemonLink
from buoy_core.state import state_dir
with DaemonLink(state_dir()) as link:
    print(link.status().pid)
run.finish()
"""
    processes = [script.start(code) for _ in range(4)]
    outputs = [process.communicate(timeout=60) for process in processes]
    pids = {out.strip() for out, _ in outputs}
    assert pids == {str(daemon_pid())}, outputs
    # Only one was spawned, with its supervisor: the other processes found that somebody was at it.
    supervisor = psutil.Process(daemon_pid()).ppid()
    assert sorted(daemons()) == sorted([supervisor, daemon_pid()])


def test_the_daemon_is_nobodys_child(script: Script) -> None:
    found = script.run("""
import buoy, os
run = buoy.init()
try:
    os.waitpid(-1, os.WNOHANG)
    print("a child")
except ChildProcessError:
    print("none")
""")
    assert found.stdout.strip() == "none", found.stderr
    assert os.getsid(daemon_pid()) != os.getsid(0)


def test_init_without_a_daemon_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    """A daemon that cannot start: the run records, one message says where, and the next daemon takes it from there."""
    # A folder in the way of its log file stands for whatever keeps it from starting.
    lock_path(state_dir()).mkdir()
    began = time.monotonic()
    run = buoy.init(project="lonely")
    assert time.monotonic() - began < 6
    for step in range(100):
        run.log({"a": step})
    run.finish()
    said = capfd.readouterr().err
    assert str(log_path(state_dir())) in said
    assert "the next daemon takes it from there" in said
    lock_path(state_dir()).rmdir()
    connect(state_dir(), 10).close()
    assert [row["a"] for row in ended_run("finished").rows()] == list(range(100))


def test_a_daemon_that_dies_is_replaced_at_the_end() -> None:
    run = buoy.init()
    for step in range(50):
        run.log({"a": step})
    pid = daemon_pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gone(pid), "the daemon is dead")
    for step in range(50, 100):
        run.log({"a": step})
    run.finish()
    assert daemon_pid() != pid
    local = only_run()
    assert local.state == "finished"
    assert [row["a"] for row in local.rows()] == list(range(100))


def test_an_older_daemon_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(state_dir(), 10).close()
    first = daemon_pid()
    run = buoy.init(reinit="create_new")
    run.log({"a": 1})
    # As seen from a version that was installed since: the running daemon says it is older.
    monkeypatch.setattr("buoy.daemon_link._older", lambda status: status.pid == first)
    second = buoy.init(reinit="create_new")
    assert daemon_pid() != first
    second.finish()
    run.log({"a": 2})
    run.finish()
    assert gone(first)


@pytest.mark.parametrize(
    ("theirs", "ours", "older"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.2", True),
        ("0.10.0", "0.9.0", False),
        ("0+unknown", "1.0", False),
    ],
)
def test_versions(monkeypatch: pytest.MonkeyPatch, theirs: str, ours: str, older: bool) -> None:
    from buoy import daemon_link
    from buoy_proto import v1

    monkeypatch.setattr(daemon_link, "__version__", ours)
    assert daemon_link._older(v1.StatusResponse(version=theirs, protocol=1)) is older
    assert daemon_link._older(v1.StatusResponse(version=theirs, protocol=0)) is True


def test_a_starter_that_died_does_not_block_others() -> None:
    import fcntl

    # Somebody holds the lock, and starts nothing, and goes away.
    lock = os.open(state_dir() / "start.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    starter = Starter(state_dir())
    starter.begin()
    assert not starter.wait(0.1)
    os.close(lock)
    assert starter.wait(10)
    with DaemonLink(state_dir()) as link:
        assert link.status().auto_started


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_socket_that_somebody_else_has_put_in_our_place_is_not_talked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a state folder may be too long for a socket, which is then in /tmp, where anybody can be first."""
    state = tmp_path / ("long" * 30)
    state.mkdir(mode=0o700)
    # So that whatever daemon comes up when the way is free is ended with the test.
    monkeypatch.setenv("BUOY_STATE_DIR", str(state))
    path = socket_path(state)
    path.parent.mkdir(mode=0o700)
    try:
        with socket.socket(socket.AF_UNIX) as impostor:
            impostor.bind(os.fspath(path))
            impostor.listen()
            assert Starter(state).answers()
            os.chown(path.parent, 12345, 12345)
            assert not Starter(state).answers()
            with pytest.raises(buoy.CommError, match="does not start"):
                connect(state, 5)
        assert "belongs to another user (uid 12345)" in log_path(state).read_text()
    finally:
        shutil.rmtree(path.parent)
