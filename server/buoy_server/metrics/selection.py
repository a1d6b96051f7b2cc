"""Which points a question is about, as SQL with bound parameters.

A later attempt supersedes the steps of the earlier ones from its first step on, so of an earlier attempt only the
steps below a limit count. A fork begins with the steps of its parent, which stand in the table once, under the parent's
id. Nothing is deleted or copied: limits and parents are part of each question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

SeriesKey = tuple[int, int, int]
"""(run, key, rank), by their ids."""

STEP_MIN, STEP_MAX = -(1 << 63), (1 << 63) - 1

REDUCED = (1 << 32) - 1
"""Stands for the rank of a series that is reduced over ranks."""

_BROKEN = "countIf(isNaN(value)) > 0"
# In the order of the ranks, so that a sum is the same to the last bit whenever it is asked for.
_VALUES = "arrayMap(pair -> pair.2, arraySort(groupArray((rank, value))))"

_REDUCTIONS = {
    "mean": f"arrayReduce('avg', {_VALUES})",
    "min": f"if({_BROKEN}, nan, min(value))",
    "max": f"if({_BROKEN}, nan, max(value))",
    "sum": f"arrayReduce('sum', {_VALUES})",
    "std": f"arrayReduce('stddevPopStable', {_VALUES})",
    "count": "count()",
    "argmin": f"if({_BROKEN}, minIf(rank, isNaN(value)), argMin(rank, (value, rank)))",
    "argmax": f"if({_BROKEN}, minIf(rank, isNaN(value)), argMax(rank, (value, -toInt64(rank))))",
}
"""Those of `buoy_core.rank_reduction`, in SQL over the values of one step."""

_COLUMNS = (("run", "UInt64"), ("key", "UInt32"), ("rank", "UInt32"))


@dataclass(frozen=True)
class Limit:
    """Steps of one attempt from `step` on are superseded."""

    run: int
    attempt: int
    step: int


@dataclass(frozen=True)
class Inherited:
    """Steps of `source` below `below` count as steps of `run`, but for what the limits of `source` exclude."""

    run: int
    source: int
    below: int
    limits: Sequence[Limit] = field(default=())


@dataclass(frozen=True)
class Selection:
    """Points of some series.

    Attributes:
        series: Which; not empty.
        limits: Superseded parts; must be empty for system metrics.
        inherited: Parts of other runs that belong to these; must be empty for system metrics.
        ascending: Every series' steps strictly ascend in the log, so there is nothing to deduplicate.
        steps: Only these steps, both ends inside.
        reduction: Ranks become one at each step, before anything else is done with the points.
        attempt: Only points of this attempt.
    """

    series: Sequence[SeriesKey]
    limits: Sequence[Limit] = field(default=())
    inherited: Sequence[Inherited] = field(default=())
    ascending: bool = True
    steps: tuple[int, int] | None = None
    reduction: str | None = None
    attempt: int | None = None

    def table(self, table: str, columns: Sequence[str]) -> tuple[str, dict[str, object]]:
        """A table expression with the asked columns of every point that counts; a step may still be there twice."""
        condition, parameters = self._where()
        parts = [f"SELECT {', '.join(columns)} FROM {table} WHERE {condition}"]
        for number, item in enumerate(self.inherited):
            mine = [series for series in self.series if series[0] == item.run]
            if not mine:
                continue
            condition, more = self._where_inherited(item, mine, f"p{number}_")
            parameters |= more
            # The parent's points under the fork's id. The inner name must not be read in the condition.
            names = ", ".join(
                f"{{p{number}_as:UInt64}} AS run" if name == "run" else name for name in columns
            )
            parts.append(f"SELECT {names} FROM (SELECT * FROM {table} WHERE {condition})")
        return f"({' UNION ALL '.join(parts)})", parameters

    def source(
        self, table: str = "points", columns: Sequence[str] = ("time_us", "value")
    ) -> tuple[str, dict[str, object]]:
        """A table expression with run, key, rank, step and the asked columns; the latest of each step."""
        source, parameters = self._latest(table, columns)
        return (
            source if self.reduction is None else _over_ranks(source, self.reduction, columns)
        ), parameters

    def _latest(self, table: str, columns: Sequence[str]) -> tuple[str, dict[str, object]]:
        if self.ascending:
            return self.table(table, ("run", "key", "rank", "step", *columns))
        needed = dict.fromkeys(("run", "key", "rank", "step", "attempt", "seq", *columns))
        points, parameters = self.table(table, tuple(needed))
        # The outer names differ from the inner ones: an alias that shadows a column would be read in its place.
        latest = ", ".join(f"argMax({name}, (attempt, seq)) AS latest_{name}" for name in columns)
        renamed = ", ".join(f"latest_{name} AS {name}" for name in columns)
        return (
            f"(SELECT run, key, rank, step, {renamed} FROM (SELECT run, key, rank, step, {latest} "
            f"FROM {points} GROUP BY run, key, rank, step))",
            parameters,
        )

    def _where(self) -> tuple[str, dict[str, object]]:
        terms, parameters = _series_terms(self.series, "")
        if self.attempt is not None:
            terms.append("attempt = {attempt:UInt32}")
            parameters["attempt"] = self.attempt
        self._add_steps(terms, parameters)
        _add_limits(terms, parameters, self.limits, "")
        return " AND ".join(terms), parameters

    def _where_inherited(
        self, item: Inherited, mine: Sequence[SeriesKey], prefix: str
    ) -> tuple[str, dict[str, object]]:
        terms, parameters = _series_terms([(item.source, key, rank) for _, key, rank in mine], prefix)
        self._add_steps(terms, parameters)
        terms.append(f"step < {{{prefix}below:Int64}}")
        _add_limits(terms, parameters, item.limits, prefix)
        return " AND ".join(terms), parameters | {f"{prefix}below": item.below, f"{prefix}as": item.run}

    def _add_steps(self, terms: list[str], parameters: dict[str, object]) -> None:
        if self.steps is not None:
            terms.append("step >= {low:Int64} AND step <= {high:Int64}")
            parameters |= {"low": self.steps[0], "high": self.steps[1]}


def _series_terms(series: Sequence[SeriesKey], prefix: str) -> tuple[list[str], dict[str, object]]:
    """Conditions that only these series' points meet. Names of parameters begin with `prefix`."""
    terms: list[str] = []
    parameters: dict[str, object] = {}
    combinations = 1
    for position, (name, type_) in enumerate(_COLUMNS):
        values = sorted({item[position] for item in series})
        combinations *= len(values)
        if len(values) == 1:
            terms.append(f"{name} = {{{prefix}{name}:{type_}}}")
            parameters[f"{prefix}{name}"] = values[0]
        else:
            terms.append(f"{name} IN {{{prefix}{name}s:Array({type_})}}")
            parameters[f"{prefix}{name}s"] = values
    if combinations > len(set(series)):
        terms.append(f"(run, key, rank) IN {{{prefix}series:Array(Tuple(UInt64, UInt32, UInt32))}}")
        parameters[f"{prefix}series"] = list(series)
    return terms, parameters


def _add_limits(
    terms: list[str], parameters: dict[str, object], limits: Sequence[Limit], prefix: str
) -> None:
    for number, limit in enumerate(limits):
        at = f"{prefix}{number}"
        terms.append(
            f"NOT (run = {{run{at}:UInt64}} AND attempt = {{attempt{at}:UInt32}} AND step >= {{step{at}:Int64}})"
        )
        parameters |= {f"run{at}": limit.run, f"attempt{at}": limit.attempt, f"step{at}": limit.step}


def _over_ranks(source: str, reduction: str, columns: Sequence[str]) -> str:
    """The same points with all ranks as one, at the time of the last of them."""
    last, chosen = (", max(attempt) AS newest", ", newest AS attempt") if "attempt" in columns else ("", "")
    return (
        f"(SELECT run, key, toUInt32({REDUCED}) AS rank, step, latest AS time_us, reduced AS value{chosen} FROM "
        f"(SELECT run, key, step, max(time_us) AS latest, toFloat64({_REDUCTIONS[reduction]}) AS reduced{last} "
        f"FROM {source} GROUP BY run, key, step))"
    )
