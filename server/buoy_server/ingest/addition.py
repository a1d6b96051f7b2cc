"""What an upload adds, ready to be committed."""

from __future__ import annotations

from dataclasses import dataclass

from buoy_server.ingest.changes import Changes
from buoy_server.ingest.progress import Progress
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
        progress: How far each writer is.
        now_us: When it has arrived, by the server's clock.
    """

    state: StreamState
    changes: Changes
    series: list[SeriesTally]
    rank: int | None
    progress: dict[str, Progress]
    now_us: int

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return self.state.owner
