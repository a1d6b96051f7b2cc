"""Which points a question is about, as SQL with bound parameters.

A later attempt supersedes the steps of the earlier ones from its first step on, so of an earlier attempt only the
steps below a limit count. Nothing is deleted: the limit is part of each question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

SeriesKey = tuple[int, int, int]
"""(run, key, rank), by their ids."""

_COLUMNS = (("run", "UInt64"), ("key", "UInt32"), ("rank", "UInt32"))


@dataclass(frozen=True)
class Limit:
    """Steps of one attempt from `step` on are superseded."""

    run: int
    attempt: int
    step: int


@dataclass(frozen=True)
class Selection:
    """Points of some series.

    Attributes:
        series: Which; not empty.
        limits: Superseded parts; must be empty for system metrics.
        ascending: Every series' steps strictly ascend in the log, so there is nothing to deduplicate.
        steps: Only these steps, both ends inside.
    """

    series: Sequence[SeriesKey]
    limits: Sequence[Limit] = field(default=())
    ascending: bool = True
    steps: tuple[int, int] | None = None

    def where(self) -> tuple[str, dict[str, object]]:
        """The condition and its parameters."""
        terms: list[str] = []
        parameters: dict[str, object] = {}
        combinations = 1
        for position, (name, type_) in enumerate(_COLUMNS):
            values = sorted({series[position] for series in self.series})
            combinations *= len(values)
            if len(values) == 1:
                terms.append(f"{name} = {{{name}:{type_}}}")
                parameters[name] = values[0]
            else:
                terms.append(f"{name} IN {{{name}s:Array({type_})}}")
                parameters[f"{name}s"] = values
        if combinations > len(set(self.series)):
            terms.append("(run, key, rank) IN {series:Array(Tuple(UInt64, UInt32, UInt32))}")
            parameters["series"] = list(self.series)
        if self.steps is not None:
            terms.append("step >= {low:Int64} AND step <= {high:Int64}")
            parameters |= {"low": self.steps[0], "high": self.steps[1]}
        for number, limit in enumerate(self.limits):
            terms.append(
                f"NOT (run = {{run{number}:UInt64}} AND attempt = {{attempt{number}:UInt32}} "
                f"AND step >= {{step{number}:Int64}})"
            )
            parameters |= {
                f"run{number}": limit.run,
                f"attempt{number}": limit.attempt,
                f"step{number}": limit.step,
            }
        return " AND ".join(terms), parameters

    def source(
        self, table: str = "points", columns: Sequence[str] = ("time_us", "value")
    ) -> tuple[str, dict[str, object]]:
        """A table expression with run, key, rank, step and the asked columns; the latest of each step."""
        condition, parameters = self.where()
        if self.ascending:
            return (
                f"(SELECT run, key, rank, step, {', '.join(columns)} FROM {table} WHERE {condition})",
                parameters,
            )
        # The outer names differ from the inner ones: an alias that shadows a column would be read in its place.
        latest = ", ".join(f"argMax({name}, (attempt, seq)) AS latest_{name}" for name in columns)
        renamed = ", ".join(f"latest_{name} AS {name}" for name in columns)
        return (
            f"(SELECT run, key, rank, step, {renamed} FROM (SELECT run, key, rank, step, {latest} "
            f"FROM {table} WHERE {condition} GROUP BY run, key, rank, step))",
            parameters,
        )
