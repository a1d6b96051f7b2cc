"""The fields of a run that people change, and whose word counts: that which was said later. Pure.

A field that a person has set keeps that until a process says something else of it, later by the clocks of the two. A
start that only repeats what processes have said before is nothing new: a resumed run does not take a name back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from buoy_server.errors import Malformed
from buoy_server.jsonvalues import clean, dumps, tag

NAME_CHARACTERS_MAX = 512
NOTES_CHARACTERS_MAX = 65_536
TAGS_MAX = 200
TAG_CHARACTERS_MAX = 256

_TEXTS = {
    "name": ("name", NAME_CHARACTERS_MAX),
    "notes": ("notes", NOTES_CHARACTERS_MAX),
    "group": ("group_name", NAME_CHARACTERS_MAX),
    "job_type": ("job_type", NAME_CHARACTERS_MAX),
}
EDITABLE = (*_TEXTS, "tags", "archived", "config")


@dataclass(frozen=True)
class Edit:
    """A change of one run.

    Attributes:
        values: Columns of SQL with their new values.
        archived: Whether it is to be archived; None leaves it.
        config: Top-level keys with new values, tagged JSON.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    archived: bool | None = None
    config: Mapping[str, object] = field(default_factory=dict)


def read_edit(given: Mapping[str, object]) -> Edit:
    """A change as a request has it.

    Raises:
        Malformed: A member is unknown or of the wrong kind.
    """
    if unknown := sorted(set(given) - set(EDITABLE)):
        raise _bad(f"{unknown[0]} cannot be changed; there are {', '.join(EDITABLE)}")
    values: dict[str, str] = {}
    for name, (column, most) in _TEXTS.items():
        if name in given:
            values[column] = _text(given[name], name, most)
    if "name" in values and not values["name"].strip():
        raise _bad("name is empty")
    if "tags" in given:
        values["tags"] = dumps(read_tags(given["tags"]))
    archived, config = given.get("archived"), given.get("config", {})
    if archived is not None and not isinstance(archived, bool):
        raise _bad("archived is true or false")
    if not isinstance(config, dict):
        raise _bad("config is an object of keys and values")
    try:
        tagged = {clean(str(key)): tag(value) for key, value in config.items()}
    except ValueError as error:
        raise _bad(f"config is {error}") from None
    return Edit(values, archived, tagged)


def read_tags(given: object) -> list[str]:
    """Tags, each once, in the order in which they were given.

    Raises:
        Malformed: They are none.
    """
    if not isinstance(given, list) or len(given) > TAGS_MAX:
        raise _bad(f"tags is a list of at most {TAGS_MAX} texts")
    tags = [_text(each, "a tag", TAG_CHARACTERS_MAX) for each in given]
    if not all(each.strip() for each in tags):
        raise _bad("a tag is empty")
    return list(dict.fromkeys(tags))


def edit_tag(row: Any) -> str:
    """Stands for the present values of what people change, config aside; for If-Match."""
    said = [row.name, row.notes, row.tags, row.group_name, row.job_type, row.archived_us]
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=9).hexdigest()


def noted(edited: str, before: Mapping[str, str], values: Mapping[str, str], now_us: int) -> str:
    """What is remembered of a person's change: when it was, and what processes had said of the field before."""
    known = json.loads(edited)
    for column in values:
        said = known.get(column, {}).get("said", before[column])
        known[column] = {"us": now_us, "said": said}
    return json.dumps(known, separators=(",", ":"))


@dataclass(frozen=True)
class Said:
    """What a process has said of a field.

    Attributes:
        value: As SQL has it.
        time_us: When, by the clock of its machine.
        starting: In passing, as it started.
    """

    value: str
    time_us: int
    starting: bool


def counting(edited: str, said: Mapping[str, Said]) -> tuple[dict[str, str], str]:
    """The values that count, and what is then remembered of people's changes."""
    known = json.loads(edited)
    values: dict[str, str] = {}
    for column, word in said.items():
        edit = known.get(column)
        if edit is None:
            values[column] = word.value
        elif word.time_us > edit["us"] and not (word.starting and word.value == edit["said"]):
            values[column] = word.value
            del known[column]
        else:
            edit["said"] = word.value
    return values, json.dumps(known, separators=(",", ":"))


def _text(value: object, name: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise _bad(f"{name} is a text of at most {most:,} characters")
    return clean(value)


def _bad(reason: str) -> Malformed:
    return Malformed("bad_edit", f"The run is not changed: {reason}.")
