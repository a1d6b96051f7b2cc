"""Finds projects, runs, keys and series statistics in SQL for the questions that follow."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
from pyarrow.compute import match_substring_regex
from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from buoy_server.errors import Malformed, Missing
from buoy_server.jsonvalues import clean
from buoy_server.metadata.engine import digest
from buoy_server.metadata.schema import KEYS, METRIC_DEFS, PROJECTS, RUNS, SERIES
from buoy_server.query.lineage import Lineage, belongs, lineages_of, needed, needs_of_forks

_IN_MAX = 500
_FINAL = ("finished", "failed", "killed")
"""States that a run leaves only by another attempt. A crashed one may be heard of again."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Project:
    """A project's ids, names and revision."""

    id: int
    entity: str
    name: str
    rev: int

    @property
    def path(self) -> str:
        """`entity:project`, as addresses have it."""
        return f"{self.entity}:{self.name}"


def find_project(connection: Connection, path: str) -> Project:
    """The project of `entity:project`.

    Raises:
        Missing: There is none.
    """
    entity, _, name = clean(path).partition(":")
    row = connection.execute(
        select(PROJECTS).where(PROJECTS.c.entity == entity, PROJECTS.c.name == name)
    ).one_or_none()
    if row is None:
        raise Missing("no_such_project", f"There is no project {path}.")
    return Project(row.id, row.entity, row.name, row.rev)


def find_run(connection: Connection, project: Project, run_id: str) -> Row[tuple[object, ...]]:
    """A run's row.

    Raises:
        Missing: The project has no such run, or it is deleted.
    """
    row = find_deleted_or_not(connection, project, run_id)
    if row.deleted_us is not None:
        raise Missing(
            "run_deleted",
            f"Run {run_id} of {project.path} is deleted. Until its data is removed it can be restored.",
            deleted_us=row.deleted_us,
        )
    return row


def find_deleted_or_not(connection: Connection, project: Project, run_id: str) -> Row[tuple[object, ...]]:
    """A run's row, also that of a deleted one.

    Raises:
        Missing: The project has no such run, or its data is removed.
    """
    row = connection.execute(
        select(RUNS).where(RUNS.c.project == project.id, RUNS.c.run_id == clean(run_id))
    ).one_or_none()
    if row is None:
        raise Missing("no_such_run", f"The project {project.path} has no run {run_id}.")
    return row


def list_projects(connection: Connection) -> list[dict[str, object]]:
    """All projects, the latest activity first."""
    live = func.count().filter(RUNS.c.state == "running")
    counts = {
        row.project: (row.runs, row.live)
        for row in connection.execute(
            select(RUNS.c.project, func.count().label("runs"), live.label("live"))
            .where(RUNS.c.deleted_us.is_(None))
            .group_by(RUNS.c.project)
        )
    }
    found = []
    for row in connection.execute(select(PROJECTS).order_by(PROJECTS.c.activity_us.desc(), PROJECTS.c.id)):
        runs, running = counts.get(row.id, (0, 0))
        found.append(
            {
                "id": f"{row.entity}:{row.name}",
                "entity": row.entity,
                "name": row.name,
                "rev": row.rev,
                "runs": runs,
                "live": running,
                "created_us": row.created_us,
                "last_activity_us": row.activity_us,
            }
        )
    return found


@dataclass(frozen=True)
class RunEnds:
    """A run as series need it: its id in SQL, its start, whether it has ended for good."""

    id: int
    started_us: int
    sealed: bool


def runs_by_id(connection: Connection, project: Project, run_ids: Sequence[str]) -> dict[str, RunEnds]:
    """Runs by their run ids; unknown and deleted ones are left out."""
    found = {}
    for part in _parts(list(dict.fromkeys(run_ids))):
        chosen = select(RUNS.c.run_id, RUNS.c.id, RUNS.c.started_us, RUNS.c.state).where(
            RUNS.c.project == project.id,
            RUNS.c.run_id.in_([clean(run_id) for run_id in part]),
            RUNS.c.deleted_us.is_(None),
        )
        for row in connection.execute(chosen):
            found[row.run_id] = RunEnds(row.id, row.started_us, row.state in _FINAL)
    return found


def keys_matching(connection: Connection, project: Project, pattern: str, *, system: bool) -> dict[str, int]:
    """Catalogue ids of all keys that a pattern matches somewhere, by name. By RE2, which no pattern keeps busy.

    Raises:
        Malformed: It is no pattern.
    """
    rows = connection.execute(
        select(KEYS.c.name, KEYS.c.id)
        .where(KEYS.c.project == project.id, KEYS.c.system == int(system))
        .order_by(KEYS.c.name)
    ).all()
    try:
        matches = match_substring_regex(
            pa.array([row.name for row in rows], pa.string()), pattern=clean(pattern)
        )
    except pa.ArrowInvalid as error:
        raise Malformed(
            "bad_panel", f"The request cannot be used: {pattern!r} is no pattern: {error}."
        ) from error
    return {row.name: row.id for row, hit in zip(rows, matches.to_pylist(), strict=True) if hit}


def keys_by_name(
    connection: Connection, project: Project, names: Sequence[str], *, system: bool
) -> dict[str, int]:
    """Catalogue ids of keys; unknown ones are left out."""
    found = {}
    for part in _parts(list(dict.fromkeys(names))):
        chosen = select(KEYS.c.name, KEYS.c.id).where(
            KEYS.c.project == project.id,
            KEYS.c.system == int(system),
            KEYS.c.digest.in_([digest(name) for name in part]),
        )
        found.update({row.name: row.id for row in connection.execute(chosen)})
    return found


def list_keys(  # noqa: PLR0917 - each narrows the same list
    connection: Connection, project: Project, run: int | None, kind: str | None, since: int, text: str = ""
) -> list[dict[str, object]]:
    """The key catalogue: of the project or of one run, added after a revision, with a text in their names."""
    definitions = _definitions(connection, project, run)
    chosen = (
        select(
            KEYS.c.name,
            KEYS.c.system,
            func.count(SERIES.c.run.distinct()).label("runs"),
            func.sum(SERIES.c.n).label("n"),
            func.sum(SERIES.c.texts).label("texts"),
            func.max(SERIES.c.last_step).label("last_step"),
            KEYS.c.id,
        )
        .join(SERIES, SERIES.c.key == KEYS.c.id)
        .where(KEYS.c.project == project.id, KEYS.c.rev > since)
        .group_by(KEYS.c.id, KEYS.c.name, KEYS.c.system)
        .order_by(KEYS.c.system, KEYS.c.name)
    )
    ranks = (
        select(SERIES.c.key, SERIES.c.rank)
        .join(KEYS, KEYS.c.id == SERIES.c.key)
        .where(KEYS.c.project == project.id)
        .distinct()
    )
    if run is not None:
        shown = belongs(run, lineages_of(connection, [run]).get(run, Lineage()))
    else:
        shown = _of_living_runs(connection, project)
    chosen, ranks = chosen.where(shown), ranks.where(shown)
    ranks_of: dict[int, list[int]] = defaultdict(list)
    for row in connection.execute(ranks.order_by(SERIES.c.rank)):
        ranks_of[row.key].append(row.rank)
    found = []
    for row in connection.execute(chosen):
        what = "system" if row.system else "scalar" if row.n else "text"
        if kind in (None, what) and text.lower() in row.name.lower():
            found.append(
                {
                    "key": row.name,
                    "kind": what,
                    "runs": row.runs,
                    "ranks": ranks_of[row.id],
                    "n": int(row.n) or int(row.texts),
                    "last_step": None if row.system else row.last_step,
                    "step_metric": None if row.system else _defined(definitions, row.name, "step_metric"),
                    "goal": None if row.system else _defined(definitions, row.name, "goal"),
                }
            )
    return found


def _of_living_runs(connection: Connection, project: Project) -> ColumnElement[bool]:
    """Whether a row of `series` is of a run that is not deleted, or of a deleted one and a fork has some of it."""
    deleted = select(RUNS.c.id).where(RUNS.c.project == project.id, RUNS.c.deleted_us.is_not(None))
    living = SERIES.c.run.not_in(deleted)
    if connection.execute(deleted.limit(1)).first() is None:
        return living
    return or_(living, needed(needs_of_forks(connection, project.id, deleted_too=False)))


_Definitions = dict[str, dict[str, object]]


def _definitions(connection: Connection, project: Project, run: int | None) -> _Definitions:
    """What define_metric() has said of keys, or of all that begin alike; the latest run's word counts."""
    chosen = select(METRIC_DEFS.c.name, METRIC_DEFS.c.definition).join(RUNS, RUNS.c.id == METRIC_DEFS.c.run)
    chosen = chosen.where(RUNS.c.project == project.id, RUNS.c.deleted_us.is_(None)).order_by(RUNS.c.id)
    if run is not None:
        chosen = chosen.where(RUNS.c.id == run)
    return {row.name: json.loads(row.definition) for row in connection.execute(chosen)}


def _defined(definitions: _Definitions, key: str, member: str) -> object:
    """A member of the exact definition, else of the longest prefix that ends with a star and has it."""
    having = {name: found[member] for name, found in definitions.items() if found.get(member)}
    if key in having:
        return having[key]
    prefixes = [name for name in having if name.endswith("*") and key.startswith(name[:-1])]
    return having[max(prefixes, key=len)] if prefixes else None


def _parts(items: Sequence[_T]) -> Iterable[Sequence[_T]]:
    """Pieces that are short enough for one statement's parameters."""
    return (items[begin : begin + _IN_MAX] for begin in range(0, len(items), _IN_MAX))
