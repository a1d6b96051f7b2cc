"""One daemon for each state folder, from start to end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from buoy_core import implementation
from buoy_core.state import DAEMON_PROTOCOL, log_path, socket_path, spool_root
from buoy_core.wal import WalReader
from buoy_proto import v1

from tests.daemon.processes import DaemonProcess, SpoolRun, WriterProcess, wait_until, writer_start


def test_of_many_started_at_once_one_remains(start_daemon):
    daemons = [start_daemon(ready=False) for _ in range(6)]
    winner = wait_until(daemons[0].client.try_status, "a daemon answers").pid
    others = [daemon for daemon in daemons if daemon.process.pid != winner]
    assert len(others) == 5
    assert [daemon.process.wait(20) for daemon in others] == [0] * 5
    assert daemons[0].client.status().pid == winner


def test_status(start_daemon):
    daemon = start_daemon()
    status = daemon.client.status()
    assert status.protocol == DAEMON_PROTOCOL
    assert status.core == implementation()
    assert status.version
    assert not status.auto_started
    assert (
        0 < status.rss_bytes == pytest.approx(psutil.Process(daemon.process.pid).memory_info().rss, rel=0.2)
    )


def test_others_cannot_get_at_the_socket(state_dir, start_daemon):
    state_dir.chmod(0o755)
    start_daemon()
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket_path(state_dir).stat().st_mode) == 0o600
    assert stat.S_IMODE(spool_root(state_dir).stat().st_mode) == 0o700
    assert stat.S_IMODE(log_path(state_dir).stat().st_mode) == 0o600


def test_a_state_folder_of_someone_else_is_refused(state_dir, start_daemon):
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(state_dir, 12345, 12345)
    daemon = start_daemon(ready=False)
    assert daemon.process.wait(20) == 2
    assert "belongs to another user" in daemon.process.stderr.read().decode()
    os.chown(state_dir, 0, 0)


def test_a_shared_folder_is_refused(state_dir, start_daemon):
    state_dir.chmod(0o1777)
    daemon = start_daemon(ready=False)
    assert daemon.process.wait(20) == 2
    assert "shared folder" in daemon.process.stderr.read().decode()
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o1777


def test_it_ends_when_its_state_folder_is_deleted(state_dir, start_daemon):
    daemon = start_daemon()

    def deleted() -> bool:
        # It may be making a file there at this very moment.
        shutil.rmtree(state_dir, ignore_errors=True)
        return not state_dir.exists()

    wait_until(deleted, "the folder is gone")
    assert daemon.process.wait(60) == 0


def test_a_stale_socket_is_no_obstacle(state_dir, start_daemon):
    first = start_daemon()
    first.kill()
    assert socket_path(state_dir).exists()
    start_daemon()


def test_a_long_path_has_its_socket_elsewhere(tmp_path):
    state_dir = tmp_path / ("long" * 30)
    daemon = DaemonProcess(state_dir)
    try:
        daemon.wait_ready()
        assert not (state_dir / "daemon.sock").exists()
        assert stat.S_IMODE(socket_path(state_dir).parent.stat().st_mode) == 0o700
    finally:
        daemon.stop()
    assert not socket_path(state_dir).parent.exists()


def test_it_ends_when_idle_but_not_while_there_is_work(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon("--auto", "--idle-exit-s", "0.5")
    assert daemon.client.status().auto_started
    writer = WriterProcess(state_dir, tmp_path / "run", server.base_url, count=10, end="hold")
    writer.announce(daemon.client)
    writer.wait_logged()
    idle_for = time.monotonic() + 2.5
    wait_until(lambda: time.monotonic() > idle_for or daemon.process.poll() is not None, "2.5 s")
    assert daemon.process.poll() is None, "it ended although a writer lives"
    writer.process.kill()
    writer.wait()
    assert daemon.process.wait(20) == 0
    assert server.only_stream().writer_ends() == {writer.writer_id: v1.RUN_STATE_CRASHED}


def test_it_stays_while_an_upload_waits(state_dir, tmp_path, start_daemon):
    daemon = start_daemon("--auto", "--idle-exit-s", "0.2")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        writer = WriterProcess(
            state_dir, tmp_path / "run", f"http://127.0.0.1:{nobody.getsockname()[1]}", count=10
        )
        writer.announce(daemon.client)
        writer.wait()
        wait_until(lambda: not writer.folder.exists(), "the records are in the log")
        idle_for = time.monotonic() + 2.5
        wait_until(lambda: time.monotonic() > idle_for or daemon.process.poll() is not None, "2.5 s")
        assert daemon.process.poll() is None


def test_an_offline_run_does_not_keep_it(state_dir, tmp_path, start_daemon):
    daemon = start_daemon("--auto", "--idle-exit-s", "0.2")
    writer = WriterProcess(state_dir, tmp_path / "run", "", count=10)
    writer.announce(daemon.client)
    writer.wait()
    assert daemon.process.wait(20) == 0
    assert list((tmp_path / "run" / "wal").glob("*.wal"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(number, state_dir, tmp_path, start_daemon):
    daemon = start_daemon()
    start = writer_start(tmp_path / "run")
    run = SpoolRun(state_dir, start)
    daemon.client.open(start, str(run.folder))
    run.log(50_000)
    daemon.process.send_signal(number)
    assert daemon.process.wait(20) == 0
    blocks = WalReader(str(tmp_path / "run" / "wal")).blocks()
    assert max(block.header.spool_end for block in blocks) == run.writer.committed


def test_an_older_daemon_is_drained_and_replaced(state_dir, tmp_path, start_daemon, server):
    first = start_daemon()
    start = writer_start(tmp_path / "run", server.base_url)
    run = SpoolRun(state_dir, start)
    first.client.open(start, str(run.folder))
    run.log(1000)
    assert first.client.shut_down() == first.process.pid
    second = start_daemon()
    assert first.process.wait(10) == 0
    assert second.client.status().pid == second.process.pid
    run.log(1000, begin=1000)
    offset = run.finish()
    assert list(second.client.close_writer(run.writer_id, offset, v1.DURABILITY_SERVER))[-1].on_disk
    assert len(server.streams) == 1


def test_another_protocol_is_refused(tmp_path, start_daemon):
    import grpc

    daemon = start_daemon()
    request = v1.OpenRequest(writer=writer_start(tmp_path / "run"), protocol=DAEMON_PROTOCOL + 1)
    with pytest.raises(grpc.RpcError) as caught:
        daemon.client._call("unary_unary", "Open", v1.OpenResponse)(request, timeout=5)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_it_lets_go_of_the_pipes_it_was_started_with(state_dir):
    """A process that runs the SDK under `subprocess.run(capture_output=True)` must not wait for the daemon."""
    script = (
        "import subprocess, sys;"
        f"p = subprocess.Popen([sys.executable, '-m', 'buoy_daemon', 'run', '--state-dir', {str(state_dir)!r}]);"
        "print(p.pid, flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20, check=True)
    psutil.Process(int(done.stdout)).terminate()


def test_nothing_of_the_server_is_imported():
    code = (
        "import sys, buoy_daemon.lifecycle, pkgutil, importlib, buoy_daemon;"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(buoy_daemon.__path__, 'buoy_daemon.')"
        " if not m.name.endswith('__main__')];"
        "bad = {'chdb','numpy','sqlalchemy','starlette','pyarrow','obstore','clickhouse_connect','buoy','buoy_server'};"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
    assert Path(sys.executable).exists()
