"""A run that begins while there is no room for its spool: nothing is kept at first, and everything from when there is.

A job of a month must not go unrecorded because a disk was full in its first minute.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from buoy_core.errors import CoreError

from buoy.tracking.metric import Metric
from buoy.tracking.recorder import NoRecorder, SpoolRecorder

RETRY_S = 1.0
_CHANGES_MAX = 1000

Change = Callable[[SpoolRecorder], None]


class LateRecorder(NoRecorder):
    """Counts rows and remembers everything else, until a recorder can be made.

    Args:
        make: makes one, given how many rows were dropped; raises OSError or CoreError while it cannot.
        arrived: is told of it. From then on nobody should come here any more.
        step: where the run begins.

    Attributes:
        dropped: rows that came too early.
        error: why there is no recorder yet.
    """

    def __init__(
        self, make: Callable[[int], SpoolRecorder], arrived: Callable[[SpoolRecorder], None], step: int
    ) -> None:
        super().__init__()
        self.step = step
        self.dropped = 0
        self.error: Exception | None = None
        self._make = make
        self._arrived = arrived
        self._pid = os.getpid()
        self._changes: list[Change] = []
        self._recorder: SpoolRecorder | None = None
        self._making = threading.Lock()
        self._retry_at = time.monotonic() + RETRY_S

    def log(self, data: Mapping[str, object], step: int | None = None, commit: bool | None = None) -> None:
        """Records a row if there is room by now; else counts it."""
        recorder = self.settle(time.monotonic())
        if recorder is not None:
            recorder.log(data, step, commit)
            return
        super().log(data, step, commit)
        self.dropped += 1

    def settle(self, now: float) -> SpoolRecorder | None:
        """The recorder, made if it is time and can be."""
        # A forked child of a run without a writer has nobody to branch off from.
        if self._recorder is not None or now < self._retry_at or os.getpid() != self._pid:
            return self._recorder
        if not self._making.acquire(blocking=False):
            return None
        try:
            return self._recorder or self._attempt(now)
        finally:
            self._making.release()

    def _attempt(self, now: float) -> SpoolRecorder | None:
        self._retry_at = now + RETRY_S
        try:
            recorder = self._make(self.dropped)
        except (CoreError, OSError) as error:
            self.error = error
            return None
        self._recorder = recorder
        recorder.writer.step = self.step
        for change in self._changes:
            change(recorder)
        self._arrived(recorder)
        return recorder

    def config(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Remembers a change of the configuration."""
        values, removed = dict(values), list(removed)
        self._change(lambda recorder: recorder.config(values, removed))

    def summary(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Remembers values set by hand in the summary."""
        values, removed = dict(values), list(removed)
        self._change(lambda recorder: recorder.summary(values, removed))

    def metric(self, metric: Metric, *, overwrite: bool) -> None:
        """Remembers a definition."""
        self._change(lambda recorder: recorder.metric(metric, overwrite=overwrite))

    def update(self, **changed: object) -> None:
        """Remembers changed properties of the run."""
        self._change(lambda recorder: recorder.update(**changed))

    def _change(self, change: Change) -> None:
        if self._recorder is not None:
            change(self._recorder)
        elif len(self._changes) < _CHANGES_MAX:
            self._changes.append(change)
        else:
            self.dropped += 1
