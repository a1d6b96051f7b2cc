"""How the upload at the end of a run is shown: a bar on a terminal, a line now and then anywhere else.

    buoy: uploading  ██████████████████▌           62 %   12,400 of 20,000 records, 3,100/s, 2 s left

It shows what was left when the wait began: that is what the user waits for. The rate is the one since then.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from buoy.tracking.messages import duration

_WIDTH = 30
_FIRST_S = 0.5
"""A wait that is over sooner shows nothing."""
_REDRAW_S = 0.1
_LINE_S = 10.0
_RATE_AFTER_S = 1.0
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Upload(NamedTuple):
    """How far an upload is."""

    records: int
    acked: int
    answers: bool
    error: str = ""


def line(begin_acked: int, upload: Upload, elapsed_s: float, *, bar: str) -> str:
    """What to say of an upload.

    Args:
        begin_acked: records that were on the server when the wait began.
        upload: how far it is.
        elapsed_s: since then.
        bar: characters of a bar, the eighths of a full one last; empty for none.
    """
    total, done = upload.records - begin_acked, upload.acked - begin_acked
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 1.0
    parts = [f"{done:,} of {total:,} records"]
    rate = done / elapsed_s if elapsed_s >= _RATE_AFTER_S else 0.0
    if rate > 0:
        parts += [f"{rate:,.0f}/s", f"{duration((total - done) / rate)} left"]
    if not upload.answers:
        parts.append(f"no answer ({upload.error})" if upload.error else "no answer yet")
    drawn = f"{_bar(share, bar)} " if bar else ""
    return f"uploading {drawn}{share:4.0%}  {', '.join(parts)}"


def _bar(share: float, characters: str) -> str:
    full, steps = characters[-1], len(characters) - 1
    units = int(share * _WIDTH * steps)
    whole, rest = divmod(units, steps)
    part = characters[rest] if rest else ""
    return (full * whole + part).ljust(_WIDTH)


class Display:
    """Draws on stderr.

    Args:
        silent: draws nothing.
        now: present time; as everywhere here, seconds of a clock that only goes forward.
    """

    def __init__(self, *, silent: bool, now: float) -> None:
        self._silent = silent
        self._began = now
        self._next = now + _FIRST_S
        self._begin_acked: int | None = None
        self._drawn = False
        self._terminal = _is_terminal()

    def show(self, upload: Upload, now: float) -> None:
        """Shows how far it is, if it is time."""
        if self._begin_acked is None:
            self._begin_acked = upload.acked
        if self._silent or now < self._next:
            return
        self._next = now + (_REDRAW_S if self._terminal else _LINE_S)
        text = "buoy: " + line(
            self._begin_acked, upload, now - self._began, bar=_characters() if self._terminal else ""
        )
        if self._terminal:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            _write(f"\r{text[: columns - 1]}\x1b[K")
            self._drawn = True
        else:
            _write(text + "\n")

    def clear(self) -> None:
        """Takes the bar away, for what is said next."""
        if self._drawn:
            _write("\r\x1b[K")
            self._drawn = False


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _characters() -> str:
    try:
        "█▌".encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return " #"
    return _EIGHTHS + "█"


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        # A closed or broken stderr is no reason to disturb the training.
        pass
