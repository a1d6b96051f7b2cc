"""Writes a tree as the line that means it: parse(print_filter(tree)) == tree."""

from __future__ import annotations

import re

from buoy_server.filters.nodes import (
    And,
    Bare,
    Compare,
    Everything,
    Has,
    In,
    Json,
    Key,
    Node,
    Not,
    Or,
    Text,
    Value,
)
from buoy_server.filters.parser import AGGREGATE_NAMES

_PLAIN = re.compile(r'[^-\s()",:=<>~!`][^\s()",:=<>~!`]*')
_PLAIN_VALUE = re.compile(r'[^\s()",=<>~!`]+')
_RESERVED = {"AND", "OR", "NOT", "IN", "in", "not", "has", "exists", "*", *AGGREGATE_NAMES}


def print_filter(node: Node) -> str:
    """The line; empty for a filter that holds for every run."""
    return "" if isinstance(node, Everything) else _line(node)


def _line(node: Node) -> str:
    if isinstance(node, And):
        return " ".join(_part(part) for part in node.parts)
    if isinstance(node, Or):
        return " OR ".join(_part(part) for part in node.parts)
    return _part(node)


def _part(node: Node) -> str:  # noqa: PLR0911 - one for each kind of node
    """One that can stand beside others."""
    if isinstance(node, (And, Or)):
        return f"({_line(node)})"
    if isinstance(node, Not):
        return f"-({_line(node.part)})" if isinstance(node.part, Not) else f"-{_part(node.part)}"
    if isinstance(node, Everything):
        return "*"
    if isinstance(node, Bare):
        return _name(node.text)
    key = _key(node.key)
    if isinstance(node, Has):
        return f"{'exists' if node.empty else 'has'}:{key}"
    if isinstance(node, In):
        return f"{key} in ({', '.join(map(_value, node.values))})"
    assert isinstance(node, Compare)
    return f"{key}{node.operator}{_value(node.value)}"


def _key(key: Key) -> str:
    if not key.aggregate:
        return _name(key.name)
    return f"{key.aggregate}({key.name if _PLAIN_VALUE.fullmatch(key.name) else _quoted(key.name)})"


def _name(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text not in _RESERVED else _quoted(text)


def _value(value: Value) -> str:
    if isinstance(value, Text):
        return _quoted(value.text)
    if isinstance(value, Json):
        return "`" + value.text.replace("`", "\\u0060") + "`"
    return value.text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
