"""Which column of a run a key means.

A run's own columns come first, then what the project's runs have in their configs, then its metrics. `config.` and
`summary.` in front of a name say so themselves; so does an aggregate.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Protocol

from buoy_server.filters.nodes import BadFilter, Key

TEXTS = ("id", "name", "state", "group", "job_type", "notes", "host", "parent")
TIMES = ("created_us", "started_us", "ended_us", "heartbeat_us", "archived_us")
NUMBERS = ("attempts", "rev", "exit_code", "duration")
FLAGS = ("archived",)
COLUMNS = (*TEXTS, "tags", *NUMBERS, *TIMES, *FLAGS)
"""The run's own. `duration` is in seconds, the columns that end with `_us` are times in microseconds since 1970."""

SYNONYMS = {
    "tag": "tags",
    "created": "created_us",
    "created_at": "created_us",
    "started": "started_us",
    "ended": "ended_us",
    "heartbeat": "heartbeat_us",
    "heartbeat_at": "heartbeat_us",
    "display_name": "name",
    "jobtype": "job_type",
    "run": "id",
    "note": "notes",
}
STATES = ("running", "finished", "failed", "killed", "crashed")


class Vocabulary(Protocol):
    """What a project's runs have."""

    def has_config(self, path: str) -> bool:
        """Whether any run has this path in its config."""

    def has_metric(self, name: str) -> bool:
        """Whether any run has logged this key, or has it in its summary."""

    def known(self) -> Collection[str]:
        """Names to propose for one that is not there."""


def own_column(name: str) -> str | None:
    """The run's own column of a name."""
    found = SYNONYMS.get(name, name)
    return found if found in COLUMNS else None


def column_of(key: Key, vocabulary: Vocabulary) -> str:
    """The column: one of `COLUMNS`, `config.<path>`, `summary.<key>` or `<aggregate>(<key>)`.

    Raises:
        BadFilter: No run has anything of that name.
    """
    name = key.name
    if key.aggregate:
        return f"{key.aggregate}({name.removeprefix('summary.')})"
    if own := own_column(name):
        return own
    kind, dot, rest = name.partition(".")
    if dot and rest and kind in ("config", "summary"):
        return name
    if name and vocabulary.has_config(name):
        return f"config.{name}"
    if name and vocabulary.has_metric(name):
        return f"summary.{name}"
    near = difflib.get_close_matches(name, [*COLUMNS, *SYNONYMS, *vocabulary.known()], 3, 0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(COLUMNS)}"
    raise BadFilter(
        f"no run here has {name!r}; {hint}; config.{name or 'KEY'} and summary.{name or 'KEY'} may be asked for "
        "before any run has them",
        key.at,
        "unknown_key",
    )


def is_time(column: str) -> bool:
    """Whether values of a column are times."""
    return column in TIMES


def is_duration(column: str) -> bool:
    """Whether values of a column are spans of time, in seconds."""
    return column == "duration"
