"""What may stand at a place of a line that is being written. Pure: reads the line no further than it must.

state:run|        values of `state` that have "run" in them
created>-7d l|    keys that have "l" in them
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from buoy_server.filters.names import COLUMNS, FLAGS, STATES, SYNONYMS, is_duration, is_time
from buoy_server.filters.nodes import AGGREGATES, BadFilter, Key
from buoy_server.filters.parser import parse_key
from buoy_server.filters.scanner import Scanner, Token

_OPERATORS = frozenset((":", "=", "!=", "<", "<=", ">", ">=", "~", "!~"))
_TIMES = ("-1h", "-1d", "-7d", "-30d", "today", "yesterday")
_SPANS = ("1m", "10m", "1h", "8h", "1d")
_PLAIN = re.compile(r'[^-\s()",:=<>~!`][^\s()",:=<>~!`]*')


@dataclass(frozen=True)
class Wanted:
    """What is being written.

    Attributes:
        kind: "key" or "value".
        key: Whose value.
        begun: What is there of it.
        column: Where it begins, in characters from 1.
        length: How much of the line it takes up, also beyond the place.
    """

    kind: str
    key: Key | None
    begun: str
    column: int
    length: int


def wanted_at(line: str, place: int) -> Wanted:
    """What is being written at a place, which is a number of characters before it."""
    place = max(0, min(place, len(line)))
    tokens = _tokens(line[:place])
    written = bool(tokens) and not line[:place][-1:].isspace()
    key = _condition(tokens, written=written)
    begun = tokens[-1] if written and tokens[-1].kind in ("word", "text") else None
    kind = "value" if key is not None else "key"
    begin = begun.at.column - 1 if begun else place
    stop = ' ()",' if kind == "value" else ' ()",:=<>~!'
    end = place
    while end < len(line) and line[end] not in stop:
        end += 1
    if begun and begun.kind == "text":
        begin, end = begun.at.column - 1, max(end, place)
    return Wanted(kind, key, begun.text if begun else "", begin + 1, end - begin)


def _tokens(text: str) -> list[Token]:
    """The tokens as far as they can be read; a quote that is not closed is."""
    found: list[Token] = []
    try:
        scanner = Scanner(text if text.count('"') % 2 == 0 else text + '"')
        while True:
            after_mark = bool(found) and found[-1].kind == "mark" and found[-1].text in _OPERATORS
            token = scanner.token(value=after_mark or _in_list(found))
            if token.kind == "end":
                return found
            found.append(token)
    except BadFilter:
        return found


def _in_list(tokens: list[Token]) -> bool:
    """Whether the tokens end within the values of an `in (`."""
    for place in range(len(tokens) - 1, 0, -1):
        if tokens[place].kind == "mark" and tokens[place].text == ")":
            return False
        if tokens[place].kind == "mark" and tokens[place].text == "(":
            return tokens[place - 1].kind == "word" and tokens[place - 1].text in ("in", "IN")
    return False


def _condition(tokens: list[Token], *, written: bool) -> Key | None:
    """The key whose value the tokens end with: the last of them is that value if it is still being written."""
    for place in range(len(tokens) - 1, max(-1, len(tokens) - (3 if written else 2)), -1):
        if tokens[place].kind == "mark" and tokens[place].text in _OPERATORS:
            return _key(tokens[:place])
    if not _in_list(tokens):
        return None
    place = max(index for index, token in enumerate(tokens) if token.kind == "mark" and token.text == "(")
    before = tokens[: place - 1]
    return _key(before[:-1] if before and before[-1].text in ("not", "NOT") else before)


def _key(tokens: list[Token]) -> Key | None:
    """The key that tokens end with; None for has: and exists:, behind which keys stand."""
    if not tokens:
        return None
    last = tokens[-1]
    if last.kind == "mark" and last.text == ")" and len(tokens) >= 4:
        return parse_key(f"{tokens[-4].text}({tokens[-2].text})")
    if last.kind == "word" and last.text in ("has", "exists"):
        return None
    return Key(last.text) if last.kind in ("word", "text") else None


def fixed_values(column: str) -> tuple[str, ...] | None:
    """The values to propose for a column whose values are known; None for others."""
    if column == "state":
        return STATES
    if column in FLAGS:
        return ("true", "false")
    return _TIMES if is_time(column) else _SPANS if is_duration(column) else None


def fixed_keys() -> tuple[str, ...]:
    """Keys that every project has."""
    return ("state", "tag", "created", "duration", *(name for name in COLUMNS if name not in SYNONYMS.values()),
            *(f"{name}(" for name in AGGREGATES))  # fmt: skip


def spelled(text: str) -> str:
    """A name or value as it is written in a line."""
    plain = _PLAIN.fullmatch(text) and text not in (
        "AND",
        "OR",
        "NOT",
        "IN",
        "in",
        "not",
        "has",
        "exists",
        "*",
    )
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def matching(items: list[tuple[str, int]], begun: str, most: int) -> list[tuple[str, int]]:
    """Those that contain what is begun: first those that begin with it, the more frequent first."""
    low = begun.lower()
    found = [(text, count) for text, count in items if low in text.lower()]
    found.sort(key=lambda item: (not item[0].lower().startswith(low), -item[1], item[0]))
    return found[:most]
