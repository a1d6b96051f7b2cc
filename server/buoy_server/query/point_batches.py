"""Raw points of some series, a batch at a time: whoever writes them to a file needs the memory of one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection

from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.reader import Columns, MetricsReader
from buoy_server.metrics.selection import STEP_MAX, STEP_MIN
from buoy_server.query.catalogue import find_project, keys_by_name, runs_by_id
from buoy_server.query.known_series import KnownSeries, find_series, over_ranks, select_series
from buoy_server.query.lineage import Lineage, lineages_of
from buoy_server.query.smoothing import Smoothing

BATCH_POINTS = 1 << 17
COLUMNS = ("step", "time_us", "value")


@dataclass(frozen=True)
class PointsRequest:
    """Which points.

    Attributes:
        keys: Names of keys.
        runs: Run ids.
        steps: The first and the last; of system metrics microseconds since 1970.
        ranks: Only these; None = all.
        reduction: All ranks as one instead.
        smoothing: A further column; one that looks back only.
    """

    keys: Sequence[str]
    runs: Sequence[str]
    steps: tuple[int, int] = (STEP_MIN, STEP_MAX)
    system: bool = False
    ranks: Sequence[int] | None = None
    reduction: str | None = None
    smoothing: Smoothing | None = None


@dataclass(frozen=True)
class Batch:
    """Points of one series, by step; `columns` has `COLUMNS`, and `smooth` if that was asked for."""

    run: str
    key: str
    rank: int
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns["step"])


@dataclass(frozen=True)
class _Found:
    """What SQL knows of it: names of runs and keys by id, in the order of the request."""

    runs: dict[int, str]
    keys: dict[int, str]
    lineages: dict[int, Lineage]
    known: list[KnownSeries]


class PointBatches:
    """Reads them. Thread-safe."""

    def __init__(self, metadata: Metadata, reader: MetricsReader, batch_points: int = BATCH_POINTS) -> None:
        self._metadata = metadata
        self._reader = reader
        self._batch_points = batch_points

    def read(self, path: str, request: PointsRequest) -> Iterator[Batch]:
        """All points, series by series in the order of runs, keys and ranks.

        Raises:
            Missing: There is no such project; at once. Unknown runs and keys have no points.
        """
        with self._metadata.read() as connection:
            found = self._find(connection, path, request)
        return self._batches(found, request)

    def _find(self, connection: Connection, path: str, request: PointsRequest) -> _Found:
        project = find_project(connection, path)
        runs = runs_by_id(connection, project, request.runs)
        keys = keys_by_name(connection, project, request.keys, system=request.system)
        run_names = {runs[name].id: name for name in request.runs if name in runs}
        key_names = {keys[name]: name for name in request.keys if name in keys}
        lineages = {} if request.system else lineages_of(connection, run_names)
        known = find_series(connection, list(run_names), list(key_names), lineages)
        if request.ranks is not None:
            known = {series: item for series, item in known.items() if series[2] in request.ranks}
        if request.reduction is not None:
            known = over_ranks(known)
        places = (
            {run: place for place, run in enumerate(run_names)},
            {key: place for place, key in enumerate(key_names)},
        )
        order = sorted(
            known.values(), key=lambda item: (places[0][item.id[0]], places[1][item.id[1]], item.id[2])
        )
        return _Found(run_names, key_names, lineages, order)

    def _batches(self, found: _Found, request: PointsRequest) -> Iterator[Batch]:
        for item in found.known:
            run, key, rank = item.id
            for columns in self._columns(item, found, request):
                yield Batch(found.runs[run], found.keys[key], rank, columns)

    def _columns(self, item: KnownSeries, found: _Found, request: PointsRequest) -> Iterator[Columns]:
        smoothing, (begin, end) = request.smoothing, request.steps
        state = None if smoothing is None else smoothing.start()
        # A smoothing begins with the first point of the series, whatever part of it is wanted.
        low = begin if smoothing is None else STEP_MIN
        while (columns := self._part(item, found, request, (low, end))) is not None:
            if smoothing is not None and state is not None:
                x, y = columns["step"].astype(np.float64), columns["value"].astype(np.float64)
                columns["smooth"] = smoothing.advance(x, y, state)
            last = int(columns["step"][-1])
            if last >= begin:
                inside = int(np.searchsorted(columns["step"], begin))
                yield {name: column[inside:] for name, column in columns.items()}
            if last >= end or len(columns["step"]) < self._batch_points:
                return
            low = last + 1

    def _part(
        self, item: KnownSeries, found: _Found, request: PointsRequest, steps: tuple[int, int]
    ) -> Columns | None:
        selections = select_series([item], found.lineages, system=request.system, reduction=request.reduction)
        for selection in selections:
            chosen = replace(selection, steps=steps)
            for columns in self._reader.points(chosen, limit=self._batch_points).values():
                return {name: columns[name] for name in COLUMNS}
        return None
