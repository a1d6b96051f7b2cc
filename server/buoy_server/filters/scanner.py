"""Cuts a line into tokens. The parser says whether a value comes next, because `10:30` is one value but no key."""

from __future__ import annotations

from dataclasses import dataclass

from buoy_server.filters.nodes import BadFilter, Span

CHARACTERS_MAX = 4096

_MARKS = ("<=", ">=", "!=", "!~", "==", "<", ">", "=", "~", ":", "(", ")", ",")
_NO_WORD = frozenset('()",:=<>~!`')
_NO_VALUE = _NO_WORD - {":"}


@dataclass(frozen=True)
class Token:
    """A piece of the line.

    Attributes:
        kind: "word", "text" (in quotes), "json" (in backquotes), "mark", "minus" or "end".
        text: What it says; without quotes.
        at: Where.
        glued: No space before the next one.
    """

    kind: str
    text: str
    at: Span
    glued: bool = False


class Scanner:
    """Reads a line from left to right.

    Raises:
        BadFilter: The line is too long.
    """

    def __init__(self, line: str) -> None:
        if len(line) > CHARACTERS_MAX:
            raise BadFilter(
                f"it has {len(line)} characters, and {CHARACTERS_MAX} are read at most",
                Span(CHARACTERS_MAX + 1, len(line) - CHARACTERS_MAX),
            )
        self.line = line
        self.place = 0

    def token(self, *, value: bool = False) -> Token:
        """The next token, which is taken.

        Args:
            value: A value is wanted: a word may begin with a minus and have colons.

        Raises:
            BadFilter: A quote is not closed, or a character has no meaning here.
        """
        line = self.line
        while self.place < len(line) and line[self.place].isspace():
            self.place += 1
        begin = self.place
        if begin == len(line):
            return Token("end", "", Span(begin + 1, 1))
        first = line[begin]
        if first in '"`':
            return self._quoted(first)
        if first == "-" and not value:
            return self._made("minus", "-", begin, begin + 1)
        mark = next((mark for mark in _MARKS if line.startswith(mark, begin)), None)
        if mark is not None and not (value and mark == ":"):
            return self._made("mark", "=" if mark == "==" else mark, begin, begin + len(mark))
        end, stop = begin, _NO_VALUE if value else _NO_WORD
        while end < len(line) and line[end] not in stop and not line[end].isspace():
            end += 1
        if end == begin:
            raise BadFilter(f"{first!r} has no meaning here; put texts in quotes", Span(begin + 1, 1))
        return self._made("word", line[begin:end], begin, end)

    def peek(self) -> Token:
        """The next token, which stays."""
        place = self.place
        try:
            return self.token()
        finally:
            self.place = place

    def _quoted(self, quote: str) -> Token:
        begin, end, text = self.place, self.place + 1, []
        while end < len(self.line) and self.line[end] != quote:
            if quote == '"' and self.line[end : end + 2] in ('\\"', "\\\\"):
                end += 1
            text.append(self.line[end])
            end += 1
        if end >= len(self.line):
            raise BadFilter(f"the {quote} is not closed", Span(begin + 1, len(self.line) - begin))
        return self._made("text" if quote == '"' else "json", "".join(text), begin, end + 1)

    def _made(self, kind: str, text: str, begin: int, end: int) -> Token:
        self.place = end
        glued = end < len(self.line) and not self.line[end].isspace()
        return Token(kind, text, Span(begin + 1, end - begin), glued)
