"""When a rank is in trouble: a simulated job, judged as the server does it, without a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from buoy_server.liveness.watch import (
    DEAD,
    LAGGING,
    LOST,
    STOPPED,
    Change,
    Limits,
    Rank,
    Watch,
    changes,
    judge,
)
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = settings(max_examples=10, deadline=None)
S = 1_000_000
LIMITS = Limits()
TICK = LIMITS.interval_us
START = 1_700_000_000 * S


@dataclass
class Sim:
    """One rank: how long a step takes it, how often it logs, when it does nothing, what becomes of it."""

    step_s: float = 1.0
    every: int = 1
    pauses: list[tuple[float, float]] = field(default_factory=list)
    dies_s: float = float("inf")
    dies_as: str = "crashed"
    begins_s: float = 0.0

    # Pauses ascend and do not overlap.

    def worked(self, now_s: float) -> float:
        """Seconds of work by then."""
        until = min(now_s, self.dies_s)
        lost = sum(min(until, end) - begin for begin, end in self.pauses if begin < until)
        return max(0.0, until - self.begins_s - lost)

    def logged(self, now_s: float) -> int:
        """The last step that it has logged."""
        return int(self.worked(now_s) / self.step_s) // self.every * self.every

    def heard_s(self, step: int) -> float:
        """When it logged that."""
        now_s = self.begins_s + step * self.step_s
        for begin, end in self.pauses:
            if begin < now_s:
                now_s += end - begin
        return now_s

    def at(self, rank: int, now_s: float) -> Rank:
        begun = now_s >= self.begins_s + self.step_s
        return Rank(
            rank,
            writer=f"w{rank}",
            state="running" if now_s < self.dies_s else self.dies_as,
            step=self.logged(now_s) if begun else None,
            heard_us=START + round(self.heard_s(self.logged(now_s)) * S) if begun else None,
            machine_us=START + round(now_s * S),
        )


@dataclass
class Told:
    """What the judge has told, and when."""

    changes: list[tuple[float, Change]] = field(default_factory=list)
    watch: Watch | None = None

    def of(self, rank: int) -> list[str]:
        return [change.mark for _, change in self.changes if rank in change.ranks]

    def when(self, rank: int, mark: str) -> float:
        return next(at for at, change in self.changes if rank in change.ranks and change.mark == mark)


def job(
    sims: Iterable[Sim],
    seconds: float,
    *,
    limits: Limits = LIMITS,
    change: Callable[[float, Rank], Rank] = lambda _, rank: rank,
    away: tuple[float, float] = (0.0, 0.0),
    begin: float = 0.0,
    told: Told | None = None,
) -> Told:
    """Judges at each tick; not while the server is away."""
    told = told or Told()
    sims = list(sims)
    now_s = begin
    while now_s < seconds:
        if not away[0] <= now_s < away[1]:
            ranks = [change(now_s, sim.at(rank, now_s)) for rank, sim in enumerate(sims)]
            after = judge(told.watch, ranks, limits, START + round(now_s * S))
            told.changes += [(now_s, item) for item in changes(told.watch, after, ranks)]
            told.watch = after
        now_s += limits.interval_us / S
    return told


spans = st.tuples(st.floats(10, 3000), st.floats(0, 900))


@QUICK
@given(
    st.integers(2, 9),
    st.floats(0.05, 40),
    st.lists(spans, max_size=4),
    st.lists(st.integers(1, 20), min_size=9, max_size=9),
    st.lists(st.floats(0, 3), min_size=9, max_size=9),
)
def test_ranks_in_step_are_in_no_trouble(
    count: int, step_s: float, pauses: list[tuple[float, float]], every: list[int], late: list[float]
) -> None:
    """Whatever they all wait for together, however rarely some of them log, a little sooner or later than others."""
    sparse = max(1, round(min(30 / step_s, 20)))
    sims = [
        Sim(
            step_s,
            every=min(every[rank], sparse) if rank % 2 else 1,
            begins_s=late[rank],
            pauses=merged([(begin, begin + length + late[rank]) for begin, length in pauses]),
        )
        for rank in range(count)
    ]
    assert job(sims, 4000).changes == []


def merged(pauses: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for begin, end in sorted(pauses):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


@QUICK
@given(st.integers(2, 9), st.floats(0.05, 10), st.floats(200, 900), st.integers(0, 8))
def test_a_rank_that_stops_is_told_of_once(count: int, step_s: float, at_s: float, which: int) -> None:
    which %= count
    sims = [Sim(step_s) for _ in range(count)]
    sims[which].pauses = [(at_s, 1e9)]
    told = job(sims, 3000)
    assert [(item.mark, item.ranks) for _, item in told.changes] == [(STOPPED, (which,))]
    assert 55 <= told.when(which, STOPPED) - at_s <= 80 + 3 * step_s


@QUICK
@given(st.floats(200, 900), st.floats(80, 600))
def test_a_rank_that_comes_back_is_in_no_trouble_though_it_stays_behind(at_s: float, for_s: float) -> None:
    sims = [Sim() for _ in range(4)]
    sims[2].pauses = [(at_s, at_s + for_s)]
    told = job(sims, at_s + for_s + 3000)
    assert [(item.mark, item.ranks) for _, item in told.changes] == [(STOPPED, (2,)), ("", (2,))]
    assert told.when(2, "") - (at_s + for_s) <= 10


@QUICK
@given(st.floats(30, 300), st.floats(2, 8))
def test_evaluation_on_one_rank_is_told_of_once_at_most(pause_s: float, ratio: float) -> None:
    """The others go on meanwhile; from the second time on it is known as what this rank does."""
    period = pause_s * ratio
    sims = [Sim(0.5) for _ in range(4)]
    sims[0].pauses = [(300 + n * period, 300 + n * period + pause_s) for n in range(6)]
    told = job(sims, 300 + 7 * period)
    assert told.of(0) in ([], [STOPPED, ""])
    assert all(told.of(rank) == [] for rank in (1, 2, 3))


@QUICK
@given(st.floats(0.1, 5), st.floats(3.8, 12), st.floats(1.0, 2.4), st.integers(1, 9))
def test_a_slow_rank_is_told_of_and_one_that_is_nearly_slow_is_not(
    step_s: float, slow: float, nearly: float, every: int
) -> None:
    sims = [Sim(step_s), Sim(step_s), Sim(step_s, every), Sim(step_s * slow), Sim(step_s * nearly)]
    told = job(sims, 1500)
    assert [(item.mark, item.ranks) for _, item in told.changes] == [(LAGGING, (3,))]
    assert told.when(3, LAGGING) <= 300


def test_a_slow_rank_that_keeps_up_again_is_unmarked_once() -> None:
    """Half the time it does not work at all, in bits too short to be a pause; later it does."""
    sims = [Sim(0.1) for _ in range(4)]
    sims[1].pauses = [(begin, begin + 4.5) for begin in range(300, 900, 5)]
    told = job(sims, 2000)
    assert told.of(1) == [LAGGING, ""]
    assert 300 < told.when(1, LAGGING) < 600
    assert 900 < told.when(1, "") < 1200


def test_lagging_can_be_turned_off() -> None:
    limits = Limits(lagging_factor=0)
    assert job([Sim(), Sim(), Sim(50)], 1000, limits=limits).changes == []


def test_a_rank_that_dies_while_others_live() -> None:
    told = job([Sim(), Sim(dies_s=300, dies_as="failed"), Sim(dies_s=400, dies_as="finished"), Sim()], 600)
    assert [(item.mark, item.ranks) for _, item in told.changes] == [(DEAD, (1,))]
    assert 305 <= told.when(1, DEAD) <= 320


def test_ranks_that_die_together_are_not_told_of_one_by_one() -> None:
    """The launcher ends the others as soon as one has failed; the run's state says it."""
    sims = [Sim(dies_s=300 + rank, dies_as="failed" if rank == 0 else "killed") for rank in range(8)]
    assert job(sims, 400).changes == []


def test_ranks_that_were_asked_to_stop_end_one_by_one() -> None:
    told = Told()
    sims = [Sim(dies_s=100 + 30 * rank, dies_as="killed") for rank in range(4)]
    for tick in range(60):
        now_us = START + tick * TICK
        ranks = [sim.at(rank, tick * TICK / S) for rank, sim in enumerate(sims)]
        after = judge(told.watch, ranks, LIMITS, now_us, stopping=True)
        assert changes(told.watch, after, ranks) == []
        told.watch = after


def test_a_new_process_of_a_dead_rank() -> None:
    sims = [Sim() for _ in range(3)]

    def restart(now_s: float, rank: Rank) -> Rank:
        if rank.rank == 1 and 300 <= now_s < 400:
            return Rank(1, "w1", "crashed", step=300, heard_us=START + 300 * S)
        return (
            rank if rank.rank != 1 or now_s < 400 else Rank(**{**vars(rank), "writer": "another"})  # type: ignore[arg-type]
        )

    assert job(sims, 900, change=restart).of(1) == [DEAD, ""]


def test_a_missing_machine_is_marked_without_a_word() -> None:
    def vanish(now_s: float, rank: Rank) -> Rank:
        gone = rank.rank == 1 and 300 <= now_s < 800
        if not gone:
            return rank
        known = {**vars(rank), "step": 300, "heard_us": START + 300 * S, "machine_us": START + 300 * S}
        return Rank(**{**known, "missing": now_s >= 480})  # type: ignore[arg-type]

    sims = [Sim() for _ in range(3)]
    told = job(sims, 700, change=vanish)
    assert told.watch is not None
    assert (told.changes, told.watch.ranks[1].mark) == ([], LOST)
    assert job(sims, 1500, change=vanish, begin=700, told=told).of(1) == []
    assert told.watch.ranks[1].mark == ""


def test_a_backlog_is_no_silence() -> None:
    def behind(now_s: float, rank: Rank) -> Rank:
        if rank.rank != 1 or not 300 <= now_s < 600:
            return rank
        return Rank(**{**vars(rank), "step": 300, "heard_us": START + 300 * S, "late": True})  # type: ignore[arg-type]

    assert job([Sim() for _ in range(3)], 1200, change=behind).changes == []


def test_what_happened_while_nobody_judged_is_not_held_against_anybody() -> None:
    """The server was away for half an hour; what waited came back at different moments."""

    def returning(now_s: float, rank: Rank) -> Rank:
        back_s = 2000 + 12 * rank.rank
        if not 200 <= now_s < back_s:
            return rank
        return Rank(**{**vars(rank), "step": 200, "heard_us": START + 200 * S})  # type: ignore[arg-type]

    told = job([Sim() for _ in range(4)], 3000, change=returning, away=(200.0, 2000.0))
    assert told.changes == []


def test_ranks_that_log_nothing_are_not_judged() -> None:
    quiet = Sim(begins_s=1e9)
    assert job([Sim(), quiet, quiet, quiet], 1000).changes == []


def test_a_job_that_starts_slowly() -> None:
    """Some ranks compile for minutes after their first step while others go on."""
    sims = [Sim(0.2) for _ in range(4)]
    sims[3].pauses = [(1.0, 200.0)]
    sims[2].begins_s = 100.0
    assert job(sims, 1500).changes == []


def test_judging_again_at_the_same_moment_changes_nothing() -> None:
    sims = [Sim() for _ in range(4)]
    sims[1].pauses = [(200, 1e9)]
    told = job(sims, 400)
    assert told.watch is not None
    ranks = [sim.at(rank, 400) for rank, sim in enumerate(sims)]
    once = judge(told.watch, ranks, LIMITS, START + 400 * S)
    twice = judge(once, ranks, LIMITS, START + 400 * S)
    assert changes(once, twice, ranks) == []
    assert {rank: seen.mark for rank, seen in once.ranks.items()} == {0: "", 1: STOPPED, 2: "", 3: ""}


@QUICK
@given(
    st.integers(3, 6),
    st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 600)), max_size=30),
    st.integers(0, 5),
)
def test_silences_of_all_kinds_are_told_of_in_pairs_and_rarely(
    count: int, pauses: list[tuple[float, float]], which: int
) -> None:
    """Each silence that is told of is three times as long as what was known before, so there can be few."""
    sims = [Sim(0.5) for _ in range(count)]
    sims[which % count].pauses = merged([(begin, begin + length) for begin, length in pauses])
    told = job(sims, 4000)
    marks = told.of(which % count)
    assert len([mark for mark in marks if mark == STOPPED]) <= 3
    assert all(now != before for before, now in pairwise(marks))
    assert {rank for _, item in told.changes for rank in item.ranks} <= {which % count}
