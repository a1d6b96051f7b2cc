"""A run on the server, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from buoy.api import Run
from buoy.api.history import LIMIT_MAX
from buoy.export.batch import NODE, Batch, Column
from buoy.export.facts import Facts
from buoy.export.wanted import Wanted


class ServerRun:
    """Reads a run from the server."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def path(self) -> str:
        """`entity/project/id`."""
        return "/".join(self._run.path)

    def troubles(self) -> list[str]:
        """What the reader has to know of: one sentence each."""
        return [
            f"{gap['records']} records from {gap['first_seq']} on are lost: {gap['text']}"
            for gap in self._run.details()["gaps"]
        ]

    def points(self, wanted: Wanted) -> int:
        """About how many values there will be."""
        found = self._run.keys(system=wanted.system)
        return sum(entry["n"] for entry in found if not wanted.keys or entry["key"] in wanted.keys)

    def batches(self, wanted: Wanted) -> Iterator[Batch]:
        """The rows, in order."""
        pages = self._run.pages(
            key=list(wanted.keys) or None,
            rank=str(wanted.ranks),
            attempts="all" if wanted.superseded else "latest",
            stream="system" if wanted.system else "default",
            limit=LIMIT_MAX,
        )
        for page in pages:
            if page["rows"]:
                yield _batch(page)

    def facts(self) -> Facts:
        """What is known of the run."""
        found = self._run.details()
        given = {
            name: found[name] for name in (
                "entity", "project", "id", "name", "state", "exit_code", "created_us", "started_us", "ended_us",
                "tags", "notes", "group", "job_type", "config", "summary",
            )
        }  # fmt: skip
        given["summary"] = dict(sorted(found["summary"].items()))
        return Facts(
            **given,
            attempts=len(found["attempts"]),
            metadata=found["metadata"] or {},
            records_lost=sum(gap["records"] for gap in found["gaps"]),
            records_dropped=sum(writer["records_dropped"] for writer in found["writers"]),
        )


def _batch(page: dict[str, Any]) -> Batch:
    columns = {
        key: Column(column.get("at"), column["values"]) for key, column in sorted(page["columns"].items())
    }
    if "node" in page:
        columns = dict(sorted([*columns.items(), (NODE, Column(None, page["node"]))]))
    return Batch(page["step"], page["attempt"], page.get("rank", []), page["time_us"], columns)
