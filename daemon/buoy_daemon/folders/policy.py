"""Which uploaded folders may go, and why. Pure: sizes and times come in.

Each run says how long its copy is kept after the upload, and how much the uploaded copies may take together before its
own goes. So no other program's settings decide about a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

KEEP_DAYS, KEEP_GB = 7.0, 10.0
"""What holds for runs that say nothing."""

_DAY_US = 86_400_000_000
_GB = 1_000_000_000


@dataclass(frozen=True)
class Uploaded:
    """A folder of which a server has said that it has everything, and when."""

    stream_id: str
    done_us: int
    size_bytes: int
    keep_days: float
    keep_gb: float


def due(folders: Iterable[Uploaded], now_us: int) -> dict[str, str]:
    """The folders that may go, the oldest first, each with the reason.

    A clock that was set back makes folders younger, never older than they are.
    """
    reasons = {}
    together = 0
    for folder in sorted(folders, key=lambda each: (each.done_us, each.stream_id), reverse=True):
        together += folder.size_bytes
        reason = _reason(folder, max(now_us - folder.done_us, 0), together)
        if reason:
            reasons[folder.stream_id] = reason
    return dict(reversed(reasons.items()))


def _reason(folder: Uploaded, age_us: int, together_bytes: int) -> str:
    if not math.isinf(folder.keep_days) and age_us >= folder.keep_days * _DAY_US:
        return f"uploaded {age_us / _DAY_US:.1f} days ago, kept for {folder.keep_days:g}"
    if together_bytes > folder.keep_gb * _GB:
        return f"with the uploaded ones that are newer it takes more than {folder.keep_gb:g} GB"
    return ""
