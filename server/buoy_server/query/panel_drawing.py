"""One panel, from what SQL knows to its answer.

Extents first, because they decide how wide buckets are; then each series is drawn while what is held of it is at hand,
so that a panel of a thousand series needs little more memory than its answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from buoy_server.metrics.selection import REDUCED, STEP_MAX, Selection, SeriesKey
from buoy_server.query.buckets import BUCKETS_MIN, bucket_count, bucket_of, choose_exponent
from buoy_server.query.density import BYTES_MAX as DENSITY_BYTES_MAX
from buoy_server.query.density import Extremes, density
from buoy_server.query.drawing import Frame, draw_points
from buoy_server.query.groups import Votes, combine
from buoy_server.query.held import Held
from buoy_server.query.known_series import Extent, KnownSeries
from buoy_server.query.loading import Loader, extent_of
from buoy_server.query.panel import PanelAnswer, PanelRequest, SeriesAnswer
from buoy_server.query.reduced import Buckets
from buoy_server.query.scene import Scene
from buoy_server.query.series_drawing import SeriesDrawing
from buoy_server.query.track import Track

_COLUMN_BYTES = 8
_ENTRY_BYTES = 128


@dataclass
class PanelDrawing:
    """Makes one answer."""

    panel: PanelRequest
    scene: Scene
    loader: Loader
    _extents: dict[SeriesKey, Extent] = field(default_factory=dict)
    _drawn: dict[SeriesKey, SeriesAnswer] = field(default_factory=dict)
    _buckets: dict[SeriesKey, Buckets] = field(default_factory=dict)

    def answer(self) -> PanelAnswer:
        """The panel."""
        if self._as_one and not self._changed:
            series = [self._nameless("unchanged")]
            return PanelAnswer(self.panel.id, self.panel.exponent or 0, self.scene.project.rev, series)
        drawn = list(self.scene.known.values()) if self._as_one else self._changed
        self._measure(drawn)
        frame = Frame(self.panel, exponent := self._exponent(), self._window(exponent))
        lines = self._lines
        for item, drawing in self._drawings(drawn, frame):
            if item.id in lines:
                have = None if self._as_one else self.panel.have.get(self._name(item))
                self._drawn[item.id] = drawing.draw(have)
            if self._as_one:
                self._buckets[item.id] = drawing.buckets()
        return PanelAnswer(self.panel.id, exponent, self.scene.project.rev, list(self._answers(frame)))

    def _answers(self, frame: Frame) -> Iterator[SeriesAnswer]:
        if self.panel.grouping is not None:
            yield from self._groups()
            return
        yield from self._curves()
        if self._as_one:
            yield self._density()
        yield from self._superseded(frame)

    @cached_property
    def _order(self) -> list[KnownSeries]:
        """All series, by run, key and rank in the order of the panel."""
        runs = {run.id: place for place, run in enumerate(self.scene.runs.values())}
        keys = {key: place for place, key in enumerate(self.scene.keys.values())}
        return sorted(
            self.scene.known.values(), key=lambda item: (runs[item.id[0]], keys[item.id[1]], item.id[2])
        )

    @cached_property
    def _names(self) -> tuple[dict[int, str], dict[int, str]]:
        """Names of runs and keys by their ids."""
        return (
            {run.id: name for name, run in self.scene.runs.items()},
            {key: name for name, key in self.scene.keys.items()},
        )

    @cached_property
    def _changed(self) -> list[KnownSeries]:
        """Series that are not as the client has them."""
        return [item for item in self._order if self._rev(item) > self.panel.have.get(self._name(item), -1)]

    @cached_property
    def _as_one(self) -> bool:
        """All series are needed for any answer."""
        limit = self.panel.density
        return self.panel.grouping is not None or (limit is not None and len(self.scene.known) > limit)

    @cached_property
    def _lines(self) -> set[SeriesKey]:
        """The series that come as lines."""
        if self.panel.grouping is not None:
            return set()
        if not self._as_one:
            return {item.id for item in self._order}
        top = {run: place for place, run in enumerate(self.panel.top)}
        ranked = sorted(self._order, key=lambda item: top.get(self._name(item), len(top)))
        return {item.id for item in ranked[: self.panel.top_lines]}

    def _name(self, item: KnownSeries) -> str:
        return self._names[0][item.id[0]]

    def _rev(self, item: KnownSeries) -> int:
        """Its revision, or that of what is its x."""
        over = self.scene.over.get(item.id)
        return item.rev if over is None else max(item.rev, over.rev)

    # How wide buckets are

    def _measure(self, known: Sequence[KnownSeries]) -> None:
        """The whole extent of each series."""
        sizes = list(known)
        if self.panel.x_key is not None:
            sizes = list({item.id: item for item in self.scene.over.values()}.values())
        unsure = []
        over = {}
        for item in sizes:
            axis = self.scene.axes[item.id[0]]
            if self.panel.x_key is None and not item.careful and not item.members and len(axis.shifts_us) < 2:
                self._extents[item.id] = item.extent(axis)
            else:
                unsure.append(item)
        for portion in self.loader.portions(unsure):
            for series, held in portion.items():
                with held.lock:
                    extent = self._extent_as_x(held) if self.panel.x_key else self._extent(held)
                if extent is not None:
                    over[series] = extent
        if self.panel.x_key is None:
            self._extents |= over
            return
        for series, other in self.scene.over.items():
            if other.id in over:
                self._extents[series] = over[other.id]

    def _extent(self, held: Held) -> Extent | None:
        return self.loader.extent(held, self.scene.axes[held.known.id[0]])

    def _extent_as_x(self, held: Held) -> Extent | None:
        """The extent of a series that is x for others."""
        track = held.track or Track(self.loader.read(held, (-(1 << 63), STEP_MAX)))
        x = track.value[np.isfinite(track.value)]
        if not len(x):
            return None
        low, high, last = float(x.min()), float(x.max()), float(x[-1])
        return Extent(len(track), low, high, last, float("nan"), int(track.time_us[-1]))

    def _exponent(self) -> int:
        panel = self.panel
        if panel.range is not None:
            low, high = panel.range
        elif self._extents:
            low = min(extent.x_min for extent in self._extents.values())
            high = max(extent.x_max for extent in self._extents.values())
        else:
            return panel.exponent or 0
        high = max(low, high)
        exponent = panel.exponent
        if exponent is None:
            exponent = choose_exponent(low, high, panel.pixels, integer=panel.integer)
        elif panel.have:
            # What the client holds has this exponent; another one would be no use to it.
            return exponent
        series = len(self._extents)
        if self._as_one and panel.grouping is None:
            series = min(series, panel.top_lines)
        row = _COLUMN_BYTES * (len(panel.columns) + 1 + (panel.smoothing is not None))
        room = max(BUCKETS_MIN, (panel.bytes_max // max(1, series) - _ENTRY_BYTES) // row)
        while bucket_count(low, high, exponent) > room and exponent < 63:
            exponent += 1
        return exponent

    def _window(self, exponent: int) -> tuple[float, float] | None:
        """The asked range, rounded out to whole buckets: from the first to before the second."""
        if self.panel.range is None:
            return None
        low, high = self.panel.range
        return bucket_of(low, exponent) * 2.0**exponent, (bucket_of(high, exponent) + 1) * 2.0**exponent

    # Series by series

    def _drawings(
        self, known: Sequence[KnownSeries], frame: Frame
    ) -> Iterator[tuple[KnownSeries, SeriesDrawing]]:
        """Each series while it is held, locked."""
        for part in self.loader.portions(known):
            others = {
                self.scene.over[series].id: self.scene.over[series]
                for series in part
                if series in self.scene.over
            }
            over: dict[SeriesKey, Held] = {}
            for portion in self.loader.portions(list(others.values())):
                over |= portion
            for series, held in part.items():
                x = over.get(self.scene.over[series].id) if series in self.scene.over else None
                with held.lock:
                    axis = self.scene.axes[series[0]]
                    extent = self._extents.get(series) if self.panel.x_key else self.loader.extent(held, axis)
                    if extent is not None:
                        self._extents[series] = extent
                        yield (
                            self.scene.known[series],
                            SeriesDrawing(self.loader, frame, held, axis, extent, x),
                        )

    def _curves(self) -> Iterator[SeriesAnswer]:
        changed = {item.id for item in self._changed}
        found: dict[tuple[int, int], list[KnownSeries]] = defaultdict(list)
        for item in self._order:
            found[item.id[:2]].append(item)
        explicit = set(self.panel.runs), set(self.panel.keys)
        runs = dict.fromkeys([*self.panel.runs, *self.scene.runs])
        keys = dict.fromkeys([*self.panel.keys, *self.scene.keys])
        for run_name in runs:
            run = self.scene.runs.get(run_name)
            for key_name in keys:
                items = found.get((run.id if run else -1, self.scene.keys.get(key_name, -1)), [])
                if not items and run_name in explicit[0] and key_name in explicit[1]:
                    yield SeriesAnswer(run_name, key_name, 0, "absent")
                for item in items:
                    if item.id in self._lines:
                        yield self._named(item, known=item.id in changed or self._as_one)

    def _named(self, item: KnownSeries, *, known: bool) -> SeriesAnswer:
        answer = self._drawn.get(item.id) or SeriesAnswer("", "", 0, "absent" if known else "unchanged")
        runs, keys = self._names
        answer.run, answer.key, answer.rank = runs[item.id[0]], keys[item.id[1]], item.id[2]
        answer.rev, answer.gen, answer.extent = self._rev(item), item.gen, self._extents.get(item.id)
        answer.sealed = self.scene.runs[answer.run].sealed
        return answer

    def _nameless(self, kind: str) -> SeriesAnswer:
        return SeriesAnswer(
            "", "", REDUCED, kind, rev=max((self._rev(item) for item in self._order), default=0)
        )

    # Series together

    def _groups(self) -> Iterator[SeriesAnswer]:
        members: dict[tuple[str, int], list[KnownSeries]] = defaultdict(list)
        for item in self._order:
            members[self.scene.groups.get(self._name(item), "[]"), item.id[1]].append(item)
        for (group, key), items in members.items():
            yield self._group(group, self._names[1][key], items)

    def _group(self, group: str, key: str, items: Sequence[KnownSeries]) -> SeriesAnswer:
        ranks: dict[int, list[Buckets]] = defaultdict(list)
        for item in items:
            if item.id in self._buckets:
                ranks[item.id[0]].append(self._buckets[item.id])
        votes = [_votes(parts) for parts in ranks.values()]
        answer = SeriesAnswer(group, key, REDUCED, "group", count=len(votes))
        answer.rev = max(self._rev(item) for item in items)
        answer.gen = sum(item.gen for item in items)
        answer.sealed = all(self.scene.runs[self._name(item)].sealed for item in items)
        extents = [self._extents[item.id] for item in items if item.id in self._extents]
        place, columns = combine(votes) if votes else (np.empty(0, np.int64), {})
        if not len(place):
            answer.kind = "absent"
            return answer
        answer.first_bucket = int(place[0])
        answer.idx = (place - place[0]).astype(np.uint32)
        assert self.panel.grouping is not None
        answer.columns = {name: columns[name] for name in self.panel.grouping.statistics}
        answer.extent = _together(extents, float(columns["mean"][-1]))
        return answer

    def _density(self) -> SeriesAnswer:
        columns = max((int(found.idx[-1]) for found in self._buckets.values() if len(found)), default=0)
        first = min((int(found.idx[0]) for found in self._buckets.values() if len(found)), default=0)
        wider = 0
        while (columns >> wider) - (first >> wider) + 1 > DENSITY_BYTES_MAX // 2:
            wider += 1
        extremes = [
            Extremes(found.idx, found.table[4], found.table[5])
            for found in (buckets.wider(wider) for buckets in self._buckets.values())
        ]
        answer = self._nameless("density")
        answer.count = len(extremes)
        found = density(extremes) if extremes else None
        if found is None:
            answer.kind = "absent"
            return answer
        answer.first_bucket, answer.grid, answer.y_range = found.first_bucket, found.counts, found.y_range
        answer.extent = _together(list(self._extents.values()), float("nan"))
        return answer

    def _superseded(self, frame: Frame) -> Iterator[SeriesAnswer]:
        """What later attempts have superseded, each by a question of its own: they are few, and short."""
        runs, keys = self._names
        for item in self.scene.superseded:
            steps = item.step, STEP_MAX
            selection = Selection([item.id], ascending=False, steps=steps, attempt=item.attempt)
            axis = self.scene.axes[item.id[0]]
            for columns in self.loader.reader.points(selection, axis, frame.window).values():
                track = Track(columns)
                x = axis.numbers(track.step, track.time_us, track.attempt)
                answer = draw_points(x, track.value, None, frame, since=None, added=0)[0]
                if answer.kind == "absent":
                    continue
                answer.run, answer.key, answer.rank = runs[item.id[0]], keys[item.id[1]], item.id[2]
                answer.attempt, answer.extent = item.ordinal, extent_of(track, axis)
                yield answer


def _votes(parts: Sequence[Buckets]) -> Votes:
    """One run's means; ranks of a run are one run."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    columns = whole.columns(("mean", "min", "max"))
    mean, low, high = (columns[name].astype(np.float64) for name in ("mean", "min", "max"))
    return Votes(whole.idx, mean, low, high)


def _together(extents: Sequence[Extent], last_y: float) -> Extent:
    return Extent(
        n=sum(extent.n for extent in extents),
        x_min=min(extent.x_min for extent in extents),
        x_max=max(extent.x_max for extent in extents),
        last_x=max(extent.last_x for extent in extents),
        last_y=last_y,
        last_us=max(extent.last_us for extent in extents),
    )
