"""Turns what users put into config and summary into plain JSON values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from os import PathLike, fspath

_ARRAY_ELEMENTS_MAX = 1000
_DEPTH_MAX = 64


def plain(value: object, depth: int = 0) -> object:
    """The value as dicts, lists, strings, numbers, bools and None; a new object for every container.

    Sets and tuples become lists, numpy and torch scalars the Python scalar, small arrays lists. What JSON has
    no form for becomes its text: a configuration is for people, and a dtype or a device says enough that way.

    Raises:
        ValueError: containers are nested too deep, or contain themselves.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth > _DEPTH_MAX:
        raise ValueError(f"values may be nested {_DEPTH_MAX} deep at most; does one contain itself?")
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return [plain(item, depth + 1) for item in _in_order(value)]
    return _plain_scalar(value, depth)


def _in_order(values: set[object] | frozenset[object]) -> list[object]:
    try:
        return sorted(values)  # type: ignore[type-var]
    except TypeError:
        return sorted(values, key=repr)


def _plain_scalar(value: object, depth: int) -> object:
    # Subclasses first: an IntEnum is an int, but its name says more.
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    converted = _from_array(value)
    return _as_text(value) if converted is None else plain(converted, depth + 1)


def _as_text(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, PathLike):
        return str(fspath(value))
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}.{name}" if isinstance(name, str) and callable(value) else str(value)


def _from_array(value: object) -> object:
    """A numpy or torch scalar or small array as Python numbers, recognised by what it can do; else None."""
    shape, item, tolist = (getattr(value, name, None) for name in ("shape", "item", "tolist"))
    if shape is None or not callable(item) or not callable(tolist):
        return None
    try:
        elements = 1
        for length in shape:
            elements *= length
        if len(shape) == 0:
            return item()
        return tolist() if elements <= _ARRAY_ELEMENTS_MAX else None
    except (TypeError, ValueError, RuntimeError):
        return None


def dumps(value: object) -> str:
    """JSON with NaN, Infinity and -Infinity, as the records hold it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def flatten(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """One entry for each leaf, the names on the way joined by dots, as `log()` does it."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
