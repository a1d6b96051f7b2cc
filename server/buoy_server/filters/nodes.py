"""The tree of a filter. Nodes are values: two that mean the same compare equal, wherever in a text they came from."""

from __future__ import annotations

from dataclasses import dataclass, field

from buoy_server.errors import Malformed

OPERATORS = (":", "=", "!=", "<", "<=", ">", ">=", "~", "!~")

AGGREGATES = ("last", "first", "min", "max", "mean")
"""What can be asked of a metric besides its summary."""


@dataclass(frozen=True)
class Span:
    """A piece of the text, for messages. `column` counts characters from 1; 0 = there is no text."""

    column: int = 0
    length: int = 0


NOWHERE = Span()


@dataclass(frozen=True)
class Key:
    """What is asked about: a name as written, or an aggregate of a metric."""

    name: str
    aggregate: str = ""
    at: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Word:
    """A value without quotes: a number, a date, `true`, or a text, as the key has it."""

    text: str
    at: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Text:
    """A value in quotes: always a text."""

    text: str
    at: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Json:
    """A value in backquotes: this JSON value and no other. `text` is canonical, tagged JSON."""

    text: str
    at: Span = field(default=NOWHERE, compare=False)


Value = Word | Text | Json


@dataclass(frozen=True)
class Everything:
    """Holds for every run."""


@dataclass(frozen=True)
class Bare:
    """A text that is part of a run's name or id, in whatever case."""

    text: str
    at: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Compare:
    """A key beside a value."""

    key: Key
    operator: str
    value: Value


@dataclass(frozen=True)
class In:
    """A key that is one of several values."""

    key: Key
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Has:
    """A key that a run has: with something in it, or, if `empty` counts too, at all."""

    key: Key
    empty: bool = False


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: Node


@dataclass(frozen=True)
class And:
    """All of them; two or more."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """Any of them; two or more."""

    parts: tuple[Node, ...]


Node = Everything | Bare | Compare | In | Has | Not | And | Or


class BadFilter(Malformed):
    """A filter that cannot be used. With a text, the problem says where in it."""

    def __init__(self, reason: str, at: Span = NOWHERE, code: str = "bad_filter") -> None:
        place = {"column": at.column, "length": at.length} if at.column else {}
        where = f" at column {at.column}" if at.column else ""
        super().__init__(code, f"The filter cannot be used{where}: {reason}.", **place)


def all_of(parts: list[Node]) -> Node:
    """All of them, however many."""
    return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else Everything()


def any_of(parts: list[Node]) -> Node:
    """Any of them, however many."""
    return parts[0] if len(parts) == 1 else Or(tuple(parts)) if parts else Not(Everything())


def keys_of(node: Node) -> list[Key]:
    """The keys that a filter asks about, in order, repeated as in the filter."""
    if isinstance(node, (And, Or)):
        return [key for part in node.parts for key in keys_of(part)]
    if isinstance(node, Not):
        return keys_of(node.part)
    return [node.key] if isinstance(node, (Compare, In, Has)) else []


def as_json(node: Node) -> dict[str, object]:  # noqa: PLR0911 - one for each kind of node
    """The tree for programs; docs/filters.md draws it."""
    if isinstance(node, Everything):
        return {"everything": True}
    if isinstance(node, Bare):
        return {"name_or_id": node.text}
    if isinstance(node, Not):
        return {"not": as_json(node.part)}
    if isinstance(node, And):
        return {"and": [as_json(part) for part in node.parts]}
    if isinstance(node, Or):
        return {"or": [as_json(part) for part in node.parts]}
    key: dict[str, object] = {"key": node.key.name}
    if node.key.aggregate:
        key["aggregate"] = node.key.aggregate
    if isinstance(node, Has):
        return key | {"op": "exists" if node.empty else "has"}
    if isinstance(node, In):
        return key | {"op": "in", "values": [_value(value) for value in node.values]}
    return key | {"op": node.operator, "value": _value(node.value)}


def _value(value: Value) -> dict[str, str]:
    return {type(value).__name__.lower(): value.text}
