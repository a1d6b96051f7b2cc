"""Reads what is asked for panels."""

from __future__ import annotations

import math
from typing import TypeGuard

from buoy_core.rank_reduction import REDUCTIONS

from buoy_server.errors import Malformed
from buoy_server.query.bands import BAND
from buoy_server.query.buckets import EXPONENT_MAX, EXPONENT_MIN, PIXELS_MAX
from buoy_server.query.panel import (
    AXES,
    BYTES_MAX,
    COLUMNS,
    DEFAULT_COLUMNS,
    LINES_MAX,
    STATISTICS,
    Chosen,
    Grouping,
    PanelRequest,
)
from buoy_server.query.series import SERIES_MAX
from buoy_server.query.smoothing import KINDS, PARAMETER_MAX, Smoothing
from buoy_server.web.answers import integer

PANELS_MAX = 200
RUNS_MAX = 5000
GROUP_COLUMNS_MAX = 16
_PATTERN_CHARACTERS_MAX = 1000
_X_MAX = 1 << 64
"""Steps have 64 bits, and times in seconds are less."""

MODES = ("lines", "auto")


def parse_panels(given: dict[str, object]) -> tuple[list[PanelRequest], int]:
    """The panels of a request, and how many bytes the answer may take.

    Raises:
        Malformed: A member is of the wrong kind or out of bounds.
    """
    panels, budget = given.get("panels"), given.get("budget") or {}
    if not isinstance(panels, list) or len(panels) > PANELS_MAX:
        raise _bad(f"panels is a list of at most {PANELS_MAX}")
    if not isinstance(budget, dict):
        raise _bad("budget is an object")
    size = _within(budget.get("bytes", BYTES_MAX), "budget.bytes", 1, 1 << 40)
    lines = _within(budget.get("series", LINES_MAX), "budget.series", 0, SERIES_MAX)
    top = _within(budget.get("top", lines), "budget.top", 0, SERIES_MAX)
    return [_panel(panel, lines, top) for panel in panels], size


def _panel(given: object, lines: int, top_lines: int) -> PanelRequest:
    if not isinstance(given, dict):
        raise _bad("a panel is an object")
    keys, pattern = _keys(given.get("keys"))
    runs, chosen = _runs(given.get("runs"))
    if len(keys) * len(runs) > SERIES_MAX:
        raise _bad(f"a panel has at most {SERIES_MAX} pairs of run and key")
    x, x_key = _axis(given.get("x", "step"))
    ranks, reduction = ranks_of(given.get("ranks"))
    attempts, mode = given.get("attempts") or "latest", given.get("mode") or "lines"
    if attempts not in ("latest", "all"):
        raise _bad("attempts is latest or all")
    if mode not in MODES:
        raise _bad(f"mode is one of {', '.join(MODES)}")
    panel = PanelRequest(
        id=_within(given.get("id", 0), "id", 0, (1 << 32) - 1),
        keys=keys,
        runs=runs,
        x=x,
        x_key=x_key,
        exponent=_exponent(given.get("exp"), integer_x=x == "step" and x_key is None),
        pixels=_within(given.get("px", 160), "px", 1, PIXELS_MAX),
        range=_range(given.get("range")),
        columns=_columns(given.get("cols")),
        have=_have(given.get("have") or {}),
        system=bool(given.get("system", False)),
        ranks=ranks,
        reduction=reduction,
        superseded=attempts == "all",
        pattern=pattern,
        chosen=chosen,
        smoothing=smoothing_of(given.get("smooth")),
        grouping=_grouping(given.get("group")),
        density=lines if mode == "auto" else None,
        top_lines=top_lines,
        top=names_of(given.get("top") or [], "top"),
    )
    _check_together(panel)
    return panel


def _check_together(panel: PanelRequest) -> None:
    """Raises Malformed for wishes that exclude each other."""
    if panel.system and panel.x_key is None and panel.x == "step":
        raise _bad("x is rel, proc or wall for system metrics")
    if panel.system and (panel.reduction is not None or panel.x_key is not None):
        raise _bad("system metrics have no steps at which ranks or keys could be joined")
    if panel.superseded and panel.reduction not in (None, BAND):
        raise _bad("attempts is latest where ranks are reduced")
    if panel.superseded and (panel.x_key or panel.grouping or panel.smoothing):
        raise _bad("attempts is latest with a key as x, with groups and with smoothing")
    if panel.reduction == BAND and (
        panel.x == "proc" or panel.x_key or panel.grouping or panel.smoothing or panel.pattern or panel.chosen
    ):
        raise _bad("bands have x step, rel or wall, named keys and runs, no groups and no smoothing")
    if panel.grouping and panel.smoothing:
        raise _bad("groups are not smoothed")


def _keys(given: object) -> tuple[list[str], str | None]:
    """Names, or a pattern."""
    if isinstance(given, dict):
        pattern = given.get("re")
        if not isinstance(pattern, str) or len(pattern) > _PATTERN_CHARACTERS_MAX:
            raise _bad(f"keys.re is a pattern of at most {_PATTERN_CHARACTERS_MAX} characters")
        return [], pattern
    return names_of(given, "keys"), None


def _runs(given: object) -> tuple[list[str], Chosen | None]:
    """Ids, or a filter."""
    if not isinstance(given, dict) or "ids" in given:
        return names_of(given.get("ids") if isinstance(given, dict) else given, "runs.ids"), None
    sort = given.get("sort")
    if sort is not None and not (
        isinstance(sort, list) and all(isinstance(key, dict) and "key" in key for key in sort)
    ):
        raise _bad('runs.sort is a list of {"key": NAME, "desc": BOOL}')
    default = Chosen()
    chosen = [(str(key["key"]), bool(key.get("desc"))) for key in sort] if sort else default.sort
    limit = _within(given.get("limit", default.limit), "runs.limit", 0, RUNS_MAX)
    return [], Chosen(given.get("filter"), chosen, limit)


def _axis(given: object) -> tuple[str, str | None]:
    """A kind, or a key."""
    if isinstance(given, dict) and isinstance(given.get("key"), str):
        return "step", given["key"]
    if given not in AXES:
        raise _bad(f'x is one of {", ".join(AXES)}, or {{"key": NAME}}')
    return str(given), None


def smoothing_of(given: object) -> Smoothing | None:
    """How to smooth, if at all."""
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("kind") not in KINDS:
        raise _bad(f"smooth.kind is one of {', '.join(KINDS)}")
    kind = str(given["kind"])
    parameter, span = given.get("s"), given.get("R", 1.0)
    low = 1 if kind == "running" else 0
    if not _is_number(parameter) or not low <= parameter <= PARAMETER_MAX[kind]:
        raise _bad(f"smooth.s is from {low} to {PARAMETER_MAX[kind]:g} for {kind}")
    if not _is_number(span) or not 0 < span <= _X_MAX:
        raise _bad("smooth.R is above 0")
    if kind == "gaussian" and parameter == 0:
        return None
    return Smoothing(kind, float(parameter), float(span) if kind == "twema" else 1.0)


def _is_number(given: object) -> TypeGuard[float]:
    return isinstance(given, (int, float)) and not isinstance(given, bool) and math.isfinite(given)


def _grouping(given: object) -> Grouping | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _bad("group is an object")
    by, statistics = names_of(given.get("by"), "group.by"), given.get("stats") or list(STATISTICS)
    if len(by) > GROUP_COLUMNS_MAX:
        raise _bad(f"group.by has at most {GROUP_COLUMNS_MAX} columns")
    if not isinstance(statistics, list) or not all(name in STATISTICS for name in statistics):
        raise _bad(f"group.stats are of {', '.join(STATISTICS)}")
    return Grouping(tuple(by), tuple(name for name in STATISTICS if name in statistics))


def names_of(given: object, what: str) -> list[str]:
    """A list of names, each once."""
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise _bad(f"{what} is a list of names")
    return list(dict.fromkeys(given))


def _within(given: object, what: str, low: int, high: int) -> int:
    number = integer(given, what)
    if not low <= number <= high:
        raise _bad(f"{what} is from {low} to {high}")
    return number


def _exponent(given: object, *, integer_x: bool) -> int | None:
    return None if given is None else _within(given, "exp", 0 if integer_x else EXPONENT_MIN, EXPONENT_MAX)


def _range(given: object) -> tuple[float, float] | None:
    if given is None:
        return None
    if (
        not isinstance(given, list)
        or len(given) != 2
        or not all(isinstance(end, (int, float)) and not math.isnan(_inside(end)) for end in given)
        or given[0] > given[1]
    ):
        raise _bad("range is [low, high]")
    return _inside(given[0]), _inside(given[1])


def _inside(end: float) -> float:
    """`end`, or the end of what any axis can have, so that buckets of any width can be counted."""
    return min(max(end, -_X_MAX), _X_MAX)


def ranks_of(given: object) -> tuple[tuple[int, ...] | None, str | None]:
    """Which ranks, and how they become one."""
    if given is None or given == "all":
        return None, None
    if isinstance(given, str) and given in (BAND, *REDUCTIONS):
        return None, given
    if isinstance(given, list):
        return tuple(_within(rank, "ranks", 0, (1 << 31) - 1) for rank in given), None
    raise _bad(f"ranks is all, band, a list of numbers, or one of {', '.join(REDUCTIONS)}")


def _columns(given: object) -> tuple[str, ...]:
    if given is None or given == []:
        return DEFAULT_COLUMNS
    if not isinstance(given, list) or not all(name in COLUMNS for name in given):
        raise _bad(f"cols are of {', '.join(COLUMNS)}")
    return tuple(name for name in COLUMNS if name in given)


def _have(given: object) -> dict[str, int]:
    if not isinstance(given, dict):
        raise _bad("have is an object of run ids and revisions")
    return {str(run): integer(rev, "have") for run, rev in given.items()}


def _bad(reason: str) -> Malformed:
    return Malformed("bad_panel", f"The request cannot be used: {reason}.")
