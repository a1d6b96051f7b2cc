"""The summary of a run from its rows as they pass by, as the server would show it.

The lowest rank that has a key speaks for it, in its latest attempt the highest step; extremes and mean are over all
attempts and what is finite. A value set by hand holds until the key is logged later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from buoy_core.values import nearest_double

from buoy.export.batch import Row
from buoy.export.fragments import LogFolder


class _Tally:
    """What `define_metric()` can ask of a key."""

    def __init__(self) -> None:
        self.first: Any = None
        self.minimum = math.inf
        self.maximum = -math.inf
        self.total = 0.0
        self.numbers = self.finite = 0

    def add(self, value: Any) -> None:
        if self.first is None:
            self.first = value
        if not isinstance(value, (int, float)):
            return
        self.numbers += 1
        number = nearest_double(value) if isinstance(value, int) else value
        if math.isfinite(number):
            self.minimum, self.maximum = min(self.minimum, number), max(self.maximum, number)
            self.total += number
            self.finite += 1


class Summary:
    """Watches all rows of a run, in order."""

    def __init__(self, folders: Sequence[LogFolder]) -> None:
        self._folders = folders
        self._last: dict[int, dict[int, dict[str, Any]]] = {}
        self._tallies: dict[tuple[int, str], _Tally | None] = {}
        self._any_defined = any(log.facts.metrics.all() for log in folders)

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The same rows."""
        for row in rows:
            self._last.setdefault(row.rank, {}).setdefault(row.attempt, {}).update(row.values)
            if self._any_defined:
                for key, value in row.values.items():
                    tally = self._tally(row.rank, key)
                    if tally is not None:
                        tally.add(value)
            yield row

    def _tally(self, rank: int, key: str) -> _Tally | None:
        place = rank, key
        if place not in self._tallies:
            found = self._folders[-1].facts.metrics.find(key)
            self._tallies[place] = _Tally() if found is not None and found.summary else None
        return self._tallies[place]

    def values(self) -> dict[str, Any]:
        """The summary of what has passed by."""
        summary: dict[str, Any] = {}
        seen: set[str] = set()
        for rank in sorted(self._last):
            latest: dict[str, Any] = {}
            for attempt in sorted(self._last[rank]):
                latest.update(self._last[rank][attempt])
            for key in sorted(set(latest) - seen):
                shown, value = self._shown(rank, key, latest[key])
                if shown:
                    summary[key] = value
            seen.update(latest)
        for log in self._folders:
            summary |= log.facts.given
        return dict(sorted(summary.items()))

    def _shown(self, rank: int, key: str, last: Any) -> tuple[bool, Any]:
        tally = self._tallies.get((rank, key))
        if tally is None:
            return True, last
        metric = self._folders[-1].facts.metrics.find(key)
        assert metric is not None
        if "none" in metric.summary:
            return False, None
        if not tally.numbers:
            return True, last
        low, high = (tally.minimum, tally.maximum) if tally.finite else (math.nan, math.nan)
        known = {
            "min": low, "max": high, "mean": tally.total / tally.finite if tally.finite else math.nan,
            "best": high if metric.goal == "maximize" else low, "first": tally.first, "last": last,
        }  # fmt: skip
        shown = {kind: known[kind] for kind in metric.summary if kind in known}
        return True, shown or last
