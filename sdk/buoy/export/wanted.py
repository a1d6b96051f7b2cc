"""What of a run is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from buoy_core.rank_reduction import REDUCTIONS


@dataclass(frozen=True)
class Wanted:
    """Which rows and values.

    Attributes:
        keys: only these, and rows that have any of them; empty = all.
        ranks: "all", with a row for each; a number; or one of the reductions, over all ranks of a step.
        superseded: also the steps of earlier attempts that a later one has logged again.
        system: system metrics instead of logged ones.
    """

    keys: Sequence[str] = ()
    ranks: int | str = "all"
    superseded: bool = False
    system: bool = False

    @property
    def reduction(self) -> str | None:
        """How ranks become one, if they do."""
        return str(self.ranks) if self.ranks in REDUCTIONS else None
