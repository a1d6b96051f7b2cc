"""A panel's names, resolved: what SQL knows of all that it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from buoy_server.metrics.reader import Axis
from buoy_server.metrics.selection import SeriesKey
from buoy_server.query.catalogue import Project, RunEnds
from buoy_server.query.known_series import KnownSeries, SupersededSeries
from buoy_server.query.lineage import Lineage


@dataclass(frozen=True)
class Scene:
    """See above.

    Attributes:
        runs: In the order of the panel.
        keys: Likewise; ids in the catalogue.
        axes: By run.
        over: What is x for each series, if another key is.
        groups: The group of each run, if there are any.
    """

    project: Project
    runs: Mapping[str, RunEnds]
    keys: Mapping[str, int]
    lineages: Mapping[int, Lineage]
    known: Mapping[SeriesKey, KnownSeries]
    superseded: Sequence[SupersededSeries]
    axes: Mapping[int, Axis]
    over: Mapping[SeriesKey, KnownSeries]
    groups: Mapping[str, str]
