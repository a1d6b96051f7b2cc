"""Trainers in containers that share the state folder with a daemon outside, or the other way round.

`unshare --pid` makes what counts: a table of processes where each pid means another process, or none.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from buoy_core.state import log_path, spool_root
from buoy_proto import v1

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import Client, wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can make a table of processes")

CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
QUICK = ("--sync-interval-s", "0.1")
WRITER = Path(__file__).with_name("writer_process.py")


class Contained:
    """A writer in a table of processes of its own; its pid in there is 1, 2 or so."""

    def __init__(
        self, state_dir: Path, tmp_path: Path, base_url: str, *, count: int, end: str, container: list[str]
    ):
        self.writer_id = secrets.token_bytes(16)
        self.folder = spool_root(state_dir) / self.writer_id.hex()
        words = [state_dir, tmp_path / "run", base_url, self.writer_id.hex(), "r1", count, 2000, end]
        self.process = subprocess.Popen(
            [*container, sys.executable, str(WRITER), *map(str, words)], stdout=subprocess.DEVNULL
        )

    def inner(self) -> psutil.Process:
        """The writer itself, as seen from outside."""
        return wait_until(
            lambda: next((p for p in psutil.Process(self.process.pid).children(recursive=True)), None),
            "the writer",
        )


def ended(server, writer: Contained) -> int | None:
    return server.streams and server.only_stream().writer_ends().get(writer.writer_id)


def ends(server) -> list[int]:
    """Every word about the end of any writer, in its order."""
    return [
        r.writer_end.state for _, r in server.only_stream().messages() if r.WhichOneof("kind") == "writer_end"
    ]


@pytest.mark.parametrize("container", [CONTAINER, CONTAINER[:-1]], ids=["own /proc", "outer /proc"])
def test_a_writer_in_a_container_is_not_taken_for_dead(state_dir, tmp_path, start_daemon, server, container):
    """It was: its pid meant nothing to the daemon, which deleted the spool while the writer wrote."""
    start_daemon(*QUICK)
    writer = Contained(state_dir, tmp_path, server.base_url, count=6000, end="finish", container=container)
    try:
        assert writer.process.wait(60) == 0
        wait_until(lambda: ended(server, writer), "its end arrives")
    finally:
        writer.process.kill()
    assert ended(server, writer) == v1.RUN_STATE_FINISHED
    assert values_of(server.only_stream(), writer.writer_id) == list(map(float, range(6000)))


def test_a_container_that_is_killed_is_noticed_from_outside(state_dir, tmp_path, start_daemon, server):
    start_daemon(*QUICK)
    writer = Contained(state_dir, tmp_path, server.base_url, count=2000, end="hold", container=CONTAINER)
    wait_until(
        lambda: server.streams and values_of(server.only_stream(), writer.writer_id)[-1:] == [1999.0], "rows"
    )
    assert not ended(server, writer)
    writer.inner().kill()
    writer.process.wait()
    wait_until(lambda: ended(server, writer), "the daemon says how it ended")
    assert ended(server, writer) == v1.RUN_STATE_CRASHED
    wait_until(lambda: not writer.folder.exists(), "the spool is removed")


def test_a_container_that_died_while_no_daemon_ran(state_dir, tmp_path, start_daemon, server):
    writer = Contained(state_dir, tmp_path, server.base_url, count=500, end="kill", container=CONTAINER)
    writer.process.wait()
    start_daemon(*QUICK)
    wait_until(lambda: ended(server, writer), "the daemon says how it ended")
    assert values_of(server.only_stream(), writer.writer_id) == list(map(float, range(500)))


def test_a_daemon_in_a_container_loses_nothing_of_a_silent_writer_outside(state_dir, tmp_path, server):
    """It cannot see the writer, gives it up after the grace time, and goes on with it when it writes again."""
    command = [sys.executable, "-m", "buoy_daemon", "run", "--state-dir", str(state_dir), *QUICK]
    daemon = subprocess.Popen([*CONTAINER, *command, "--unseen-grace-s", "1.5"], stderr=subprocess.DEVNULL)
    client = Client(state_dir)
    try:
        wait_until(client.try_status, "the daemon answers")
        words = [state_dir, tmp_path / "run", server.base_url, secrets.token_hex(16), "r1", 100, 1e9, "wait"]
        writer = subprocess.Popen(
            [sys.executable, str(WRITER), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        writer_id = bytes.fromhex(words[3])
        wait_until(lambda: server.streams and server.only_stream().writer_ends(), "it is given up")
        assert server.only_stream().writer_ends() == {writer_id: v1.RUN_STATE_CRASHED}
        writer.communicate(b"\n", timeout=30)
        wait_until(lambda: ends(server) == [v1.RUN_STATE_CRASHED, v1.RUN_STATE_FINISHED], "the end arrives")
        assert values_of(server.only_stream(), writer_id) == list(map(float, range(200)))
        wait_until(lambda: not (spool_root(state_dir) / words[3]).exists(), "the spool is removed")
        assert "Traceback" not in log_path(state_dir).read_text()
    finally:
        client.close()
        # The first process of a table passes over signals that it has not asked for; the daemon is a child.
        for process in psutil.Process(daemon.pid).children(recursive=True):
            process.send_signal(signal.SIGTERM)
        daemon.wait(20)
