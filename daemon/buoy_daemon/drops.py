"""When the log should say how much a writer could not keep: while it lives, not only at its end.

The count goes out as a record of its own, which moves a number on the run page; that it began is an event, once a
spell. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from buoy_proto import v1

from buoy_daemon import records

PAUSE_FIRST_S, PAUSE_MAX_S = 1.0, 30.0
"""Between two records while the count keeps moving; one that has come to rest goes out at once."""

SPELL_S = 600.0
"""After so long without a drop the next one is an event again."""


@dataclass
class Drops:
    """What is known of one writer's drops. Times are seconds of a clock that only goes forward."""

    seen: int = 0
    logged: int = 0
    moved_at: float = float("-inf")
    logged_at: float = float("-inf")
    pause_s: float = PAUSE_FIRST_S
    told: bool = False

    def look(self, count: int, now: float) -> bool:
        """Takes in the writer's count; True if the log should have it now."""
        moved = count != self.seen
        if moved:
            if now - self.moved_at > SPELL_S:
                self.pause_s, self.told = PAUSE_FIRST_S, False
            self.seen, self.moved_at = count, now
        return self.seen != self.logged and (not moved or now - self.logged_at >= self.pause_s)

    def took(self, now: float) -> None:
        """The log has it."""
        self.logged, self.logged_at, self.told = self.seen, now, True
        self.pause_s = min(PAUSE_MAX_S, self.pause_s * 2)

    def forget(self) -> None:
        """What the log was given may not be in it."""
        self.logged = 0


def drop_records(drops: Drops, writer_id: bytes, *, rank: int, host: str, time_us: int) -> list[bytes]:
    """The records for a look that was True."""
    found = [records.writer_drops(writer_id, time_us=time_us, dropped=drops.seen)]
    if not drops.told:
        text = f"rank {rank} on {host} drops what it logs: there is no room for it on that machine"
        details = {"writer_id": writer_id.hex(), "rank": rank, "host": host, "records_dropped": drops.seen}
        found.append(records.event("records_dropped", text, details, level=v1.LEVEL_ERROR, time_us=time_us))
    return found
