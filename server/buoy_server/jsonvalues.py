"""JSON that keeps what JSON cannot say.

NaN, the infinities and integers beyond 2^53 would be lost or break a browser. They travel as `{"$float": "nan"}` and
`{"$int": "9007199254740993"}`. Text in the stores has this form, always ASCII, so no database meets a NUL or a lone
surrogate.
"""

from __future__ import annotations

import json
import math
import re

EXACT_INT_MAX = 1 << 53

DEPTH_MAX = 200
"""Values that are nested deeper become text: readers of any language have a limit somewhere."""

_DIGITS_BITS_MAX = 4096
"""Larger integers are written in hexadecimal, because Python refuses to write them in decimal."""

_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_INTEGER = re.compile(r"-?(0x[0-9a-f]+|[0-9]{1,4000})")


def tag(value: object, depth: int = 0) -> object:
    """`value` with every number that JSON would lose replaced by its tagged form.

    Raises:
        ValueError: It is nested too deeply.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -EXACT_INT_MAX <= value <= EXACT_INT_MAX else {"$int": _digits(value)}
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if depth >= DEPTH_MAX:
        raise ValueError(f"nested more than {DEPTH_MAX} deep")
    if isinstance(value, dict):
        return {str(key): tag(member, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [tag(member, depth + 1) for member in value]
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _digits(value: int) -> str:
    return str(value) if value.bit_length() <= _DIGITS_BITS_MAX else hex(value)


def untag(value: object) -> object:
    """The Python value of a tagged one. An object of the user's that only looks like a tagged number stays one."""
    if isinstance(value, dict):
        if len(value) == 1:
            if isinstance(text := value.get("$float"), str) and text in _FLOATS:
                return _FLOATS[text]
            if isinstance(text := value.get("$int"), str) and _INTEGER.fullmatch(text):
                return int(text, 16 if "x" in text else 10)
        return {key: untag(member) for key, member in value.items()}
    if isinstance(value, list):
        return [untag(member) for member in value]
    return value


def dumps(value: object) -> str:
    """Tagged JSON text of a Python value; of one that is nested too deeply the text of its JSON, as a string."""
    try:
        found = tag(value)
    except ValueError:
        found = _flat(value)
    return json.dumps(found, separators=(",", ":"))


def _flat(value: object) -> str:
    try:
        return json.dumps(value, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "a value that is nested too deeply"


def from_json(text: str) -> str:
    """Tagged JSON text of JSON text with NaN, Infinity and big integers. What is no JSON becomes a string."""
    try:
        return json.dumps(tag(json.loads(text)), separators=(",", ":"))
    except (ValueError, RecursionError):
        return json.dumps(text)


def clean(text: str) -> str:
    """Text that every database takes: PostgreSQL refuses NUL, and UTF-8 has no lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def number(kind: int, value: float) -> str:
    """Tagged JSON text of a stored point: 0 float, 1 int, 2 bool, 3 the nearest double of a large int."""
    if kind == 2:
        return "true" if value else "false"
    if kind == 1 and math.isfinite(value):
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return dumps(value)
