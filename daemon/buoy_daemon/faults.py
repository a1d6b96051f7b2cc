"""Named points where a test can kill the daemon, as a power cut or an out-of-memory killer would.

`BUOY_FAULT=name:count` sends SIGKILL to this process when the point is reached for the count-th time. Every point is
listed here once; the crash tests run through the list, and each fails if its point is never reached.
"""

from __future__ import annotations

import os
import signal

NAMES = (
    "index.before_rename",
    "index.after_rename",
    "stream.after_index",
    "stream.after_log",
    "log.before_append",
    "log.after_append",
    "log.before_sync",
    "log.after_sync",
    "spool.before_release",
    "spool.after_release",
    "end.before_record",
    "end.after_record",
    "close.before_index",
    "close.after_index",
    "spool.before_remove",
    "spool.after_remove",
    "upload.before_send",
    "upload.after_send",
    "upload.after_ack",
    "ack.before_rename",
    "done.before_rename",
)

_name, _, _count = os.environ.get("BUOY_FAULT", "").partition(":")
_left = int(_count or 1)


def point(name: str) -> None:
    """Dies here if the environment says so; costs one comparison otherwise."""
    if name == _name:
        _hit()


def _hit() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


if _name and _name not in NAMES:
    raise ValueError(f"BUOY_FAULT names no fault point: {_name}")
