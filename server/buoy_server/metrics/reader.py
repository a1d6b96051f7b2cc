"""Reads series: counts, buckets, raw points. The engine reduces; columns come back as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from buoy_server.metrics.engine import MetricsEngine
from buoy_server.metrics.selection import Selection, SeriesKey

Columns = dict[str, NDArray[np.generic]]

_AGGREGATES = {
    "n": "count()",
    "min": "minIf(value, isFinite(value))",
    "max": "maxIf(value, isFinite(value))",
    # A step is there once by now, so the latest point is the one with the highest step.
    "last": "argMax(value, step)",
    "mean": "avgIf(value, isFinite(value))",
    "first": "argMin(value, step)",
    "finite": "countIf(isFinite(value))",
    "total": "sumIf(value, isFinite(value))",
    "sumsq": "sumIf(value * value, isFinite(value))",
}


@dataclass(frozen=True)
class Axis:
    """What x is, for the points of one run.

    Attributes:
        kind: `step`, `wall` (seconds since 1970), `rel` (seconds since the run's start) or `proc` (the same without
            the time between its attempts).
        shifts_us: For `rel` and `proc` pairs of an attempt and what to take off its times. Of one pair alone the
            attempt does not matter.
    """

    kind: str = "step"
    shifts_us: tuple[tuple[int, int], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """What a question needs of each point."""
        return ("time_us", "value", "attempt") if len(self.shifts_us) > 1 else ("time_us", "value")

    def numbers(
        self, step: NDArray[np.int64], time_us: NDArray[np.int64], attempt: NDArray[np.uint32]
    ) -> NDArray[np.int64] | NDArray[np.float64]:
        """x of points: whole numbers for steps, else seconds."""
        if self.kind == "step":
            return step
        if len(self.shifts_us) > 1:
            attempts, shifts = np.array(self.shifts_us, np.int64).T
            mine = np.searchsorted(attempts, attempt, side="right") - 1
            return np.asarray((time_us - shifts[mine]) / 1e6, np.float64)
        return (time_us - (self.shifts_us[0][1] if self.shifts_us else 0)) / 1e6

    def expression(self) -> tuple[str, dict[str, object]]:
        """x as SQL over the columns of points."""
        if self.kind == "step":
            return "step", {}
        if not self.shifts_us:
            return "(time_us / 1000000)", {}
        if len(self.shifts_us) == 1:
            return "((time_us - {start:Int64}) / 1000000)", {"start": self.shifts_us[0][1]}
        attempts, shifts = zip(*self.shifts_us, strict=True)
        return (
            "((time_us - transform(attempt, {attempts:Array(UInt32)}, {shifts:Array(Int64)}, toInt64(0))) / 1000000)",
            {"attempts": list(attempts), "shifts": list(shifts)},
        )

    def bucket(self, exponent: int) -> tuple[str, dict[str, object]]:
        """The number of x's dyadic bucket."""
        x, parameters = self.expression()
        if self.kind == "step":
            return f"bitShiftRight({x}, {{exponent:UInt8}})", parameters | {"exponent": exponent}
        return f"toInt64(floor({x} * {{scale:Float64}}))", parameters | {"scale": 2.0**-exponent}


class MetricsReader:
    """The read side of the metrics. Thread-safe."""

    def __init__(self, engine: MetricsEngine) -> None:
        self._engine = engine

    def extents(
        self, selection: Selection, axis: Axis, window: tuple[float, float] | None
    ) -> dict[SeriesKey, Columns]:
        """n, x_min, x_max, last_x, last_y and last_t of each series, within the window if there is one."""
        x, parameters = axis.expression()
        source, bound = selection.source(columns=axis.columns)
        condition, more = _window(x, window)
        sql = (
            f"SELECT run, key, rank, count() AS n, min({x}) AS x_min, max({x}) AS x_max, "
            f"argMax({x}, step) AS last_x, argMax(value, step) AS last_y, argMax(time_us, step) AS last_t "
            f"FROM {source} {condition} GROUP BY run, key, rank ORDER BY run, key, rank"
        )
        return dict(self._series(sql, parameters | bound | more))

    def buckets(
        self,
        selection: Selection,
        axis: Axis,
        exponent: int,
        window: tuple[float, float] | None,
        columns: Sequence[str],
    ) -> dict[SeriesKey, Columns]:
        """idx and the asked columns of each bucket that has points. Extremes and mean are over finite values."""
        bucket, parameters = axis.bucket(exponent)
        x, _ = axis.expression()
        source, bound = selection.source(columns=axis.columns)
        condition, more = _window(x, window)
        chosen = ", ".join(f"{_AGGREGATES[name]} AS {name}_" for name in columns)
        series, group = _grouping(selection)
        sql = (
            f"SELECT {series}, {bucket} AS idx, countIf(isFinite(value)) AS some, {chosen} "
            f"FROM {source} {condition} GROUP BY {group} ORDER BY {group}"
        )
        found = {}
        for key, answer in self._series(sql, parameters | bound | more):
            # minIf and maxIf give 0 where no value is finite.
            none = answer["some"] == 0
            found[key] = {"idx": answer["idx"]} | {
                name: np.where(none, np.nan, answer[f"{name}_"])
                if name in ("min", "max")
                else answer[f"{name}_"]
                for name in columns
            }
        return found

    def points(
        self,
        selection: Selection,
        axis: Axis | None = None,
        window: tuple[float, float] | None = None,
        limit: int | None = None,
    ) -> dict[SeriesKey, Columns]:
        """step, time_us, value and attempt of every point, by step; within a window of the axis if there is one.

        With a limit, which is for one series, only the first.
        """
        x, parameters = (axis or Axis()).expression()
        source, bound = selection.source(columns=("time_us", "value", "attempt"))
        condition, more = _window(x, window)
        sql = (
            f"SELECT run, key, rank, step, time_us, value, attempt FROM {source} {condition} "
            "ORDER BY run, key, rank, step"
        )
        if limit is not None:
            sql, more = sql + " LIMIT {limit:UInt64}", more | {"limit": limit}
        return dict(self._series(sql, parameters | bound | more))

    def raw(
        self, selection: Selection, axis: Axis, window: tuple[float, float] | None
    ) -> dict[SeriesKey, Columns]:
        """x and y of every point, by x."""
        x, parameters = axis.expression()
        source, bound = selection.source(columns=axis.columns)
        condition, more = _window(x, window)
        sql = f"SELECT run, key, rank, {x} AS x, value AS y FROM {source} {condition} ORDER BY run, key, rank, x, step"
        return dict(self._series(sql, parameters | bound | more))

    def query(self, sql: str, parameters: dict[str, object]) -> Columns:
        """Any question whose columns are numbers or text, as arrays."""
        return {name: _array(column) for name, column in zip(*self._table(sql, parameters), strict=True)}

    def _series(self, sql: str, parameters: dict[str, object]) -> Iterator[tuple[SeriesKey, Columns]]:
        """Cuts an answer that is ordered by run, key and rank into series."""
        columns = self.query(sql, parameters)
        run, key, rank = columns.pop("run"), columns.pop("key"), columns.pop("rank")
        if not len(run):
            return
        change = (run[1:] != run[:-1]) | (key[1:] != key[:-1]) | (rank[1:] != rank[:-1])
        begins = np.flatnonzero(np.r_[True, change]).tolist()
        for begin, end in zip(begins, [*begins[1:], len(run)], strict=True):
            series = int(run[begin]), int(key[begin]), int(rank[begin])
            yield series, {name: column[begin:end] for name, column in columns.items()}

    def _table(self, sql: str, parameters: dict[str, object]) -> tuple[list[str], list[pa.ChunkedArray]]:
        with self._engine.client() as client:
            table = client.query_arrow(sql, parameters=parameters)
        return table.column_names, table.columns


def _grouping(selection: Selection) -> tuple[str, str]:
    """What to select and group by so that buckets stay apart by series. One series needs no keys: half the time."""
    if len(set(selection.series)) > 1 or selection.reduction:
        return "run, key, rank", "run, key, rank, idx"
    # These parameters are bound by the selection's condition.
    return "{run:UInt64} AS run, {key:UInt32} AS key, {rank:UInt32} AS rank", "idx"


def _window(x: str, window: tuple[float, float] | None) -> tuple[str, dict[str, object]]:
    if window is None:
        return "", {}
    return (
        f"WHERE {x} >= {{window_low:Float64}} AND {x} < {{window_high:Float64}}",
        {"window_low": window[0], "window_high": window[1]},
    )


def _array(column: pa.ChunkedArray) -> NDArray[np.generic]:
    values: NDArray[np.generic] = column.to_numpy()
    return values
