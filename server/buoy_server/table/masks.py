"""Which rows a filter holds for. One pass over arrays for each term; each different text is looked at once."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from buoy_server.filters.names import is_duration, is_time
from buoy_server.filters.nodes import (
    And,
    BadFilter,
    Bare,
    Compare,
    Everything,
    Has,
    In,
    Key,
    Node,
    Not,
    Span,
    Text,
    Value,
    Word,
)
from buoy_server.filters.readings import NOTHING, Reading, check_word, duration_of, float_of, moment_of, read
from buoy_server.jsonvalues import clean
from buoy_server.table.column import ABSENT, FLAG, NULL, NUMBER, OTHER, TEXT, Column

Mask = NDArray[np.bool_]

PATTERN_CHARACTERS_MAX = 1000
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Masks:
    """Evaluates filters over the columns of one table.

    Args:
        rows: of the table.
        column: gives the column of a key.
        now_us: the time that spans count back from.
    """

    def __init__(self, rows: int, column: Callable[[Key], tuple[str, Column]], now_us: int) -> None:
        self._rows = rows
        self._column = column
        self._now_us = now_us

    def of(self, node: Node) -> Mask:  # noqa: PLR0911 - one for each kind of node
        """The rows that a filter holds for.

        Raises:
            BadFilter: A key is unknown, or a value or pattern cannot be used.
        """
        if isinstance(node, Everything):
            return np.ones(self._rows, np.bool_)
        if isinstance(node, Not):
            return ~self.of(node.part)
        if isinstance(node, Bare):
            return self._bare(node)
        if isinstance(node, Compare):
            return self._compare(node)
        if isinstance(node, Has):
            return self._has(node)
        if isinstance(node, In):
            return self._in(node)
        masks = [self.of(part) for part in node.parts]
        joined: Mask = (np.logical_and if isinstance(node, And) else np.logical_or).reduce(masks)
        return joined

    def _bare(self, node: Bare) -> Mask:
        pattern = "(?is)" + re.escape(clean(node.text))
        found = np.zeros(self._rows, np.bool_)
        for name in ("name", "id"):
            _, column = self._column(Key(name))
            found |= _texts(column, _matches(column.arrow_texts(), pattern, node.at))
        return found

    def _in(self, node: In) -> Mask:
        name, column = self._column(node.key)
        plain = not (is_time(name) or is_duration(name))
        # Scripts ask for thousands of ids at once: texts are looked up together.
        texts = {value.text for value in node.values if plain and isinstance(value, Text)}
        found = _one_of(column, texts)
        for value in node.values:
            if not (plain and isinstance(value, Text)):
                found |= self._equal(name, column, value, stars=False)
        return found

    def _has(self, node: Has) -> Mask:
        _, column = self._column(node.key)
        found: Mask = column.kind != ABSENT
        if not node.empty:
            found &= column.kind != NULL
            if "" in column.texts:
                found &= ~_texts(column, np.array([text == "" for text in column.texts], np.bool_))
            found &= ~_others(column, lambda value: value in ([], {}))
        return found

    def _compare(self, node: Compare) -> Mask:
        name, column = self._column(node.key)
        if node.operator in ("=", ":", "!="):
            found = self._equal(name, column, node.value, stars=node.operator == ":")
            return ~found if node.operator == "!=" else found
        if node.operator in ("~", "!~"):
            found = _pattern(column, node.value)
            return ~found if node.operator == "!~" else found
        return self._ordered(name, column, node.operator, node.value)

    def _equal(self, name: str, column: Column, value: Value, *, stars: bool) -> Mask:
        check_word(name, value)
        if is_time(name):
            moment = moment_of(value, self._now_us)
            if moment is None:
                return np.isin(column.kind, (ABSENT, NULL))
            inside = (column.number >= moment.begin_us) & (column.number < moment.end_us)
            found: Mask = (column.kind == NUMBER) & (inside | (column.number == moment.begin_us))
            return found
        reading = duration_of(value) if is_duration(name) else read(value)
        if stars and reading.pattern and isinstance(reading.text, str):
            pattern = "(?s)^" + ".*".join(re.escape(clean(part)) for part in reading.text.split("*")) + "$"
            return _matching(column, pattern, value.at)
        return _equal(column, reading)

    def _ordered(self, name: str, column: Column, symbol: str, value: Value) -> Mask:
        is_number: Mask = column.kind == NUMBER
        if is_time(name):
            moment = moment_of(value, self._now_us)
            if moment is None:
                return np.zeros(self._rows, np.bool_)
            return is_number & _beside(column.number, symbol, moment.begin_us, moment.end_us)
        reading = duration_of(value) if is_duration(name) else read(value)
        order = _ORDERS[symbol]
        if isinstance(reading.number, (int, float)):
            limit = reading.number
            found: Mask = is_number & order(column.number, float_of(limit))
            return found | _others(
                column, lambda member: _is_number(member) and order(member, limit), members=True
            )
        if not isinstance(reading.text, str):
            raise BadFilter(f"{symbol} takes a number, a time or a text", value.at)
        text = reading.text
        found = _texts(column, np.array([order(each, text) for each in column.texts], np.bool_))
        return found | _others(
            column, lambda member: isinstance(member, str) and order(member, text), members=True
        )


def _beside(number: NDArray[np.float64], symbol: str, begin: float, end: float) -> Mask:
    """A stretch of time: before it, within it, after it."""
    if begin == end:
        return np.asarray(_ORDERS[symbol](number, begin))
    limit = begin if symbol in ("<", ">=") else end
    return np.asarray(number < limit if symbol in ("<", "<=") else number >= limit)


def _equal(column: Column, reading: Reading) -> Mask:
    kind = column.kind
    found = np.zeros(len(kind), np.bool_)
    if isinstance(reading.number, (int, float)):
        number = float_of(reading.number)
        same = np.isnan(column.number) if number != number else column.number == number  # noqa: PLR0124 - NaN
        found |= (kind == NUMBER) & same
    if reading.flag is not NOTHING:
        found |= (kind == FLAG) & (column.number == float(bool(reading.flag)))
    if reading.null:
        found |= (kind == ABSENT) | (kind == NULL)
    if isinstance(reading.text, str):
        code = column.code_of(reading.text)
        if code is not None:
            found |= (kind == TEXT) & (column.code == code)
    return found | _others(column, lambda value: _same(value, reading), members=True, whole=True)


def _one_of(column: Column, texts: set[str]) -> Mask:
    """The rows that have one of some texts, by itself or in a list."""
    chosen = np.zeros(len(column.texts), np.bool_)
    chosen[[code for code in map(column.code_of, texts) if code is not None]] = True
    return _texts(column, chosen) | _others(
        column, lambda member: isinstance(member, str) and member in texts, members=True
    )


def _same(value: object, reading: Reading) -> bool:
    if isinstance(value, bool):
        return value is reading.flag
    if _is_number(value):
        return value == reading.number or (value != value and reading.number != reading.number)  # noqa: PLR0124
    if value is None:
        return reading.null
    if isinstance(value, str):
        return value == reading.text
    return reading.exact is not NOTHING and value == reading.exact


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _pattern(column: Column, value: Value) -> Mask:
    pattern = value.text if isinstance(value, (Word, Text)) else read(value).text
    if not isinstance(pattern, str):
        raise BadFilter("a pattern is expected here", value.at)
    return _matching(column, clean(pattern), value.at)


def _matching(column: Column, pattern: str, at: Span) -> Mask:
    found = _texts(column, _matches(column.arrow_texts(), pattern, at))
    if not column.others:
        return found
    lists = [
        [clean(each) for each in value if isinstance(each, str)] if isinstance(value, list) else []
        for value in column.others
    ]
    flat = _matches(pa.array([text for texts in lists for text in texts], pa.string()), pattern, at)
    owner = np.repeat(np.arange(len(lists)), [len(texts) for texts in lists])
    some = np.zeros(len(lists), np.bool_)
    some[owner[flat]] = True
    return found | _rows_with(column, OTHER, some)


def _matches(texts: pa.Array, pattern: str, at: Span) -> Mask:
    """Which texts have a match. By RE2, whose time grows with the text only: Python's own can take for ever."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise BadFilter(f"a pattern has at most {PATTERN_CHARACTERS_MAX} characters", at)
    try:
        if not len(texts):
            pc.match_substring_regex(pa.scalar(""), pattern=pattern)
        found = pc.match_substring_regex(texts, pattern=pattern)
    except pa.ArrowInvalid as error:
        raise BadFilter(f"the pattern cannot be read ({error}); it is of RE2's kind", at) from error
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _rows_with(column: Column, kind: int, chosen: Mask) -> Mask:
    """The rows of a kind whose value is one of the chosen, which are by code."""
    if not len(chosen):
        return np.zeros(len(column.kind), np.bool_)
    is_kind: Mask = column.kind == kind
    return is_kind & chosen[np.where(is_kind, column.code, 0)]


def _texts(column: Column, chosen: Mask) -> Mask:
    """The rows whose text is one of the chosen."""
    return _rows_with(column, TEXT, chosen)


def _others(
    column: Column, test: Callable[[object], bool], *, members: bool = False, whole: bool = False
) -> Mask:
    """The rows whose list, object or large integer passes a test; of lists any member, if asked, or the whole."""
    if not column.others:
        return np.zeros(len(column.kind), np.bool_)

    def passes(value: object) -> bool:
        if members and isinstance(value, list):
            return any(map(test, value)) or (whole and test(value))
        return bool(test(value))

    chosen = np.array([passes(value) for value in column.others], np.bool_)
    return _rows_with(column, OTHER, chosen)
