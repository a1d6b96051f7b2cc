"""Reads a line of the filter language: recursive descent, one function for each line of the grammar."""

from __future__ import annotations

import json

from buoy_server.filters.nodes import (
    AGGREGATES,
    OPERATORS,
    BadFilter,
    Bare,
    Compare,
    Everything,
    Has,
    In,
    Json,
    Key,
    Node,
    Not,
    Span,
    Text,
    Value,
    Word,
    all_of,
    any_of,
)
from buoy_server.filters.scanner import Scanner, Token
from buoy_server.jsonvalues import dumps, untag

DEPTH_MAX = 50
TERMS_MAX = 500
VALUES_MAX = 10_000
"""In objects, which scripts make; a line has its length as a limit."""
AGGREGATE_NAMES = {"latest": "last"} | {name: name for name in AGGREGATES}


def parse(line: str) -> Node:
    """The tree of a line; an empty one holds for every run.

    Raises:
        BadFilter: It is no filter; the error says where, and what was expected.
    """
    parser = _Parser(Scanner(line))
    if parser.scanner.peek().kind == "end":
        return Everything()
    found = parser.either(0)
    left = parser.scanner.peek()
    if left.kind != "end":
        raise BadFilter(f"{left.text!r} closes nothing", left.at)
    return found


def parse_key(text: str) -> Key | None:
    """A key by itself, as in a list of columns: `min(val/loss)`, or any name. None for an aggregate of nothing."""
    for name, aggregate in AGGREGATE_NAMES.items():
        if text.startswith(f"{name}(") and text.endswith(")"):
            inner = text[len(name) + 1 : -1]
            if len(inner) > 1 and inner[0] == inner[-1] == '"':
                inner = inner[1:-1].replace('\\"', '"').replace("\\\\", "\\")
            return Key(inner, aggregate) if inner else None
    return Key(text) if text else None


class _Parser:
    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.terms = 0

    def either(self, depth: int) -> Node:
        """or := and { "OR" and }"""
        parts = [self.all(depth)]
        while _is_word(self.scanner.peek(), "OR"):
            self.scanner.token()
            parts.append(self.all(depth))
        return any_of(parts)

    def all(self, depth: int) -> Node:
        """and := unary { ["AND"] unary }"""
        parts = [self.unary(depth)]
        while True:
            coming = self.scanner.peek()
            if _is_word(coming, "AND"):
                self.scanner.token()
            elif (
                coming.kind == "end"
                or (coming.text == ")" and coming.kind == "mark")
                or _is_word(coming, "OR")
            ):
                return all_of(parts)
            parts.append(self.unary(depth))

    def unary(self, depth: int) -> Node:
        """unary := ("-" | "NOT") unary | "(" or ")" | term"""
        token = self.scanner.token()
        if depth > DEPTH_MAX:
            raise BadFilter(f"it is nested more than {DEPTH_MAX} deep", token.at)
        if token.kind == "minus" or _is_word(token, "NOT"):
            return Not(self.unary(depth + 1))
        if token.kind == "mark" and token.text == "(":
            inner = self.either(depth + 1)
            self.expect(")", "a closing parenthesis")
            return inner
        return self.term(token)

    def term(self, first: Token) -> Node:
        """term := "*" | "has:" key | key operator value | key ["not"] "in" "(" value { "," value } ")" | text"""
        if first.kind not in ("word", "text") or _is_word(first, "AND", "OR"):
            raise BadFilter("a key, a word, '-' or '(' is expected here", first.at)
        self.terms += 1
        if self.terms > TERMS_MAX:
            raise BadFilter(f"it has more than {TERMS_MAX} terms", first.at)
        after = self.scanner.peek()
        if _is_word(first, "has", "exists") and (after.kind, after.text) == ("mark", ":"):
            self.scanner.token()
            return Has(self.key(self.scanner.token()), empty=first.text == "exists")
        if _is_word(first, *AGGREGATE_NAMES) and first.glued and (after.kind, after.text) == ("mark", "("):
            return self.condition(self.aggregate(first))
        name = self.joined(first)
        after = self.scanner.peek()
        if (after.kind == "mark" and after.text in OPERATORS) or self.is_in(after):
            return self.condition(Key(name.text, at=name.at))
        if _is_word(name, "*"):
            return Everything()
        return Bare(name.text, at=name.at)

    def condition(self, key: Key) -> Node:
        """What is said of a key."""
        token = self.scanner.token()
        if token.kind == "mark" and token.text in OPERATORS:
            return Compare(key, token.text, self.value(self.scanner.token(value=True)))
        if _is_word(token, "in", "IN"):
            return In(key, self.values())
        if _is_word(token, "not", "NOT") and _is_word(self.scanner.peek(), "in", "IN"):
            self.scanner.token()
            return Not(In(key, self.values()))
        raise BadFilter("an operator is expected here: " + " ".join(OPERATORS) + " or in (…)", token.at)

    def key(self, first: Token) -> Key:
        """key := aggregate "(" name ")" | name"""
        if first.kind not in ("word", "text"):
            raise BadFilter("a key is expected here", first.at)
        after = self.scanner.peek()
        if _is_word(first, *AGGREGATE_NAMES) and first.glued and (after.kind, after.text) == ("mark", "("):
            return self.aggregate(first)
        name = self.joined(first)
        return Key(name.text, at=name.at)

    def aggregate(self, first: Token) -> Key:
        """An aggregate's name was read, its parenthesis was not."""
        self.scanner.token()
        token = self.scanner.token(value=True)
        if token.kind not in ("word", "text"):
            raise BadFilter(f"the name of a metric is expected here, as in {first.text}(val/loss)", token.at)
        name = self.joined(token)
        self.expect(")", "a closing parenthesis")
        length = self.scanner.place - first.at.column + 1
        return Key(name.text, AGGREGATE_NAMES[first.text], Span(first.at.column, length))

    def joined(self, first: Token) -> Token:
        """A name, parts of which may be in quotes: config."my key"."""
        text, token = first.text, first
        while token.glued and self.scanner.peek().kind in (
            ("word", "text") if token.kind == "text" else ("text",)
        ):
            token = self.scanner.token()
            text += token.text
        if token is first:
            return first
        return Token(
            "text", text, Span(first.at.column, self.scanner.place - first.at.column + 1), token.glued
        )

    def is_in(self, after: Token) -> bool:
        """Whether `in (` or `not in (` comes."""
        place = self.scanner.place
        try:
            if _is_word(after, "not", "NOT"):
                self.scanner.token()
                after = self.scanner.peek()
            if not _is_word(after, "in", "IN"):
                return False
            self.scanner.token()
            coming = self.scanner.peek()
            return (coming.kind, coming.text) == ("mark", "(")
        finally:
            self.scanner.place = place

    def values(self) -> tuple[Value, ...]:
        """The list behind `in`."""
        self.expect("(", "a list of values in parentheses")
        found = [self.value(self.scanner.token(value=True))]
        while True:
            token = self.scanner.token()
            if (token.kind, token.text) == ("mark", ")"):
                return tuple(found)
            if (token.kind, token.text) != ("mark", ","):
                raise BadFilter("',' or ')' is expected here", token.at)
            self.terms += 1
            if self.terms > TERMS_MAX:
                raise BadFilter(f"it has more than {TERMS_MAX} terms and values", token.at)
            found.append(self.value(self.scanner.token(value=True)))

    def value(self, token: Token) -> Value:
        """value := word | text in quotes | JSON in backquotes"""
        if token.kind == "word":
            return Word(token.text, token.at)
        if token.kind == "text":
            return Text(token.text, token.at)
        if token.kind == "json":
            try:
                return Json(dumps(untag(json.loads(token.text))), token.at)
            except (ValueError, RecursionError):
                raise BadFilter("JSON is expected between backquotes", token.at) from None
        raise BadFilter("a value is expected here: a word, or a text in quotes", token.at)

    def expect(self, mark: str, what: str) -> None:
        """Takes a mark."""
        token = self.scanner.token()
        if (token.kind, token.text) != ("mark", mark):
            raise BadFilter(f"{what} is expected here", token.at)


def _is_word(token: Token, *words: str) -> bool:
    return token.kind == "word" and token.text in words
