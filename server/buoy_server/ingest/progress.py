"""How far each writer has come with an upload: its spool, its steps, its clock. Pure.

Kept for each writer and not read off the series, because several writers may have the same rank (a process that was
started again, a forked one), and whether a process goes on is a question about that process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from buoy_core.format import KIND_DATA

from buoy_server.ingest.changes import Fresh
from buoy_server.ingest.streams import DAEMON_WRITER

_OFFSET_MAX = (1 << 63) - 1


@dataclass
class Progress:
    """What an upload says of one writer.

    Attributes:
        arrived: Offset in its spool up to which its records are here.
        last_step: The highest step among its new rows; None without any.
        row_us: The time of the newest of them, by the writer's clock.
    """

    arrived: int = 0
    last_step: int | None = None
    row_us: int | None = None

    def take(self, step: int, time_us: int) -> None:
        """Notes a row."""
        self.last_step = step if self.last_step is None else max(self.last_step, step)
        self.row_us = max(self.row_us or 0, time_us)


def progress_of(fresh: Iterable[Fresh]) -> dict[str, Progress]:
    """The progress of each writer that has new records, by its id; the daemon's own records aside."""
    found: dict[str, Progress] = {}
    for item in fresh:
        header = item.block.header
        if header.kind != KIND_DATA or item.writer_id == DAEMON_WRITER:
            continue
        progress = found.setdefault(item.writer_id, Progress())
        progress.arrived = max(progress.arrived, min(header.spool_end, _OFFSET_MAX))
        _take_rows(progress, item)
    return found


def _take_rows(progress: Progress, item: Fresh) -> None:
    rows = item.block.rows
    begin = int(np.searchsorted(np.frombuffer(rows.index, np.uint32), item.skip)) if item.skip else 0
    step = np.frombuffer(rows.step, np.int64)[begin:]
    if len(step):
        time_us = np.frombuffer(rows.time_us, np.int64)[begin:]
        progress.take(int(step.max()), int(time_us.max()))
    for index, row_step, row_us, _, _ in rows.others:
        if index >= item.skip:
            progress.take(row_step, row_us)
