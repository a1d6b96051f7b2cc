"""What a run was before this process: its last step, config and summary, from the server or from local folders.

A folder is read as a whole but for its rows, of which only the last value of each key is looked at: a log of ten
million points takes a second, not a minute.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from buoy_core import decode_rows, definitions
from buoy_core.block import open_block
from buoy_core.errors import CoreError
from buoy_core.wal import Block, WalReader
from buoy_proto import v1

from buoy.api.http import Http
from buoy.errors import CommError

_BOOL, _INT, _EXACT_ELSEWHERE = 2, 1, 3


@dataclass
class Past:
    """A run as it was.

    Attributes:
        last_step: the end of its curve; None if nothing was logged.
        attempts: how many attempts there were.
        attempt_us: when the last one started, Unix microseconds.
        launch: what the streams of the last one share, on every machine; empty if that is unknown.
        config, summary: as they were.
        name, notes, tags, group, job_type: as they were; empty if not known.
    """

    last_step: int | None = None
    attempts: int = 0
    attempt_us: int = 0
    launch: bytes = b""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    group: str = ""
    job_type: str = ""

    def joined(self, other: Past | None) -> Past:
        """What two sources know together: the one with the later attempt decides where the curve ends.

        Of the same attempt both may hold a part: a server may lag behind, a folder may be one of several machines'.
        """
        if other is None:
            return self
        earlier, later = sorted((self, other), key=lambda past: (past.attempt_us, past.attempts))
        steps = [past.last_step for past in (earlier, later) if past.last_step is not None]
        same = earlier.attempt_us == later.attempt_us or b"" != earlier.launch == later.launch
        ahead = later if not same or (later.last_step or -1) >= (earlier.last_step or -1) else earlier
        return Past(
            last_step=max(steps, default=None) if same or later.last_step is None else later.last_step,
            attempts=max(self.attempts, other.attempts),
            attempt_us=later.attempt_us,
            launch=later.launch,
            config=earlier.config | later.config,
            summary=(later if ahead is earlier else earlier).summary | ahead.summary,
            name=later.name or earlier.name,
            notes=later.notes or earlier.notes,
            tags=later.tags or earlier.tags,
            group=later.group or earlier.group,
            job_type=later.job_type or earlier.job_type,
        )


def past_on_server(http: Http, entity: str, project: str, run_id: str, *, launch: bytes = b"") -> Past | None:
    """What the server knows; None if there is no such run.

    Args:
        http: the server.
        entity: owner of the project.
        project: the run's project.
        run_id: its id.
        launch: an attempt of this launch is the present one, begun by another rank, and no past.

    Raises:
        CommError: the server does not answer, or not like one: something in between may have; or the run is deleted
            (code `run_deleted`).
    """
    place = quote(f"{entity}:{project}", safe="")
    try:
        run = http.get(f"/api/v1/p/{place}/runs/{quote(run_id, safe='')}")
    except CommError as error:
        if error.status == 404 and error.code != "run_deleted":
            return None
        raise
    try:
        return _past(run, launch)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CommError(f"the answer of {http.base_url} is not that of a buoy server: {error!r}") from None


def _past(run: dict[str, Any], launch: bytes) -> Past | None:
    attempts = [item for item in run["attempts"] if not launch or item.get("launch") != launch.hex()]
    if not attempts:
        return None
    fork = run.get("fork")
    return Past(
        last_step=_end_of_curve(attempts, run["writers"], fork["step"] if fork else None),
        attempts=len(attempts),
        attempt_us=max(item["started_us"] for item in attempts),
        launch=bytes.fromhex(attempts[-1].get("launch", "")),
        config=run["config"],
        summary=run["summary"],
        name=run["name"],
        notes=run["notes"],
        tags=tuple(run["tags"]),
        group=run["group"],
        job_type=run["job_type"],
    )


def _end_of_curve(
    attempts: list[dict[str, Any]], writers: list[dict[str, Any]], forked_at: int | None
) -> int | None:
    """The last step of the last attempt that has begun to log, or has taken steps back."""
    for attempt in reversed(attempts):
        if attempt["first_step"] is None:
            continue
        steps = [item["last_step"] for item in writers if item["attempt"] == attempt["attempt"]]
        ends = [int(step) for step in steps if step is not None]
        return max(ends, default=int(attempt["first_step"]) - 1)
    return forked_at


def past_in_folders(
    parent: Path, entity: str, project: str, run_id: str, *, launch: bytes = b""
) -> Past | None:
    """What the run's folders under `parent` know together; None if there is none. For the arguments see above."""
    found: Past | None = None
    launches: set[bytes] = set()
    for folder in _folders_of(parent, entity, project, run_id):
        past = _Reader(folder).past(launch)
        if past is not None:
            found = past if found is None else found.joined(past)
            # The machines of one launch may keep their folders side by side.
            launches.add(past.launch or folder.name.encode())
            found.attempts = len(launches)
    return found


def _folders_of(parent: Path, entity: str, project: str, run_id: str) -> Iterator[Path]:
    ending = glob.escape(quote(run_id, safe=" +=@()[]{}"))
    for folder in sorted(parent.glob(f"run-*-{ending}*")):
        try:
            about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            names = about["entity"], about["project"], about["run_id"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if names == (entity, project, run_id):
            yield folder


class _Reader:
    """Reads one folder's log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._past = Past(attempts=1)
        self._names: dict[bytes, dict[int, str]] = {}

    def past(self, launch: bytes) -> Past | None:
        """What it says; None if it cannot be read or is of this launch."""
        try:
            for item in WalReader(str(self._folder / "wal")).blocks():
                if isinstance(item, Block):
                    self._take(item)
        except (OSError, CoreError):
            return None
        return None if launch and launch == self._past.launch else self._past

    def _take(self, block: Block) -> None:
        try:
            header, payload = open_block(block.data, path=block.path)
            for _, data in definitions(payload):
                self._define(header.writer_id, v1.Record.FromString(data))
            columns = decode_rows(payload)
        except (CoreError, ValueError):
            return
        steps = memoryview(columns.step).cast("q")
        names = self._names.get(header.writer_id, {})
        if len(steps):
            self._reach(max(steps))
        values, kinds = memoryview(columns.value).cast("d"), memoryview(columns.kind).cast("B")
        # The last place of each key, found by a loop that is not in Python.
        for key_id, at in dict(
            zip(memoryview(columns.key_id).cast("I"), range(columns.n), strict=True)
        ).items():
            if kinds[at] != _EXACT_ELSEWHERE and key_id in names:
                number = values[at]
                kind = kinds[at]
                self._past.summary[names[key_id]] = (
                    bool(number) if kind == _BOOL else int(number) if kind == _INT else number
                )
        for _, step, _, key_id, other in columns.others:
            self._reach(step)
            if key_id in names:
                self._past.summary[names[key_id]] = other

    def _reach(self, step: int) -> None:
        before = self._past.last_step
        self._past.last_step = step if before is None else max(before, step)

    def _define(self, writer: bytes, record: v1.Record) -> None:
        kind = record.WhichOneof("kind")
        if kind == "key":
            self._names.setdefault(writer, {})[record.key.id] = record.key.name
        elif kind == "stream_start":
            start = record.stream_start
            self._past.attempt_us, self._past.launch = start.time_unix_us, start.launch_id
            if start.HasField("branch"):
                self._past.last_step = start.branch.step
            self._describe(start.run)
        elif kind == "writer_start":
            self._describe(record.writer_start.run)
        elif kind == "config":
            _apply(self._past.config, record.config)
        elif kind == "summary":
            _apply(self._past.summary, record.summary)
        elif kind == "run":
            self._describe(record.run)

    def _describe(self, info: v1.RunInfo | v1.RunUpdate) -> None:
        past = self._past
        past.name, past.notes = info.name or past.name, info.notes or past.notes
        past.group, past.job_type = info.group or past.group, info.job_type or past.job_type
        tags = info.tags.values if isinstance(info, v1.RunUpdate) else info.tags
        past.tags = tuple(tags) or past.tags


def _apply(values: dict[str, Any], update: v1.ConfigUpdate | v1.SummaryUpdate) -> None:
    for entry in update.set:
        values[entry.key] = json.loads(entry.json)
    for key in update.removed:
        values.pop(key, None)
