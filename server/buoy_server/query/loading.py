"""Brings what is held of series up to what SQL counts: with what has just arrived, else from the engine.

As few questions as possible: all series that lack something are read together, in portions that bound the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from buoy_server.metrics.reader import Axis, Columns, MetricsReader
from buoy_server.metrics.selection import STEP_MAX, STEP_MIN, Selection, SeriesKey
from buoy_server.query.buckets import choose_exponent
from buoy_server.query.held import TRACK_POINTS_MAX, Held, View, reduced, smoothed_ahead
from buoy_server.query.known_series import Extent, KnownSeries, select_series
from buoy_server.query.lineage import Lineage
from buoy_server.query.pyramid import Pyramid, SmoothPath, buckets_max
from buoy_server.query.reduced import AGGREGATES, Buckets, empty, of_columns
from buoy_server.query.series_cache import HeldKey, SeriesCache
from buoy_server.query.smoothing import Smoothing
from buoy_server.query.track import Track, piece

_PORTION_POINTS = 1 << 22


@dataclass(frozen=True)
class Loader:
    """For the series of one panel."""

    reader: MetricsReader
    cache: SeriesCache
    lineages: Mapping[int, Lineage]
    system: bool
    reduction: str | None

    def portions(self, known: Sequence[KnownSeries]) -> Iterator[dict[SeriesKey, Held]]:
        """All series, up to date, some at a time. What was given before may be forgotten when the next come."""
        portion: list[KnownSeries] = []
        points = 0
        for item in known:
            size = min(item.n, TRACK_POINTS_MAX)
            if portion and points + size > _PORTION_POINTS:
                yield self._up_to_date(portion)
                portion, points = [], 0
            portion.append(item)
            points += size
        if portion:
            yield self._up_to_date(portion)

    def _up_to_date(self, known: Sequence[KnownSeries]) -> dict[SeriesKey, Held]:
        found: dict[SeriesKey, Held] = {}
        fresh: list[KnownSeries] = []
        behind: list[KnownSeries] = []
        for item in known:
            held = self.cache.get(self._key(item.id))
            if held is None:
                fresh.append(item)
                continue
            found[item.id] = held
            with held.lock:
                if not self._follow(held, item):
                    (behind if _goes_on(held, item) else fresh).append(item)
        self._catch_up(behind, found)
        self._load(fresh, found)
        return found

    def _follow(self, held: Held, known: KnownSeries) -> bool:
        """Whether what is held is up to date without the engine."""
        if held.known.parts == known.parts or held.known.rev > known.rev:
            return True
        if not known.continues(held.known):
            return False
        taken = held.take_pending(known)
        if taken is None:
            return False
        for columns in taken:
            held.extend(columns)
        self._done(held, known)
        return True

    def _done(self, held: Held, known: KnownSeries) -> None:
        latest_us = int(held.track.time_us[-1]) if held.track else known.times_us[1]
        held.stand_for(known, latest_us)
        self.cache.put(self._key(known.id), held)

    def _catch_up(self, behind: Sequence[KnownSeries], found: dict[SeriesKey, Held]) -> None:
        """Reads what is new of series that went on."""
        if not behind:
            return
        low = min(found[item.id].known.settled for item in behind)
        points = self._points(behind, (low + 1, STEP_MAX))
        for item in behind:
            held, columns = found[item.id], points.get(item.id)
            with held.lock:
                # Another thread may have been faster, or further.
                if item.rev > held.known.rev and item.continues(held.known):
                    settled = held.known.settled
                    if columns is not None:
                        held.replace_after(settled, piece(columns, settled, item.steps[1]))
                    self._done(held, item)

    def _load(self, fresh: Sequence[KnownSeries], found: dict[SeriesKey, Held]) -> None:
        """Reads series as a whole, if they are short; long ones are reduced when somebody wants to see them."""
        short = [item for item in fresh if item.n <= TRACK_POINTS_MAX]
        points = self._points(short, (STEP_MIN, STEP_MAX)) if short else {}
        for item in fresh:
            track = None
            if item.n <= TRACK_POINTS_MAX:
                columns = points.get(item.id)
                track = Track() if columns is None else Track(piece(columns, STEP_MIN - 1, item.steps[1]))
            held = found[item.id] = Held(item, track)
            self._done(held, item)

    def _points(self, known: Sequence[KnownSeries], steps: tuple[int, int]) -> dict[SeriesKey, Columns]:
        found: dict[SeriesKey, Columns] = {}
        for selection in self.selections(known, steps):
            found |= self.reader.points(selection)
        return found

    def selections(
        self, known: Sequence[KnownSeries], steps: tuple[int, int] | None = None
    ) -> list[Selection]:
        """The same series as selections, perhaps some steps only."""
        chosen = select_series(known, self.lineages, system=self.system, reduction=self.reduction)
        return [replace(selection, steps=steps) for selection in chosen]

    def _key(self, series: SeriesKey) -> HeldKey:
        return HeldKey(series, self.reduction)

    def extent(self, held: Held, axis: Axis) -> Extent | None:
        """The whole of a series; exact. None if it has no points that count."""
        known = held.known
        if held.track is not None:
            return extent_of(held.track, axis)
        if not known.careful and not known.members and len(axis.shifts_us) <= 1:
            return known.extent(axis)
        if axis not in held.extents:
            for columns in self._long(known, axis):
                held.extents[axis] = columns
        return held.extents.get(axis)

    def _long(self, known: KnownSeries, axis: Axis) -> Iterable[Extent]:
        for selection in self.selections([known], (STEP_MIN, known.steps[1])):
            for columns in self.reader.extents(selection, axis, None).values():
                yield extent_of_columns(columns)

    def pyramid(self, held: Held, axis: Axis, smoothing: Smoothing | None, extent: Extent) -> Pyramid:
        """The pyramid of a long series; made at the first question."""
        view: View = axis, smoothing
        found = held.pyramids.get(view)
        if found is None:
            exponent = choose_exponent(
                extent.x_min, extent.x_max, buckets_max(extent.n), integer=axis.kind == "step"
            )
            path = SmoothPath(smoothing, smoothing.start()) if smoothing and smoothing.causal else None
            made = self.reduce(held, axis, smoothing, exponent, path)
            found = held.pyramids[view] = Pyramid(exponent, made)
            if path is not None:
                held.paths[view] = path
            self.cache.put(self._key(held.known.id), held)
        return found

    def reduce(
        self,
        held: Held,
        axis: Axis,
        smoothing: Smoothing | None,
        exponent: int,
        path: SmoothPath | None,
    ) -> Buckets:
        """A whole long series in buckets."""
        if smoothing is None:
            columns = self.read_buckets(held, axis, exponent, None, AGGREGATES)
            return empty() if columns is None else of_columns(columns)
        points = self.read(held, (STEP_MIN, STEP_MAX))
        if path is None:
            return smoothed_ahead(points, axis, smoothing, exponent)
        return reduced(points, axis, path, exponent)

    def read(
        self,
        held: Held,
        steps: tuple[int, int],
        axis: Axis | None = None,
        window: tuple[float, float] | None = None,
    ) -> Columns:
        """Points of a series, by step, as far as it is held; those of some steps and in a window of x."""
        until = min(steps[1], held.known.steps[1])
        for selection in self.selections([held.known], (steps[0], until)):
            for columns in self.reader.points(selection, axis, window).values():
                return columns
        return {name: np.empty(0, np.int64) for name in ("step", "time_us", "value", "attempt")}

    def read_buckets(
        self,
        held: Held,
        axis: Axis,
        exponent: int,
        window: tuple[float, float] | None,
        names: Sequence[str],
    ) -> Columns | None:
        """Columns of a series' buckets; None if it has none in the window."""
        for selection in self.selections([held.known], (STEP_MIN, held.known.steps[1])):
            for columns in self.reader.buckets(selection, axis, exponent, window, names).values():
                return columns
        return None


def _goes_on(held: Held, known: KnownSeries) -> bool:
    """Whether it is enough to read what is new. Of ranks as one, what is new replaces what was there."""
    if not known.continues(held.known):
        return False
    return held.track is not None or (not known.members and known.n - held.known.n <= TRACK_POINTS_MAX)


def extent_of_columns(columns: Columns) -> Extent:
    """What the engine says of a whole series."""
    return Extent(
        n=int(columns["n"][0]),
        x_min=float(columns["x_min"][0]),
        x_max=float(columns["x_max"][0]),
        last_x=float(columns["last_x"][0]),
        last_y=float(columns["last_y"][0]),
        last_us=int(columns["last_t"][0]),
    )


def extent_of(track: Track, axis: Axis) -> Extent | None:
    """The whole of some points; None if there are none."""
    if not len(track):
        return None
    step, time_us = track.step, track.time_us
    x = axis.numbers(step, time_us, track.attempt)
    ends = (x[0], x[-1]) if axis.kind == "step" else (x.min(), x.max())
    return Extent(
        n=len(track),
        x_min=float(ends[0]),
        x_max=float(ends[1]),
        last_x=float(x[-1]),
        last_y=float(track.value[-1]),
        last_us=int(time_us[-1]),
    )
