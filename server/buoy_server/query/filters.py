"""Filters in the field's Mongo-like form. Pure: a filter is compiled once and asked for each run.

    {"$and": [{"state": "finished"}, {"config.lr": {"$lt": 0.01}}, {"tags": {"$in": ["baseline"]}}]}

As in MongoDB a comparison with a list holds if it holds for the list or for any member, and values of different
types are never ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
from pyarrow.compute import match_substring_regex

from buoy_server.errors import Malformed
from buoy_server.jsonvalues import clean

Lookup = Callable[[str], object]
"""Gives a run's value of a key, or `ABSENT`."""

Predicate = Callable[[Lookup], bool]

ABSENT = object()
_DEPTH_MAX = 50
_REGEX_CHARACTERS_MAX = 1000
COLUMNS = (
    "id", "name", "state", "tags", "group", "job_type", "notes", "host", "attempts", "rev", "exit_code",
    "created_us", "started_us", "ended_us", "heartbeat_us",
)  # fmt: skip
"""Keys that are the run's own; besides them there are `config.<path>` and `summary.<key>`."""


def compile_filter(given: object, depth: int = 0) -> Predicate:
    """The predicate of a filter; None and {} hold for every run.

    Raises:
        Malformed: An operator or key is unknown or has a value of the wrong kind.
    """
    if given is None:
        return lambda _: True
    if not isinstance(given, Mapping):
        raise _bad(f"a filter is an object, not {_kind(given)}")
    if depth > _DEPTH_MAX:
        raise _bad(f"it is nested more than {_DEPTH_MAX} deep")
    terms = [_term(str(key), value, depth) for key, value in given.items()]
    return lambda lookup: all(term(lookup) for term in terms)


def keys_of(given: object) -> set[str]:
    """The keys a filter asks for."""
    if isinstance(given, Mapping):
        found: set[str] = set()
        for key, value in given.items():
            if str(key).startswith("$"):
                found |= keys_of(value)
            else:
                found.add(str(key))
        return found
    if isinstance(given, list):
        return {key for member in given for key in keys_of(member)}
    return set()


def check_key(key: str) -> str:
    """`key` if runs have such a column; raises Malformed otherwise."""
    if key in COLUMNS or key.startswith(("config.", "summary.")):
        return key
    raise Malformed(
        "bad_column",
        f"Runs have no {key!r}; there are {', '.join(COLUMNS)}, config.<path> and summary.<key>.",
    )


def _term(key: str, value: object, depth: int) -> Predicate:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(value, list):
            raise _bad(f"{key} takes a list")
        parts = [compile_filter(part, depth + 1) for part in value]
        if key == "$and":
            return lambda lookup: all(part(lookup) for part in parts)
        if key == "$or":
            return lambda lookup: any(part(lookup) for part in parts)
        return lambda lookup: not any(part(lookup) for part in parts)
    if key == "$not":
        inner = compile_filter(value, depth + 1)
        return lambda lookup: not inner(lookup)
    if key.startswith("$"):
        raise _bad(f"the operator {key} is unknown")
    test = _test(value, depth)
    check_key(key)
    return lambda lookup: test(lookup(key))


def _test(value: object, depth: int) -> Callable[[object], bool]:
    """A test of one value: equality, or operators."""
    if not (isinstance(value, Mapping) and any(str(key).startswith("$") for key in value)):
        return lambda found: _equal(found, value)
    if depth > _DEPTH_MAX:
        raise _bad(f"it is nested more than {_DEPTH_MAX} deep")
    tests = [_operator(str(name), operand, depth) for name, operand in value.items()]
    return lambda found: all(test(found) for test in tests)


def _operator(name: str, operand: object, depth: int) -> Callable[[object], bool]:
    if name in _ORDERS:
        order = _ORDERS[name]
        return lambda found: any(_ordered(member, operand, order) for member in _members(found))
    if name in ("$in", "$nin"):
        if not isinstance(operand, list):
            raise _bad(f"{name} takes a list")
        wanted = name == "$in"
        return lambda found: any(_equal(found, member) for member in operand) == wanted
    if name == "$not":
        inner = _test(operand, depth + 1)
        return lambda found: not inner(found)
    if name == "$regex":
        matches = _pattern(operand)
        return lambda found: any(isinstance(text, str) and matches(text) for text in _members(found))
    simple: dict[str, Callable[[object], bool]] = {
        "$eq": lambda found: _equal(found, operand),
        "$ne": lambda found: not _equal(found, operand),
        "$exists": lambda found: (found is not ABSENT) == bool(operand),
    }
    if name not in simple:
        raise _bad(f"the operator {name} is unknown")
    return simple[name]


_ORDERS: dict[str, Callable[[float | str, float | str], bool]] = {
    "$gt": lambda left, right: left > right,  # type: ignore[operator]
    "$gte": lambda left, right: left >= right,  # type: ignore[operator]
    "$lt": lambda left, right: left < right,  # type: ignore[operator]
    "$lte": lambda left, right: left <= right,  # type: ignore[operator]
}


def _members(found: object) -> list[object]:
    return found if isinstance(found, list) else [found]


def _equal(found: object, value: object) -> bool:
    if found is ABSENT:
        return value is None
    if isinstance(found, list) and not isinstance(value, list):
        return any(_equal(member, value) for member in found)
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    return found == value


def _ordered(found: object, value: object, order: Callable[[float | str, float | str], bool]) -> bool:
    numbers = (int, float)
    if isinstance(found, bool) or isinstance(value, bool):
        return False
    if isinstance(found, numbers) and isinstance(value, numbers):
        return order(found, value)
    return isinstance(found, str) and isinstance(value, str) and order(found, value)


def _pattern(operand: object) -> Callable[[str], bool]:
    """Whether a text has a match. By RE2, whose time grows with the text only: Python's own can take for ever."""
    if not isinstance(operand, str) or len(operand) > _REGEX_CHARACTERS_MAX:
        raise _bad(f"$regex takes a text of at most {_REGEX_CHARACTERS_MAX} characters")
    pattern = clean(operand)

    def matches(text: str) -> bool:
        return bool(match_substring_regex(pa.scalar(clean(text)), pattern=pattern).as_py())

    try:
        matches("")
    except pa.ArrowInvalid as error:
        raise _bad(f"$regex cannot be read: {error}") from error
    return matches


def _kind(value: object) -> str:
    return {"list": "a list", "str": "a text", "int": "a number", "float": "a number"}.get(
        type(value).__name__, "that"
    )


def _bad(reason: str) -> Malformed:
    return Malformed("bad_filter", f"The filter cannot be used: {reason}.")
