"""Spools of gRPC writers that have died before they could send everything.

Such a writer keeps its spool to itself, in an outbox of its host. If that host is ours, and the process is gone, the
spool joins the others: what the writer has sent already is in the log, which says where to go on.
"""

from __future__ import annotations

import logging
from pathlib import Path

from buoy_core import SpoolReader, faults
from buoy_core.errors import CoreError

from buoy_daemon.processes import Process

log = logging.getLogger(__name__)


def collect_outbox(outbox: Path, spool_root: Path) -> None:
    """Moves the spools of dead writers from `outbox`, which need not exist, to `spool_root`."""
    if not outbox.is_dir():
        return
    for folder in sorted(outbox.iterdir()):
        try:
            if _is_abandoned(folder):
                faults.point("outbox.before_rename")
                folder.rename(spool_root / folder.name)
                faults.point("outbox.after_rename")
        except (OSError, CoreError) as error:
            log.debug("the spool %s stays in the outbox: %s", folder, error)


def _is_abandoned(folder: Path) -> bool:
    reader = SpoolReader(str(folder), 0)
    try:
        process = Process(reader.pid, reader.process_start, reader.pid_namespace)
        return reader.foreign_boot or process.runs() is False
    finally:
        reader.close()
