"""What buoy says on the terminal: on stderr, plain unless that is a terminal, each kind of trouble once."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buoy_proto import v1

_BARS = "▁▂▃▄▅▆▇█"
_METRICS_MAX = 10
_WIDTH = 40


class Messages:
    """The voice of one process.

    Args:
        silent: says nothing but warnings.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self._said: set[str] = set()

    def say(self, text: str) -> None:
        """Something good to know."""
        if not self.silent:
            _print(f"{_colour('36', 'buoy')}: {text}")

    def warn(self, text: str) -> None:
        """Something that is not as it should be; also said when silent."""
        _print(f"{_colour('33', 'buoy')}: {text}")

    def warn_once(self, kind: str, text: str) -> None:
        """The first trouble of its kind; what follows would only repeat it."""
        if kind not in self._said:
            self._said.add(kind)
            self.warn(text)

    def told(self, kind: str) -> bool:
        """Whether there was such trouble."""
        return kind in self._said

    def block(self, lines: Sequence[str]) -> None:
        """Several lines that belong together."""
        if not self.silent:
            _print("\n".join(lines))


def _print(text: str) -> None:
    stream = sys.stderr
    if stream is None:
        return
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError:
        print(text.encode("ascii", "replace").decode(), file=stream, flush=True)
    except (OSError, RuntimeError, ValueError):
        # A closed or broken stderr is no reason to disturb the training, nor is a signal handler that logs while the
        # stream is in use.
        pass


def _colour(code: str, text: str) -> str:
    try:
        terminal = sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        terminal = False
    return f"\x1b[{code}m{text}\x1b[0m" if terminal else text


def sparkline(values: Sequence[float]) -> str:
    """The course of a series in at most 40 characters; a gap where it was not finite."""
    if len(values) > _WIDTH:
        values = [values[index * (len(values) - 1) // (_WIDTH - 1)] for index in range(_WIDTH)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    # Halved first: the span of two large numbers may not fit into a double.
    span = high / 2 - low / 2
    return "".join(
        " "
        if not math.isfinite(value)
        else _BARS[int((value / 2 - low / 2) / span * (len(_BARS) - 1) + 0.5) if span > 0 else 0]
        for value in values
    )


def shown(value: object) -> str:
    """A value in a few characters."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={shown(item)}" for key, item in value.items())
    text = str(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def metric_lines(summary: Mapping[str, object], histories: Mapping[str, Sequence[float]]) -> list[str]:
    """One line for each metric: its name, its course, its value. At most ten; keys that begin with `_` are left out."""
    names = [name for name in sorted(summary) if not name.startswith("_")]
    kept = names[:_METRICS_MAX]
    width = max((len(name) for name in kept), default=0)
    lines = [
        f"  {name:<{width}}  {sparkline(histories.get(name, ())):<{_WIDTH}}  {shown(summary[name])}"
        for name in kept
    ]
    if len(names) > len(kept):
        lines.append(f"  +{len(names) - len(kept):,} more")
    return [line.rstrip() for line in lines]


def duration(seconds: float) -> str:
    """A time span for people."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def interrupted(progress: v1.CloseProgress | None, run_dir: str) -> str:
    """What Ctrl-C in `finish()` leaves behind."""
    waiting = progress.records - progress.records_acked if progress is not None else 0
    if progress is None or not progress.on_disk:
        return "interrupted; the data is safe on this machine, and the daemon goes on with it"
    return (
        f"interrupted; {waiting:,} of {progress.records:,} records are not on the server yet. "
        f"All are kept in {run_dir}, and the daemon goes on with them"
    )
