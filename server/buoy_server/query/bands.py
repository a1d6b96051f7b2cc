"""Panels whose series are bands over ranks: `"ranks": "band"`.

    a run with one rank of a key      its series, as any other panel has it
    with several                      one series of buckets, from the lowest to the highest of all ranks' values

Buckets are made of the ranks' own points, not of values that were reduced before: a NaN on one rank hides the other
ranks at no step, and a bucket names the rank that its extreme comes from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.bands import BAND_COLUMNS, read_bands
from buoy_server.metrics.reader import Axis, Columns, MetricsReader
from buoy_server.metrics.selection import REDUCED, STEP_MAX, Selection, SeriesKey
from buoy_server.query.buckets import bucket_of, choose_exponent
from buoy_server.query.catalogue import Project, RunEnds, find_project, keys_by_name, runs_by_id
from buoy_server.query.known_series import (
    Extent,
    KnownSeries,
    SupersededSeries,
    find_series,
    find_superseded,
    over_ranks,
    select_series,
)
from buoy_server.query.lineage import Lineage, lineages_of
from buoy_server.query.loading import extent_of_columns
from buoy_server.query.panel import PanelAnswer, PanelRequest, SeriesAnswer
from buoy_server.query.series import SeriesQuery

BAND = "band"

_Pair = tuple[int, int]
"""(run, key), by their ids."""


@dataclass(frozen=True)
class _Found:
    """What SQL knows of a panel's series."""

    project: Project
    runs: Mapping[str, RunEnds]
    keys: Mapping[str, int]
    lineages: Mapping[int, Lineage]
    ranks: dict[SeriesKey, KnownSeries]
    bands: dict[SeriesKey, KnownSeries]
    """One for each run and key of which there are several ranks."""
    superseded: Mapping[tuple[int, int, int], list[SupersededSeries]]
    """By run, key and ordinal of the attempt."""


class BandQuery:
    """Answers such panels. Thread-safe."""

    def __init__(self, metadata: Metadata, reader: MetricsReader, series: SeriesQuery) -> None:
        self._metadata = metadata
        self._reader = reader
        self._series = series

    def answer(self, path: str, panel: PanelRequest) -> PanelAnswer:
        """One panel's series, in the order of its runs, then keys; superseded parts after them.

        Raises:
            Missing: There is no such project.
        """
        found = self._find(path, panel)
        plain = replace(panel, reduction=None)
        if not found.bands:
            return self._series.answer(path, plain)
        band = _Band(self._reader, panel, found)
        drawn = band.draw()
        names = {
            (run_name, key_name): (found.runs[run_name].id, found.keys[key_name])
            for run_name in found.runs
            for key_name in found.keys
        }
        banded = {name for name, pair in names.items() if pair in drawn}
        answers: dict[tuple[str, str], list[SeriesAnswer]] = defaultdict(list)
        # What has one rank has its own series, on the same grid.
        rest = [run for run in panel.runs if any((run, key) not in banded for key in panel.keys)]
        if rest:
            others = self._series.answer(path, replace(plain, runs=rest, exponent=band.exponent))
            for item in others.series:
                if (item.run, item.key) not in banded:
                    answers[item.run, item.key].append(item)
        for name in banded:
            for item in drawn[names[name]]:
                item.run, item.key = name
                answers[name].append(item)
        series = [item for run in panel.runs for key in panel.keys for item in answers[run, key]]
        series.sort(key=lambda item: item.attempt > 0)
        return PanelAnswer(panel.id, band.exponent, found.project.rev, series)

    def _find(self, path: str, panel: PanelRequest) -> _Found:
        with self._metadata.read() as connection:
            project = find_project(connection, path)
            runs = runs_by_id(connection, project, panel.runs)
            keys = keys_by_name(connection, project, panel.keys, system=False)
            ids = [run.id for run in runs.values()]
            lineages = lineages_of(connection, ids)
            known = find_series(connection, ids, list(keys.values()), lineages)
            parts = find_superseded(connection, list(keys.values()), lineages) if panel.superseded else []
        bands = {series: item for series, item in over_ranks(known).items() if len(item.members) > 1}
        superseded: dict[tuple[int, int, int], list[SupersededSeries]] = defaultdict(list)
        for part in parts:
            if (*part.id[:2], REDUCED) in bands:
                run, key, _ = part.id
                superseded[run, key, part.ordinal].append(part)
        return _Found(project, runs, keys, lineages, known, bands, superseded)


class _Band:
    """One panel on its way."""

    def __init__(self, reader: MetricsReader, panel: PanelRequest, found: _Found) -> None:
        self._reader = reader
        self._panel = panel
        self._found = found
        names = {run.id: name for name, run in found.runs.items()}
        self._axes = {
            run.id: Axis("rel", ((0, run.started_us),)) if panel.x == "rel" else Axis(panel.x)
            for run in found.runs.values()
        }
        self._unchanged = {
            series for series, item in found.bands.items() if item.rev <= panel.have.get(names[series[0]], -1)
        }
        self._extents = self._read_extents()
        self.exponent = self._choose_exponent()

    def draw(self) -> dict[_Pair, list[SeriesAnswer]]:
        """The bands by run and key, each followed by what of it is superseded."""
        changed = [item for series, item in self._found.bands.items() if series not in self._unchanged]
        window = self._window()
        columns_of: dict[_Pair, Columns] = {}
        for axis, selection in self._selections(changed):
            columns_of |= read_bands(self._reader, selection, axis, self.exponent, window)
        answers: dict[_Pair, list[SeriesAnswer]] = defaultdict(list)
        for series, item in self._found.bands.items():
            pair = series[:2]
            if pair in columns_of:
                answer = _bucketed(columns_of[pair])
            else:
                answer = SeriesAnswer("", "", REDUCED, "unchanged" if series in self._unchanged else "absent")
            answer.rev, answer.gen, answer.extent = item.rev, item.gen, self._extents.get(pair)
            answers[pair].append(answer)
        for (run, key, ordinal), parts in self._found.superseded.items():
            answers[run, key] += self._draw_superseded(ordinal, parts)
        return answers

    def _draw_superseded(self, ordinal: int, parts: Sequence[SupersededSeries]) -> list[SeriesAnswer]:
        steps = min(part.step for part in parts), STEP_MAX
        selection = Selection(
            [part.id for part in parts], ascending=False, steps=steps, attempt=parts[0].attempt
        )
        axis = self._axes[parts[0].id[0]]
        found = read_bands(self._reader, selection, axis, self.exponent, self._window())
        answers = [_bucketed(columns) for columns in found.values()]
        for answer in answers:
            answer.attempt = ordinal
            width, first = 2.0**self.exponent, answer.first_bucket
            last = (first + int(answer.idx[-1]) + 1) * width - (axis.kind == "step")
            answer.extent = Extent(int(answer.columns["n"].sum()), first * width, last, last, float("nan"), 0)
        return answers

    def _selections(self, items: Sequence[KnownSeries]) -> Iterator[tuple[Axis, Selection]]:
        """The series of runs with the same axis together."""
        runs: dict[Axis, list[KnownSeries]] = defaultdict(list)
        for item in items:
            runs[self._axes[item.id[0]]].append(item)
        for axis, mine in runs.items():
            for selection in select_series(mine, self._found.lineages, system=False):
                yield axis, selection

    def _read_extents(self) -> dict[_Pair, Extent]:
        """The whole of each band; the newest value is the mean of the ranks that have reached the last step."""
        ranks = self._found.ranks
        by_step: dict[_Pair, list[Extent]] = defaultdict(list)
        by_x: dict[_Pair, list[Extent]] = defaultdict(list)
        for item in self._found.bands.values():
            if not item.careful:
                run, key, _ = item.id
                members = [ranks[member] for member in item.members]
                by_step[run, key] = [member.extent(Axis()) for member in members]
                by_x[run, key] = [member.extent(self._axes[run]) for member in members]
        careful = [item for item in self._found.bands.values() if item.careful]
        for axis, selection in self._selections(careful):
            for found, on in ((by_step, Axis()), (by_x, axis)):
                for (run, key, _), columns in self._reader.extents(selection, on, None).items():
                    found[run, key].append(extent_of_columns(columns))
        return {pair: _joined(by_step[pair], extents) for pair, extents in by_x.items()}

    def _choose_exponent(self) -> int:
        panel = self._panel
        if panel.exponent is not None:
            return panel.exponent
        low, high = panel.range or (
            min((extent.x_min for extent in self._extents.values()), default=0.0),
            max((extent.x_max for extent in self._extents.values()), default=0.0),
        )
        return choose_exponent(low, max(low, high), panel.pixels, integer=panel.x == "step")

    def _window(self) -> tuple[float, float] | None:
        if self._panel.range is None:
            return None
        low, high = (bucket_of(end, self.exponent) for end in self._panel.range)
        return low * 2.0**self.exponent, (high + 1) * 2.0**self.exponent


def _joined(by_step: Sequence[Extent], by_x: Sequence[Extent]) -> Extent:
    """All ranks' extents as one."""
    last = max(extent.x_max for extent in by_step)
    newest = [extent.last_y for extent in by_step if extent.x_max == last]
    return Extent(
        sum(extent.n for extent in by_x),
        min(extent.x_min for extent in by_x),
        max(extent.x_max for extent in by_x),
        max(extent.last_x for extent in by_x),
        float(np.mean(newest)),
        max(extent.last_us for extent in by_x),
    )


def _bucketed(columns: Columns) -> SeriesAnswer:
    idx = columns["idx"].astype(np.int64)
    first = int(idx[0])
    chosen = {name: columns[name] for name in BAND_COLUMNS}
    return SeriesAnswer(
        "", "", REDUCED, "buckets", first_bucket=first, idx=(idx - first).astype(np.uint32), columns=chosen
    )
