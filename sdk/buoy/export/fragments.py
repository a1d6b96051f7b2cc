"""The rows of one run folder, in the order in which they were logged."""

from __future__ import annotations

from collections.abc import Iterator
from operator import le
from pathlib import Path
from typing import Any, NamedTuple

from buoy_core import Rows, decode_rows
from buoy_core.block import BlockHeader
from buoy_core.errors import CoreError
from buoy_core.format import KIND_GAP, KIND_TABLES, ZERO_ID
from buoy_core.wal import Damage, WalReader

from buoy.errors import UsageError
from buoy.export.batch import NODE
from buoy.local import EXACT_ELSEWHERE, gap_text, plain
from buoy.log_facts import LogFacts


class Fragment(NamedTuple):
    """What one call of `log()` gave. Fragments of one step, attempt and rank are one row; the highest order counts."""

    step: int
    attempt: int
    rank: int
    order: int
    time_us: int
    values: dict[str, Any]


class LogFolder:
    """A run's folder, read up to where its log ends now: it may still be written.

    Attributes:
        folder: which.
        facts: what the log says besides rows; complete from the beginning.
        first_step: the first step that it has; None if it has none.
        in_order: steps never fall and belong to one rank, so that rows come in the order of a file.
        points: values of rows.
        lost: records that are lost in gaps.
        trouble: one sentence for each piece that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "wal").is_dir():
            raise UsageError(f"{folder} is no run folder: it has no log (wal/) in it")
        self.folder = folder
        self.facts = LogFacts()
        self.first_step: int | None = None
        self.in_order = True
        self.points = 0
        self.system_points = 0
        self.lost = 0
        self._damage: list[str] = []
        self._end = 0
        self._survey()

    @property
    def trouble(self) -> list[str]:
        """One sentence for each piece that cannot be read."""
        return [*self._damage, *self.facts.trouble]

    def fragments(self, attempt: int, *, system: bool, place: int, places: int) -> Iterator[Fragment]:
        """All rows up to where the log ended when it was opened.

        Args:
            attempt: number of the attempt, for the rows.
            system: samples of the machine instead of what was logged.
            place: of this folder among those of the run, so that no two fragments have the same order.
            places: how many folders there are.
        """
        rank_of_machine = min(self.facts.ranks.values(), default=0)
        for header, payload in self._blocks(None):
            writer = header.writer_id
            rank = rank_of_machine if writer == ZERO_ID else self.facts.ranks.get(writer, 0)
            rows = decode_rows(payload, system=system)
            for index, step, time_us, values in self._calls(writer, rows):
                order = (header.first_seq + index) * places + place
                if system:
                    values[NODE] = self.facts.start.host
                # The machine is sampled by the clock.
                yield Fragment(time_us if system else step, attempt, rank, order, time_us, values)

    def _survey(self) -> None:
        ranks: set[int] = set()
        last: int | None = None
        for header, payload in self._blocks(self._damage):
            self._end = header.next_seq
            self.facts.take(header.writer_id, payload, str(self.folder))
            rows = decode_rows(payload)
            self.facts.logged(header.writer_id, rows)
            self.points += rows.n + len(rows.others)
            self.system_points += decode_rows(payload, system=True).n
            steps = _steps(rows)
            if not steps:
                continue
            ranks.add(self.facts.ranks.get(header.writer_id, 0))
            rising = all(map(le, steps, steps[1:])) and (last is None or last <= steps[0])
            self.in_order = self.in_order and rising and len(ranks) == 1
            last = steps[-1]
            low = min(steps)
            self.first_step = low if self.first_step is None else min(self.first_step, low)

    def _blocks(self, damage: list[str] | None) -> Iterator[tuple[BlockHeader, bytes]]:
        """Blocks that can be read; what cannot is noted in `damage`. Without, only those of the first reading."""
        for block in WalReader(str(self.folder / "wal")).blocks():
            if isinstance(block, Damage):
                if damage is not None:
                    self.lost += block.records
                    damage.append(str(block))
                continue
            header = block.header
            if damage is None and header.next_seq > self._end:
                return
            try:
                payload = block.payload()
                if header.kind == KIND_GAP:
                    if damage is not None:
                        self.lost += header.records
                        damage.append(gap_text(header.records, payload))
                        self._end = header.next_seq
                    continue
                # Whether its rows can be read shows before anything of them is used.
                decode_rows(payload)
            except (CoreError, ValueError) as error:
                if damage is not None:
                    self.lost += header.records
                    damage.append(f"{block.path}, block at byte {block.offset}: {error}")
                continue
            if header.kind != KIND_TABLES or damage is not None:
                yield header, payload

    def _calls(self, writer: bytes, rows: Rows) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        """Each call's place in the payload, step, time and values."""
        names, cache = self.facts.name, self.facts.keys.get(writer, {})
        calls: dict[int, tuple[int, int, dict[str, Any]]] = {}
        values: dict[str, Any] = {}
        present = -1
        columns = zip(
            memoryview(rows.index).cast("I"),
            memoryview(rows.key_id).cast("I"),
            memoryview(rows.step).cast("q"),
            memoryview(rows.time_us).cast("q"),
            memoryview(rows.value).cast("d"),
            memoryview(rows.kind).cast("B"),
            strict=True,
        )
        for index, key_id, step, time_us, value, kind in columns:
            if index != present:
                present, values = index, {}
                calls[index] = step, time_us, values
            if kind != EXACT_ELSEWHERE:
                values[cache.get(key_id) or names(writer, key_id)] = plain(value, kind) if kind else value
        for index, step, time_us, key_id, other in rows.others:
            calls.setdefault(index, (step, time_us, {}))[2][names(writer, key_id)] = other
        for index in sorted(calls):
            yield index, *calls[index]


def _steps(rows: Rows) -> list[int]:
    """The steps of all values, in the order of the log."""
    steps = memoryview(rows.step).cast("q").tolist()
    if not rows.others:
        return steps
    index = memoryview(rows.index).cast("I").tolist()
    both = [*zip(index, steps, strict=True), *((other[0], other[1]) for other in rows.others)]
    return [step for _, step in sorted(both)]
