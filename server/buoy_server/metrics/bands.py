"""All ranks of a series at once, bucket by bucket: how far they lie apart, and which rank lies where."""

from __future__ import annotations

import numpy as np

from buoy_server.metrics.reader import Axis, Columns, MetricsReader
from buoy_server.metrics.selection import Selection

BAND_COLUMNS = ("n", "min", "max", "mean", "low", "high", "ranks", "bad", "bad_rank")
"""`low` and `high` are the ranks that `min` and `max` come from, the lowest of equal ones; `ranks` is how many ranks
have a finite value. `bad` counts the values that are not, and `bad_rank` is the lowest rank that has one. Extremes and
mean are over finite values, `n` counts all."""

_FINITE = "isFinite(value)"
_BAND = (
    f"count() AS n, minIf(value, {_FINITE}) AS low_value, maxIf(value, {_FINITE}) AS high_value, "
    f"avgIf(value, {_FINITE}) AS mean, argMinIf(rank, (value, rank), {_FINITE}) AS low, "
    f"argMaxIf(rank, (value, -toInt64(rank)), {_FINITE}) AS high, uniqExactIf(rank, {_FINITE}) AS ranks, "
    f"countIf(NOT {_FINITE}) AS bad, minIf(rank, NOT {_FINITE}) AS bad_rank"
)


def read_bands(
    reader: MetricsReader,
    selection: Selection,
    axis: Axis,
    exponent: int,
    window: tuple[float, float] | None,
) -> dict[tuple[int, int], Columns]:
    """`idx` and `BAND_COLUMNS` by run and key, of each bucket that has points of any rank."""
    bucket, parameters = axis.bucket(exponent)
    x, _ = axis.expression()
    source, bound = selection.source()
    condition = ""
    if window is not None:
        condition = f"WHERE {x} >= {{window_low:Float64}} AND {x} < {{window_high:Float64}}"
        parameters = parameters | {"window_low": window[0], "window_high": window[1]}
    answer = reader.query(
        f"SELECT run, key, {bucket} AS idx, {_BAND} FROM {source} {condition} "
        "GROUP BY run, key, idx ORDER BY run, key, idx",
        parameters | bound,
    )
    none = answer["ranks"] == 0
    answer["min"] = np.where(none, np.nan, answer.pop("low_value"))
    answer["max"] = np.where(none, np.nan, answer.pop("high_value"))
    return _by_series(answer)


def _by_series(answer: Columns) -> dict[tuple[int, int], Columns]:
    """Cuts an answer that is ordered by run and key."""
    run, key = answer.pop("run"), answer.pop("key")
    if not len(run):
        return {}
    begins = np.flatnonzero(np.r_[True, (run[1:] != run[:-1]) | (key[1:] != key[:-1])]).tolist()
    return {
        (int(run[begin]), int(key[begin])): {name: column[begin:end] for name, column in answer.items()}
        for begin, end in zip(begins, [*begins[1:], len(run)], strict=True)
    }
