"""`buoy sync` picks up whatever dead processes have left, and says what it cannot bring to a server."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from buoy_core.placement import local_folders
from buoy_core.state import outbox_root

from tests.crash.stack import Stack, wait_until
from tests.crash.trainer import loss
from tests.daemon.boots import pretend_other_boot

STEPS = 5_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(autouse=True)
def no_daemon(stack: Stack) -> None:
    wait_until(stack.stop_daemon, "no daemon runs")


def sync(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "buoy", "sync", *arguments]
    return subprocess.run(
        command, env=stack.environment, capture_output=True, text=True, timeout=120, check=False
    )


def kill_all(stack: Stack) -> None:
    """The daemon and its supervisor, at one go."""

    def none_left() -> bool:
        for pid in stack.daemons():
            os.kill(pid, signal.SIGKILL)
        return not stack.daemons()

    wait_until(none_left, "the death of all daemons")


def complete(stack: Stack, run_id: str, count: int = STEPS) -> bool:
    return stack.history(run_id) == [(step, loss(step)) for step in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["spool", "grpc"])
def test_orphans_are_brought_to_the_server(stack: Stack, transport: str) -> None:
    """Trainer, daemon and supervisor are killed; nobody logs any more. One run has even changed the boot."""
    run_id = f"orphan-{transport}"
    trainer = stack.train(run_id, STEPS * 100, pause_s=0.0002, transport=transport)
    trainer.wait_accepted(STEPS)
    kill_all(stack)
    trainer.process.kill()
    trainer.wait()
    kill_all(stack)
    roots = [stack.folder / "state/spool", outbox_root(stack.folder / "state", os.uname().nodename)]
    left = [folder for root in roots if root.exists() for folder in root.iterdir() if folder.is_dir()]
    assert left
    for folder in left:
        pretend_other_boot(folder)
    done = sync(stack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything is on the server" in done.stdout
    # Right when it has returned, with no further waiting.
    assert trainer.accepted <= len(stack.history(run_id)) <= trainer.accepted + 1
    assert complete(stack, run_id, len(stack.history(run_id)))
    assert not any(folder.exists() for folder in left)
    again = sync(stack)
    assert again.returncode == 0
    assert not again.stderr


@pytest.mark.slow
def test_a_run_that_goes_on_counts_as_far_as_it_has_come(stack: Stack) -> None:
    trainer = stack.train("live", STEPS * 1000, pause_s=0.001)
    trainer.wait_accepted(500)
    before = trainer.accepted
    done = sync(stack)
    assert done.returncode == 0, done.stdout
    assert stack.points("live") >= before
    assert trainer.process.poll() is None
    trainer.process.kill()
    trainer.wait()


@pytest.mark.slow
def test_what_cannot_be_sent_is_named_with_the_reason(stack: Stack) -> None:
    stack.kill_server()
    trainer = stack.train("later", STEPS)
    assert trainer.wait() == 0
    nonsense = stack.folder / "state/spool" / ("ab" * 16)
    nonsense.mkdir()
    (nonsense / "00000000.seg").write_bytes(b"nonsense")
    done = sync(stack, "--timeout", "2")
    assert done.returncode == 1
    assert "local/crash/later: " in done.stdout
    assert "records wait: unreachable (" in done.stdout
    assert f"spool {nonsense}: what it recorded waits: belongs to no run (" in done.stdout
    (nonsense / "00000000.seg").unlink()
    nonsense.rmdir()
    stack.start_server()
    done = sync(stack)
    assert done.returncode == 0, done.stdout
    assert complete(stack, "later")


@pytest.mark.slow
def test_an_offline_run_stays_where_it_is_and_is_no_failure(stack: Stack) -> None:
    script = "import buoy; run = buoy.init(project='crash', id='off', mode='offline'); run.log({'loss': 1})"
    subprocess.run([sys.executable, "-c", script], env=stack.environment, check=True, capture_output=True)
    done = sync(stack)
    assert done.returncode == 0, done.stdout
    assert "offline, stays in this folder" in done.stdout


@pytest.mark.slow
def test_a_terminal_gets_a_bar(stack: Stack) -> None:
    stack.kill_server()
    trainer = stack.train("bar", STEPS)
    assert trainer.wait() == 0
    stack.start_server()
    wait_until(stack.stop_daemon, "no daemon runs")
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "buoy", "sync"],
        env={**stack.environment, "TERM": "xterm"},
        stdout=end,
        stderr=end,
    )
    os.close(end)
    shown = b""
    try:
        while data := os.read(terminal, 65536):
            shown += data
    except OSError:
        # The end of a pseudo-terminal.
        pass
    assert process.wait(60) == 0, shown
    assert b"uploading" in shown
    assert b"everything is on the server" in shown


@pytest.mark.slow
def test_another_place_of_the_state_folder_is_looked_at_too(stack: Stack) -> None:
    """The home was read-only for a day; what was recorded meanwhile is on a local disk."""
    away = local_folders(stack.folder / "state")[0]
    assert not away.exists()
    elsewhere = dict(stack.environment, BUOY_STATE_DIR=str(away))
    script = (
        "import buoy, os; run = buoy.init(project='crash', id='away'); run.log({'loss': 1.0}); os._exit(1)"
    )
    key = next(iter((stack.folder / "state").glob("credentials.json"))).read_text()
    away.mkdir(mode=0o700)
    try:
        (away / "credentials.json").write_text(key)
        subprocess.run([sys.executable, "-c", script], env=elsewhere, check=False, capture_output=True)
        stop = [sys.executable, "-m", "buoy", "daemon", "stop"]
        subprocess.run(stop, env=elsewhere, check=True, capture_output=True)
        done = sync(stack)
        assert done.returncode == 0, done.stdout
        assert stack.points("away") == 1
        subprocess.run(stop, env=elsewhere, check=True, capture_output=True)
    finally:
        shutil.rmtree(away)
