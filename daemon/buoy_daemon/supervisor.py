"""Keeps a daemon alive: a small process that starts another one when it was killed.

    init() -> shell -> supervisor -> daemon
                         waits        gRPC, threads, the lock

Training never starts a daemon in the middle of a run, because that would cost `log()` what it may not. So a daemon that
the kernel kills for want of memory would be missed until the run ends, and nothing would reach the server for days. The
supervisor imports nothing large: it is not what gets killed. It ends when its daemon ends by itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 60.0
STEADY_S = 60.0
"""A daemon that has lived for so long starts the pauses anew."""


def supervise(daemon: Callable[[], int]) -> int:
    """Runs `daemon` in a child process, again whenever a signal kills it; returns its exit status.

    SIGTERM and SIGINT are passed on, and the child's end is then the end.
    """
    pause_s = PAUSE_FIRST_S
    while True:
        started = time.monotonic()
        status = _run_child(daemon)
        if status >= 0:
            return status
        if -status in (signal.SIGTERM, signal.SIGINT):
            return 128 - status
        pause_s = PAUSE_FIRST_S if time.monotonic() - started >= STEADY_S else pause_s
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, PAUSE_MAX_S)
        # A fault point that has done its work must not do it again.
        os.environ.pop("BUOY_FAULT", None)


def _run_child(daemon: Callable[[], int]) -> int:
    """One life of the daemon: its exit status, or minus the signal that killed it."""
    passed_on = (signal.SIGTERM, signal.SIGINT)
    # Blocked until there is a child to pass them on to, so that none gets lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
        # Skips this process's own clean-up: its stack belongs to the supervisor.
        os._exit(daemon())
    for number in passed_on:
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    _, status = os.waitpid(child, 0)
    for number in passed_on:
        signal.signal(number, signal.SIG_DFL)
    return os.waitstatus_to_exitcode(status)
