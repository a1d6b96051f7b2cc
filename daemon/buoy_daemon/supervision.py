"""Sees to it that the daemon has a supervisor: when that was killed, another one watches."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time

from buoy_daemon.options import Options

log = logging.getLogger(__name__)


PAUSE_S = 60.0
"""Between two attempts to have a supervisor."""


class Supervision:
    """Whether the process that started this one still waits for its end.

    Args:
        options: whether there is a supervisor at all, and what the next daemon is told.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._parent = os.getppid() if options.supervised else 0
        self._watcher: subprocess.Popen[bytes] | None = None
        self._not_before = float("-inf")

    def renew(self) -> None:
        """Starts another supervisor if the last one is gone."""
        if self._watcher is not None:
            gone = self._watcher.poll() is not None
        else:
            gone = self._parent != 0 and os.getppid() != self._parent
        if not gone or time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + PAUSE_S
        log.warning("the supervisor is gone; another one watches from now on")
        command = [sys.executable, "-m", "buoy_daemon", "run", *self._options.words(), "--supervise"]
        try:
            self._watcher = subprocess.Popen(
                [*command, "--watch", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            log.error("it cannot be started: %s", error)
