"""Runs a storm: the plan, the processes, the calm after it.

The plan (which blow when, and every choice in it) comes from the seed alone and is the same in each run of it. What a
blow meets is not: how far a trainer has come when it is killed, which request meets which fault of the network, which
write finds the disk full depends on the machine's scheduling.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buoy_core import state

from tests.crash.chaos.blows import BLOWS, Blow
from tests.crash.chaos.machines import Machine, Server, Slot
from tests.crash.chaos.trainer import set_stop
from tests.crash.proxy import Proxy
from tests.crash.seam import Rule, Seam
from tests.crash.stack import Stack, wait_until

CALM_S = 240.0
"""How long the calm may take: the longest pauses of a daemon are a minute."""

BLOWS_A_SECOND = 2.0


@dataclass(frozen=True)
class Planned:
    """A blow to come."""

    at_s: float
    blow: Blow
    seed: str


def plan(seed: int, seconds: float) -> list[Planned]:
    """The blows of a storm, in order of time."""
    rng = random.Random(f"{seed}:plan")
    planned: list[Planned] = []
    at_s, weights = 0.7, list(BLOWS.values())
    while (at_s := at_s + rng.expovariate(BLOWS_A_SECOND)) < seconds:
        blow = rng.choices(list(BLOWS), weights)[0]
        planned.append(Planned(at_s, blow, f"{seed}:blow:{len(planned)}"))
    return planned


class Storm:
    """Everything that runs, and what is under way. Use as a context manager: at its end no process is left."""

    def __init__(
        self, folder: Path, seed: int, seconds: float, writers: int, say: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.seconds = seconds
        self.say = say
        self.kills: Counter[str] = Counter()
        self.blows: Counter[str] = Counter()
        self.rules: list[tuple[str, Rule]] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.calm_took_s = 0.0
        rng = random.Random(f"{seed}:machines")
        # No trouble of the disk reaches these: they are the storm's own.
        for name in ("journals", "logs", "tmp"):
            (folder / name).mkdir()
        self.stop = folder / "journals" / "stop"
        self.stop.write_bytes(b"\0")
        self.seam = Seam(folder / "journals" / "seam")
        self.stack = Stack(self._machine_folder(0))
        self.proxy = Proxy(self.stack.port, seed=seed, delay_max_s=0.5)
        stacks = [self.stack, *(Stack(self._machine_folder(n)) for n in range(1, rng.choice([1, 1, 2])))]
        for stack in stacks:
            stack.environment |= self.seam.environment() | {
                "BUOY_BASE_URL": self.proxy.base_url,
                "BUOY_FINISH_TIMEOUT": "3",
                "BUOY_START_TIMEOUT": "2",
                "TMPDIR": str(folder / "tmp"),
            }
        self.server = Server(self.stack)
        self.machines = [Machine(stack) for stack in stacks]
        self.slots = [
            Slot(number, seed, self.machines[number % len(self.machines)], self.stop)
            for number in range(writers)
        ]
        self._begin = time.monotonic()
        self._ends: list[tuple[float, int, Callable[[], object], str]] = []
        self._server_due: tuple[float, str] = (0.0, "")

    def _machine_folder(self, number: int) -> Path:
        folder = self.folder / f"machine{number}"
        folder.mkdir()
        return folder

    def __enter__(self) -> Storm:
        self.server.start()
        wait_until(self.server.ready, "the server's first answer")
        key = self._server_key()
        for machine in self.machines:
            machine.stack.environment["CHAOS_KEY"] = key
            machine.store_key(self.proxy.base_url)
        self._begin = time.monotonic()
        return self

    def _server_key(self) -> str:
        key = state.read_api_key(self.stack.folder / "state", self.stack.base_url)
        assert key
        return key

    def __exit__(self, *_: object) -> None:
        self.seam.clear()
        self.proxy.close()
        for slot in self.slots:
            for pid in slot.pids():
                self.kill(pid, signal.SIGKILL)
        set_stop(self.stop)
        wait_until(self._daemons_ended, "the end of every daemon")
        self.server.end(signal.SIGTERM)

    def _daemons_ended(self) -> bool:
        for machine in self.machines:
            machine.kill_all_daemons()
        return not any(machine.stack.daemons() for machine in self.machines)

    # -- for blows --------------------------------------------------------------------------------------------

    def kill(self, pid: int, number: int) -> None:
        """A signal to a process that may be gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def later(self, delay_s: float, action: Callable[[], object], what: str) -> None:
        """Has something end after a while."""
        heapq.heappush(self._ends, (time.monotonic() + delay_s, len(self._ends), action, what))

    def server_away_until(self, away_s: float, fault: str) -> None:
        """Lets the server start again after a while."""
        self._server_due = (time.monotonic() + away_s, fault)

    # -- the storm --------------------------------------------------------------------------------------------

    def rage(self) -> None:
        """Strikes by the plan until the time is over."""
        for planned in plan(self.seed, self.seconds):
            self._tend_until(planned.at_s)
            done = planned.blow(self, random.Random(planned.seed))
            self.blows[planned.blow.__name__] += 1
            self._say(f"{planned.blow.__name__}: {done}")
        self._tend_until(self.seconds)

    def _say(self, text: str) -> None:
        self.say(f"[seed {self.seed}] {time.monotonic() - self._begin:6.2f} s  {text}")

    def _tend_until(self, at_s: float) -> None:
        while True:
            self._tend()
            left_s = self._begin + at_s - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, 0.02))

    def _tend(self, *, replace: bool = True) -> None:
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            _, _, action, what = heapq.heappop(self._ends)
            action()
            self._say(f"    {what}")
        due, fault = self._server_due
        if not self.server.alive and now >= due:
            self.server.start(fault)
            # If it dies on the way, it comes back as a service manager would have it: soon, and without the fault.
            self._server_due = (now + 0.3, "")
        for slot in self.slots:
            if replace and not slot.alive:
                status = slot.note_end()
                self._say(f"    slot {slot.number}: {slot.start()} (the last one ended with {status})")

    # -- the calm ---------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Ends every fault and waits until everything has come to rest."""
        begin = time.monotonic()
        self._say("calm: no faults any more, trainers end by themselves")
        self.proxy.rate = 0.0
        self.seam.clear()
        # Every pause ends, also that of a forked process whose family is gone.
        while self._ends:
            heapq.heappop(self._ends)[2]()
        self._server_due = (0.0, "")
        for machine in self.machines:
            machine.continue_all()
        self.server.signal(signal.SIGCONT)
        for slot in self.slots:
            for pid in slot.pids():
                self.kill(pid, signal.SIGCONT)
        set_stop(self.stop)
        wait_until(self._trainers_ended, "the end of all trainers", CALM_S)
        for machine in self.machines:
            self.processes.append(machine.start_daemon())
        try:
            wait_until(self._at_rest, "rest", CALM_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; waiting: {self.waiting()}") from None
        for slot in self.slots:
            slot.note_end()
        self.calm_took_s = time.monotonic() - begin
        self._say(f"calm: at rest after {self.calm_took_s:.1f} s")

    def _trainers_ended(self) -> bool:
        self._tend(replace=False)
        return not any(slot.alive for slot in self.slots)

    def _at_rest(self) -> bool:
        self._tend(replace=False)
        time.sleep(0.2)
        return not self.waiting()

    def waiting(self) -> list[str]:
        """What is not at rest."""
        found = [str(path) for machine in self.machines for path in machine.open_ends()]
        return found if self.server.ready() else [*found, "the server"]

    def disk_hits(self) -> dict[str, int]:
        """How many calls met each trouble of the disk."""
        hits: Counter[str] = Counter()
        for how, rule in self.rules:
            hits[how] += rule.hits
        return dict(hits)
