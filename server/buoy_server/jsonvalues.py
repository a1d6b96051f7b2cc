"""JSON that keeps what JSON cannot say.

NaN, the infinities and integers beyond 2^53 would be lost or break a browser. They travel as `{"$float": "nan"}` and
`{"$int": "9007199254740993"}`. Text in the stores has this form, always ASCII, so no database meets a NUL or a lone
surrogate.
"""

from __future__ import annotations

import json
import math

EXACT_INT_MAX = 1 << 53


def tag(value: object) -> object:
    """`value` with every number that JSON would lose replaced by its tagged form."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -EXACT_INT_MAX <= value <= EXACT_INT_MAX else {"$int": str(value)}
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, dict):
        return {str(key): tag(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [tag(member) for member in value]
    raise TypeError(f"{type(value).__name__} is no JSON value")


def untag(value: object) -> object:
    """The Python value of a tagged one."""
    if isinstance(value, dict):
        if len(value) == 1:
            if isinstance(text := value.get("$float"), str):
                return float(text)
            if isinstance(text := value.get("$int"), str):
                return int(text)
        return {key: untag(member) for key, member in value.items()}
    if isinstance(value, list):
        return [untag(member) for member in value]
    return value


def dumps(value: object) -> str:
    """Tagged JSON text of a Python value."""
    return json.dumps(tag(value), separators=(",", ":"))


def from_json(text: str) -> str:
    """Tagged JSON text of JSON text with NaN, Infinity and big integers. What is no JSON becomes a string."""
    try:
        return dumps(json.loads(text))
    except (ValueError, RecursionError):
        return dumps(text)


def number(kind: int, value: float) -> str:
    """Tagged JSON text of a stored point: 0 float, 1 int, 2 bool, 3 the nearest double of a large int."""
    if kind == 2:
        return "true" if value else "false"
    if kind == 1 and math.isfinite(value):
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return dumps(value)
