"""Filters in the field's Mongo-like form.

    {"$and": [{"state": "finished"}, {"config.lr": {"$lt": 0.01}}, {"tags": {"$in": ["baseline"]}}]}

As in MongoDB a comparison with a list holds if it holds for the list or for any member, values of different types are
never ordered, and what is absent equals null.
"""

from __future__ import annotations

from collections.abc import Mapping

from buoy_server.filters.nodes import (
    BadFilter,
    Compare,
    Everything,
    Has,
    In,
    Json,
    Key,
    Node,
    Not,
    Text,
    Value,
    all_of,
    any_of,
)
from buoy_server.filters.parser import DEPTH_MAX, VALUES_MAX, parse_key
from buoy_server.jsonvalues import dumps, untag

_COMPARISONS = {"$eq": "=", "$ne": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def from_object(given: object) -> Node:
    """The tree of a Mongo-like filter; {} holds for every run.

    Raises:
        BadFilter: An operator is unknown or has a value of the wrong kind.
    """
    return _Reader().filter(given, 0)


class _Reader:
    def __init__(self) -> None:
        self.values = 0

    def filter(self, given: object, depth: int) -> Node:
        if not isinstance(given, Mapping):
            raise BadFilter(f"a filter is an object, not {_kind(given)}")
        if depth > DEPTH_MAX:
            raise BadFilter(f"it is nested more than {DEPTH_MAX} deep")
        return all_of([self.member(str(name), value, depth) for name, value in given.items()])

    def member(self, name: str, value: object, depth: int) -> Node:
        if name in ("$and", "$or", "$nor"):
            if not isinstance(value, list):
                raise BadFilter(f"{name} takes a list")
            parts = [self.filter(part, depth + 1) for part in value]
            return all_of(parts) if name == "$and" else any_of(parts) if name == "$or" else Not(any_of(parts))
        if name == "$not":
            return Not(self.filter(value, depth + 1))
        if name.startswith("$"):
            raise BadFilter(f"the operator {name} is unknown")
        key = parse_key(name)
        if key is None:
            raise BadFilter("a key has no name")
        return self.condition(key, value, depth)

    def condition(self, key: Key, value: object, depth: int) -> Node:
        """What is said of a key: a value, or operators."""
        if not (isinstance(value, Mapping) and any(str(name).startswith("$") for name in value)):
            return Compare(key, "=", self.value(value))
        if isinstance(untag(dict(value)), (int, float)):
            return Compare(key, "=", self.value(value))
        if depth > DEPTH_MAX:
            raise BadFilter(f"it is nested more than {DEPTH_MAX} deep")
        return all_of([self.operator(key, str(name), operand, depth) for name, operand in value.items()])

    def operator(self, key: Key, name: str, operand: object, depth: int) -> Node:
        if name in _COMPARISONS:
            return Compare(key, _COMPARISONS[name], self.value(operand))
        if name in ("$in", "$nin"):
            if not isinstance(operand, list):
                raise BadFilter(f"{name} takes a list")
            found: Node = In(key, tuple(map(self.value, operand))) if operand else Not(Everything())
            return found if name == "$in" else Not(found)
        if name == "$not":
            return Not(self.condition(key, operand, depth + 1))
        if name == "$regex":
            if not isinstance(operand, str):
                raise BadFilter("$regex takes a text")
            return Compare(key, "~", Text(operand))
        if name == "$exists":
            has = Has(key, empty=True)
            return has if operand else Not(has)
        raise BadFilter(f"the operator {name} is unknown")

    def value(self, given: object) -> Value:
        self.values += 1
        if self.values > VALUES_MAX:
            raise BadFilter(f"it has more than {VALUES_MAX} values")
        if isinstance(given, str):
            return Text(given)
        return Json(dumps(untag(given)))


def _kind(value: object) -> str:
    names = {"list": "a list", "int": "a number", "float": "a number"}
    return names.get(type(value).__name__, "that")
