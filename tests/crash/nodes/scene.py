"""A job on simulated nodes from its start to the verdict: ranks come in any order, and processes die at random.

Every choice comes from the seed. What a blow meets depends on the machine's scheduling.
"""

from __future__ import annotations

import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from buoy.ids import derived_id
from buoy.ranks import job_name

from tests.crash.chaos.judge import Verdict, judge_tables
from tests.crash.chaos.trainer import set_stop
from tests.crash.nodes.cluster import Cluster, Job, Node, Rank
from tests.crash.nodes.network import network
from tests.crash.nodes.rank import value
from tests.crash.stack import wait_until

CALM_S = 300.0
ROWS_MIN = 50
"""A rank that is not killed logs at least so many."""

STEP_BASE = 1_000_000
"""So far apart are the steps of one launch and the next, which nothing of the first may hide."""


@dataclass(frozen=True)
class Scene:
    """What is to happen.

    Attributes:
        seed: Where every choice comes from.
        job: The job; its ranks log that many rows unless they are killed.
        seconds: How long blows fall.
        blows_a_second: How many.
        launches: How often the job is started; all ranks are killed in between.
        private: How many ranks are in containers that share no disk with their daemon.
    """

    seed: int
    job: Job
    seconds: float
    blows_a_second: float = 1.5
    launches: int = 1
    private: int = 0


@dataclass
class Outcome:
    """What has happened, and what is wrong."""

    verdict: Verdict = field(default_factory=Verdict)
    blows: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    namespaces: bool = False
    shared_folders: bool = False
    train_s: float = 0.0
    calm_s: float = 0.0


def play(folder: Path, scene: Scene, say: Callable[[str], None]) -> Outcome:
    """Lets a scene happen in an empty folder."""
    rng = random.Random(scene.seed)
    outcome = Outcome(shared_folders=rng.random() < 0.5)
    with network((scene.job.nodes + 1) // 2) as found:
        outcome.namespaces = bool(found.namespaces)
        with Cluster(folder, scene.job, found, shared=outcome.shared_folders) as cluster:
            try:
                _Director(cluster, scene, rng, outcome, say).direct()
                _judge(cluster, scene, outcome)
            except Exception:
                # What went wrong is a finding like any other, and the processes are ended in order.
                outcome.verdict.errors.append(traceback.format_exc())
            outcome.verdict.errors += [text for rank in cluster.ranks if (text := rank.complaint())]
    judge_tables(cluster.stack.folder / "data", outcome.verdict)
    return outcome


class _Director:
    """Starts the ranks and strikes."""

    def __init__(
        self, cluster: Cluster, scene: Scene, rng: random.Random, outcome: Outcome, say: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._scene = scene
        self._rng = rng
        self._outcome = outcome
        self._say = say
        self._begin = time.monotonic()
        self._due: list[tuple[float, Callable[[], object]]] = []

    def direct(self) -> None:
        for launch in range(self._scene.launches):
            self._launch(launch)
        self._outcome.train_s = time.monotonic() - self._begin
        self._calm()

    def _launch(self, launch: int) -> None:
        """Ranks come in random order, some of them late; blows fall meanwhile."""
        scene, rng = self._scene, self._rng
        order = list(range(scene.job.size))
        rng.shuffle(order)
        private = set(rng.sample(order, scene.private))
        share_s = scene.seconds / scene.launches
        begin = time.monotonic()
        starts = sorted((begin + rng.random() ** 2 * 0.6 * share_s, rank) for rank in order)
        for at, rank in starts:
            transport = "grpc" if rank in private or rank % 4 == 3 else "spool"
            self._at(at, lambda rank=rank, transport=transport: self._cluster.start_rank(
                rank, launch, launch * STEP_BASE, transport=transport, private=rank in private
            ))  # fmt: skip
        at = begin
        while (at := at + rng.expovariate(scene.blows_a_second)) < begin + share_s:
            self._at(at, self._strike)
        self._tend_until(begin + share_s)
        # On a busy machine processes may take longer to start than the blows last.
        deadline = begin + share_s + CALM_S
        while (
            any(rank.account().returned < ROWS_MIN for rank in self._living()) and time.monotonic() < deadline
        ):
            self._tend_until(time.monotonic() + 0.1)
        if launch + 1 < scene.launches:
            for rank in self._living():
                rank.kill()
            self._note("launch over", "all ranks are killed")

    def _calm(self) -> None:
        """Ends all blows, has the ranks finish, and waits until everything is on the server."""
        begin = time.monotonic()
        self._tend_until(max([begin, *(at for at, _ in self._due)]))
        set_stop(self._cluster.stop)
        wait_until(lambda: not self._living(), "the end of all ranks", CALM_S)
        for node in self._cluster.nodes:
            # One that a rank has started from its container sees that one's disk in place of the machine's.
            node.kill_all_daemons()
            node.start_daemon().wait()
        try:
            wait_until(self._at_rest, "rest", CALM_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; waiting: {self._cluster.waiting()[:10]}") from None
        self._outcome.calm_s = time.monotonic() - begin

    def _at_rest(self) -> bool:
        time.sleep(0.2)
        return not self._cluster.waiting() and self._cluster.server.ready()

    # -- blows -----------------------------------------------------------------------------------------------

    def _strike(self) -> None:
        blows = {
            self._kill_rank: 4,
            self._kill_daemon: 4,
            self._kill_supervisor: 2,
            self._kill_server: 2,
            self._cut_off: 2,
        }
        blow = self._rng.choices(list(blows), list(blows.values()))[0]
        blow()

    def _kill_rank(self) -> None:
        if living := self._living():
            rank = self._rng.choice(living)
            rank.kill()
            self._note("rank killed", f"rank {rank.rank} of launch {rank.launch}")

    def _kill_daemon(self) -> None:
        node = self._node()
        if node.kill_daemon():
            self._note("daemon killed", node.host)

    def _kill_supervisor(self) -> None:
        """Nobody starts a daemon until a rank's init() or somebody's hand does."""
        node = self._node()
        node.kill_all_daemons()
        if self._rng.random() < 0.5:
            self._at(time.monotonic() + self._rng.random() * 2, node.start_daemon)
        self._note("supervisor and daemon killed", node.host)

    def _kill_server(self) -> None:
        if self._cluster.server.alive:
            self._cluster.server.end(self._rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            self._at(time.monotonic() + self._rng.choice([0.0, 0.5, 2.0]), self._cluster.server.start)
            self._note("server killed")

    def _cut_off(self) -> None:
        node = self._node()
        if node.has_link:
            node.set_link(up=False)
            self._at(time.monotonic() + self._rng.choice([0.3, 1.0, 3.0]), lambda: node.set_link(up=True))
            self._note("node cut off", node.host)

    # -- the clock -------------------------------------------------------------------------------------------

    def _node(self) -> Node:
        return self._rng.choice(self._cluster.nodes)

    def _living(self) -> list[Rank]:
        return [rank for rank in self._cluster.ranks if rank.alive]

    def _at(self, at: float, action: Callable[[], object]) -> None:
        self._due.append((at, action))

    def _tend_until(self, end: float) -> None:
        """Does what is due until a time, and whatever that brings until the same time."""
        while True:
            now = time.monotonic()
            due = sorted((item for item in self._due if item[0] <= now), key=lambda item: item[0])
            for item in due:
                self._due.remove(item)
                item[1]()
            if not due:
                left_s = end - now
                if left_s <= 0:
                    return
                time.sleep(min(left_s, 0.02))

    def _note(self, kind: str, what: str = "") -> None:
        self._outcome.blows[kind] += 1
        self._say(f"[seed {self._scene.seed}] {time.monotonic() - self._begin:6.2f} s  {kind}: {what}")


# -- the verdict ---------------------------------------------------------------------------------------------


def _judge(cluster: Cluster, scene: Scene, outcome: Outcome) -> None:
    """Every accepted step of every rank is on the server once, in one run with an attempt for each launch."""
    errors = outcome.verdict.errors
    wanted = derived_id(f"{job_name(scene.job.environment(0, 0), 'whatever parent')}#1")
    if found := cluster.run_ids() - {wanted}:
        errors.append(f"ranks have joined {found}, not {wanted} alone")
    page = cluster.stack.get(f"p/local:nodes/runs/{wanted}")
    if page is None:
        errors.append(f"run {wanted} is not on the server")
        return
    outcome.attempts = len(page["attempts"])
    begun = {rank.launch for rank in cluster.ranks if rank.account().accepted}
    if outcome.attempts != len(begun):
        errors.append(f"{outcome.attempts} attempts for {len(begun)} launches")
    total = sum(_judge_rank(cluster, wanted, rank, outcome) for rank in range(scene.job.size))
    keys = cluster.stack.get(f"p/local:nodes/keys?run={wanted}")["keys"]
    counted = next((entry["n"] for entry in keys if entry["key"] == "loss"), 0)
    if counted != total:
        errors.append(f"{total} rows of all ranks, but {counted} points are counted")
    _judge_writers(cluster, page, errors)
    for gap in page["gaps"]:
        errors.append(f"a gap: {gap}")


def _judge_rank(cluster: Cluster, run_id: str, number: int, outcome: Outcome) -> int:
    """The rows of one rank, of all launches; returns how many there are."""
    errors = outcome.verdict.errors
    rows = cluster.stack.history(run_id, project="nodes", rank=number)
    steps = [step for step, _ in rows]
    if len(set(steps)) != len(steps):
        errors.append(f"rank {number}: steps are twice there")
    if bad := [row for row in rows if row[1] != value(number, row[0])]:
        errors.append(f"rank {number}: {len(bad)} wrong values, {bad[0]} for one")
    expected: set[int] = set()
    possible: set[int] = set()
    for rank in (rank for rank in cluster.ranks if rank.rank == number):
        account = rank.account()
        expected |= set(range(rank.base, rank.base + account.accepted))
        possible |= set(range(rank.base, rank.base + account.returned + 1))
        outcome.verdict.lanes += 1
        outcome.verdict.accepted += account.accepted
    outcome.verdict.on_server += len(rows)
    if missing := expected - set(steps):
        errors.append(
            f"rank {number}: {len(missing)} accepted steps are missing, the first is {min(missing)}"
        )
    if extra := set(steps) - possible:
        errors.append(f"rank {number}: {len(extra)} steps too many, the first is {min(extra)}")
    return len(rows)


def _judge_writers(cluster: Cluster, page: dict[str, list[dict[str, object]]], errors: list[str]) -> None:
    """The processes of the run are those that have logged, each with its place, and how each ended is known."""
    shown = Counter((writer["rank"], writer["attempt"]) for writer in page["writers"])
    launches = sorted({rank.launch for rank in cluster.ranks if rank.account().accepted})
    for rank in cluster.ranks:
        account = rank.account()
        there = shown[rank.rank, launches.index(rank.launch) + 1] if rank.launch in launches else 0
        if there > 1 or (account.accepted and not there):
            errors.append(f"rank {rank.rank} of launch {rank.launch} is {there} times among the processes")
    states = Counter(writer["state"] for writer in page["writers"])
    if states["finished"] != sum(rank.account().finished for rank in cluster.ranks):
        errors.append(f"{dict(states)} processes, of which some have told another end")
