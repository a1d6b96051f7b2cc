"""Answers panels: several series, reduced to dyadic buckets or raw where they have few points.

names -> ids and extents (SQL) -> one exponent a panel -> at most four questions to the engine: bucketed or raw,
and of each the series whose points need care apart
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.reader import Axis, Columns, MetricsReader
from buoy_server.metrics.selection import STEP_MAX, Selection, SeriesKey
from buoy_server.query.buckets import bucket_of, choose_exponent, raw_points_max
from buoy_server.query.catalogue import Project, find_project, keys_by_name, runs_by_id
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

COLUMNS = ("n", "min", "max", "last", "mean")


@dataclass(frozen=True)
class PanelRequest:
    """What a panel wants to draw.

    Attributes:
        id: The client's number for it.
        keys: Names of keys.
        runs: Run ids.
        x: `step`, `rel` (seconds since the run's start) or `wall` (seconds since 1970).
        exponent: Bucket width 2^exponent; None = choose.
        pixels: Buckets wanted at most.
        range: x window, both ends inside; None = all.
        columns: Of `COLUMNS`.
        have: Revision that the client holds, by run id.
        system: System metrics instead of logged ones.
        ranks: Only these; None = a series for each.
        reduction: One series for all of them, of `buoy_core.rank_reduction`. It is made from the points of each step
            before they go into buckets, so it is exact.
        superseded: What later attempts have superseded comes too, a series for each attempt. Needs no reduction.
    """

    id: int
    keys: Sequence[str]
    runs: Sequence[str]
    x: str = "step"
    exponent: int | None = None
    pixels: int = 160
    range: tuple[float, float] | None = None
    columns: Sequence[str] = COLUMNS
    have: dict[str, int] = field(default_factory=dict)
    system: bool = False
    ranks: Sequence[int] | None = None
    reduction: str | None = None
    superseded: bool = False


@dataclass
class SeriesAnswer:
    """One series of a panel.

    Attributes:
        rank: Of the series; `REDUCED` if it is that of all ranks.
        kind: `buckets`, `raw`, `absent` or `unchanged`.
        first_bucket: Number of the bucket that `idx` counts from.
        idx: Position of each bucket after the first.
        columns: For buckets by name; for raw points `x` and `y`.
        attempt: 0 for the curve; else which attempt's superseded part this is, counted from 1.
    """

    run: str
    key: str
    rank: int
    kind: str
    rev: int = 0
    gen: int = 0
    extent: Extent | None = None
    first_bucket: int = 0
    idx: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    columns: Columns = field(default_factory=dict)
    attempt: int = 0


@dataclass
class PanelAnswer:
    """All series of a panel, in the order of its runs, then keys, then ranks; superseded parts after the curves."""

    id: int
    exponent: int
    rev: int
    series: list[SeriesAnswer]


class SeriesQuery:
    """Answers panels. Thread-safe."""

    def __init__(self, metadata: Metadata, reader: MetricsReader) -> None:
        self._metadata = metadata
        self._reader = reader

    def answer(self, path: str, panel: PanelRequest) -> PanelAnswer:
        """One panel's series.

        Raises:
            Missing: There is no such project. Unknown runs and keys are `absent` instead.
        """
        with self._metadata.read() as connection:
            project = find_project(connection, path)
            runs = runs_by_id(connection, project, panel.runs)
            keys = keys_by_name(connection, project, panel.keys, system=panel.system)
            ids = [run for run, _ in runs.values()]
            lineages = {} if panel.system else lineages_of(connection, ids)
            known = find_series(connection, ids, list(keys.values()), lineages)
            superseded = (
                find_superseded(connection, list(keys.values()), lineages) if panel.superseded else []
            )
        if panel.ranks is not None:
            known = {series: item for series, item in known.items() if series[2] in panel.ranks}
            superseded = [item for item in superseded if item.id[2] in panel.ranks]
        if panel.reduction is not None:
            known = over_ranks(known)
        axis = Axis(panel.x, dict(runs.values()) if panel.x == "rel" else {})
        return _Panel(self._reader, panel, project, axis, lineages, known, superseded).answer(runs, keys)


@dataclass(frozen=True)
class _Panel:
    """One panel on its way: its request, its axis, and what SQL knows of its series."""

    _reader: MetricsReader
    _panel: PanelRequest
    _project: Project
    _axis: Axis
    _lineages: dict[int, Lineage]
    _known: dict[SeriesKey, KnownSeries]
    _superseded: Sequence[SupersededSeries] = field(default=())

    def answer(self, runs: dict[str, tuple[int, int]], keys: dict[str, int]) -> PanelAnswer:
        """Puts the names back and the series in order."""
        names = {run: name for name, (run, _) in runs.items()}
        changed = {
            series: item
            for series, item in self._known.items()
            if item.rev > self._panel.have.get(names[series[0]], -1)
        }
        extents = self._extents(list(changed.values()))
        exponent = self._exponent(extents)
        drawn = self._draw(list(changed.values()), extents, exponent)
        answers = []
        for run_name in self._panel.runs:
            for key_name in self._panel.keys:
                run, key = runs.get(run_name, (-1, 0))[0], keys.get(key_name, -1)
                found = sorted(series for series in self._known if series[:2] == (run, key))
                if not found:
                    answers.append(SeriesAnswer(run_name, key_name, 0, "absent"))
                for series in found:
                    item = self._known[series]
                    answer = drawn.get(series) or SeriesAnswer(
                        "", "", 0, "absent" if series in changed else "unchanged"
                    )
                    answer.run, answer.key, answer.rank = run_name, key_name, series[2]
                    answer.rev, answer.gen, answer.extent = item.rev, item.gen, extents.get(series)
                    answers.append(answer)
        answers += self._draw_superseded(exponent, names, {key: name for name, key in keys.items()})
        return PanelAnswer(self._panel.id, exponent, self._project.rev, answers)

    def _draw_superseded(
        self, exponent: int, runs: dict[int, str], keys: dict[int, str]
    ) -> list[SeriesAnswer]:
        """The superseded parts, each by a question of its own: they are few, and short."""
        window, answers = self._window(exponent), []
        for item in self._superseded:
            steps = item.step, STEP_MAX
            selection = Selection([item.id], ascending=False, steps=steps, attempt=item.attempt)
            if item.n <= raw_points_max(self._panel.pixels):
                found = {
                    series: SeriesAnswer("", "", 0, "raw", columns=_exact(columns))
                    for series, columns in self._reader.raw(selection, self._axis, window).items()
                }
            else:
                columns_of = self._reader.buckets(
                    selection, self._axis, exponent, window, self._panel.columns
                )
                found = {series: _bucketed(columns) for series, columns in columns_of.items()}
            for (run, key, rank), answer in found.items():
                answer.run, answer.key, answer.rank, answer.attempt = runs[run], keys[key], rank, item.ordinal
                answers.append(answer)
        for answer in answers:
            answer.extent = _drawn_extent(answer, exponent, integer=self._axis.kind == "step")
        return answers

    def _extents(self, known: Sequence[KnownSeries]) -> dict[SeriesKey, Extent]:
        """The whole of each series; from SQL where that is exact, else from the points."""
        extents = {
            item.id: item.extent(self._axis.kind, self._axis.starts_us.get(item.id[0], 0))
            for item in known
            if not item.careful and not item.members
        }
        for selection in self._selections([item for item in known if item.careful or item.members]):
            for series, columns in self._reader.extents(selection, self._axis, None).items():
                extents[series] = Extent(
                    int(columns["n"][0]),
                    float(columns["x_min"][0]),
                    float(columns["x_max"][0]),
                    float(columns["last_y"][0]),
                    int(columns["last_t"][0]),
                )
        return extents

    def _selections(self, known: Sequence[KnownSeries]) -> list[Selection]:
        panel = self._panel
        return select_series(known, self._lineages, system=panel.system, reduction=panel.reduction)

    def _exponent(self, extents: dict[SeriesKey, Extent]) -> int:
        if self._panel.exponent is not None:
            return self._panel.exponent
        integer = self._axis.kind == "step"
        if self._panel.range is not None:
            low, high = self._panel.range
        elif extents:
            low = min(extent.x_min for extent in extents.values())
            high = max(extent.x_max for extent in extents.values())
        else:
            return 0
        return choose_exponent(low, max(low, high), self._panel.pixels, integer=integer)

    def _window(self, exponent: int) -> tuple[float, float] | None:
        """The asked range, rounded out to whole buckets: from the first to before the second."""
        if self._panel.range is None:
            return None
        low, high = self._panel.range
        return bucket_of(low, exponent) * 2.0**exponent, (bucket_of(high, exponent) + 1) * 2.0**exponent

    def _draw(
        self, known: Sequence[KnownSeries], extents: dict[SeriesKey, Extent], exponent: int
    ) -> dict[SeriesKey, SeriesAnswer]:
        window = self._window(exponent)
        counts = self._counts(known, extents, window)
        few = raw_points_max(self._panel.pixels)
        raw = [item for item in known if 0 < counts.get(item.id, 0) <= few]
        many = [item for item in known if counts.get(item.id, 0) > few]
        drawn: dict[SeriesKey, SeriesAnswer] = {}
        for selection in self._selections(raw):
            for series, columns in self._reader.raw(selection, self._axis, window).items():
                drawn[series] = SeriesAnswer("", "", 0, "raw", columns=_exact(columns))
        for selection in self._selections(many):
            for series, columns in self._reader.buckets(
                selection, self._axis, exponent, window, self._panel.columns
            ).items():
                drawn[series] = _bucketed(columns)
        return drawn

    def _counts(
        self,
        known: Sequence[KnownSeries],
        extents: dict[SeriesKey, Extent],
        window: tuple[float, float] | None,
    ) -> dict[SeriesKey, int]:
        """Points of each series inside the window."""
        counts = {series: extent.n for series, extent in extents.items()}
        if window is None:
            return counts
        partial = []
        for item in known:
            extent = extents.get(item.id)
            if extent is None or extent.x_max < window[0] or extent.x_min >= window[1]:
                counts[item.id] = 0
            elif extent.x_min < window[0] or extent.x_max >= window[1]:
                counts[item.id] = 0
                partial.append(item)
        for selection in self._selections(partial):
            for series, columns in self._reader.extents(selection, self._axis, window).items():
                counts[series] = int(columns["n"][0])
        return counts


def _drawn_extent(answer: SeriesAnswer, exponent: int, *, integer: bool) -> Extent:
    """What is drawn, as far as its buckets tell; there is no newest point in it."""
    if answer.kind == "raw":
        x = answer.columns["x"]
        return Extent(len(x), float(x.min()), float(x.max()), float("nan"), 0)
    width, counts = 2.0**exponent, answer.columns.get("n")
    low = answer.first_bucket * width
    high = (answer.first_bucket + int(answer.idx[-1]) + 1) * width - integer
    return Extent(0 if counts is None else int(counts.sum()), low, high, float("nan"), 0)


def _exact(columns: Columns) -> Columns:
    return {name: column.astype(np.float64) for name, column in columns.items()}


def _bucketed(columns: Columns) -> SeriesAnswer:
    idx = columns.pop("idx").astype(np.int64)
    first = int(idx[0])
    return SeriesAnswer(
        "", "", 0, "buckets", first_bucket=first, idx=(idx - first).astype(np.uint32), columns=columns
    )
