"""What the runs of a project have that a list could show, for those who choose columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from buoy_server.metadata.schema import KEYS, RUNS, SERIES, SUMMARY_VALUES
from buoy_server.table.column import ABSENT, NULL, NUMBER, Column
from buoy_server.table.project_table import ProjectTable


def config_columns(table: ProjectTable, connection: Connection) -> list[dict[str, object]]:
    """The paths of configs by name: how many runs have each, and whether two runs differ in it.

    A project with very many paths has not all of them in memory. Of the others the number counts deleted runs too, and
    whether they differ is None.
    """
    known = table.config_paths(connection)
    rows = np.flatnonzero(table.alive)
    found: list[dict[str, object]] = []
    for path in sorted(known):
        column = table.kept_config(path)
        runs = known[path] if column is None else int((column.kind[rows] != ABSENT).sum())
        if runs:
            differs = None if column is None else _differs(column, rows)
            found.append({"key": path, "runs": runs, "differs": differs})
    return found


def _differs(column: Column, rows: NDArray[np.intp]) -> bool:
    """Whether not all rows have the same; to have nothing is a difference to having something."""
    kind = column.kind[rows]
    if (kind != kind[0]).any():
        return True
    if kind[0] <= NULL:
        return False
    if kind[0] > NUMBER:
        code = column.code[rows]
        return bool((code != code[0]).any())
    number = column.number[rows]
    same = number == number[0] if number[0] == number[0] else np.isnan(number)
    return not bool(same.all())


def summary_columns(connection: Connection, project: int) -> list[dict[str, object]]:
    """Keys that were logged or set in a summary by hand, by name, with how many series or values there are of each:
    one for each run, unless runs have several ranks or attempts. Good enough to tell what most runs have.
    """
    chosen = select(KEYS.c.id, KEYS.c.name).where(KEYS.c.project == project, KEYS.c.system == 0)
    names = {row.id: row.name for row in connection.execute(chosen)}
    # By the key alone, so that an index answers it: joined to the names it takes fifteen times as long.
    of_project = SERIES.c.key.in_(select(KEYS.c.id).where(KEYS.c.project == project, KEYS.c.system == 0))
    logged = select(SERIES.c.key, func.count()).where(of_project).group_by(SERIES.c.key)
    by_hand = (
        select(SUMMARY_VALUES.c.key, func.count())
        .join(RUNS, RUNS.c.id == SUMMARY_VALUES.c.run)
        .where(RUNS.c.project == project, RUNS.c.deleted_us.is_(None))
        .group_by(SUMMARY_VALUES.c.key)
    )
    counts = {row[0]: int(row[1]) for row in connection.execute(by_hand)}
    for key, count in connection.execute(logged):
        counts[names[key]] = max(int(count), counts.get(names[key], 0))
    return [{"key": name, "series": counts[name]} for name in sorted(counts)]
