"""What a value in a filter can mean: numbers, moments, spans of time, texts. Clock-free: `now_us` is given."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from buoy_server.filters.names import FLAGS, STATES
from buoy_server.filters.nodes import And, BadFilter, Compare, In, Json, Node, Not, Or, Text, Value, Word
from buoy_server.jsonvalues import untag

NOTHING = object()
"""No reading of that kind."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_SPAN = re.compile(r"([+-]?)((?:\d+(?:\.\d+)?[smhdw])+)")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d(?:\.\d{1,6})?)?)?(Z|[+-]\d\d:\d\d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_FLOATS = {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}
_DAY_US = 86_400_000_000
_DIGITS_MAX = 400


@dataclass(frozen=True)
class Reading:
    """Each way in which a value can be understood.

    Attributes:
        number, flag, text: `NOTHING` where it cannot.
        null: It is null.
        exact: A JSON list or object.
        pattern: The text has stars that stand for any characters.
    """

    number: object = NOTHING
    flag: object = NOTHING
    text: object = NOTHING
    null: bool = False
    exact: object = NOTHING
    pattern: bool = False


def read(value: Value) -> Reading:
    """A value beside a key whose values can be anything."""
    if isinstance(value, Text):
        return Reading(text=value.text)
    if isinstance(value, Json):
        return _of_json(untag(json.loads(value.text)))
    word = value.text
    flag: object = {"true": True, "false": False}.get(word.lower(), NOTHING)
    return Reading(number=number_of(word), flag=flag, text=word, null=word == "null", pattern="*" in word)


def number_of(word: str) -> object:
    """The number that a word is, an int if it is written as one; else `NOTHING`."""
    if word.lower() in _FLOATS:
        return _FLOATS[word.lower()]
    if len(word) > _DIGITS_MAX or not _NUMBER.fullmatch(word):
        return NOTHING
    return float(word) if any(mark in word for mark in ".eE") else int(word)


def _of_json(value: object) -> Reading:
    if value is None:
        return Reading(null=True)
    if isinstance(value, bool):
        return Reading(flag=value)
    if isinstance(value, (int, float)):
        return Reading(number=value)
    return Reading(text=value) if isinstance(value, str) else Reading(exact=value)


def seconds_of(word: str) -> float | None:
    """The seconds of a span such as `1d12h`, `90s` or `-2.5h`; None if it is none."""
    found = _SPAN.fullmatch(word)
    if found is None:
        return None
    total = sum(float(count) * _SECONDS[unit] for count, unit in re.findall(r"([\d.]+)([smhdw])", found[2]))
    return -total if found[1] == "-" else total


@dataclass(frozen=True)
class Moment:
    """A stretch of time that a word names: a day, a minute, or no longer than an instant.

    Attributes:
        begin_us: Its begin.
        end_us: What comes after it.
    """

    begin_us: float
    end_us: float


def moment_of(value: Value, now_us: int) -> Moment | None:  # noqa: PLR0911 - one for each kind of word
    """The time that a value beside a time names; None for null.

    Raises:
        BadFilter: It names none.
    """
    if isinstance(value, Json):
        reading = read(value)
        if reading.null:
            return None
        if isinstance(reading.number, (int, float)):
            return Moment(float_of(reading.number), float_of(reading.number))
    text = value.text
    if isinstance(value, Word) and text == "null":
        return None
    number = number_of(text) if isinstance(value, Word) else NOTHING
    if isinstance(number, (int, float)):
        return Moment(float_of(number), float_of(number))
    today = now_us - now_us % _DAY_US
    named = {
        "now": (now_us, now_us),
        "today": (today, today + _DAY_US),
        "yesterday": (today - _DAY_US, today),
    }
    if text in named:
        return Moment(*named[text])
    span = seconds_of(text)
    if span is not None and text[0] in "+-":
        return Moment(now_us + span * 1e6, now_us + span * 1e6)
    found = None if span is not None else _date(text)
    if found is None:
        raise BadFilter(
            "a time is expected here: 2026-01-31, 2026-01-31T09:30, 2026-01-31T09:30:00+09:00, today, yesterday, or a "
            "span back from now such as -7d, -36h or -1h30m",
            value.at,
        )
    return found


def moves(node: Node) -> bool:
    """Whether a filter may hold for other runs as time goes by."""
    if isinstance(node, (And, Or)):
        return any(map(moves, node.parts))
    if isinstance(node, Not):
        return moves(node.part)
    values = node.values if isinstance(node, In) else (node.value,) if isinstance(node, Compare) else ()
    return any(isinstance(value, Word) and _moves(value.text) for value in values)


def _moves(word: str) -> bool:
    return word in ("now", "today", "yesterday") or (word[0] in "+-" and seconds_of(word) is not None)


def _date(text: str) -> Moment | None:
    parts = _DATE.fullmatch(text)
    if parts is None:
        return None
    day, minute, second, zone = parts.groups()
    if zone is not None and minute is None:
        return None
    try:
        begin = datetime.fromisoformat(f"{day}T{minute or '00:00'}").replace(tzinfo=timezone.utc)
        if zone not in (None, "Z"):
            begin -= timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[4:]))
    except (ValueError, OverflowError):
        return None
    seconds = float(second[1:]) if second else 0.0
    begin_us = (begin - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(microseconds=1) + seconds * 1e6
    length_us = (
        _DAY_US if minute is None else 60_000_000 if second is None else 1_000_000 if "." not in second else 1
    )
    return Moment(begin_us, begin_us + length_us)


def duration_of(value: Value) -> Reading:
    """A value beside a span of time: seconds, or a span such as 2h30m."""
    if isinstance(value, Word) and (seconds := seconds_of(value.text)) is not None:
        return Reading(number=seconds)
    found = read(value)
    if found.number is NOTHING and not found.null:
        raise BadFilter("a span of time is expected here: 90s, 30m, 2h30m, 1d, or seconds", value.at)
    return found


def check_word(column: str, value: Value) -> None:
    """Raises BadFilter for a word that the column never has. Texts in quotes may be anything."""
    known = STATES if column == "state" else ("true", "false") if column in FLAGS else None
    if known and isinstance(value, Word) and "*" not in value.text and value.text not in known:
        raise BadFilter(f"{column} is one of {', '.join(known)}", value.at)


def float_of(number: int | float) -> float:
    """The nearest double; infinite if it is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
