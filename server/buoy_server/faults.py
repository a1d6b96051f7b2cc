"""Places where tests kill the server, each listed once.

`BUOY_FAULT=name:count` makes the process end itself with SIGKILL when it passes that place for the count-th time.
Without the variable a place costs one comparison.
"""

from __future__ import annotations

import itertools
import os
import signal

CATALOGUE_READY = "catalogue_ready"
"""Keys and stream have their ids; no point has been inserted."""
POINTS_INSERTED = "points_inserted"
"""The points are in the metrics store; texts are not."""
METRICS_INSERTED = "metrics_inserted"
"""All metrics are in; the stream's position has not moved."""
BEFORE_COMMIT = "before_commit"
"""The metadata transaction is complete but not committed."""
AFTER_COMMIT = "after_commit"
"""Everything is stored; the client has no answer yet."""

NAMES = (CATALOGUE_READY, POINTS_INSERTED, METRICS_INSERTED, BEFORE_COMMIT, AFTER_COMMIT)


def _armed() -> tuple[str, int]:
    name, _, count = os.environ.get("BUOY_FAULT", "").partition(":")
    if name and name not in NAMES:
        raise ValueError(f"BUOY_FAULT names no fault point: {name}; there are {', '.join(NAMES)}")
    return name, int(count or "1")


_NAME, _COUNT = _armed()
_passed = itertools.count(1)


def point(name: str) -> None:
    """Ends the process here if the environment says so."""
    if name == _NAME and next(_passed) == _COUNT:
        os.kill(os.getpid(), signal.SIGKILL)
