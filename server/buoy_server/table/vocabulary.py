"""What a project's runs have, as its table and the catalogue know it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from buoy_server.metadata.engine import digest
from buoy_server.metadata.schema import KEYS, RUNS, SUMMARY_VALUES
from buoy_server.table.column import ABSENT
from buoy_server.table.metrics import find_metric
from buoy_server.table.project_table import ProjectTable

_KNOWN_MAX = 20_000


class TableVocabulary:
    """See `filters.names.Vocabulary`; for one transaction."""

    def __init__(self, table: ProjectTable, connection: Connection) -> None:
        self._table = table
        self._connection = connection

    def has_config(self, path: str) -> bool:
        """Whether any run has this path in its config."""
        paths = self._table.config_paths(self._connection)
        if path not in paths and not self._table.is_config_node(self._connection, path):
            return False
        # A table that has seen more than another may remember what no run has any more.
        column = self._table.column(self._connection, f"config.{path}")
        return bool(((column.kind != ABSENT) & self._table.alive).any())

    def has_metric(self, name: str) -> bool:
        """Whether any run has logged this key, or has it in its summary."""
        if find_metric(self._connection, self._table.project, name) is not None:
            return True
        chosen = (
            select(RUNS.c.id)
            .join(SUMMARY_VALUES, SUMMARY_VALUES.c.run == RUNS.c.id)
            .where(SUMMARY_VALUES.c.digest == digest(name), RUNS.c.project == self._table.project)
        )
        return self._connection.execute(chosen.limit(1)).first() is not None

    def known(self) -> Collection[str]:
        """Names to propose for one that is not there."""
        return [*self._table.config_paths(self._connection), *self.metrics()][:_KNOWN_MAX]

    def metrics(self) -> list[str]:
        """The keys that runs have logged, the oldest first."""
        chosen = select(KEYS.c.name).where(KEYS.c.project == self._table.project, KEYS.c.system == 0)
        return list(self._connection.execute(chosen.order_by(KEYS.c.id).limit(_KNOWN_MAX)).scalars())
