"""One writer of a run: turns what happens into records in this process's own spool.

Nothing here talks to anybody. When `append()` or the writer's `log()` has returned, the record is in pages that belong
to the kernel, and the daemon finds it there, now or when it next runs.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from buoy_core import Writer
from buoy_core.errors import ForkedWriter, SpoolFull
from buoy_core.format import FREE_BYTES_MIN, SPOOL_BYTES_MAX
from buoy_core.spool_lock import SpoolLock
from buoy_core.state import outbox_root, spool_root
from buoy_proto import v1

from buoy.clock import steady_s
from buoy.ranks import Rank, batch_job
from buoy.tracking.metric import Metric, Statistics
from buoy.values import dumps, flatten

_GOALS = {None: v1.GOAL_UNSPECIFIED, "minimize": v1.GOAL_MINIMIZE, "maximize": v1.GOAL_MAXIMIZE}


_WAITING_MAX = 1000
"""Records other than rows that wait in memory for room in the spool; of later ones only the number is kept."""


class Start(NamedTuple):
    """What a writer says about itself and its run before anything else."""

    entity: str
    project: str
    run_id: str
    name: str
    notes: str
    tags: tuple[str, ...]
    group: str
    job_type: str
    run_dir: str
    base_url: str
    rank: Rank
    telemetry: bool
    attempt: int = 0
    parent_writer: bytes = b""
    """The writer whose process forked or called this one; empty for the process that began the run."""
    spool_bytes_max: int = SPOOL_BYTES_MAX
    free_bytes_min: int = FREE_BYTES_MIN
    launch: bytes = b""
    """What the processes of this launch of the job share; empty if there is one process, or nothing is known."""
    after_us: int = 0
    """When the attempt that this one goes on from started, as the server or its log has it; 0 if there is none."""
    branch: bytes = b""
    """Serialised v1.Branch: which steps come before this run's own; empty if the user has not said."""
    keep_days: float | None = None
    keep_gb: float | None = None
    """What housekeeping may do to the local copy; None = what is usual."""


class Recorder(Protocol):
    """Where a run's records go."""

    def log(self, data: Mapping[str, object], step: int | None = None, commit: bool | None = None) -> None:
        """Records a row of metrics."""

    @property
    def step(self) -> int:
        """The step that the next row gets."""

    def last_values(self) -> dict[str, object]:
        """The latest value of each key."""

    def statistics(self, key: str) -> Statistics | None:
        """What is known about a numeric key."""

    def history(self, key: str) -> list[float]:
        """A few points of a numeric key, evenly spread."""

    def config(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Records a change of the configuration."""

    def summary(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Records values set by hand in the summary."""

    def metric(self, metric: Metric, *, overwrite: bool) -> None:
        """Records a definition."""

    def update(self, **changed: object) -> None:
        """Records changed properties of the run: name, notes, group, job_type, tags."""


class NoRecorder:
    """Makes no file and no record: for disabled runs and for ranks that have no part in the run.

    The latest values stay in memory, because a script may read back from the summary what it has logged.
    """

    def __init__(self) -> None:
        self.step = 0
        self._last: dict[str, object] = {}

    def log(self, data: Mapping[str, object], step: int | None = None, commit: bool | None = None) -> None:
        """Counts the step as a writer does."""
        if not isinstance(data, Mapping):
            raise TypeError(f"log() takes a dict of metrics, not {type(data).__name__}")
        self._last.update(flatten(data))
        commit = step is None if commit is None else commit
        step = self.step if step is None else step
        if step >= self.step:
            self.step = step + 1 if commit else step

    def last_values(self) -> dict[str, object]:
        """The latest value of each key."""
        return self._last

    def statistics(self, key: str) -> Statistics | None:  # noqa: ARG002
        """Nothing was kept."""
        return None

    def history(self, key: str) -> list[float]:  # noqa: ARG002
        """Nothing was kept."""
        return []

    def config(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Does nothing."""

    def summary(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Does nothing."""

    def metric(self, metric: Metric, *, overwrite: bool) -> None:
        """Does nothing."""

    def update(self, **changed: object) -> None:
        """Does nothing."""


class UnopenedRecorder(NoRecorder):
    """Stands in a process that got the run by pickle, until there is something to record.

    Args:
        writer_id: the writer that the process branches off from.
        step: where it goes on counting.
    """

    def __init__(self, writer_id: bytes, step: int) -> None:
        super().__init__()
        self.writer_id = writer_id
        self.step = step

    def log(self, data: Mapping[str, object], step: int | None = None, commit: bool | None = None) -> None:  # noqa: ARG002
        """Refuses, as the writer of a parent process does."""
        raise ForkedWriter("this process has no writer yet")


def spool_parent(transport: str, state: Path) -> Path:
    """The folder for new spools: the daemon's, or the outbox of those that are sent over gRPC.

    Raises:
        OSError: it cannot be made.
    """
    if transport == "spool":
        return spool_root(state)
    outbox = outbox_root(state, platform.node())
    outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    return outbox


class SpoolRecorder:
    """Writes a spool of its own.

    A row that finds no room is dropped and counted. What is not a row (configuration, summary and the like) waits in
    memory instead, because it is said only once and there is little of it.

    Args:
        start: who writes.
        root: folder that gets the spool.
        dropped: rows that came before it could be made.

    Attributes:
        on_full: called when rows begin to be dropped, with the reason, and with None when they are kept again.

    Raises:
        OSError, CoreError: the spool cannot be made.
    """

    def __init__(self, start: Start, root: Path, *, dropped: int = 0) -> None:
        self.pid = os.getpid()
        self.writer_id = secrets.token_bytes(16)
        self.directory = root / self.writer_id.hex()
        self.start = writer_start(start, self.writer_id)
        self._began_s = steady_s()
        self.on_full: Callable[[SpoolFull | None], None] | None = None
        self._waiting: deque[bytes] = deque()
        self._ordering = threading.RLock()
        try:
            self.writer = Writer(
                str(self.directory),
                writer_id=self.writer_id,
                spool_bytes_max=start.spool_bytes_max,
                free_bytes_min=start.free_bytes_min,
                dropped=dropped,
            )
        except BaseException:
            # A folder without a segment would look like a writer that is just beginning.
            with contextlib.suppress(OSError):
                self.directory.rmdir()
            raise
        self.writer.on_full = self._room_changed
        self._lock: SpoolLock | None = None
        # Without it the daemon cannot tell an exec from a process that is busy.
        with contextlib.suppress(OSError):
            self._lock = SpoolLock(str(self.directory))
        self.log = self.writer.log
        self.history = self.writer.history
        self.last_values = self.writer.last_values
        self.append(v1.Record(writer_start=self.start))

    @property
    def step(self) -> int:
        """The step that the next row gets."""
        return self.writer.step

    @property
    def committed(self) -> int:
        """The writer's offset after the last complete frame."""
        return self.writer.committed

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self.writer.closed

    def heed_stop(self) -> None:
        """Interrupts this process if the run is to stop, and it was not interrupted yet."""
        self.writer.heed_stop()

    def statistics(self, key: str) -> Statistics | None:
        """What is known about a numeric key."""
        return self.writer.statistics(key)

    def append(self, record: v1.Record) -> None:
        """Writes any record but a row; while the disk is full it waits here."""
        with self._ordering:
            self._waiting.append(record.SerializeToString())
            self._write_waiting()
            if len(self._waiting) > _WAITING_MAX:
                self.writer.append(self._waiting.pop())

    def _write_waiting(self) -> None:
        with self._ordering:
            while self._waiting:
                # Taken out first: if this is the record that finds room again, `_room_changed` comes back here.
                record = self._waiting.popleft()
                if not self.writer.append(record, counted=False):
                    self._waiting.appendleft(record)
                    return

    def _room_changed(self, error: SpoolFull | None) -> None:
        if error is None:
            self._write_waiting()
        if self.on_full is not None:
            self.on_full(error)

    def config(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Records a change of the configuration."""
        self.append(v1.Record(config=v1.ConfigUpdate(set=_entries(values), removed=removed)))

    def summary(self, values: Mapping[str, object], removed: Iterable[str]) -> None:
        """Records values set by hand in the summary."""
        self.append(v1.Record(summary=v1.SummaryUpdate(set=_entries(values), removed=removed)))

    def metric(self, metric: Metric, *, overwrite: bool) -> None:
        """Records a definition."""
        definition = v1.MetricDef(
            name=metric.name,
            step_metric=metric.step_metric or "",
            step_sync=metric.step_sync,
            hidden=metric.hidden,
            summary=metric.summary,
            goal=_GOALS[metric.goal],
            overwrite=overwrite,
        )
        self.append(v1.Record(metric=definition))

    def update(self, **changed: object) -> None:
        """Records changed properties of the run."""
        if "tags" in changed:
            changed["tags"] = v1.Tags(values=changed["tags"])  # type: ignore[arg-type]
        self.append(v1.Record(run=v1.RunUpdate(**changed)))  # type: ignore[arg-type]

    def end(self, state: int, exit_code: int) -> None:
        """Writes the last record and closes the spool: from here on the daemon knows how it ended."""
        self._write_waiting()
        end = v1.WriterEnd(
            writer_id=self.writer_id,
            state=state,  # type: ignore[arg-type]
            exit_code=exit_code,
            # Not by the wall clock: it may have been set back, and runs end after they have begun.
            time_unix_us=self.start.time_unix_us + int((steady_s() - self._began_s) * 1e6),
            records_dropped=self.dropped,
        )
        # It has room in any spool: the writer keeps some for it.
        self.writer.append(v1.Record(writer_end=end).SerializeToString(), last=True)
        self.writer.close()
        self.let_go()

    def let_go(self) -> None:
        """Gives up the descriptor of the spool's lock, in a forked child for instance, which has no use for it."""
        if self._lock is not None:
            self._lock.let_go()

    @property
    def dropped(self) -> int:
        """Records that could not be kept, those that wait included."""
        return self.writer.dropped + len(self._waiting)

    def discard(self) -> None:
        """Deletes a spool that only this process knew; the daemon has everything."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def hand_over(self, root: Path) -> None:
        """Moves the spool to those that a daemon on this machine looks for.

        Raises:
            OSError: it stays where it is.
        """
        root.mkdir(mode=0o700, exist_ok=True)
        self.directory = self.directory.rename(root / self.directory.name)


def _entries(values: Mapping[str, object]) -> list[v1.Entry]:
    return [v1.Entry(key=_encodable(key), json=_encodable(dumps(value))) for key, value in values.items()]


def _encodable(text: str) -> str:
    """Protobuf strings are UTF-8: a lone surrogate becomes its escape, as in the keys of rows."""
    return text.encode("utf-8", "backslashreplace").decode()


def writer_start(start: Start, writer_id: bytes) -> v1.WriterStart:
    """The first record of a spool."""
    run = v1.RunInfo(
        entity=_encodable(start.entity),
        project=_encodable(start.project),
        run_id=_encodable(start.run_id),
        name=_encodable(start.name),
        notes=_encodable(start.notes),
        tags=[_encodable(tag) for tag in start.tags],
        group=_encodable(start.group),
        job_type=_encodable(start.job_type),
    )
    return v1.WriterStart(
        writer_id=writer_id,
        run=run,
        time_unix_us=time.time_ns() // 1000,
        rank=start.rank.rank,
        local_rank=start.rank.local_rank,
        world_size=start.rank.world_size,
        host=platform.node(),
        pid=os.getpid(),
        run_dir=_encodable(start.run_dir),
        base_url=start.base_url,
        metadata_json=_encodable(dumps(metadata() | place(start.rank))),
        telemetry=start.telemetry,
        attempt=start.attempt,
        parent_writer=start.parent_writer,
        launch_id=start.launch,
        after_unix_us=start.after_us,
        branch=v1.Branch.FromString(start.branch) if start.branch else None,
        keep_days=start.keep_days,
        keep_gb=start.keep_gb,
    )


def metadata() -> dict[str, object]:
    """What people want to know later about the process."""
    return {
        "program": sys.argv[0] if sys.argv else "",
        "args": sys.argv[1:],
        "python": platform.python_version(),
        "executable": sys.executable,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "host": platform.node(),
        "cpu_count": os.cpu_count() or 0,
        "cwd": _working_folder(),
    }


def place(rank: Rank) -> dict[str, object]:
    """Where in which job the process is; nothing outside of a job."""
    if not rank.launcher:
        return {}
    job = batch_job(os.environ)
    return {"launcher": rank.launcher, "node_rank": rank.node_rank, **({"job": job} if job else {})}


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""
