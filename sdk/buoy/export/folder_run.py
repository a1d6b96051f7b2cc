"""A run from its folders: no server and no daemon needed, copies and live runs included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from buoy_core.rank_reduction import reduce_ranks

from buoy.export.batch import NODE, Batch, Row, batches
from buoy.export.facts import Facts
from buoy.export.folder_summary import Summary
from buoy.export.fragments import Fragment, LogFolder
from buoy.export.sorting import in_order
from buoy.export.wanted import Wanted


class FolderRun:
    """One run from one folder, or from several: those of its attempts, or of its machines."""

    def __init__(self, folders: Sequence[LogFolder], scratch: Path) -> None:
        """Args:
        folders: all of the same run.
        scratch: where there is room for temporary files.
        """
        self._folders = sorted(folders, key=lambda log: (_number(log, folders), log.facts.started_us))
        self._numbers = [_number(log, folders) for log in self._folders]
        self._latest = self._folders[-1].facts
        self._scratch = scratch
        self._summary: Summary | None = None

    @property
    def path(self) -> str:
        """`entity/project/id`."""
        return self._named().path

    def troubles(self) -> list[str]:
        """What the reader has to know of: one sentence each."""
        return [trouble for log in self._folders for trouble in log.trouble]

    def points(self, wanted: Wanted) -> int:
        """About how many values there will be."""
        return sum(log.system_points if wanted.system else log.points for log in self._folders)

    def batches(self, wanted: Wanted) -> Iterator[Batch]:
        """The rows, in order."""
        rows: Iterator[Row] = _joined(self._sorted(wanted.system))
        if not wanted.system:
            self._summary = Summary(self._folders)
            rows = self._summary.watch(rows)
            if not wanted.superseded:
                rows = self._counting(rows)
        yield from batches(_chosen(rows, wanted), ranks=wanted.reduction is None)

    def facts(self) -> Facts:
        """What is known of the run. Before the rows have been read, without the summary."""
        facts = self._named()
        logs = [log.facts for log in self._folders]
        latest = [log for log, number in zip(logs, self._numbers, strict=True) if number == self._numbers[-1]]
        ends = [end for log in latest for end in log.ends.values()]
        states = {log.state for log in latest}
        facts.state = next(state for state in _WORST_FIRST if state in states)
        if facts.state != "running" and ends:
            codes = [end.exit_code for end in ends]
            facts.exit_code = next((code for code in codes if code), codes[0])
            facts.ended_us = max(end.time_unix_us for end in ends)
        facts.created_us = facts.started_us = min(log.started_us for log in logs)
        facts.attempts = len(set(self._numbers))
        for log in logs:
            facts.config |= log.config
        metadata: dict[int, dict[str, Any]] = {}
        for log in logs:
            metadata |= log.metadata
        facts.metadata = metadata[min(metadata)] if metadata else {}
        facts.summary = self._summary.values() if self._summary else {}
        facts.records_lost = sum(log.lost for log in self._folders)
        facts.records_dropped = sum(sum(log.dropped.values()) for log in logs)
        return facts

    def _named(self) -> Facts:
        info = self._latest.info
        return Facts(
            entity=info.entity or "local", project=info.project or "uncategorized", id=info.run_id,
            name=info.name or info.run_id, tags=list(info.tags), notes=info.notes, group=info.group,
            job_type=info.job_type,
        )  # fmt: skip

    def _sorted(self, system: bool) -> Iterator[Fragment]:
        places = len(self._folders)
        read = (
            log.fragments(number, system=system, place=place, places=places)
            for place, (log, number) in enumerate(zip(self._folders, self._numbers, strict=True))
        )
        fragments = chain.from_iterable(read)
        if places == 1 and self._folders[0].in_order and not system:
            return fragments
        return in_order(fragments, self._scratch)

    def _counting(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Without what a later attempt has logged again."""
        limits = limits_of(zip(self._numbers, self._folders, strict=True))
        return (row for row in rows if row.step < limits.get(row.attempt, row.step + 1))


_WORST_FIRST = ("running", "crashed", "killed", "failed", "finished")


def limits_of(folders: Iterable[tuple[int, LogFolder]]) -> dict[int, int]:
    """From which step on each attempt is superseded; the last one is not."""
    first_steps: dict[int, list[int]] = defaultdict(list)
    for number, log in folders:
        start = log.facts.start
        if start.HasField("branch") and start.branch.run_id == start.run.run_id:
            # A rewind supersedes what it takes back at once.
            first_steps[number].append(start.branch.step + 1)
        if log.first_step is not None:
            first_steps[number].append(log.first_step)
    limits: dict[int, int] = {}
    lowest: int | None = None
    for number in sorted(first_steps, reverse=True):
        if lowest is not None:
            limits[number] = lowest
        first = min(first_steps[number])
        lowest = first if lowest is None else min(lowest, first)
    return limits


def _number(log: LogFolder, folders: Sequence[LogFolder]) -> int:
    """The number of a folder's attempt; machines of one launch may have counted differently."""
    launch = log.facts.start.launch_id
    same = [other for other in folders if launch and other.facts.start.launch_id == launch] or [log]
    return max(1, *(other.facts.attempt for other in same))


def _joined(fragments: Iterable[Fragment]) -> Iterator[Row]:
    """Fragments of one step, attempt and rank as one row; what was logged last counts."""
    step, attempt, rank, time_us = 0, 0, -1, 0
    values: dict[str, Any] = {}
    for fragment in fragments:
        if fragment.step != step or fragment.rank != rank or fragment.attempt != attempt:
            if values:
                yield Row(step, attempt, rank, time_us, values)
            step, attempt, rank, _, time_us, values = fragment
        else:
            values.update(fragment.values)
            time_us = max(time_us, fragment.time_us)
    if values:
        yield Row(step, attempt, rank, time_us, values)


def _chosen(rows: Iterator[Row], wanted: Wanted) -> Iterator[Row]:
    """Only wanted keys and ranks, or ranks as one."""
    if wanted.keys:
        keys = set(wanted.keys)
        rows = (row for row in rows if keys & row.values.keys())
        if wanted.system:
            keys.add(NODE)
        rows = (
            row._replace(values={key: row.values[key] for key in row.values if key in keys}) for row in rows
        )
    if wanted.reduction is not None:
        return _reduced(rows, wanted.reduction)
    if wanted.ranks != "all":
        return (row for row in rows if row.rank == wanted.ranks)
    return rows


def _reduced(rows: Iterator[Row], reduction: str) -> Iterator[Row]:
    for (step, attempt), group in groupby(rows, lambda row: (row.step, row.attempt)):
        by_key: dict[str, tuple[list[int], list[float]]] = {}
        time_us = 0
        for row in group:
            numbers = {key: value for key, value in row.values.items() if isinstance(value, (int, float))}
            if numbers:
                time_us = max(time_us, row.time_us)
            for key, value in numbers.items():
                ranks, values = by_key.setdefault(key, ([], []))
                ranks.append(row.rank)
                values.append(value)
        if by_key:
            reduced = {key: reduce_ranks(reduction, *found) for key, found in by_key.items()}
            yield Row(step, attempt, 0, time_us, reduced)
