"""Where a run's curve comes from: its own attempts, and the runs it was forked from.

    parent   attempt 1 |----------x                     superseded from the first step of attempt 2 on
             attempt 2      |-----------|--->
    fork                                |-------->      the parent's curve up to the fork, then its own

A later attempt supersedes the steps of the earlier ones from its first step on; a fork takes over its parent's steps up
to the fork, as they were then. Nothing is copied or deleted: each question says what counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select, tuple_

from buoy_server.metadata.schema import ATTEMPTS, RUNS, SERIES
from buoy_server.metrics.selection import STEP_MIN, Inherited, Limit

_IN_MAX = 500


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run. `first_step` is None as long as nothing was logged."""

    attempt: int
    first_step: int | None
    started_us: int


@dataclass(frozen=True)
class Parent:
    """What a fork takes over: steps up to `step` of a run, of its attempts that started by `attempt_us` (0 = all)."""

    run: int
    step: int
    attempt_us: int


@dataclass(frozen=True)
class Lineage:
    """What counts of a run.

    Attributes:
        attempts: Its own, by number, ascending. People count them from one.
        limits: Its own attempts' superseded parts.
        inherited: Its ancestors' parts, the parent first.
    """

    attempts: Sequence[int] = field(default=())
    limits: Sequence[Limit] = field(default=())
    inherited: Sequence[Inherited] = field(default=())


def lineages_of(connection: Connection, runs: Iterable[int]) -> dict[int, Lineage]:
    """The lineage of each run that has more to it than one attempt of its own."""
    asked = list(runs)
    parents = _parents(connection, asked)
    attempts = _attempts(connection, {*asked, *(parent.run for parent in parents.values())})
    found = {run: lineage(run, attempts, parents) for run in asked}
    return {run: item for run, item in found.items() if item.limits or item.inherited}


def process_shifts(
    connection: Connection, runs: Iterable[int], lineages: Mapping[int, Lineage]
) -> dict[int, tuple[tuple[int, int], ...]]:
    """For each run pairs of an attempt and what to take off its times, so that they count the time of processes only.

    An attempt begins where the one before ended, that is, at its last point.
    """
    sources = {run: [run, *(item.source for item in lineages.get(run, Lineage()).inherited)] for run in runs}
    every = {source for mine in sources.values() for source in mine}
    attempts, ends = _attempts(connection, every), _ends(connection, every)
    found = {}
    for run, mine in sources.items():
        spans = sorted(
            (item.attempt, item.started_us, max(ends.get((source, item.attempt), 0), item.started_us))
            for source in mine
            for item in attempts.get(source, ())
        )
        before, shifts = 0, []
        for attempt, begin, end in spans:
            shifts.append((attempt, begin - before))
            before += end - begin
        found[run] = tuple(shifts)
    return found


def _ends(connection: Connection, runs: Iterable[int]) -> dict[tuple[int, int], int]:
    """When each attempt logged its last point."""
    wanted = sorted(runs)
    return {
        (row.run, row.attempt): row.last_us
        for begin in range(0, len(wanted), _IN_MAX)
        for row in connection.execute(
            select(SERIES.c.run, SERIES.c.attempt, func.max(SERIES.c.last_us).label("last_us"))
            .where(SERIES.c.run.in_(wanted[begin : begin + _IN_MAX]))
            .group_by(SERIES.c.run, SERIES.c.attempt)
        )
    }


def lineage(run: int, attempts: Mapping[int, Sequence[Attempt]], parents: Mapping[int, Parent]) -> Lineage:
    """The rules, on what SQL knows.

    Args:
        run: Whose lineage.
        attempts: Of every run that matters, ascending.
        parents: Of every fork that matters.
    """
    inherited: list[Inherited] = []
    own = attempts.get(run, ())
    counted: Sequence[Attempt] = own
    below: int | None = None
    current, line = run, {run}
    # A run that is its own ancestor by somebody's mistake ends the search.
    while (parent := parents.get(current)) is not None and parent.run not in line:
        steps = [attempt.first_step for attempt in counted if attempt.first_step is not None]
        below = min([parent.step + 1, *steps, *([] if below is None else [below])])
        every = attempts.get(parent.run, ())
        counted = [item for item in every if not parent.attempt_us or item.started_us <= parent.attempt_us]
        too_late = [Limit(parent.run, item.attempt, STEP_MIN) for item in every if item not in counted]
        limits = (*superseded(parent.run, counted), *too_late)
        inherited.append(Inherited(run, parent.run, below, limits))
        current = parent.run
        line.add(current)
    return Lineage(tuple(item.attempt for item in own), superseded(run, own), tuple(inherited))


def belongs(run: int, line: Lineage) -> ColumnElement[bool]:
    """Whether a row of `series` is the run's own, or an ancestor's of which the run may have a part."""
    borrowed = [
        and_(SERIES.c.run == item.source, SERIES.c.first_step < item.below) for item in line.inherited
    ]
    return or_(SERIES.c.run == run, *borrowed)


def name_when_removed(run_id: str, row: int) -> str:
    """The name that a run has once its data is removed: no run can have it, so the id is free again."""
    return f"{run_id}#{row}"


def id_of(parent: str) -> str:
    """The id of a fork's parent as it was, also if that is removed."""
    return parent.partition("#")[0]


Needs = Mapping[int, Mapping[int, int]]
"""What forks have of other runs: for each run and attempt of it the step below which it is needed."""


def needs_of_forks(connection: Connection, project: int, *, deleted_too: bool) -> Needs:
    """What the forks of a project have of their ancestors.

    Args:
        connection: To the metadata.
        project: Its id.
        deleted_too: Count the forks that are deleted and could be brought back.
    """
    gone = RUNS.c.removed_us if deleted_too else RUNS.c.deleted_us
    forks = select(RUNS.c.id).where(RUNS.c.project == project, RUNS.c.parent != "", gone.is_(None))
    lines = lineages_of(connection, connection.execute(forks).scalars())
    inherited = [item for line in lines.values() for item in line.inherited]
    return needs(inherited, _attempts(connection, {item.source for item in inherited}))


def needs(inherited: Iterable[Inherited], attempts: Mapping[int, Sequence[Attempt]]) -> Needs:
    """The rule: of each attempt, what lies below the highest end that any fork has for it."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for item in inherited:
        ends = {limit.attempt: limit.step for limit in item.limits}
        for attempt in attempts.get(item.source, ()):
            end = min(item.below, ends.get(attempt.attempt, item.below))
            if attempt.first_step is not None and attempt.first_step < end:
                known = found[item.source].get(attempt.attempt, end)
                found[item.source][attempt.attempt] = max(known, end)
    return found


def needed(found: Needs) -> ColumnElement[bool]:
    """Whether a row of `series` has something that a fork needs."""
    return or_(
        false(),
        *(
            and_(SERIES.c.run == run, SERIES.c.attempt == attempt, SERIES.c.first_step < end)
            for run, ends in found.items()
            for attempt, end in ends.items()
        ),
    )


def superseded(run: int, attempts: Sequence[Attempt]) -> tuple[Limit, ...]:
    """The limits of a run from its attempts, ascending. The last one that has logged anything has none."""
    limits: list[Limit] = []
    lowest: int | None = None
    for item in reversed(attempts):
        if item.first_step is None:
            continue
        if lowest is not None:
            limits.append(Limit(run, item.attempt, lowest))
        lowest = item.first_step if lowest is None else min(lowest, item.first_step)
    return tuple(limits[::-1])


def _parents(connection: Connection, runs: Sequence[int]) -> dict[int, Parent]:
    """The parent of each fork among the runs and their ancestors. One that the server does not have is left out."""
    found: dict[int, Parent] = {}
    seen: set[int] = set()
    wave = list(dict.fromkeys(runs))
    while wave:
        seen.update(wave)
        forks = [
            row
            for begin in range(0, len(wave), _IN_MAX)
            for row in connection.execute(
                select(RUNS.c.id, RUNS.c.project, RUNS.c.parent, RUNS.c.parent_step, RUNS.c.parent_us).where(
                    RUNS.c.id.in_(wave[begin : begin + _IN_MAX]), RUNS.c.parent != ""
                )
            )
        ]
        ids = _ids_of(connection, {(row.project, row.parent) for row in forks})
        for row in forks:
            if (run := ids.get((row.project, row.parent))) is not None:
                found[row.id] = Parent(run, row.parent_step, row.parent_us)
        wave = [run for run in {item.run for item in found.values()} if run not in seen]
    return found


def _ids_of(connection: Connection, names: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    wanted = sorted(names)
    return {
        (row.project, row.run_id): row.id
        for begin in range(0, len(wanted), _IN_MAX)
        for row in connection.execute(
            select(RUNS.c.id, RUNS.c.project, RUNS.c.run_id).where(
                tuple_(RUNS.c.project, RUNS.c.run_id).in_(wanted[begin : begin + _IN_MAX])
            )
        )
    }


def _attempts(connection: Connection, runs: Iterable[int]) -> dict[int, list[Attempt]]:
    wanted = sorted(runs)
    found: dict[int, list[Attempt]] = defaultdict(list)
    for begin in range(0, len(wanted), _IN_MAX):
        rows = connection.execute(
            select(ATTEMPTS)
            .where(ATTEMPTS.c.run.in_(wanted[begin : begin + _IN_MAX]))
            .order_by(ATTEMPTS.c.run, ATTEMPTS.c.attempt)
        )
        for row in rows:
            found[row.run].append(Attempt(row.attempt, row.first_step, row.started_us))
    return found
