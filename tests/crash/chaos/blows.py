"""What a storm does to buoy. Each blow is a function of the storm and of a random source of its own.

A blow that lasts begins at once and leaves its end with the storm.
"""

from __future__ import annotations

import errno
import random
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from buoy_core import faults

from tests.crash.proxy import FAULTS
from tests.crash.seam import CHANGES, Operation, Rule

if TYPE_CHECKING:
    from tests.crash.chaos.storm import Storm

Blow = Callable[["Storm", random.Random], str]
"""Strikes and says how."""


def kill_trainer(storm: Storm, rng: random.Random) -> str:
    slot = rng.choice(storm.slots)
    pids = slot.pids()
    if not pids:
        return "no trainer there"
    # The whole family, the parent alone, or a child alone.
    victims = rng.choice([pids, pids[:1], [rng.choice(pids)]])
    for pid in victims:
        storm.kill(pid, signal.SIGKILL)
    storm.kills["trainer"] += len(victims)
    return f"slot {slot.number}, {len(victims)} of {len(pids)} processes"


def pause_trainer(storm: Storm, rng: random.Random) -> str:
    slot = rng.choice(storm.slots)
    pids = slot.pids()
    for pid in pids:
        storm.kill(pid, signal.SIGSTOP)
    lasts_s = _lasts(rng)

    def go_on() -> None:
        for pid in pids:
            storm.kill(pid, signal.SIGCONT)

    storm.later(lasts_s, go_on, "trainers go on")
    return f"slot {slot.number} for {lasts_s:.1f} s"


def kill_daemon(storm: Storm, rng: random.Random) -> str:
    machine = rng.choice(storm.machines)
    if not machine.kill_daemon():
        return "no daemon there"
    storm.kills["daemon"] += 1
    return f"{machine.folder.name}; its supervisor starts another"


def kill_supervisor(storm: Storm, rng: random.Random) -> str:
    """Nobody starts a daemon until a trainer's init() or somebody's hand does."""
    machine = rng.choice(storm.machines)
    machine.kill_all_daemons()
    storm.kills["supervisor and daemon"] += 1
    if rng.random() < 0.5:
        return f"{machine.folder.name}; left alone"
    fault = (
        f"{rng.choice(faults.reached_by(faults.DAEMON))}:{rng.randint(1, 20)}" if rng.random() < 0.7 else ""
    )
    storm.processes.append(machine.start_daemon(fault))
    return f"{machine.folder.name}; started by hand {fault}"


def pause_daemon(storm: Storm, rng: random.Random) -> str:
    machine = rng.choice(storm.machines)
    machine.kill_daemon(signal.SIGSTOP)
    lasts_s = _lasts(rng)
    storm.later(lasts_s, machine.continue_all, "the daemon goes on")
    return f"{machine.folder.name} for {lasts_s:.1f} s"


def kill_server(storm: Storm, rng: random.Random) -> str:
    storm.server.end(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
    storm.kills["server"] += 1
    away_s = rng.choice([0.0, 0.5, 2.0])
    fault = (
        f"{rng.choice(faults.reached_by(faults.SERVER))}:{rng.randint(1, 30)}" if rng.random() < 0.5 else ""
    )
    storm.server_away_until(away_s, fault)
    return f"away for {away_s} s {fault}"


def pause_server(storm: Storm, rng: random.Random) -> str:
    storm.server.signal(signal.SIGSTOP)
    lasts_s = _lasts(rng)
    storm.later(lasts_s, lambda: storm.server.signal(signal.SIGCONT), "the server goes on")
    return f"for {lasts_s:.1f} s"


def network(storm: Storm, rng: random.Random) -> str:
    proxy = storm.proxy
    names = tuple(rng.sample(sorted(FAULTS), rng.randint(1, len(FAULTS))))
    proxy.faults, proxy.rate = names, rng.choice([0.2, 0.6, 1.0])
    if rng.random() < 0.3:
        proxy.cut_all()
    lasts_s = _lasts(rng)
    storm.later(lasts_s, lambda: setattr(proxy, "rate", 0.0), "the network is good")
    return f"{proxy.rate:.0%} of {', '.join(names)} for {lasts_s:.1f} s"


def disk(storm: Storm, rng: random.Random) -> str:
    machine = rng.choice(storm.machines)
    places = {
        "the spools": machine.folder / "state" / "spool",
        "the outbox": machine.folder / "state" / "outbox",
        "the state folder": machine.folder / "state",
        "the run folders": machine.folder / "runs",
        "the server's metadata": storm.stack.folder / "data" / "metadata*",
        "the server": storm.stack.folder / "data",
        "everything": storm.folder / "machine*",
    }
    where = rng.choice(sorted(places))
    path, seed = places[where], rng.getrandbits(63)
    seam = storm.seam
    ways: dict[str, Callable[[], Rule]] = {
        "is full": lambda: seam.full(path),
        "fills up": lambda: seam.full(path, after_bytes=rng.choice([10_000, 300_000, 5_000_000])),
        "has no inodes": lambda: seam.full(path, inodes=True),
        "is over quota": lambda: seam.full(path, error=errno.EDQUOT),
        "is read-only": lambda: seam.read_only(path),
        "cannot sync": lambda: seam.fail(path, Operation.SYNC, errno.EIO, probability=0.5, seed=seed),
        "has bad sectors": lambda: seam.fail(
            path, CHANGES | Operation.SYNC, errno.EIO, probability=0.1, seed=seed
        ),
        "writes short": lambda: seam.short_writes(path, probability=0.5, seed=seed),
        "is slow": lambda: seam.slow(path, CHANGES | Operation.SYNC, 0.05, probability=0.3, seed=seed),
    }
    how = rng.choice(sorted(ways))
    rule = ways[how]()
    # Long enough to meet somebody: a spool grows by a segment only now and then.
    lasts_s = rng.choice([0.3, 1.0, 2.0, 4.0])
    storm.rules.append((how, rule))
    storm.later(lasts_s, rule.end, f"{where}: the disk is good")
    return f"{where}: the disk {how} for {lasts_s:.1f} s"


def clock(storm: Storm, rng: random.Random) -> str:
    offset_s = rng.choice([-1, 1]) * rng.choice([5, 3600, 86_400])
    rule = storm.seam.clock(offset_s)
    lasts_s = _lasts(rng)
    storm.later(lasts_s, rule.end, "the clock is right")
    return f"{offset_s:+} s for {lasts_s:.1f} s"


def _lasts(rng: random.Random) -> float:
    return rng.choice([0.1, 0.3, 1.0, 2.0])


BLOWS: dict[Blow, int] = {
    kill_trainer: 5,
    pause_trainer: 2,
    kill_daemon: 3,
    kill_supervisor: 2,
    pause_daemon: 2,
    kill_server: 2,
    pause_server: 1,
    network: 4,
    disk: 5,
    clock: 1,
}
"""How often each comes, relative to the others."""
