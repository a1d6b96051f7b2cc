"""A storm from beginning to end, and what is to be told of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from tests.crash.chaos.judge import Verdict, judge, judge_tables, read_accounts
from tests.crash.chaos.storm import Storm


def storm_and_verdict(
    folder: Path, seed: int, seconds: float, writers: int, say: Callable[[str], None]
) -> tuple[Verdict, Storm]:
    """Lets a storm rage in an empty folder, waits for the calm, and compares what is left.

    Args:
        folder: Gets everything, logs included.
        seed: Where every choice comes from.
        seconds: How long it rages.
        writers: Trainers at a time.
        say: Gets the plan, line by line as it goes.
    """
    verdict = Verdict()
    with Storm(folder, seed, seconds, writers, say) as storm:
        try:
            storm.rage()
            storm.calm()
            verdict = judge(storm.stack, read_accounts(folder / "journals"))
        except Exception:
            # What went wrong is a finding like any other, and the processes are ended in order.
            verdict.errors.append(traceback.format_exc())
        verdict.errors += [error for slot in storm.slots for error in slot.errors]
    judge_tables(storm.stack.folder / "data", verdict)
    return verdict, storm


def summary(seed: int, storm: Storm, verdict: Verdict) -> dict[str, object]:
    """The figures of a storm."""
    return {
        "seed": seed,
        "writers": len(storm.slots),
        "machines": len(storm.machines),
        "trainers": sum(slot.count for slot in storm.slots),
        "lanes": verdict.lanes,
        "accepted": verdict.accepted,
        "on_server": verdict.on_server,
        "dropped": verdict.dropped,
        "unsure": verdict.unsure,
        "points": verdict.points,
        "kills": dict(storm.kills),
        "blows": dict(storm.blows),
        "server_starts": storm.server.starts,
        "network": {name: count for name, count in storm.proxy.done.items() if name != "passed"},
        "disk": storm.disk_hits(),
        "calm_s": round(storm.calm_took_s, 1),
        "errors": verdict.errors,
    }
