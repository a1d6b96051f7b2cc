"""Panels as JSON, for whoever has no reader of frames."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from buoy_server.metrics.selection import REDUCED
from buoy_server.query.panel import PanelAnswer, SeriesAnswer


def render(answer: PanelAnswer) -> dict[str, object]:
    """A panel as JSON."""
    return {
        "id": answer.id,
        "exp": answer.exponent,
        "rev": answer.rev,
        "series": [_series(item) for item in answer.series],
    }


def _series(item: SeriesAnswer) -> dict[str, object]:
    rank = None if item.rank == REDUCED else item.rank
    found: dict[str, object] = {
        "run": item.run, "key": item.key, "rank": rank, "kind": item.kind, "rev": item.rev, "gen": item.gen,
    }  # fmt: skip
    if item.attempt:
        found["attempt"] = item.attempt
    found |= {name: True for name in ("sealed", "tail") if getattr(item, name)}
    if item.count:
        found["count"] = item.count
    if item.grid is not None:
        found |= {
            "first_bucket": item.first_bucket,
            "grid": item.grid.tolist(),
            "y_range": list(item.y_range),
        }
    if any(item.state):
        found["smooth_state"] = list(map(_number, item.state))
    if item.extent is not None:
        extent = item.extent
        found |= {
            "n_total": extent.n,
            "last_x": extent.last_x,
            "last_y": _number(extent.last_y),
            "last_t": extent.last_us / 1e6,
        }
        found |= {"x_min": extent.x_min, "x_max": extent.x_max}
    if item.kind in ("buckets", "group"):
        found |= {"first_bucket": item.first_bucket, "idx": item.idx.tolist()}
    return found | {name: numbers(column) for name, column in item.columns.items()}


def numbers(column: NDArray[np.generic]) -> list[object]:
    """A column as JSON has it."""
    values: list[object] = list(column.tolist())
    if column.dtype.kind == "f":
        for position in np.flatnonzero(~np.isfinite(column)).tolist():
            values[position] = _number(float(column[position]))
    return values


def _number(value: float) -> object:
    """A number, or the word for what JSON has no number for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
