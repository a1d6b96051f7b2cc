"""What an upload adds, ready to be committed."""

from __future__ import annotations

from dataclasses import dataclass

from buoy_server.ingest.changes import Changes
from buoy_server.ingest.statistics import Tally
from buoy_server.ingest.streams import Owner, StreamState


@dataclass(frozen=True)
class SeriesTally:
    """What an upload adds to one series."""

    key: int
    rank: int
    system: bool
    tally: Tally


@dataclass(frozen=True)
class Addition:
    """Everything of an upload except its points, which are in the metrics store by now.

    Attributes:
        state: The stream as it was before; not changed.
        changes: What the records say.
        series: What the points add to their series, in the order in which it applies.
        rank: Rank of the daemon's own samples from now on.
    """

    state: StreamState
    changes: Changes
    series: list[SeriesTally]
    rank: int | None

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return self.state.owner

    def last_steps(self) -> dict[int, int]:
        """The highest step of each rank's own points."""
        steps: dict[int, int] = {}
        for item in self.series:
            if not item.system:
                steps[item.rank] = max(steps.get(item.rank, item.tally.last_step), item.tally.last_step)
        return steps
