"""Spools of gRPC writers that have died before they could send everything.

Such a writer keeps its spool to itself, in the outbox of its host. When its process is gone, the spool joins the rest:
what the writer has sent already is in the log, which says where to go on. The names of the hosts only keep containers
apart; a machine may have another name since.
"""

from __future__ import annotations

import logging
from pathlib import Path

from buoy_core import SpoolReader, faults
from buoy_core.errors import CoreError

from buoy_daemon.processes import Process

log = logging.getLogger(__name__)


class Outbox:
    """All outboxes in a state folder.

    Args:
        root: the folder with one folder for each host; it need not exist.
        spool_root: where abandoned spools go.
    """

    def __init__(self, root: Path, spool_root: Path) -> None:
        self._root = root
        self._spool_root = spool_root
        self._alive: dict[str, Process] = {}

    def collect(self) -> None:
        """Moves the spools of dead writers to the others."""
        if not self._root.is_dir():
            return
        for folder in sorted(self._root.glob("*/*/")):
            try:
                if self._is_abandoned(folder):
                    faults.point("outbox.before_rename")
                    folder.rename(self._spool_root / folder.name)
                    faults.point("outbox.after_rename")
            except (OSError, CoreError) as error:
                log.debug("the spool %s stays in the outbox: %s", folder, error)

    def _is_abandoned(self, folder: Path) -> bool:
        process = self._alive.get(folder.name)
        if process is None:
            reader = SpoolReader(str(folder), 0)
            foreign = reader.foreign_boot
            process = Process(reader.pid, reader.process_start, reader.pid_namespace)
            reader.close()
            if foreign:
                return True
        if process.runs() is False:
            self._alive.pop(folder.name, None)
            return True
        self._alive[folder.name] = process
        return False
