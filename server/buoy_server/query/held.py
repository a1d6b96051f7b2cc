"""What the server keeps of one series between two questions.

    few points     all of them (`Track`), from which everything is made
    many points    their number only, and a pyramid for each axis and smoothing that was asked for

It stands for what SQL said at some time (`known`). Is what SQL says now a continuation of that, only the new points
are added: from what was just ingested if that is all of them, else from the engine. Marks remember how far it was at
earlier revisions, so that a client which was there gets the rest only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from buoy_server.metrics.reader import Axis
from buoy_server.query.buckets import buckets_of
from buoy_server.query.known_series import Extent, KnownSeries, PartKey
from buoy_server.query.pyramid import Pyramid, SmoothPath
from buoy_server.query.reduced import Buckets, of_points
from buoy_server.query.smoothing import Floats, Smoothing
from buoy_server.query.track import Column, Track, piece

TRACK_POINTS_MAX = 1 << 15
"""Series with more points are reduced by the engine, not here."""

_MARKS_MAX = 32
_PENDING_POINTS_MAX = 1 << 16
_OWN_BYTES = 2000

Columns = Mapping[str, NDArray[np.generic]]


View = tuple[Axis, Smoothing | None]
"""What a series is reduced for."""


@dataclass(frozen=True)
class Mark:
    """How far a series was.

    Attributes:
        rev: Its revision then.
        stored: Points that SQL counted, those included that do not count.
        settled: Points after this step are new since, or may be other ones.
        low_us: No such point is earlier.
    """

    rev: int
    stored: int
    settled: int
    low_us: int


@dataclass(frozen=True)
class Arrived:
    """Points that were just ingested, by step, all behind what their attempt had."""

    part: PartKey
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns["step"])


@dataclass
class Curve:
    """A smoothed track."""

    values: Column
    state: Floats


@dataclass
class Held:
    """See above. Everything but `pending` belongs to whoever has the lock.

    Attributes:
        known: What it stands for.
        track: All points; None if they are too many.
        curves: Smoothed tracks, by axis and smoothing.
        pyramids: Reduced series, by axis and smoothing.
        paths: Where their smoothings stand.
        extents: Of long series of which SQL does not know it.
    """

    known: KnownSeries
    track: Track | None
    curves: dict[View, Curve] = field(default_factory=dict)
    pyramids: dict[View, Pyramid] = field(default_factory=dict)
    paths: dict[View, SmoothPath] = field(default_factory=dict)
    extents: dict[Axis, Extent] = field(default_factory=dict)
    marks: deque[Mark] = field(default_factory=lambda: deque(maxlen=_MARKS_MAX))
    pending: deque[Arrived] = field(default_factory=deque)
    lock: RLock = field(default_factory=RLock)

    @property
    def size_bytes(self) -> int:
        """Memory taken, about."""
        parts: list[Track | Pyramid | SmoothPath] = [*self.pyramids.values(), *self.paths.values()]
        parts += [] if self.track is None else [self.track]
        curves = sum(curve.values.size_bytes for curve in self.curves.values())
        return _OWN_BYTES + curves + sum(part.size_bytes for part in parts)

    def arrived(self, new: Arrived) -> bool:
        """Takes note of points. False if nobody has asked for so long that this is not worth its memory."""
        # A copy: the columns are a small part of a whole upload's.
        self.pending.append(Arrived(new.part, {name: column.copy() for name, column in new.columns.items()}))
        return sum(map(len, self.pending)) <= _PENDING_POINTS_MAX

    def take_pending(self, known: KnownSeries) -> list[Columns] | None:
        """What has arrived, as far as `known` counts it; None if that is not all there is."""
        counts = {key: part.n for key, part in self.known.parts.items()}
        taken: list[Columns] = []
        settled = self.known.settled
        while self.pending and not known.members:
            new = self.pending[0]
            part = known.parts.get(new.part)
            first, last = int(new.columns["step"][0]), int(new.columns["step"][-1])
            if part is None or (last > settled and counts.get(new.part, 0) + len(new) > part.n):
                break
            self.pending.popleft()
            if last <= settled:
                # It was there already when the series was read from the engine; if not, counting tells.
                continue
            if first <= settled:
                return None
            counts[new.part] = counts.get(new.part, 0) + len(new)
            columns = piece(new.columns, settled, part.cut - 1)
            settled = int(columns["step"][-1]) if len(columns["step"]) else settled
            taken.append(columns)
        return taken if all(counts.get(key, 0) == part.n for key, part in known.parts.items()) else None

    def extend(self, columns: Columns) -> None:
        """Adds points behind the last one."""
        if not len(columns["step"]):
            return
        self._lower_marks(int(columns["time_us"].min()))
        if self.track is not None:
            self.track.extend(columns)
            if len(self.track) > 2 * TRACK_POINTS_MAX:
                self.track = None
                self.curves.clear()
        for view, pyramid in list(self.pyramids.items()):
            path = self.paths.get(view)
            if view[1] is not None and path is None:
                # It looks ahead, so what is here has changed.
                del self.pyramids[view]
            else:
                pyramid.add(reduced(columns, view[0], path, pyramid.exponent))

    def replace_after(self, settled: int, columns: Columns) -> None:
        """Puts points in the place of all after a step. A long series has none there."""
        if self.track is not None:
            before = len(self.track)
            self.track.keep_until(settled)
            if len(self.track) < before:
                self.curves.clear()
        self.extend(columns)

    def stand_for(self, known: KnownSeries, latest_us: int) -> None:
        """Everything that `known` counts is in here now. Remembers how far that is."""
        if self.known is not known:
            self.extents.clear()
        self.known = known
        if not self.marks or self.marks[-1].rev != known.rev:
            self.marks.append(Mark(known.rev, known.stored, known.settled, latest_us))

    def mark_of(self, rev: int) -> Mark | None:
        """The latest mark that a client with this revision has seen everything of."""
        return next((mark for mark in reversed(self.marks) if mark.rev <= rev), None)

    def smoothed(self, axis: Axis, smoothing: Smoothing, x: Floats) -> Floats:
        """The smoothed track; x of each point is given."""
        assert self.track is not None
        key = axis, smoothing
        y, curve = self.track.value, self.curves.get(key)
        if curve is None or (not smoothing.causal and len(curve.values) != len(y)):
            curve = self.curves[key] = Curve(Column(np.float64), smoothing.start())
            if not smoothing.causal:
                curve.values.extend(smoothing.whole(x, y))
        if (done := len(curve.values)) < len(y):
            curve.values.extend(smoothing.advance(x[done:], y[done:], curve.state))
        return curve.values.values  # type: ignore[return-value]

    def _lower_marks(self, time_us: int) -> None:
        if any(mark.low_us > time_us for mark in self.marks):
            marks: Iterable[Mark] = [
                Mark(mark.rev, mark.stored, mark.settled, min(mark.low_us, time_us)) for mark in self.marks
            ]
            self.marks = deque(marks, maxlen=_MARKS_MAX)


def reduced(columns: Columns, axis: Axis, path: SmoothPath | None, exponent: int) -> Buckets:
    """Points, by step, as buckets; moves the smoothing on."""
    step, y = columns["step"].astype(np.int64), columns["value"].astype(np.float64)
    x = axis.numbers(step, columns["time_us"].astype(np.int64), columns["attempt"].astype(np.uint32))
    smooth = None if path is None else path.advance(step, x.astype(np.float64), y)
    return _in_order(x, y, smooth, exponent)


def smoothed_ahead(columns: Columns, axis: Axis, smoothing: Smoothing, exponent: int) -> Buckets:
    """A whole series, by step, as buckets, with a smoothing that looks ahead."""
    step, y = columns["step"].astype(np.int64), columns["value"].astype(np.float64)
    x = axis.numbers(step, columns["time_us"].astype(np.int64), columns["attempt"].astype(np.uint32))
    order = np.argsort(x, kind="stable")
    return _in_order(x[order], y[order], smoothing.whole(x[order].astype(np.float64), y[order]), exponent)


def _in_order(
    x: NDArray[np.int64] | NDArray[np.float64], y: Floats, smooth: Floats | None, exponent: int
) -> Buckets:
    bucket = buckets_of(x, exponent)
    # Clocks may go back. The last point of a bucket is the one with the highest step all the same.
    order = np.argsort(bucket, kind="stable")
    return of_points(bucket[order], y[order], None if smooth is None else smooth[order])
