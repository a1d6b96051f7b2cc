"""Writes points and texts.

One call is one part in the engine: it is there as a whole or not at all. The token makes the engine drop a call that
is repeated; `stored_until` tells what arrived before a crash, whatever way the records are cut into calls the next
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from clickhouse_connect.driver.exceptions import ClickHouseError
from numpy.typing import NDArray

from buoy_server.errors import Busy
from buoy_server.metrics.engine import MetricsEngine
from buoy_server.metrics.native import Column, encode_block
from buoy_server.metrics.tables import POINTS, TEXTS
from buoy_server.storage import trouble_of


@dataclass
class PointColumns:
    """Points of one run, attempt and stream, all columns equally long. The engine sorts what is not sorted."""

    run: int
    attempt: int
    stream: int
    key: NDArray[np.uint32]
    rank: NDArray[np.uint32]
    step: NDArray[np.int64]
    seq: NDArray[np.uint64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    kind: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.key)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> PointColumns:
        """The same columns with some of the rows."""
        return PointColumns(
            self.run, self.attempt, self.stream,
            self.key[rows], self.rank[rows], self.step[rows], self.seq[rows],
            self.time_us[rows], self.value[rows], self.kind[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class TextRow:
    """A value that is not a number, as JSON."""

    key: int
    rank: int
    step: int
    seq: int
    time_us: int
    value: str


@dataclass
class MetricsStore:
    """The write side of the metrics. Thread-safe; calls wait for a client of the engine."""

    engine: MetricsEngine
    _names: dict[str, list[str]] = field(
        default_factory=lambda: {"points": _names(POINTS), "texts": _names(TEXTS)}
    )

    def insert_points(self, points: PointColumns, token: str) -> None:
        """Stores points durably; a repetition with the same token stores nothing."""
        rows = len(points)
        constants = [np.full(rows, value) for value in (points.run, points.attempt, points.stream)]
        columns: list[NDArray[np.generic]] = [
            constants[0], points.key, points.rank, constants[1], constants[2],
            points.step, points.seq, points.time_us, points.value, points.kind,
        ]  # fmt: skip
        self._insert("points", encode_block(POINTS, columns, rows), token)

    def insert_texts(self, run: int, attempt: int, stream: int, rows: Sequence[TextRow], token: str) -> None:
        """Stores texts durably; a repetition with the same token stores nothing."""
        columns: list[NDArray[np.generic] | list[bytes]] = [
            np.full(len(rows), run),
            np.array([row.key for row in rows]),
            np.array([row.rank for row in rows]),
            np.full(len(rows), attempt),
            np.full(len(rows), stream),
            np.array([row.step for row in rows]),
            np.array([row.seq for row in rows], dtype=np.uint64),
            np.array([row.time_us for row in rows]),
            [row.value.encode() for row in rows],
        ]
        self._insert("texts", encode_block(TEXTS, columns, len(rows)), token)

    def stored_until(self, run: int, stream: int, seq: int) -> tuple[int, int]:
        """The sequences up to which points and texts from `seq` on are stored already; `seq` where there are none."""
        found = []
        for table in ("points", "texts"):
            with self.engine.client() as client:
                rows = client.query(
                    f"SELECT count(), max(seq) FROM {table} "
                    "WHERE run = {run:UInt64} AND stream = {stream:UInt32} AND seq >= {seq:UInt64}",
                    parameters={"run": run, "stream": stream, "seq": seq},
                ).result_rows
            found.append(int(rows[0][1]) + 1 if rows[0][0] else seq)
        return found[0], found[1]

    def _insert(self, table: str, block: bytes, token: str) -> None:
        """One part, or nothing. Raises StorageTrouble if the disk is full or fails."""
        try:
            with self.engine.inserting(token) as salted, self.engine.client() as client:
                settings = {"insert_deduplication_token": salted}
                client.raw_insert(table, self._names[table], block, settings=settings, fmt="Native")
        except (ClickHouseError, RuntimeError) as error:
            if trouble := trouble_of(error, "metrics"):
                raise trouble from error
            if "TOO_MANY_PARTS" in str(error):
                # It merges more slowly than it is fed, or not at all, because there is too little room for that.
                raise Busy(
                    "busy", "The metrics engine has not merged what it has; try again later."
                ) from error
            raise


def _names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]
