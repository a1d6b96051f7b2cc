"""Turns the server's reduced series into rows for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from buoy.api.history import Ranks
from buoy.api.http import Http
from buoy.api.names import project_path
from buoy.errors import UsageError

if TYPE_CHECKING:
    from buoy.api.run import Run

_AXES = {"_step": "step", "_runtime": "rel", "_timestamp": "wall"}
_KEYS_MAX = 50
"""Keys in one request."""


def rows(
    run: Run,
    http: Http,
    *,
    samples: int,
    keys: Sequence[str] | None,
    x_axis: str,
    stream: str,
    ranks: Ranks = None,
) -> list[dict[str, Any]]:
    """What `Run.history()` returns; rows in the order of x, each with the keys that have a value there.

    Raises:
        UsageError: an argument is not allowed.
    """
    if samples < 1:
        raise UsageError(f"samples must be at least 1, not {samples}")
    if stream not in {"default", "system"}:
        raise UsageError(f"stream must be default or system, not {stream!r}")
    system = stream == "system"
    if system and x_axis == "_step":
        # The machine is sampled by the clock, not by steps.
        x_axis = "_runtime"
    axis = x_axis if x_axis in _AXES else "_step"
    project = project_path(run.entity, run.project)
    wanted = list(dict.fromkeys(keys)) if keys else _all_keys(http, project, run.id, system)
    if x_axis not in _AXES and x_axis not in wanted:
        wanted.append(x_axis)
    wanted = [key for key in wanted if key not in _AXES]
    # Rows belong to a rank only if there are rows of several.
    machines = _machines(run) if system and ranks == "all" else {}
    points: dict[tuple[float, int], dict[str, Any]] = {}
    for begin in range(0, len(wanted), _KEYS_MAX):
        some = wanted[begin : begin + _KEYS_MAX]
        panel = _panel(run.id, keys=some, axis=axis, samples=samples, system=system, ranks=ranks)
        for found in _query(http, project, panel, lowest=ranks is None):
            rank = found["rank"] if ranks == "all" else -1
            own = {"_rank": rank} if ranks == "all" else {}
            own |= {"_node": machines[rank]} if rank in machines else {}
            for x, y in _thinned(_points(found, whole=axis == "_step"), samples):
                points.setdefault((x, rank), {axis: x, **own})[found["key"]] = y
    return [points[x] for x in sorted(points)]


def _machines(run: Run) -> dict[int, str]:
    """The machine whose samples have a rank, the latest attempt's if there were several."""
    return {machine["rank"]: machine["host"] for machine in run.details()["machines"]}


def _all_keys(http: Http, project: str, run_id: str, system: bool) -> list[str]:
    answer = http.get(f"{project}/keys", run=run_id, kind="system" if system else "scalar")
    return sorted(entry["key"] for entry in answer["keys"])


def _panel(
    run_id: str, *, keys: list[str], axis: str, samples: int, system: bool, ranks: Ranks
) -> dict[str, object]:
    return {
        "id": 0,
        "keys": keys,
        "runs": {"ids": [run_id]},
        "x": _AXES[axis],
        "exp": None,
        "px": samples,
        "range": None,
        "cols": ["n", "last"],
        "have": {},
        "system": system,
        "ranks": [ranks] if isinstance(ranks, int) else ranks,
    }


def _query(http: Http, project: str, panel: dict[str, object], *, lowest: bool) -> Iterable[dict[str, Any]]:
    """The series that there are; of each key only that of the lowest rank, if asked."""
    answer = http.post(f"{project}/series:query", {"panels": [panel]})["panels"][0]
    present = [found for found in answer["series"] if found["kind"] != "absent"]
    for found in present:
        found.setdefault("exp", answer.get("exp"))
    if not lowest:
        return present
    chosen: dict[str, dict[str, Any]] = {}
    for found in present:
        if _rank(found) < _rank(chosen.get(found["key"])):
            chosen[found["key"]] = found
    return chosen.values()


def _rank(found: dict[str, Any] | None) -> float:
    return float("inf") if found is None else found.get("rank") or 0


def _thinned(points: list[tuple[float, Any]], samples: int) -> list[tuple[float, Any]]:
    """The last point of each bucket, in the narrowest dyadic buckets that are few enough; few points stay as they are.

    The server sends a series in full if that takes no more than two points for each bucket.
    """
    if len(points) <= samples:
        return points
    exponent = math.floor(math.log2((points[-1][0] - points[0][0]) / samples or 1.0))
    while len(buckets := {math.floor(x / 2.0**exponent): (x, y) for x, y in points}) > samples:
        exponent += 1
    return list(buckets.values())


def _points(found: dict[str, Any], *, whole: bool) -> list[tuple[float, Any]]:
    if found["kind"] == "raw":
        return [(int(x) if whole else x, _number(y)) for x, y in zip(found["x"], found["y"], strict=True)]
    width = 2.0 ** found["exp"]
    points = []
    for index, last in zip(found["idx"], found["last"], strict=True):
        # The last value of a bucket belongs to its end, as far as the series has come.
        end = (index + 1) * width - (1 if whole else 0)
        x = min(end, found["last_x"]) if found.get("last_x") is not None else end
        points.append((int(x) if whole else x, _number(last)))
    return points


def _number(value: Any) -> Any:
    """Numeric columns hold "NaN", "Infinity" and "-Infinity" as text."""
    return float(value) if isinstance(value, str) else value
