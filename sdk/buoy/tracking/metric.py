"""`define_metric()`: which x axis a metric has and what its summary shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from buoy.errors import UsageError
from buoy.values import flatten

KINDS = ("min", "max", "mean", "best", "last", "first", "copy", "none")
GOALS = ("minimize", "maximize")


class Statistics(Protocol):
    """What the writer knows about one numeric key."""

    n: int
    first: float
    last: float
    minimum: float
    maximum: float
    mean: float


class Metric(NamedTuple):
    """A definition; what is None was not said, so that a later definition can add it."""

    name: str
    step_metric: str | None = None
    step_sync: bool | None = None
    hidden: bool | None = None
    summary: tuple[str, ...] = ()
    goal: str | None = None

    def merged(self, later: Metric) -> Metric:
        """This definition with what `later` adds or changes."""
        kinds = tuple(dict.fromkeys(self.summary + later.summary))
        said = {name: value for name, value in later._asdict().items() if value is not None}
        return self._replace(**{**said, "summary": kinds})

    @property
    def synchronised(self) -> bool:
        """Whether a row without the step metric gets its last value."""
        return self.step_metric is not None and self.step_sync is not False


def checked(  # noqa: PLR0917  in the order of define_metric()
    name: object,
    step_metric: object = None,
    step_sync: object = None,
    hidden: object = None,
    summary: object = None,
    goal: object = None,
) -> Metric:
    """A definition made of the arguments of `define_metric()`.

    Raises:
        UsageError: an argument is not allowed.
    """
    if not isinstance(name, str) or not name:
        raise UsageError(f"define_metric: the name must be a string that is not empty, not {name!r}")
    if "*" in name[:-1]:
        raise UsageError(f"define_metric: a * may only stand at the end of the name: {name!r}")
    if isinstance(step_metric, Metric):
        step_metric = step_metric.name
    if step_metric is not None and (
        not isinstance(step_metric, str) or not step_metric or "*" in step_metric
    ):
        raise UsageError(f"define_metric: step_metric must be the name of one metric, not {step_metric!r}")
    for argument, value in (("step_sync", step_sync), ("hidden", hidden)):
        if value is not None and not isinstance(value, bool):
            raise UsageError(f"define_metric: {argument} must be True or False, not {value!r}")
    if goal is not None and goal not in GOALS:
        raise UsageError(f"define_metric: goal must be one of {', '.join(GOALS)}, not {goal!r}")
    kinds = _kinds(summary)
    if "best" in kinds and goal is None:
        raise UsageError("define_metric: summary='best' needs goal='minimize' or goal='maximize'")
    step = None if step_metric is None else step_metric.replace("\\.", ".")
    # The field's API writes a dot that is part of a name as `\.`; here a key is the name as it was logged, dots joined.
    return Metric(name.replace("\\.", "."), step, step_sync, hidden, kinds, goal)  # type: ignore[arg-type]


def _kinds(summary: object) -> tuple[str, ...]:
    if summary is None:
        return ()
    if not isinstance(summary, str):
        raise UsageError(f"define_metric: summary must be a string, not {summary!r}")
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in summary.split(",") if part.strip()))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"define_metric: unknown summary {unknown[0]!r}; known: {', '.join(KINDS)}")
    return kinds


class Metrics:
    """All definitions of a run."""

    def __init__(self) -> None:
        self._exact: dict[str, Metric] = {}
        self._globs: dict[str, Metric] = {}

    def define(self, metric: Metric, *, overwrite: bool) -> Metric:
        """Adds a definition, or merges it into the earlier one of that name; returns what holds now."""
        glob = metric.name.endswith("*")
        kept, name = (self._globs, metric.name[:-1]) if glob else (self._exact, metric.name)
        if name in kept and not overwrite:
            metric = kept[name].merged(metric)
        kept[name] = metric
        if metric.step_metric is not None:
            self._exact.setdefault(metric.step_metric, Metric(metric.step_metric))
        return metric

    def all(self) -> list[Metric]:
        """Every definition."""
        return [*self._exact.values(), *self._globs.values()]

    def inherit(self, metrics: Iterable[Mapping[str, Any]]) -> None:
        """Takes over what another process has defined: the fields of each metric that this version knows."""
        for fields in metrics:
            known = {name: value for name, value in fields.items() if name in Metric._fields}
            self.define(Metric(**known), overwrite=True)

    def find(self, key: str) -> Metric | None:
        """The definition that holds for a key: its own, else the longest prefix that fits."""
        if (exact := self._exact.get(key)) is not None and exact != Metric(key):
            return exact
        prefixes = [prefix for prefix in self._globs if key.startswith(prefix)]
        return self._globs[max(prefixes, key=len)] if prefixes else exact

    def summary_of(self, key: str, last: object, statistics: Statistics | None) -> tuple[bool, object]:
        """Whether the summary has the key, and what it shows."""
        metric = self.find(key)
        if metric is None or not metric.summary:
            return True, last
        kinds = [kind for kind in metric.summary if kind not in {"none", "copy"}]
        if not kinds and "none" in metric.summary:
            return False, None
        if not kinds or statistics is None:
            return True, last
        return True, {kind: aggregate(kind, metric.goal, last, statistics) for kind in kinds}

    @property
    def any_synchronised(self) -> bool:
        """Whether rows have to be looked at one by one."""
        return any(metric.synchronised for metric in (*self._exact.values(), *self._globs.values()))


def aggregate(kind: str, goal: str | None, last: object, statistics: Statistics) -> object:
    """One number of a summary. NaN and the infinities count for first and last only, unless there is nothing else: then
    the others are NaN."""
    if kind == "last":
        return last
    if kind == "best":
        kind = "max" if goal == "maximize" else "min"
    names = {"min": "minimum", "max": "maximum", "mean": "mean", "first": "first"}
    return getattr(statistics, names[kind])


class Synchroniser:
    """Adds to a row the last value of each step metric that it needs and lacks."""

    def __init__(self, metrics: Metrics, last_values: Callable[[], Mapping[str, object]]) -> None:
        self._metrics = metrics
        self._last = dict(last_values())
        self._step_of: dict[str, str | None] = {}

    def forget_plan(self) -> None:
        """After another definition."""
        self._step_of.clear()

    def fill(self, data: Mapping[str, object]) -> Mapping[str, object]:
        """The row with what it lacks; `data` itself when there is nothing to add."""
        flat = flatten(data) if any(isinstance(value, Mapping) for value in data.values()) else data
        missing = {}
        for key, value in flat.items():
            if key not in self._step_of:
                self._step_of[key] = self._step_metric(key)
            step = self._step_of[key]
            if step is not None and step not in flat and step in self._last:
                missing[step] = self._last[step]
            self._last[key] = value
        return {**data, **missing} if missing else data

    def _step_metric(self, key: str) -> str | None:
        metric = self._metrics.find(key)
        # The pattern "train/*" also fits its own step metric "train/step".
        if metric is None or not metric.synchronised or metric.step_metric == key:
            return None
        return metric.step_metric
