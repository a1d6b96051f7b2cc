"""From points or buckets to what a panel draws: raw if they are few, else buckets; only the rest if a client has some.

Pure. A series with pieces (its x falls, as after a restart) comes piece by piece, each numbered by `segment`, so that
nobody joins the end of one with the beginning of the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from buoy_server.metrics.reader import Columns
from buoy_server.query.buckets import bucket_of, buckets_of, raw_points_max
from buoy_server.query.panel import PanelRequest, SeriesAnswer
from buoy_server.query.reduced import Buckets, of_points

Numbers = NDArray[np.int64] | NDArray[np.float64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """What a panel's series are drawn in.

    Attributes:
        window: x from the first to before the second, on bucket borders; None = all.
    """

    panel: PanelRequest
    exponent: int
    window: tuple[float, float] | None

    @property
    def few(self) -> int:
        """So many points at most come as they are."""
        return raw_points_max(self.panel.pixels)

    def bucket_window(self) -> tuple[int | None, int | None]:
        """The numbers of the window's first bucket and of the one behind its last."""
        if self.window is None:
            return None, None
        low, high = self.window
        return bucket_of(low, self.exponent), bucket_of(high, self.exponent)


def absent() -> SeriesAnswer:
    """There is nothing in the window."""
    return SeriesAnswer("", "", 0, "absent")


def unchanged() -> SeriesAnswer:
    """The client has all there is."""
    return SeriesAnswer("", "", 0, "unchanged")


def ordered(x: Numbers, y: Floats) -> tuple[Numbers, Floats]:
    """Points by x. Clocks that were set back shuffle times; what is equal stays in the order of steps."""
    if len(x) < 2 or (x[1:] >= x[:-1]).all():
        return x, y
    order = np.argsort(x, kind="stable")
    return x[order], y[order]


def within(x: Numbers, window: tuple[float, float] | None) -> slice:
    """Which of ascending x lie in the window."""
    if window is None:
        return slice(0, len(x))
    begin, end = np.searchsorted(x, window)
    return slice(int(begin), int(end))


def draw_points(
    x: Numbers, y: Floats, smooth: Floats | None, frame: Frame, *, since: float | None, added: int
) -> tuple[SeriesAnswer, int]:
    """Points by x; and the position of the first one that is drawn.

    Args:
        x: Ascending.
        y: Values.
        smooth: Smoothed values.
        frame: What they are drawn in.
        since: x from which on they are wanted; the client has those before.
        added: How many points there are that the client does not have.
    """
    inside = within(x, frame.window)
    count = inside.stop - inside.start
    if not count:
        return absent(), 0
    raw = count <= frame.few
    tail = since is not None and (raw or count - added > frame.few)
    if tail and since is not None:
        low = since if raw else bucket_of(since, frame.exponent) * 2.0**frame.exponent
        inside = slice(max(inside.start, int(np.searchsorted(x, low))), inside.stop)
        if inside.start >= inside.stop:
            return unchanged(), 0
    answer = _raw(x[inside], y[inside], smooth, inside) if raw else _reduced(x, y, smooth, inside, frame)
    answer.tail = tail
    return answer, inside.start


def _raw(x: Numbers, y: Floats, smooth: Floats | None, inside: slice) -> SeriesAnswer:
    columns: Columns = {"x": x.astype(np.float64), "y": y.copy()}
    if smooth is not None:
        columns["smooth"] = smooth[inside].copy()
    return SeriesAnswer("", "", 0, "raw", columns=columns)


def _reduced(x: Numbers, y: Floats, smooth: Floats | None, inside: slice, frame: Frame) -> SeriesAnswer:
    bucket = buckets_of(x[inside], frame.exponent)
    return bucketed(of_points(bucket, y[inside], None if smooth is None else smooth[inside]), frame.panel)


def bucketed(found: Buckets, panel: PanelRequest) -> SeriesAnswer:
    """Buckets as they are."""
    if not len(found):
        return absent()
    first = int(found.idx[0])
    return SeriesAnswer(
        "",
        "",
        0,
        "buckets",
        first_bucket=first,
        idx=(found.idx - first).astype(np.uint32),
        columns=found.columns(panel.columns),
    )


def draw_buckets(found: Buckets, frame: Frame, *, since: float | None) -> SeriesAnswer:
    """Buckets of the frame's exponent."""
    low, high = frame.bucket_window()
    if since is not None:
        begin = bucket_of(since, frame.exponent)
        low = begin if low is None else max(low, begin)
    chosen = found.between(low, high)
    if since is not None and not len(chosen):
        return unchanged()
    answer = bucketed(chosen, frame.panel)
    answer.tail = since is not None
    return answer


def draw_pieces(x: Floats, y: Floats, smooth: Floats | None, frame: Frame) -> SeriesAnswer:
    """Points in the order of the log, of which x may fall."""
    segment = np.r_[0, np.cumsum(x[1:] < x[:-1])].astype(np.uint32) if len(x) else np.empty(0, np.uint32)
    if frame.window is not None:
        inside = (x >= frame.window[0]) & (x < frame.window[1])
        x, y, segment = x[inside], y[inside], segment[inside]
        smooth = None if smooth is None else smooth[inside]
    if not len(x):
        return absent()
    if len(x) <= frame.few:
        answer = _raw(x, y, smooth, slice(None))
    else:
        # Buckets of different pieces must not become one: a number of their own keeps them apart.
        bucket = buckets_of(x, frame.exponent)
        first = int(bucket.min())
        span = int(bucket.max()) - first + 1
        found = of_points(segment.astype(np.int64) * span + (bucket - first), y, smooth)
        answer = SeriesAnswer("", "", 0, "buckets", first_bucket=first)
        answer.idx = (found.idx % span).astype(np.uint32)
        answer.columns = found.columns(frame.panel.columns)
        segment = (found.idx // span).astype(np.uint32)
    if segment[0] != segment[-1]:
        answer.columns = answer.columns | {"segment": segment - segment[0]}
    return answer
