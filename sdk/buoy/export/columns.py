"""Which type a column of a file has: one for the whole file, whatever its values were in which order.

| values of a key                              | in the file                                           |
|----------------------------------------------|-------------------------------------------------------|
| floats; floats and ints that a double holds  | float64                                               |
| ints of 64 bits                              | int64                                                 |
| bools                                        | bool                                                  |
| texts                                        | text                                                  |
| anything else, and any other mixture         | text with each value as JSON                          |

A value that is missing is null. None is null too, and the row's `_none` names the key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

OWN = ("_run", "_step", "_attempt", "_rank", "_timestamp", "_runtime", "_none")
"""Columns that are not keys."""

FLOAT, INT, BOOL, TEXT, JSON, NULL = "float", "int", "bool", "text", "json", "null"

_EXACT = 1 << 53
_INT64 = 1 << 63


@dataclass
class Kind:
    """What has been seen of one key's values."""

    types: set[type] = field(default_factory=set)
    low: int = 0
    high: int = 0
    strange: bool = False
    """There are texts that are no Unicode: halves of surrogate pairs."""

    def add(self, values: Iterable[Any]) -> None:
        """Takes note of some values."""
        values = list(values)
        types = set(map(type, values))
        self.types |= types
        if int in types:
            ints = values if len(types) == 1 else [value for value in values if type(value) is int]
            self.low, self.high = min(self.low, *ints), max(self.high, *ints)
        if str in types and not self.strange:
            texts = values if len(types) == 1 else [value for value in values if type(value) is str]
            self.strange = not all(text.isascii() or _is_unicode(text) for text in texts)

    @property
    def has_none(self) -> bool:
        """Whether None was logged."""
        return type(None) in self.types

    @property
    def form(self) -> str:
        """The type of the column."""
        types = self.types - {type(None)}
        if not types:
            return NULL
        if types <= {float, int}:
            if float in types:
                return FLOAT if self.low >= -_EXACT and self.high <= _EXACT else JSON
            return INT if self.low >= -_INT64 and self.high < _INT64 else JSON
        if types == {str} and not self.strange:
            return TEXT
        return BOOL if types == {bool} else JSON


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def column_names(keys: Iterable[str]) -> dict[str, str]:
    """The column of each key, in the order of the keys. One that is named like a column of ours gets another name."""
    taken = {*OWN, *keys}
    names = {}
    for key in sorted(set(keys)):
        name = key
        if key in OWN:
            name = f"logged.{key}"
            while name in taken:
                name += "_"
            taken.add(name)
        names[key] = name
    return names


def as_json(value: object) -> str:
    """JSON with NaN, Infinity and -Infinity, on one line."""
    return json.dumps(value, separators=(",", ":"))
