"""The points of an upload by series, for whoever follows series while they grow. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from buoy_server.ingest.points import Points
from buoy_server.ingest.streams import StreamState


@dataclass(frozen=True)
class Arrival:
    """Points of one series, their steps strictly ascending.

    Attributes:
        columns: step, time_us, value and attempt; views of the upload's.
    """

    run: int
    attempt: int
    key: int
    rank: int
    columns: Mapping[str, NDArray[np.generic]]


def arrivals(state: StreamState, points: Points) -> Iterator[Arrival]:
    """The parts of an upload whose steps ascend. The others change what was there, which SQL tells whoever follows."""
    owner, n = state.owner, len(points.slot)
    begins = np.flatnonzero(np.r_[True, points.slot[1:] != points.slot[:-1]]).tolist() if n else []
    for begin, end in zip(begins, [*begins[1:], n], strict=False):
        step = points.step[begin:end]
        if (step[1:] <= step[:-1]).any():
            continue
        system, name, rank = points.slots[int(points.slot[begin])]
        columns = {
            "step": step,
            "time_us": points.time_us[begin:end],
            "value": points.value[begin:end],
            "attempt": np.full(end - begin, owner.attempt, np.uint32),
        }
        yield Arrival(owner.run, owner.attempt, state.keys[system, name], rank, columns)
