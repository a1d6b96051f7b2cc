"""Answers panels: many series, reduced to dyadic buckets, or raw where they have few points.

names -> ids and statistics (SQL) -> what is held of each series, brought up to date (`loading`) -> one exponent a panel
-> each series drawn (`drawing`), or put together into groups or a density
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from buoy_server.errors import Malformed
from buoy_server.jsonvalues import dumps, tag
from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.reader import Axis, MetricsReader
from buoy_server.metrics.selection import SeriesKey
from buoy_server.query.catalogue import (
    Project,
    RunEnds,
    find_project,
    keys_by_name,
    keys_matching,
    runs_by_id,
)
from buoy_server.query.known_series import (
    KnownSeries,
    find_series,
    find_superseded,
    over_ranks,
)
from buoy_server.query.lineage import Lineage, lineages_of, process_shifts
from buoy_server.query.loading import Loader
from buoy_server.query.panel import Chosen, Grouping, PanelAnswer, PanelRequest
from buoy_server.query.panel_drawing import PanelDrawing
from buoy_server.query.runs import LIMIT_MAX as RUNS_MAX
from buoy_server.query.runs import RunsQuery, RunsRequest
from buoy_server.query.scene import Scene
from buoy_server.query.series_cache import SeriesCache

SERIES_MAX = 5000


class SeriesQuery:
    """Answers panels. Thread-safe."""

    def __init__(
        self,
        metadata: Metadata,
        reader: MetricsReader,
        runs: RunsQuery,
        cache: SeriesCache,
        clock_us: Callable[[], int],
    ) -> None:
        self._metadata = metadata
        self._reader = reader
        self._runs = runs
        self._cache = cache
        self._clock_us = clock_us

    def answer(self, path: str, panel: PanelRequest) -> PanelAnswer:
        """One panel's series.

        Raises:
            Missing: There is no such project. Unknown runs and keys are `absent` instead.
            Malformed: A filter, a column or a pattern cannot be used, or there are too many series.
        """
        names = list(panel.runs) if panel.chosen is None else self._chosen(path, panel.chosen)
        groups = {} if panel.grouping is None else self._groups(path, names, panel.grouping)
        with self._metadata.read() as connection:
            scene = self._scene(connection, find_project(connection, path), panel, names, groups)
        loader = Loader(self._reader, self._cache, scene.lineages, panel.system, panel.reduction)
        return PanelDrawing(panel, scene, loader).answer()

    def _scene(
        self,
        connection: Connection,
        project: Project,
        panel: PanelRequest,
        names: Sequence[str],
        groups: Mapping[str, str],
    ) -> Scene:
        found_runs = runs_by_id(connection, project, names)
        runs = {name: found_runs[name] for name in names if name in found_runs}
        keys = {} if panel.pattern is None else _matching(connection, project, panel)
        keys = keys_by_name(connection, project, panel.keys, system=panel.system) | keys
        if len(runs) * len(keys) > SERIES_MAX:
            raise Malformed(
                "too_many_series",
                f"The panel has {len(runs)} runs with {len(keys)} keys, which is more than {SERIES_MAX} series. "
                "Ask for fewer of them, or for several panels.",
            )
        ids = [run.id for run in runs.values()]
        lineages = {} if panel.system else lineages_of(connection, ids)
        over = keys_by_name(connection, project, [panel.x_key], system=False) if panel.x_key else {}
        found = find_series(connection, ids, [*keys.values(), *over.values()], lineages)
        wanted = set(keys.values())
        superseded = find_superseded(connection, list(wanted), lineages) if panel.superseded else []
        known = {series: item for series, item in found.items() if series[1] in wanted}
        if panel.ranks is not None:
            known = {series: item for series, item in known.items() if series[2] in panel.ranks}
            superseded = [item for item in superseded if item.id[2] in panel.ranks]
        others = {series: item for series, item in found.items() if series[1] in over.values()}
        if panel.reduction is not None:
            known = over_ranks(known)
        return Scene(
            project=project,
            runs=runs,
            keys=keys,
            lineages=lineages,
            known=known,
            superseded=superseded,
            axes=_axes(connection, panel, runs.values(), lineages),
            over=_over(known.values(), others),
            groups=groups,
        )

    def _chosen(self, path: str, chosen: Chosen) -> list[str]:
        """The runs of a filter, in its order."""
        found: list[str] = []
        while len(found) < chosen.limit:
            limit = min(RUNS_MAX, chosen.limit - len(found))
            request = RunsRequest(chosen.filter, chosen.sort, (), offset=len(found), limit=limit)
            page = self._runs.answer(path, request, self._clock_us())["ids"]
            assert isinstance(page, list)
            found += page
            if len(page) < limit:
                break
        return list(dict.fromkeys(found))

    def _groups(self, path: str, names: Sequence[str], grouping: Grouping) -> dict[str, str]:
        """The group of each run."""
        found: dict[str, str] = {}
        for begin in range(0, len(names), RUNS_MAX):
            chosen = {"id": {"$in": list(names[begin : begin + RUNS_MAX])}}
            request = RunsRequest(chosen, columns=grouping.by, limit=RUNS_MAX)
            found |= group_names(self._runs.answer(path, request, self._clock_us()), grouping.by)
        return found


def group_names(listed: Mapping[str, object], by: Sequence[str]) -> dict[str, str]:
    """The group of each run: the values of some columns as a JSON list, null where a run has none."""
    ids, columns = listed["ids"], listed["columns"]
    assert isinstance(ids, list)
    assert isinstance(columns, dict)
    return {run: dumps([tag(columns[name][place]) for name in by]) for place, run in enumerate(ids)}


def _matching(connection: Connection, project: Project, panel: PanelRequest) -> dict[str, int]:
    assert panel.pattern is not None
    return keys_matching(connection, project, panel.pattern, system=panel.system)


def _axes(
    connection: Connection, panel: PanelRequest, runs: Iterable[RunEnds], lineages: Mapping[int, Lineage]
) -> dict[int, Axis]:
    if panel.x == "rel":
        return {run.id: Axis("rel", ((0, run.started_us),)) for run in runs}
    if panel.x == "proc":
        shifts = process_shifts(connection, [run.id for run in runs], lineages)
        return {run.id: Axis("proc", shifts.get(run.id) or ((0, run.started_us),)) for run in runs}
    return {run.id: Axis(panel.x) for run in runs}


def _over(
    known: Iterable[KnownSeries], others: Mapping[SeriesKey, KnownSeries]
) -> dict[SeriesKey, KnownSeries]:
    """The series that is x for each: that of its rank, else of the lowest one that has any."""
    lowest: dict[int, KnownSeries] = {}
    of_rank = {(run, rank): item for (run, _, rank), item in others.items()}
    for (run, _, _), item in sorted(others.items()):
        lowest.setdefault(run, item)
    found = {}
    for item in known:
        run, _, rank = item.id
        other = of_rank.get((run, rank)) or lowest.get(run)
        if other is not None:
            found[item.id] = other
    return found
