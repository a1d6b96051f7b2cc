"""`finish()` returns when the data is where it was asked to be; it shows how far it is, and never hangs."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template

import pytest

from tests.crash.stack import PATIENCE_S, Stack, wait_until

ROWS = 20_000

PREAMBLE = """
import buoy, os, signal, sys, time
run = buoy.init(project="crash", id="$id")
for step in range($rows):
    run.log({"loss": 1.0 / (step + 1), **{f"key{number}": step * 0.1 + number for number in range($width)}})
print("logged", flush=True)
"""


def code(run_id: str, ending: str = "run.finish()", rows: int = ROWS, width: int = 1) -> str:
    return (
        Template(PREAMBLE).substitute(id=run_id, rows=rows, width=width)
        + ending
        + '\nprint("finished", flush=True)\n'
    )


def start(stack: Stack, code: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**stack.environment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(stack: Stack, code: str, **environment: str) -> tuple[str, str]:
    process = start(stack, code, **environment)
    out, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, error
    assert "Traceback" not in error, error
    return out, error


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose server is not there yet."""
    stack = Stack(tmp_path)
    with contextlib.ExitStack() as ending:
        ending.push(stack)
        yield stack


@contextlib.contextmanager
def paused_server(stack: Stack) -> Iterator[None]:
    """The server takes connections, as the kernel does for it, and never answers."""
    assert stack.server is not None
    stack.server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        stack.server.send_signal(signal.SIGCONT)


# ------------------------------------------------------------------ where the data is


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "transport"), [("argument", "spool"), ("setting", "grpc"), ("exit", "spool"), ("exit", "grpc")]
)
def test_upload_means_that_the_server_has_everything(stack: Stack, way: str, transport: str) -> None:
    """Nothing outlives a container: daemon and supervisor are killed the moment the process has ended."""
    run_id = f"{way}-{transport}"
    ending = {"argument": "run.finish(wait='upload')", "setting": "buoy.finish()", "exit": "pass"}[way]
    environment = {} if way == "argument" else {"BUOY_FINISH_WAIT": "upload"}
    _, error = run(stack, code(run_id, ending), BUOY_TRANSPORT=transport, **environment)
    for pid in stack.daemons():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert "all of it is on the server" in error
    assert stack.points(run_id) == ROWS
    found = stack.run(run_id)
    assert found is not None
    assert found["state"] == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["spool", "grpc"])
def test_upload_waits_for_what_forked_children_have_left(stack: Stack, transport: str) -> None:
    """The daemon looks for spools that nobody told it of once a second: too late for a container."""
    ending = """
for child in range(4):
    if os.fork() == 0:
        for step in range(1000): run.log({f"child{child}": step})
        os._exit(0)
for child in range(4): os.wait()
run.finish(wait="upload")
"""
    run_id = f"children-{transport}"
    run(stack, code(run_id, ending, rows=100), BUOY_TRANSPORT=transport)
    for pid in stack.daemons():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert [stack.points(run_id, f"child{child}") for child in range(4)] == [1000] * 4
    assert stack.run(run_id)["state"] == "finished"  # type: ignore[index]


@pytest.mark.slow
def test_upload_survives_the_death_of_daemon_and_server(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        with paused_server(stack):
            process = start(stack, code("run", "run.finish(wait='upload')"))
            assert process.stdout is not None
            assert process.stdout.readline() == "logged\n"
            stack.kill_daemon()
        stack.kill_server()
        time.sleep(
            1.0
        )  # The server's absence, not a synchronisation: finish() has to live through some of it.
        stack.start_server()
        out, error = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (0, "finished\n"), error
        assert stack.points("run") == ROWS
        assert "all of it is on the server" in error


# ------------------------------------------------------------------ no hang


@pytest.mark.slow
def test_a_server_that_never_answers_ends_the_wait(away: Stack) -> None:
    begin = time.monotonic()
    ending = "second = buoy.init(project='crash'); second.log({'a': 1}); run.finish(); second.finish()"
    ending = ending.replace("buoy.init(", "buoy.init(reinit='create_new', ")
    _, error = run(away, code("run", ending), BUOY_FINISH_WAIT="upload", BUOY_FINISH_PATIENCE="3")
    # The second run does not wait for the same server again.
    assert 3 <= time.monotonic() - begin < 6 + PATIENCE_S / 4
    said = [line for line in error.splitlines() if "has taken nothing for" in line]
    assert len(said) == 2
    assert re.search(r"has taken nothing for 3 s .*: 20,0\d\d of 20,0\d\d records are not there", said[0])
    assert "All are kept in " in said[0]
    assert "buoy sync" in said[0]
    away.start_server()
    wait_until(lambda: away.points("run") == ROWS, "what the daemon uploads later")


@pytest.mark.slow
def test_a_server_that_hangs_ends_the_wait(stack: Stack) -> None:
    with paused_server(stack):
        _, error = run(stack, code("hangs"), BUOY_FINISH_WAIT="upload", BUOY_FINISH_PATIENCE="3")
    assert "has taken nothing for 3 s" in error
    wait_until(lambda: stack.points("hangs") == ROWS, "what the daemon uploads later")


@pytest.mark.slow
def test_a_server_that_says_no_is_not_waited_for(stack: Stack) -> None:
    process = start(
        stack,
        code("refused"),
        BUOY_FINISH_WAIT="upload",
        BUOY_API_KEY="wrong",
        BUOY_STATE_DIR=f"{stack.folder}/other",
    )
    _, error = process.communicate(timeout=PATIENCE_S)
    stop = [sys.executable, "-m", "buoy", "daemon", "stop"]
    environment = {**stack.environment, "BUOY_STATE_DIR": f"{stack.folder}/other"}
    subprocess.run(stop, env=environment, check=False, capture_output=True, timeout=PATIENCE_S)
    assert process.returncode == 0, error
    assert re.search(r"refuses the run \(HTTP 40[13].*records are not there", error), error


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_end_the_wait(away: Stack, number: signal.Signals, status: int) -> None:
    process = start(away, code("run", "print('waiting', flush=True); run.finish(wait='upload')"))
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["logged\n", "waiting\n"]
    # The log holds everything before the wait for the server begins.
    wait_until(
        lambda: (away.folder / "runs").exists() and ended_in_log(away.folder / "runs"),
        "the wait for the server",
    )
    process.send_signal(number)
    begin = time.monotonic()
    _, error = process.communicate(timeout=PATIENCE_S)
    assert time.monotonic() - begin < PATIENCE_S / 4
    assert process.returncode == status, error
    assert "Traceback" not in error
    if number == signal.SIGINT:
        # Before the daemon has said how far it is, no numbers are given.
        assert re.search(
            r"interrupted; (20,0\d\d of 20,0\d\d records are not on the server yet. All are kept in "
            r"|the data is safe on this machine, and the daemon goes on with it\n)",
            error,
        )


def ended_in_log(runs: Path) -> bool:
    from buoy.local import LocalRun, run_folders

    return any(LocalRun(folder).state == "finished" for folder in run_folders(runs))


# ------------------------------------------------------------------ what is shown


def on_terminal(stack: Stack, code: str, columns: int = 120, **environment: str) -> str:
    """Everything that a program writes to a terminal of its own."""
    import fcntl
    import struct
    import termios

    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**stack.environment, "TERM": "xterm", "PYTHONUTF8": "1", **environment},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not select.select([controller], [], [], 1.0)[0]:
            continue
        try:
            part = os.read(controller, 65536)
        except OSError:  # The terminal's other side is closed.
            break
        if not part:
            break
        shown += part
    os.close(controller)
    assert process.wait(timeout=PATIENCE_S) == 0, shown.decode()
    return shown.decode()


@pytest.mark.slow
def test_a_terminal_gets_a_bar(away: Stack) -> None:
    shown = on_terminal(away, code("run", "run.finish(wait='upload')"), columns=100, BUOY_FINISH_PATIENCE="2")
    bars = [part for part in shown.split("\r") if "uploading" in part]
    assert len(bars) >= 5
    assert re.search(r"buoy: uploading .* 0%  0 of 20,0\d\d records, no answer", bars[-1]), bars[-1]
    assert all(len(bar.removesuffix("\x1b[K")) < 100 for bar in bars)
    # The bar is gone before anything else is said.
    assert "\r\x1b[K" in shown[shown.rindex("uploading") :]


@pytest.mark.slow
def test_elsewhere_there_are_lines(away: Stack) -> None:
    _, error = run(away, code("run", "run.finish(wait='upload')"), BUOY_FINISH_PATIENCE="2")
    lines = [line for line in error.splitlines() if "uploading" in line]
    assert len(lines) == 1
    assert re.fullmatch(r"buoy: uploading +0%  0 of 20,0\d\d records, no answer.*", lines[0])
    assert "\r" not in error
    assert "\x1b" not in error


@pytest.mark.slow
@pytest.mark.parametrize("how", ["silent", "quiet"])
def test_nothing_is_shown_to_who_wants_nothing(away: Stack, how: str) -> None:
    environment = {"BUOY_FINISH_PATIENCE": "1.5", f"BUOY_{how.upper()}": "1"}
    shown = on_terminal(away, code("run", "run.finish(wait='upload')"), **environment)
    assert "uploading" not in shown


# ------------------------------------------------------------------ the default


@pytest.mark.slow
def test_a_container_without_a_server_of_its_own_does_not_wait(away: Stack) -> None:
    begin = time.monotonic()
    _, error = run(away, code("run"), BUOY_FINISH_WAIT="", container="docker")
    assert time.monotonic() - begin < PATIENCE_S / 2
    assert "start `buoy server`" in error


@pytest.mark.slow
def test_a_batch_job_waits_for_the_server(stack: Stack) -> None:
    _, error = run(stack, code("batch"), BUOY_FINISH_WAIT="", SLURM_JOB_ID="17")
    assert "all of it is on the server" in error
    assert stack.points("batch") == ROWS
