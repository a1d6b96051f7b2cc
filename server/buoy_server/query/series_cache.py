"""What the server holds of series, least recently used out first, by bytes. A cache only: any replica can do without.

Ingest feeds it, so that a live page's next question needs nothing from the engine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from buoy_server.ingest.arrivals import Arrival
from buoy_server.metrics.selection import SeriesKey
from buoy_server.query.held import Arrived, Held

BYTES_MAX = 256 << 20


@dataclass(frozen=True)
class HeldKey:
    """A series, and how its ranks became one, if they did."""

    series: SeriesKey
    reduction: str | None = None


class SeriesCache:
    """See above. Thread-safe; lookups wait for nobody."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._lock = Lock()
        self._held: OrderedDict[HeldKey, tuple[Held, int]] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """Memory taken, about."""
        return self._bytes

    def get(self, key: HeldKey) -> Held | None:
        """What is held of a series."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def put(self, key: HeldKey, held: Held) -> None:
        """Keeps a series, and tells how large it is now."""
        size = held.size_bytes
        with self._lock:
            self._drop(key)
            self._held[key] = held, size
            self._bytes += size
            while self._bytes > self._bytes_max and len(self._held) > 1:
                self._drop(next(iter(self._held)))

    def feed(self, arrivals: Iterable[Arrival]) -> None:
        """Points that were just committed, of series that may be held."""
        with self._lock:
            if not self._held:
                return
            for new in arrivals:
                key = HeldKey((new.run, new.key, new.rank))
                found = self._held.get(key)
                part = new.run, new.attempt, new.rank
                if found is not None and not found[0].arrived(Arrived(part, new.columns)):
                    self._drop(key)

    def _drop(self, key: HeldKey) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= found[1]
