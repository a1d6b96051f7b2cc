"""From decoded rows to the columns and statistics that are stored. Pure; works on whole columns, no object per point.

Points are grouped by series with one stable sort on a small integer (the slot: one for each key of each writer),
which numpy does in linear time. The engine wants them in that order anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from buoy_core import Rows
from numpy.typing import NDArray

from buoy_server.ingest.changes import KEY_IDS_MAX, Fresh
from buoy_server.ingest.streams import DAEMON_WRITER
from buoy_server.jsonvalues import dumps
from buoy_server.metrics.store import PointColumns, TextRow

SeriesName = tuple[bool, str, int]
"""(system, key name, rank): a series of the run before its key has an id."""


@dataclass
class Text:
    """A value that is not a number, before its key has an id."""

    series: SeriesName
    step: int
    seq: int
    time_us: int
    value: object


@dataclass
class Points:
    """All points of an upload, grouped by slot; within a slot in the order of the log.

    Attributes:
        slots: The series of each slot. Several slots may belong to one series.
        slot: Slot of each point, ascending.
    """

    slots: list[SeriesName]
    slot: NDArray[np.uint32]
    step: NDArray[np.int64]
    seq: NDArray[np.uint64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    kind: NDArray[np.uint8]

    def columns(self, run: int, attempt: int, stream: int, key_ids: NDArray[np.uint32]) -> PointColumns:
        """The columns of the points table; `key_ids` has the catalogue id of each slot."""
        ranks = np.array([rank for _, _, rank in self.slots], dtype=np.uint32)
        return PointColumns(
            run, attempt, stream,
            key_ids[self.slot], ranks[self.slot], self.step, self.seq, self.time_us, self.value, self.kind,
        )  # fmt: skip


class UnknownKey(LookupError):  # noqa: N818 - a situation, as in buoy_core.errors
    """A row uses a key id that was never named."""

    def __init__(self, writer_id: str, key_id: int) -> None:
        super().__init__(f"writer {writer_id} never named key {key_id}")


class SlotTable:
    """Numbers the (writer, system, key id) of an upload as they come."""

    def __init__(self, names: dict[str, dict[int, str]], ranks: dict[str, int], *, lenient: bool) -> None:
        """Args:
        names: Key names of each writer.
        ranks: Rank of each writer.
        lenient: Give keys that were never named a placeholder, because blocks of the stream are lost.
        """
        self.slots: list[SeriesName] = []
        self._names = names
        self._ranks = ranks
        self._lenient = lenient
        self._tables: dict[tuple[str, bool], NDArray[np.int64]] = {}

    def take(self, writer_id: str, *, system: bool, key_ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The slot of each key id.

        Raises:
            UnknownKey: One was never named, and that is not to be expected.
        """
        if not len(key_ids):
            return np.empty(0, np.uint32)
        table = self._table(writer_id, system, int(key_ids.max()) + 1)
        slots = table[key_ids]
        if slots.min() < 0:
            for key_id in np.unique(key_ids[slots < 0]).tolist():
                table[key_id] = len(self.slots)
                self.slots.append(self.series(writer_id, system=system, key_id=key_id))
            slots = table[key_ids]
        return slots.astype(np.uint32)

    def series(self, writer_id: str, *, system: bool, key_id: int) -> SeriesName:
        """The series of one key id."""
        name = self._names.get(writer_id, {}).get(key_id)
        if name is None:
            if not self._lenient:
                raise UnknownKey(writer_id, key_id)
            name = f"unnamed.{writer_id[:8]}.{key_id}"
        return system, name, self._ranks.get(writer_id, 0)

    def _table(self, writer_id: str, system: bool, size: int) -> NDArray[np.int64]:
        """Slot by key id, -1 where there is none yet. Ids count up, so the table is dense."""
        table = self._tables.get((writer_id, system))
        if table is not None and len(table) >= size:
            return table
        named = max(self._names.get(writer_id, {}), default=-1) + 1
        if size > named and not (self._lenient and size <= KEY_IDS_MAX):
            raise UnknownKey(writer_id, size - 1)
        grown = np.full(max(size, named), -1, np.int64)
        if table is not None:
            grown[: len(table)] = table
        self._tables[writer_id, system] = grown
        return grown


def collect(fresh: Iterable[Fresh], table: SlotTable) -> tuple[Points, list[Text]]:
    """Joins the new rows of all blocks.

    Raises:
        UnknownKey: See `SlotTable`.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    texts: list[Text] = []
    for item in fresh:
        for system, rows in ((False, item.block.rows), (True, item.block.system)):
            parts.append(_part(item, rows, table, system=system))
            texts.extend(_texts(item, rows, table, system=system))
    slot, step, seq, time_us, value, kind = (
        map(np.concatenate, zip(*parts, strict=True)) if parts else _empty()
    )
    # Radix sort serves 16-bit numbers only; more slots than that take a merge sort.
    narrow = slot.astype(np.uint16) if len(table.slots) <= 1 << 16 else slot
    order = np.argsort(narrow, kind="stable")
    return Points(
        table.slots, slot[order], step[order], seq[order], time_us[order], value[order], kind[order]
    ), texts


def _empty() -> list[NDArray[Any]]:
    return [np.empty(0, dtype) for dtype in (np.uint32, np.int64, np.uint64, np.int64, np.float64, np.uint8)]


def _part(item: Fresh, rows: Rows, table: SlotTable, *, system: bool) -> tuple[NDArray[Any], ...]:
    index = np.frombuffer(rows.index, np.uint32)
    key_id = np.frombuffer(rows.key_id, np.uint32)
    step = np.frombuffer(rows.step, np.int64)
    time_us = np.frombuffer(rows.time_us, np.int64)
    value = np.frombuffer(rows.value, np.float64)
    kind = np.frombuffer(rows.kind, np.uint8)
    if item.skip:
        new = slice(int(np.searchsorted(index, item.skip)), None)
        index, key_id, step = index[new], key_id[new], step[new]
        time_us, value, kind = time_us[new], value[new], kind[new]
    slot = table.take(item.writer_id, system=system, key_ids=key_id)
    seq = index.astype(np.uint64) + np.uint64(item.first_seq)
    return slot, time_us if system else step, seq, time_us, value, kind


def _texts(item: Fresh, rows: Rows, table: SlotTable, *, system: bool) -> Iterator[Text]:
    for index, step, time_us, key_id, value in rows.others:
        if index >= item.skip:
            series = table.series(item.writer_id, system=system, key_id=key_id)
            yield Text(series, time_us if system else step, item.first_seq + index, time_us, value)


def text_rows(texts: Iterable[Text], key_ids: Mapping[tuple[bool, str], int]) -> list[TextRow]:
    """Rows of the texts table."""
    return [
        TextRow(
            key_ids[text.series[:2]], text.series[2], text.step, text.seq, text.time_us, dumps(text.value)
        )
        for text in texts
    ]


def daemon_rank(ranks: dict[str, int], known: int | None) -> int | None:
    """The rank that a daemon's own samples are shown under: the lowest of its first writers, then for ever."""
    if known is not None:
        return known
    return min((rank for writer, rank in ranks.items() if writer != DAEMON_WRITER), default=None)
