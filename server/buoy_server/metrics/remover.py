"""Takes points and texts out of the engine for good.

A removal is a mutation: the engine notes it durably and rewrites parts in its own time, also after a restart. Nobody
waits for that, because it may wait for room itself; whoever asked counts what is left until that is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from buoy_server.metrics.engine import MetricsEngine

TABLES = ("points", "texts")


@dataclass(frozen=True)
class Unneeded:
    """Everything of a run but, of some attempts, the steps below an end.

    Attributes:
        run: Its id in SQL.
        kept: By attempt, the step below which its points stay.
    """

    run: int
    kept: Mapping[int, int] = field(default_factory=dict)

    def condition(self) -> str:
        """As SQL. Only whole numbers of ours get into it: a mutation takes no parameters."""
        kept = " OR ".join(
            f"(attempt = {int(attempt)} AND step < {int(end)})" for attempt, end in sorted(self.kept.items())
        )
        return f"(run = {int(self.run)} AND NOT ({kept}))" if kept else f"(run = {int(self.run)})"


class MetricsRemover:
    """The removing side of the metrics. Thread-safe."""

    def __init__(self, engine: MetricsEngine) -> None:
        self._engine = engine

    def is_busy(self) -> bool:
        """Whether an earlier removal is not done."""
        with self._engine.client() as client:
            found = client.query(
                "SELECT count() FROM system.mutations WHERE database = currentDatabase() "
                "AND table IN ('points', 'texts') AND NOT is_done"
            )
        return bool(found.result_rows[0][0])

    def count(self, unneeded: Unneeded) -> int:
        """How many points and texts are still there."""
        total = 0
        for table in TABLES:
            with self._engine.client() as client:
                found = client.query(f"SELECT count() FROM {table} WHERE {unneeded.condition()}")
            total += int(found.result_rows[0][0])
        return total

    def remove(self, unneeded: list[Unneeded]) -> None:
        """Has the engine remove all of it, in its own time."""
        condition = " OR ".join(item.condition() for item in unneeded)
        self._engine.rewriting()
        for table in TABLES:
            with self._engine.client() as client:
                client.command(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 0")
