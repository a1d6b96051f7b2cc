"""The processes of a run on this machine: which are in trouble, and many of them in few lines. Pure.

What a machine can tell by itself: that a process has died, drops what it logs, or has logged nothing for long while its
fellows go on. The server, which sees all machines, judges ranks with more care; its marks are on the run page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SILENT_S = 60
"""After so long without a row a process is silent, if others are not."""

_DIED = ("failed", "killed", "crashed")


@dataclass(frozen=True)
class Writer:
    """One process, as its daemon sees it. Times are microseconds since 1970, 0 if not known."""

    rank: int
    local_rank: int
    node: str
    pid: int
    state: str
    alive: bool
    last_step: int | None
    last_row_us: int
    backlog_bytes: int
    records_dropped: int
    forked: bool

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"last_row_us": self.last_row_us or None}

    def trouble(self, now_us: int) -> str:
        """What is wrong with it on its own, in words."""
        if self.records_dropped:
            return f"{self.records_dropped:,} records dropped"
        if self.state == "running" and self.last_row_us and now_us - self.last_row_us > SILENT_S * 1_000_000:
            return "silent"
        return ""


@dataclass(frozen=True)
class Line:
    """The processes of one node that are in one state."""

    node: str
    state: str
    count: int
    steps: tuple[int, int] | None
    backlog_bytes: int


def _severity(writer: Writer, now_us: int, *, some_live: bool, all_silent: bool) -> int:
    """0 is the worst; 3 is no trouble. Who died with all the others, or is silent as they are, is in none."""
    if writer.state in _DIED and some_live and not writer.forked:
        return 0
    if writer.records_dropped:
        return 1
    return 2 if writer.trouble(now_us) and not all_silent else 3


def _severities(writers: Sequence[Writer], now_us: int) -> list[int]:
    live = [item for item in writers if item.state == "running"]
    silent = sum(item.trouble(now_us) == "silent" for item in live)
    all_silent = 2 * silent > len(live)
    return [_severity(item, now_us, some_live=bool(live), all_silent=all_silent) for item in writers]


def by_trouble(writers: Sequence[Writer], now_us: int) -> list[Writer]:
    """Those in trouble first, the worst of them first; then by rank."""
    severities = _severities(writers, now_us)
    paired = sorted(
        zip(severities, writers, strict=True), key=lambda pair: (pair[0], pair[1].rank, pair[1].pid)
    )
    return [item for _, item in paired]


def in_trouble(writers: Sequence[Writer], now_us: int) -> list[Writer]:
    """Those in trouble, in the order that they have."""
    return [item for item, rank in zip(writers, _severities(writers, now_us), strict=True) if rank < 3]


def collapsed(writers: Iterable[Writer], now_us: int) -> list[Line]:
    """A line for each node and state; a silent process has a state of its own."""
    groups: dict[tuple[str, str], list[Writer]] = defaultdict(list)
    for item in writers:
        silent = item.trouble(now_us) == "silent"
        groups[item.node, "silent" if silent else item.state].append(item)
    lines = []
    for (node, state), members in sorted(groups.items()):
        steps = [item.last_step for item in members if item.last_step is not None]
        lines.append(
            Line(
                node,
                state,
                len(members),
                (min(steps), max(steps)) if steps else None,
                sum(item.backlog_bytes for item in members),
            )
        )
    return lines
