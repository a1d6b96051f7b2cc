"""What is known of a run besides its rows: one row of the table of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Facts:
    """A run. Times are microseconds since 1970, None where there is none yet.

    Attributes:
        attempts: how many there are.
        config: nested.
        summary: flat keys.
        metadata: of the process of the lowest rank.
        records_lost: records that are lost for good, in gaps of the log.
        records_dropped: calls of `log()` that could not be kept.
    """

    entity: str = ""
    project: str = ""
    id: str = ""
    name: str = ""
    state: str = ""
    exit_code: int | None = None
    created_us: int = 0
    started_us: int = 0
    ended_us: int | None = None
    attempts: int = 1
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    group: str = ""
    job_type: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    records_lost: int = 0
    records_dropped: int = 0

    @property
    def path(self) -> str:
        """`entity/project/id`."""
        return f"{self.entity}/{self.project}/{self.id}"


TEXTS = ("entity", "project", "id", "name", "state", "notes", "group", "job_type")
NUMBERS = ("exit_code", "attempts", "records_lost", "records_dropped")
TIMES = ("created", "started", "ended")
TREES = ("config", "summary", "metadata")
COLUMNS = (
    "entity", "project", "id", "name", "state", "exit_code", "created", "started", "ended", "attempts", "tags",
    "notes", "group", "job_type", "config", "summary", "metadata", "records_lost", "records_dropped",
)  # fmt: skip
"""Of the table of runs, in their order."""
