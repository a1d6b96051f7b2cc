"""Keeps a daemon alive: a small process that starts another one when it was killed or failed.

    init() -> shell -> supervisor -> daemon
                         waits        gRPC, threads, the lock

Training never starts a daemon in the middle of a run, because that would cost `log()` what it may not. So a daemon that
the kernel kills for want of memory would be missed until the run ends, and nothing would reach the server for days. The
supervisor imports nothing large: it is not what gets killed. It ends when its daemon ends by itself, when there is
nothing left to do, or when another supervisor has come: whoever calls `init()` while it pauses wants a daemon now.

The first daemon is a fork, which saves the start of an interpreter. Each later one is a new program: buoy may have been
upgraded since, and this process still holds the old code.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from buoy_core.holder import holder_line, is_running, read_holder
from buoy_core.state import ENDING, PAUSING, lock_path, log_path, spool_root, supervisor_path

PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 60.0
STEADY_S = 60.0
"""A daemon that has lived for so long starts the pauses anew."""

PATIENT_S = 1.5
"""From this pause on, a daemon that nobody has asked for is only tried again if there is something for it to do."""

FAILED = 1
"""Exit status of a daemon that may well start, or go on, the next time."""

REFUSED = 2
"""Exit status of a daemon that will not start here, however often it is tried; also that of a wrong command line."""

RUNNING = "running"
WATCH_POLL_S = 1.0

_PASSED_ON = (signal.SIGTERM, signal.SIGINT)


def supervise(daemon: Callable[[], int], command: list[str], state_dir: Path, watched: int = 0) -> int:
    """Runs `daemon` in a child process, and `command` whenever it is killed or fails; returns the exit status.

    SIGTERM and SIGINT are passed on, and the child's end is then the end.

    Args:
        daemon: the first one.
        command: the later ones.
        state_dir: the state folder.
        watched: pid of a daemon that has lost its supervisor, to be waited for in place of the first.
    """
    with contextlib.suppress(OSError):
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _note(state_dir, RUNNING)
    pause_s = PAUSE_FIRST_S
    life: Callable[[], int] = partial(_watch, state_dir, watched) if watched else partial(_run_child, daemon)
    while True:
        started = time.monotonic()
        status = life()
        lived_s = time.monotonic() - started
        if status in (0, REFUSED):
            return status
        if -status in _PASSED_ON:
            return 128 - status
        pause_s = PAUSE_FIRST_S if lived_s >= STEADY_S else pause_s
        given_up = pause_s >= PATIENT_S and "--auto" in command and not _has_work(state_dir)
        if given_up or _superseded(state_dir):
            return FAILED
        _say(
            state_dir, f"the daemon {_ended(status)} after {lived_s:.1f} s; another starts in {pause_s:.1f} s"
        )
        _note(state_dir, PAUSING)
        time.sleep(pause_s)
        if _superseded(state_dir):
            return FAILED
        _note(state_dir, RUNNING)
        pause_s = min(pause_s * 2, PAUSE_MAX_S)
        # A fault point that has done its work must not do it again.
        os.environ.pop("BUOY_FAULT", None)
        life = partial(_run_child, partial(_execute, command))


def _execute(command: list[str]) -> NoReturn:
    os.execv(sys.executable, [sys.executable, *command])


def _run_child(program: Callable[[], int]) -> int:
    """One life of the daemon: its exit status, or minus the signal that killed it."""
    # Blocked until there is a child to pass them on to, so that none gets lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        # Skips this process's own clean-up, whatever happens: its stack belongs to the supervisor.
        try:
            status = program()
        except BaseException as error:
            print(f"buoy daemon: {type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            status = 1
        os._exit(status)
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    _, status = os.waitpid(child, 0)
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_DFL)
    return os.waitstatus_to_exitcode(status)


def _watch(state_dir: Path, pid: int) -> int:
    """Waits for a daemon that is no child of ours; 0 if it meant to end, else as if it was killed."""
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _frame: os.kill(pid, received))
    try:
        # Not every system has pidfds, or lets us have one.
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        while is_running(pid):
            time.sleep(WATCH_POLL_S)
    else:
        select.select([descriptor], [], [])
        os.close(descriptor)
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_DFL)
    last = read_holder(lock_path(state_dir))
    return 0 if last is not None and (last.pid, last.doing) == (pid, ENDING) else -signal.SIGKILL


def _ended(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"failed (exit status {status})"


def _note(state_dir: Path, doing: str) -> None:
    """Writes down who supervises; without that file nobody minds."""
    try:
        supervisor_path(state_dir).write_bytes(holder_line(doing))
    except OSError:
        return


def _superseded(state_dir: Path) -> bool:
    """Whether another supervisor has come since."""
    holder = read_holder(supervisor_path(state_dir))
    return holder is not None and holder.pid != os.getpid() and holder.is_running()


def _has_work(state_dir: Path) -> bool:
    """Whether a daemon would find anything: spools, or streams that are not uploaded."""
    try:
        return any(spool_root(state_dir).iterdir()) or any((state_dir / "streams").glob("*.json"))
    except OSError:
        # Nothing can be told, so somebody had better look; unless the folder is gone.
        return state_dir.is_dir() and spool_root(state_dir).is_dir()


def _say(state_dir: Path, text: str) -> None:
    """Adds to the daemon's log, which each daemon may have moved on to another file."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    try:
        with log_path(state_dir).open("a", encoding="utf-8") as log:
            log.write(f"{stamp},000 WARNING supervisor buoy_daemon.supervisor: {text}\n")
    except OSError:
        return
