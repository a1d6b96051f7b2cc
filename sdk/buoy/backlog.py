"""How much of what this machine has recorded is not on a server yet, and why.

Worked out from what the daemon says of itself, one answer after the other; no clock, no connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buoy_proto import v1

RUNNING = 1
"""`v1.RUN_STATE_RUNNING`, without loading the messages."""


@dataclass(frozen=True)
class Waiting:
    """A run of which not everything is on its server, or a spool that belongs to no run yet."""

    name: str
    records: int
    state: str
    error: str

    def __str__(self) -> str:
        count = f"{self.records:,} record{'s' * (self.records != 1)} wait{'s' * (self.records == 1)}"
        what = count if self.records else "what it recorded waits"
        return f"{self.name}: {what}: {self.state}{f' ({self.error})' if self.error else ''}"


@dataclass
class Backlog:
    """What waits, as of the last answer.

    Attributes:
        total: records of all runs that belong on a server.
        sent: those of them that are there.
        runs: how many runs that are.
        waiting: what is not there.
        offline: folders of runs that were told to stay here.
    """

    total: int = 0
    sent: int = 0
    runs: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    offline: list[str] = field(default_factory=list)
    _seen: dict[bytes, int] = field(default_factory=dict)
    _goals: dict[str, int] = field(default_factory=dict)

    def take(self, status: v1.StatusResponse) -> None:
        """Takes in what the daemon says now."""
        self.total = self.sent = self.runs = 0
        self.waiting, self.offline = [], []
        for run in status.runs:
            if run.upload_state == "offline":
                self.offline.append(run.run_dir)
            else:
                self._take_run(run)
        for spool in status.waiting:
            self.waiting.append(Waiting(f"spool {spool.path}", 0, "belongs to no run", spool.reason))

    def _take_run(self, run: v1.RunStatus) -> None:
        goal = self._goal(run)
        known = run.next_seq if goal is None else goal
        sent = min(run.acked_seq, known)
        self.runs += 1
        self.total += known
        self.sent += sent
        if goal is None or sent < goal or run.log_error:
            state, error = run.upload_state, run.upload_error
            if run.log_error:
                state, error = "not in its log yet", run.log_error
            elif sent >= known or state == "idle":
                state = "is being read"
            info = run.run
            name = f"{info.entity or 'local'}/{info.project}/{info.run_id}"
            self.waiting.append(Waiting(name, known - sent, state, error))

    def _goal(self, run: v1.RunStatus) -> int | None:
        """How many records of a run have to be on the server; None while that is not known.

        Of a run that goes on, those count that had been recorded when it was first looked at.
        """
        if run.run_dir in self._goals:
            return self._goals[run.run_dir]
        writers = [writer for writer in run.writers if writer.state == RUNNING]
        if not writers:
            return run.next_seq
        for writer in writers:
            wanted = self._seen.setdefault(writer.writer_id, writer.committed_offset)
            if not writer.alive or writer.logged_offset < wanted:
                return None
        return self._goals.setdefault(run.run_dir, run.next_seq)

    @property
    def refused(self) -> bool:
        """Whether all that waits does so because somebody said no: time alone will not help."""
        return bool(self.waiting) and all(
            item.state in {"refused", "belongs to no run"} for item in self.waiting
        )
