"""The summary of a run: one value for each key, the last one logged unless something else was asked for.

Keys are flat: what was logged as `{"a": {"b": 1}}` is the key `a.b`. Reading goes both ways: `summary["a.b"]` and
`summary["a"]["b"]`. A value set by hand holds until the same key is logged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol

from buoy.tracking.metric import Metrics, Statistics
from buoy.values import flatten, plain

Publish = Callable[[dict[str, object], list[str]], None]
"""Takes the flat keys that were set and those that were removed."""


class Logged(Protocol):
    """Where the logged values come from: the writer."""

    def last_values(self) -> dict[str, object]:
        """The latest value of each key."""

    def statistics(self, key: str) -> Statistics | None:
        """What is known about a numeric key."""


class _Mark:
    """A moment in the life of a key, to tell whether it was logged since."""

    def __init__(self, logged: Logged, key: str, value: object) -> None:
        statistics = logged.statistics(key)
        self._moment = (statistics.n if statistics else 0, repr(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Mark) and self._moment == other._moment

    __hash__ = None  # type: ignore[assignment]


class Node(MutableMapping[str, Any]):
    """The keys below a prefix, by item or by attribute."""

    _root: Summary
    _prefix: str

    def __init__(self, root: Summary, prefix: str) -> None:
        object.__setattr__(self, "_root", root)
        object.__setattr__(self, "_prefix", prefix)

    def __getitem__(self, key: str) -> Any:
        flat = self._root.flat()
        name = self._prefix + key
        if name in flat:
            return flat[name]
        if any(other.startswith(name + ".") for other in flat):
            return Node(self._root, name + ".")
        raise KeyError(key)

    def __setitem__(self, key: str, value: object) -> None:
        self._root.put(self._prefix + _checked(key), value)

    def __delitem__(self, key: str) -> None:
        if not self._root.remove(self._prefix + key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        start = len(self._prefix)
        return iter([key[start:] for key in self._root.flat() if key.startswith(self._prefix)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the summary has no {self._prefix + name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"the summary has no {self._prefix + name!r}") from None

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (dict(self),)


class Summary(Node):
    """The whole summary."""

    _logged: Logged
    _metrics: Metrics
    _publish: Publish
    _set: dict[str, tuple[object, _Mark]]
    _removed: dict[str, _Mark]
    _past: dict[str, object]

    def __init__(self, logged: Logged, metrics: Metrics, publish: Publish) -> None:
        super().__init__(self, "")
        for name, value in (("_logged", logged), ("_metrics", metrics), ("_publish", publish)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_set", {})
        object.__setattr__(self, "_removed", {})
        object.__setattr__(self, "_past", {})

    def inherit(self, values: Mapping[str, object]) -> None:
        """Begins with what the run's earlier attempts have left; a key holds until it is logged, set or removed."""
        self._past.update(values)

    def rebind(self, logged: Logged) -> None:
        """Takes the logged values from another writer from now on."""
        object.__setattr__(self, "_logged", logged)

    def flat(self) -> dict[str, object]:
        """Every key with its value, as of now."""
        logged = self._logged.last_values()
        result = {
            key: value for key, value in self._past.items() if key not in logged and key not in self._set
        }
        for key, last in logged.items():
            if (key in self._removed or key in self._set) and self._unchanged(key, last):
                continue
            shown, value = self._metrics.summary_of(key, last, self._logged.statistics(key))
            if shown:
                result[key] = value
        for key, (value, _) in self._set.items():
            if key not in logged or self._unchanged(key, logged[key]):
                result[key] = value
        return result

    def update(self, values: Mapping[str, object] = {}, /, **named: object) -> None:  # type: ignore[override]
        """Sets several values."""
        for key, value in {**values, **named}.items():
            self[key] = value

    def put(self, name: str, value: object) -> None:
        """Sets a flat key, or a whole tree below it."""
        kept = plain(value)
        new = flatten({name: kept}) if isinstance(kept, Mapping) else {name: kept}
        gone = [key for key in self._below(name) if key not in new]
        self._publish(new, gone)
        logged = self._logged.last_values()
        self._forget(gone, logged)
        for key, item in new.items():
            self._set[key] = (item, _Mark(self._logged, key, logged.get(key)))
            self._removed.pop(key, None)

    def remove(self, name: str) -> bool:
        """Removes a key or a tree until it is logged again; False if there is none."""
        gone = self._below(name)
        if gone:
            self._publish({}, gone)
            self._forget(gone, self._logged.last_values())
        return bool(gone)

    def _below(self, name: str) -> list[str]:
        return [key for key in self.flat() if key == name or key.startswith(name + ".")]

    def _forget(self, keys: list[str], logged: Mapping[str, object]) -> None:
        for key in keys:
            self._set.pop(key, None)
            self._past.pop(key, None)
            if key in logged:
                self._removed[key] = _Mark(self._logged, key, logged[key])

    def _unchanged(self, key: str, last: object) -> bool:
        mark = self._set[key][1] if key in self._set else self._removed[key]
        return mark == _Mark(self._logged, key, last)


def _checked(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise TypeError(f"summary keys must be strings that are not empty, not {key!r}")
    return key
