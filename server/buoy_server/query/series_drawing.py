"""One series of a panel, from what is held of it: its points if there are few, else a pyramid and the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from buoy_server.metrics.reader import Axis, Columns
from buoy_server.metrics.selection import STEP_MAX, STEP_MIN
from buoy_server.query.buckets import bucket_of, buckets_of
from buoy_server.query.drawing import (
    Floats,
    Frame,
    Numbers,
    absent,
    draw_buckets,
    draw_pieces,
    draw_points,
    ordered,
    within,
)
from buoy_server.query.held import Held
from buoy_server.query.known_series import Extent
from buoy_server.query.loading import Loader
from buoy_server.query.pairing import Pairs, pair
from buoy_server.query.panel import SeriesAnswer
from buoy_server.query.pyramid import Pyramid
from buoy_server.query.reduced import AGGREGATES, Buckets, empty, of_columns, of_points
from buoy_server.query.smoothing import sums
from buoy_server.query.track import Track

_TIMES = ("wall", "rel")
_FAR_LEFT = -1e300


@dataclass(frozen=True)
class SeriesDrawing:
    """Draws one series. The caller has the lock of what is held.

    Attributes:
        over: What is held of the series whose values are x, if one is.
    """

    loader: Loader
    frame: Frame
    held: Held
    axis: Axis
    extent: Extent
    over: Held | None = None

    def draw(self, have: int | None) -> SeriesAnswer:
        """The series, or what of it came after a revision that the client has."""
        if self.frame.panel.x_key is not None:
            return self._draw_pairs()
        since, added = self._since(have)
        if self.held.track is not None:
            return self._draw_track(self.held.track, since, added)
        return self._draw_long(since, added)

    def buckets(self) -> Buckets:
        """The series in buckets, however few points it has."""
        if self.frame.panel.x_key is not None:
            pairs = self.pairs()
            return self._bucketed(*ordered(pairs.x, pairs.y))
        if self.held.track is not None:
            return self._bucketed(*self.points(self.held.track))
        found = self.loader.pyramid(self.held, self.axis, None, self.extent).level(self.frame.exponent)
        return self._read_buckets(AGGREGATES) if found is None else found.between(*self.frame.bucket_window())

    def points(self, track: Track) -> tuple[Numbers, Floats]:
        """Points by x."""
        return ordered(self.axis.numbers(track.step, track.time_us, track.attempt), track.value)

    def pairs(self) -> Pairs:
        """Points over the other key."""
        return pair(self._track(self.over), self._track(self.held))

    def _bucketed(self, x: Numbers, y: Floats) -> Buckets:
        inside = within(x, self.frame.window)
        return of_points(buckets_of(x[inside], self.frame.exponent), y[inside])

    def _since(self, have: int | None) -> tuple[float | None, int]:
        """From which x on the client lacks points, and how many at most; None if it may lack others."""
        panel, smoothing = self.frame.panel, self.frame.panel.smoothing
        mark = None if have is None or panel.exponent is None else self.held.mark_of(have)
        if mark is None or (smoothing is not None and not smoothing.causal):
            return None, 0
        added = self.held.known.stored - mark.stored
        if self.axis.kind == "step":
            return float(mark.settled), added
        if self.axis.kind in _TIMES:
            shift_us = self.axis.shifts_us[0][1] if self.axis.shifts_us else 0
            return (mark.low_us - shift_us) / 1e6, added
        return None, 0

    def _draw_track(self, track: Track, since: float | None, added: int) -> SeriesAnswer:
        smoothing = self.frame.panel.smoothing
        numbers = self.axis.numbers(track.step, track.time_us, track.attempt)
        x, y = ordered(numbers, track.value)
        if smoothing is None:
            return draw_points(x, y, None, self.frame, since=since, added=added)[0]
        floats = x.astype(np.float64)
        held = self.held.smoothed(self.axis, smoothing, floats) if x is numbers else None
        smooth = smoothing.whole(floats, y) if held is None else held
        answer, begin = draw_points(x, y, smooth, self.frame, since=since, added=added)
        answer.state = self._state_before(floats, y, begin)
        return answer

    def _state_before(
        self, x: Floats, y: Floats, begin: int, state: Floats | None = None
    ) -> tuple[float, float]:
        """Where a causal smoothing stands before a point."""
        smoothing = self.frame.panel.smoothing
        if smoothing is None or not smoothing.causal:
            return 0.0, 0.0
        state = smoothing.start() if state is None else state
        smoothing.advance(x[:begin], y[:begin], state)
        return sums(state)

    def _draw_pairs(self) -> SeriesAnswer:
        if self.over is None:
            return absent()
        smoothing, pairs = self.frame.panel.smoothing, self.pairs()
        smooth = None
        if smoothing is not None:
            falls = np.flatnonzero(pairs.x[1:] < pairs.x[:-1]) + 1
            pieces = zip(np.split(pairs.x, falls), np.split(pairs.y, falls), strict=True)
            smooth = np.concatenate([smoothing.whole(x, y) for x, y in pieces])
        answer = draw_pieces(pairs.x, pairs.y, smooth, self.frame)
        answer.count = pairs.carried
        return answer

    def _track(self, held: Held | None) -> Track:
        """All points of a series, from the engine if they are not held."""
        if held is None:
            return Track()
        if held.track is not None:
            return held.track
        return Track(self.loader.read(held, (STEP_MIN, STEP_MAX)))

    def _draw_long(self, since: float | None, added: int) -> SeriesAnswer:
        smoothing = self.frame.panel.smoothing
        if smoothing is not None and not smoothing.affordable(self.held.known.n):
            return SeriesAnswer("", "", 0, "error")
        pyramid = self.loader.pyramid(self.held, self.axis, smoothing, self.extent)
        level = pyramid.level(self.frame.exponent)
        if level is None:
            return self._draw_closer(pyramid, since, added)
        inside = level.between(*self.frame.bucket_window())
        count = int(inside.table[0].sum())
        if 0 < count <= self.frame.few:
            return self._draw_read(since, added)
        tail = since if count - added > self.frame.few else None
        answer = draw_buckets(level, self.frame, since=tail)
        if smoothing is not None and answer.kind == "buckets":
            answer.state = self._long_state(answer.first_bucket * 2.0**self.frame.exponent)
        return answer

    def _draw_closer(self, pyramid: Pyramid, since: float | None, added: int) -> SeriesAnswer:
        """A window with narrower buckets than the pyramid has."""
        window = self.frame.window
        if window is None:
            low = high = None
        else:
            low = bucket_of(window[0], pyramid.exponent)
            high = bucket_of(window[1], pyramid.exponent) + 1
        about = pyramid.buckets.between(low, high)
        if self.frame.panel.smoothing is not None or int(about.table[0].sum()) <= self.frame.few:
            return self._draw_read(since, added)
        names = tuple(dict.fromkeys(("n", *self.frame.panel.columns)))
        columns = self._read_columns(names)
        count = 0 if columns is None else int(columns["n"].sum())
        if columns is None or count <= self.frame.few:
            return self._draw_read(since, added) if count else absent()
        idx = columns["idx"].astype(np.int64)
        first = int(idx[0])
        answer = SeriesAnswer("", "", 0, "buckets", first_bucket=first, idx=(idx - first).astype(np.uint32))
        answer.columns = {name: columns[name] for name in self.frame.panel.columns}
        return answer

    def _draw_read(self, since: float | None, added: int) -> SeriesAnswer:
        """The points of the window, read from the engine; with those before it that a smoothing begins with."""
        smoothing, window = self.frame.panel.smoothing, self.frame.window
        if smoothing is None:
            track = Track(self.loader.read(self.held, (STEP_MIN, STEP_MAX), self.axis, window))
            return draw_points(*self.points(track), None, self.frame, since=since, added=added)[0]
        state, begin_step = smoothing.start(), STEP_MIN
        if smoothing.causal and window is not None:
            before, state = self.held.paths[self.axis, smoothing].before(window[0])
            begin_step = STEP_MIN if before is None else before + 1
        until = None if window is None or not smoothing.causal else (_FAR_LEFT, window[1])
        track = Track(self.loader.read(self.held, (begin_step, STEP_MAX), self.axis, until))
        x, y = self.points(track)
        floats = x.astype(np.float64)
        left = state.copy()
        smooth = smoothing.advance(floats, y, state) if smoothing.causal else smoothing.whole(floats, y)
        answer, begin = draw_points(x, y, smooth, self.frame, since=since, added=added)
        answer.state = self._state_before(floats, y, begin, left)
        return answer

    def _long_state(self, x: float) -> tuple[float, float]:
        """Where the smoothing of a long series stands left of x."""
        smoothing = self.frame.panel.smoothing
        path = None if smoothing is None else self.held.paths.get((self.axis, smoothing))
        if smoothing is None or path is None:
            return 0.0, 0.0
        step, state = path.before(x)
        begin = STEP_MIN if step is None else step + 1
        track = Track(self.loader.read(self.held, (begin, STEP_MAX), self.axis, (_FAR_LEFT, x)))
        floats, y = self.points(track)
        return self._state_before(floats.astype(np.float64), y, len(y), state)

    def _read_columns(self, names: tuple[str, ...]) -> Columns | None:
        return self.loader.read_buckets(self.held, self.axis, self.frame.exponent, self.frame.window, names)

    def _read_buckets(self, names: tuple[str, ...]) -> Buckets:
        columns = self._read_columns(names)
        return empty() if columns is None else of_columns(columns)
