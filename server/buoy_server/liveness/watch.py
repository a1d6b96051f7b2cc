"""Which ranks of a running attempt are in trouble: dead, no longer logging, or behind. Pure: times come in.

A rank is compared with its fellows and with its own past, never with a fixed number of steps:

- Time is the attempt's own: the watch's clock goes on only while at least half of the ranks log. While all of them
  wait for one (evaluation on rank 0, a checkpoint, a barrier) nobody is late, and who comes back a second after the
  others has been silent for no time at all.
- **stopped**: nothing logged for `stopped_after` of that time and what is usual in this job, and for three times the
  longest pause that it has made and come back from. So a rank that evaluates every hour, or logs every hundredth step,
  is taken for dead once at most. A pause is forgotten slowly: by half in ten times its length.
- **lagging**: its steps in a unit of time are less than the median's by `lagging_factor`, measured from one of its
  reports to another over minutes, its longest pause left out. Not the difference of the steps: a rank that was stopped
  for an hour and goes on at full speed stays behind for ever and is in no trouble; one whose machine is slow falls
  behind by little at first. It counts as keeping up again at one and a half times the pace at which it was marked.
- **dead**: its process has failed, was killed or crashed, and others still run after a moment. In most jobs all end
  together, and then the run's own state says it.
- **lost**: its machine is missing. The machine's event tells that.

What cannot be known is not judged: a rank whose machine has a backlog or was not heard of, one that has logged nothing
yet, the time in which no judgement was made.

    Rank (what SQL knows now) --+
                                +--> judge --> Watch (what to remember) --> changes --> events
    Watch (of the last time) ---+
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_high

STOPPED, LAGGING, DEAD, LOST = "stopped", "lagging", "dead", "lost"
MARKS = (DEAD, LOST, STOPPED, LAGGING)
"""The worst first."""

PAUSES = 3
"""So many times its longest pause makes a rank's silence unusual."""

PAUSE_HALVES = 10
"""A pause is forgotten by half in so many times its length."""

REPORTS_MIN = 4
"""How often a rank must have reported before its pauses mean anything."""

START_PATIENCE = 5
"""Until then its silence counts only after so many times the usual."""

RECOVERY = 1.5
"""A lagging rank keeps up again at so many times the pace at which it was marked."""

TICKS = 12
"""Judgements in `stopped_after`."""

BREAK = 4
"""If so many times the usual is between two judgements, nothing is said of the time in between."""

_FAILED = ("failed", "killed", "crashed")


@dataclass(frozen=True)
class Limits:
    """What the server was asked for.

    Attributes:
        stopped_after_us: How long a rank may log nothing while others do.
        lagging_factor: How many times slower than the median it may be; 0 = any number.
        unheard_us: How long nothing may be heard of a machine before its ranks are not judged. Longer than two
            heartbeats are apart.
    """

    stopped_after_us: int = 60_000_000
    lagging_factor: float = 3.0
    unheard_us: int = 35_000_000

    @property
    def interval_us(self) -> int:
        """Time between judgements."""
        return self.stopped_after_us // TICKS


@dataclass(frozen=True)
class Rank:
    """What is known of a rank now.

    Attributes:
        rank: Its number.
        writer: Id of its present process.
        state: That process's state.
        missing: Its machine is.
        late: Its machine has records that have not arrived.
        step: The last that it has logged.
        heard_us: When rows of it last arrived; None if none did.
        machine_us: When its machine was last heard of.
    """

    rank: int
    writer: str
    state: str
    missing: bool = False
    late: bool = False
    step: int | None = None
    heard_us: int | None = None
    machine_us: int = 0

    @property
    def lives(self) -> bool:
        """Whether its process runs, as far as anybody can tell."""
        return self.state == "running" and not self.missing

    @property
    def logs(self) -> bool:
        """Whether it lives and has logged anything."""
        return self.lives and self.step is not None and self.heard_us is not None


@dataclass(frozen=True)
class Seen:
    """What is remembered of a rank. `at` and all that is not `_us` of the server is the watch's clock.

    Attributes:
        writer: Whose process this is about.
        heard_us: When its last known rows arrived.
        at: When that was.
        silent_at: Since when it has been silent, as far as that is its own doing: `at`, or later.
        step: Its last step then.
        reports: How often rows were seen to arrive, up to REPORTS_MIN.
        pause: The longest pause that it came back from, at the moment `pause_at`.
        pause_at: See there.
        base: Step and moment of its last report when the present window began.
        older: The same for the window before.
        mark: "" or one of MARKS.
        since_us: Since when it has the mark.
        dead_us: When its process was first seen to have ended badly; 0 = it has not.
    """

    writer: str
    heard_us: int = 0
    at: int = 0
    silent_at: int = 0
    step: int = 0
    reports: int = 0
    pause: int = 0
    pause_at: int = 0
    base: tuple[int, int] | None = None
    older: tuple[int, int] | None = None
    mark: str = ""
    since_us: int = 0
    dead_us: int = 0

    def pause_by(self, clock: int) -> int:
        """What is left of its longest pause."""
        if not self.pause:
            return 0
        halves = (clock - self.pause_at) / (PAUSE_HALVES * self.pause)
        return int(self.pause * 2.0**-halves)


@dataclass(frozen=True)
class Watch:
    """An attempt's ranks after a judgement.

    Attributes:
        judged_us: When that was.
        clock: Its own time, in which at least half of the ranks log.
        rolled: When the present window began.
        ranks: By number.
    """

    judged_us: int = 0
    clock: int = 0
    rolled: int = 0
    ranks: Mapping[int, Seen] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Ranks that have got a mark at one judgement; or lost theirs, which `was`, and then `mark` is empty."""

    mark: str
    was: str
    ranks: tuple[int, ...]


def judge(
    before: Watch | None, ranks: Sequence[Rank], limits: Limits, now_us: int, *, stopping: bool = False
) -> Watch:
    """The next state of a watch.

    Args:
        before: What was remembered; None at the first time.
        ranks: All ranks of the attempt, each with its latest process.
        limits: See there.
        now_us: The server's time.
        stopping: The attempt was asked to stop, so that its ranks end one by one: nobody is newly marked.
    """
    known = before or Watch(judged_us=now_us)
    tick = _Tick(known, ranks, limits, now_us)
    seen = {item.rank: tick.listen(item) for item in ranks}
    paces = {item.rank: pace for item in ranks if (pace := tick.pace(item, seen[item.rank])) is not None}
    median = median_high(paces.values()) if paces else 0.0
    for item in ranks:
        mine = seen[item.rank]
        mark = tick.mark(item, mine, paces.get(item.rank), median)
        if mark != mine.mark and not (stopping and mark):
            seen[item.rank] = replace(mine, mark=mark, since_us=now_us if mark else 0)
    return Watch(now_us, tick.clock, tick.clock if tick.rolls else known.rolled, seen)


def changes(before: Watch | None, after: Watch, ranks: Sequence[Rank]) -> list[Change]:
    """What is to be told of a judgement, the worst first. A mark goes without a word from a rank that has ended."""
    found: dict[tuple[str, str], list[int]] = {}
    for item in sorted(ranks, key=lambda item: item.rank):
        old = before.ranks.get(item.rank) if before else None
        was, now = old.mark if old else "", after.ranks[item.rank].mark
        told = now in (STOPPED, LAGGING, DEAD) or (not now and was != LOST and item.lives)
        if now != was and told:
            found.setdefault((now, "" if now else was), []).append(item.rank)
    order = (*MARKS, "")
    return [Change(*key, tuple(found[key])) for key in sorted(found, key=lambda key: order.index(key[0]))]


class _Tick:
    """One judgement."""

    def __init__(self, known: Watch, ranks: Sequence[Rank], limits: Limits, now_us: int) -> None:
        self._known = known
        self._limits = limits
        self._now_us = now_us
        logging = [item for item in ranks if item.logs]
        self._living = sum(item.lives for item in ranks)
        self._pause = self._usual_pause(logging)
        self._passed = self._time_passed(logging)
        self.clock = known.clock + self._passed
        window = max(4 * limits.stopped_after_us, 8 * self._pause)
        self.rolls = self.clock - known.rolled >= window // 2

    def _usual_pause(self, logging: Sequence[Rank]) -> int:
        pauses = [
            seen.pause_by(self._known.clock) for item in logging if (seen := self._known.ranks.get(item.rank))
        ]
        return median_high(pauses) if pauses else 0

    def _time_passed(self, logging: Sequence[Rank]) -> int:
        """How far the watch's clock goes on: not while half of the ranks are silent, or nobody judged."""
        elapsed = self._now_us - self._known.judged_us
        if len(logging) < 2 or not 0 < elapsed <= BREAK * self._limits.interval_us:
            return 0
        newest = median_high(item.heard_us or 0 for item in logging)
        quiet = self._now_us - newest
        # At most so much of a silence that all share counts; `_patience` makes up for it.
        return elapsed if quiet <= 3 * self._limits.interval_us + self._pause else 0

    def listen(self, item: Rank) -> Seen:
        """What is remembered of a rank, with what is new."""
        seen = self._known.ranks.get(item.rank)
        dead_us = 0
        if item.state in _FAILED:
            dead_us = (seen.dead_us if seen else 0) or self._now_us
        if seen is None or seen.writer != item.writer:
            mark, since_us = (seen.mark, seen.since_us) if seen else ("", 0)
            seen = Seen(item.writer, at=self.clock, silent_at=self.clock, mark=mark, since_us=since_us)
        if item.logs and (item.heard_us or 0) > seen.heard_us:
            seen = self._reported(item, seen)
        elif not item.logs or item.late or self._now_us - item.machine_us > self._limits.unheard_us:
            seen = replace(seen, silent_at=seen.silent_at + self._passed)
        if self.rolls:
            base = (seen.step, seen.at) if seen.heard_us else None
            seen = replace(seen, older=seen.base, base=base)
        return replace(seen, dead_us=dead_us)

    def _reported(self, item: Rank, seen: Seen) -> Seen:
        pause, pause_at = seen.pause, seen.pause_at
        silence = self.clock - seen.silent_at
        if seen.heard_us and silence >= seen.pause_by(self.clock):
            pause, pause_at = silence, self.clock
        return replace(
            seen,
            heard_us=item.heard_us or 0,
            at=self.clock,
            silent_at=self.clock,
            step=item.step or 0,
            reports=min(seen.reports + 1, REPORTS_MIN),
            pause=pause,
            pause_at=pause_at,
        )

    def pace(self, item: Rank, seen: Seen) -> float | None:
        """A rank's steps in a second from one of its reports to another, its longest pause left out."""
        if not item.logs or item.late or seen.older is None:
            return None
        step, at = seen.older
        span = seen.at - at
        if seen.pause_at > at and seen.pause > 2 * self._limits.interval_us:
            span -= min(seen.pause, seen.pause_at - at)
        return (seen.step - step) / span * 1e6 if span >= self._limits.stopped_after_us // 2 else None

    def mark(self, item: Rank, seen: Seen, pace: float | None, median: float) -> str:
        """The mark that a rank should have."""
        if item.state in _FAILED:
            over = self._now_us - seen.dead_us >= self._limits.stopped_after_us // 6
            return DEAD if over and self._living else seen.mark
        if item.state != "running":
            return ""
        if item.missing:
            return LOST
        if not item.logs:
            return ""
        if self.clock - seen.silent_at > self._patience(seen):
            return STOPPED
        return self._pace_mark(seen, pace, median)

    def _patience(self, seen: Seen) -> int:
        patience = max(self._limits.stopped_after_us, PAUSES * seen.pause_by(self.clock)) + self._pause
        return patience if seen.reports >= REPORTS_MIN else START_PATIENCE * patience

    def _pace_mark(self, seen: Seen, pace: float | None, median: float) -> str:
        factor = self._limits.lagging_factor
        before = LAGGING if seen.mark == LAGGING and factor else ""
        if pace is None or not factor:
            return before
        if before:
            return "" if pace * factor >= RECOVERY * median else LAGGING
        return LAGGING if pace * factor < median else ""
