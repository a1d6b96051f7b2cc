"""How a watch is written down, and how its changes are told. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from operator import attrgetter

from buoy_server.liveness.signs import Notice
from buoy_server.liveness.watch import DEAD, LAGGING, STOPPED, Change, Rank, Seen, Watch

_RANGES_MAX = 12
_SEEN = attrgetter(*(field.name for field in fields(Seen)))
_CODES = {DEAD: "rank_died", STOPPED: "rank_stopped", LAGGING: "rank_lagging", "": "rank_back"}
_LEVELS = {DEAD: "error", STOPPED: "warn", LAGGING: "warn", "": "info"}


@dataclass(frozen=True)
class Process:
    """What people know a rank's process by."""

    host: str
    pid: int
    state: str
    exit_code: int | None = None


def write_watch(watch: Watch) -> str:
    """A watch as JSON: one list for each rank, because there may be a thousand."""
    ranks = [[rank, *_SEEN(seen)] for rank, seen in watch.ranks.items()]
    return json.dumps([watch.judged_us, watch.clock, watch.rolled, ranks], separators=(",", ":"))


def read_watch(text: str) -> Watch | None:
    """The watch again; None for one that another version has written, which then begins anew."""
    try:
        judged_us, clock, rolled, ranks = json.loads(text)
        return Watch(judged_us, clock, rolled, {row[0]: _seen(row[1:]) for row in ranks})
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _seen(row: list[object]) -> Seen:
    return Seen(*(tuple(item) if isinstance(item, list) else item for item in row))  # type: ignore[arg-type]


def notice_of(change: Change, ranks: Sequence[Rank], processes: Mapping[int, Process], now_us: int) -> Notice:
    """The event that tells of a change."""
    by_number = {item.rank: item for item in ranks}
    steps = sorted(item.step for item in ranks if item.logs and item.step is not None)
    median = steps[len(steps) // 2] if steps else None
    living = sum(item.lives for item in ranks)
    who = _who(change.ranks, processes, len(ranks))
    several = len(change.ranks) > 1
    first = by_number[change.ranks[0]]
    if change.mark == DEAD:
        others = f"{living} other {'rank goes' if living == 1 else 'ranks go'} on"
        text = f"{who} {_ended(change.ranks, processes)} while {others}."
    elif change.mark == STOPPED:
        silent_s = min((now_us - (by_number[rank].heard_us or now_us)) // 1_000_000 for rank in change.ranks)
        where = "" if several else f"; its last step is {first.step}, the median is at {median}"
        text = (
            f"{who} {'have' if several else 'has'} logged nothing for {silent_s} s while others go on{where}."
        )
    elif change.mark == LAGGING:
        where = "" if several else f": at step {first.step}, the median is at {median}"
        text = f"{who} {'fall' if several else 'falls'} behind the others{where}."
    else:
        text = f"{who} {_BACK[change.was][several]}."
    details: dict[str, object] = {
        "ranks": list(change.ranks),
        "hosts": sorted({processes[rank].host for rank in change.ranks}),
        "median_step": median,
    }
    details |= {"was": change.was} if not change.mark else {}
    return Notice(_CODES[change.mark], _LEVELS[change.mark], text, details)


_BACK = {
    STOPPED: ("logs again", "log again"),
    LAGGING: ("keeps up again", "keep up again"),
    DEAD: ("runs again, as another process", "run again, as other processes"),
}


_ENDED = {
    "failed": ("has failed", "have failed"),
    "killed": ("was killed", "were killed"),
    "crashed": ("has crashed", "have crashed"),
}


def _ended(ranks: Sequence[int], processes: Mapping[int, Process]) -> str:
    states = {processes[rank].state for rank in ranks}
    if len(states) > 1:
        return "have ended"
    text = _ENDED[states.pop()][len(ranks) > 1]
    codes = {processes[rank].exit_code for rank in ranks}
    code = codes.pop() if len(codes) == 1 else None
    return f"{text} (exit code {code})" if code else text


def _who(ranks: Sequence[int], processes: Mapping[int, Process], count: int) -> str:
    hosts = sorted({processes[rank].host for rank in ranks})
    where = f" on {hosts[0] or '?'}" if len(hosts) == 1 else f" on {len(hosts)} machines"
    if len(ranks) == 1:
        return f"Rank {ranks[0]}{where} (process {processes[ranks[0]].pid})"
    return f"{len(ranks)} of {count} ranks{where} ({ranges(ranks)})"


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as people write them: 0-7, 12, 14-15; very many are cut off."""
    groups = [
        [number for _, number in group]
        for _, group in groupby(enumerate(numbers), key=lambda item: item[1] - item[0])
    ]
    words = [str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}" for group in groups]
    more = [f"{len(words) - _RANGES_MAX} more"] if len(words) > _RANGES_MAX else []
    return ", ".join(words[:_RANGES_MAX] + more)
