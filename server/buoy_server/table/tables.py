"""All tables of a server, within a limit of memory. Thread-safe.

What is given up when there are too many is the columns that were asked for longest ago, then whole tables. Nothing is
lost by that: the next question reads them again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from buoy_server.metadata.engine import Metadata
from buoy_server.query.summaries import Summaries
from buoy_server.table.project_table import ProjectTable

BYTES_MAX = 512 << 20


class Tables:
    """See the module.

    Args:
        metadata: the database.
        summaries: for the tables.
        bytes_max: what all tables may take together, but the one in use.
    """

    def __init__(self, metadata: Metadata, summaries: Summaries, bytes_max: int = BYTES_MAX) -> None:
        self._metadata = metadata
        self._summaries = summaries
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._tables: OrderedDict[int, ProjectTable] = OrderedDict()
        self._sizes: dict[int, int] = {}

    @contextmanager
    def at_present(self, project: int) -> Iterator[tuple[ProjectTable, Connection]]:
        """The table of a project as the database has it, and the transaction that says so; for this thread alone."""
        with self._lock:
            table = self._tables.get(project)
            if table is None:
                table = ProjectTable(project, self._summaries, self._bytes_max // 4)
                self._tables[project] = table
            self._tables.move_to_end(project)
        # The transaction begins within the lock, so that none is older than what the table has seen.
        with table.lock, self._metadata.read() as connection:
            table.refresh(connection)
            yield table, connection
            self._trim(table)

    def _trim(self, table: ProjectTable) -> None:
        """Makes room; called by who holds the lock of `table`."""
        while table.size_bytes > self._bytes_max and table.drop_least_used():
            pass
        with self._lock:
            self._sizes[table.project] = table.size_bytes
            while sum(self._sizes.values()) > self._bytes_max and len(self._tables) > 1:
                oldest = next(project for project in self._tables if project != table.project)
                # Whoever has it still goes on with it; it is dropped when they are done.
                del self._tables[oldest]
                self._sizes.pop(oldest, None)
