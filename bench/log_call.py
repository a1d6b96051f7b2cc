"""What one `log()` costs the training loop, and how many calls a second end up on disk.

Ours beside wandb (offline), trackio and a plain JSON-lines writer, with two floors: an empty Python call and the bare
encoder. Every figure is the median of three fresh processes; peers take turns, so that a slow minute of the machine
hits all of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.environments import ROOT, environment, interpreter, stop_daemon
from bench.peers import PEERS

ROUNDS = 3
WORKER = ROOT / "bench/log_worker.py"

Figures = dict[str, float]


def measure(peer: str, kind: str, calls: int, keys: int) -> Figures:
    """The figures of one fresh process."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{peer}-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command = [interpreter(peer), str(WORKER), peer, kind, str(calls), str(keys), name]
        env = environment(folder)
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)
        finally:
            if peer == "buoy":
                stop_daemon(folder)
        if done.returncode:
            raise SystemExit(f"{peer} failed:\n{done.stderr[-2000:]}")
        figures: Figures = json.loads(done.stdout.splitlines()[-1])
        return figures


def compare(kind: str, calls: dict[str, int], keys: int) -> dict[str, Figures]:
    """Medians over the rounds, by peer."""
    taken: dict[str, list[Figures]] = {peer: [] for peer in calls}
    for _ in range(ROUNDS):
        for peer, count in calls.items():
            taken[peer].append(measure(peer, kind, count, keys))
    return {
        peer: {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}
        for peer, rounds in taken.items()
    }


def report(title: str, figures: dict[str, Figures], ratio_of: str, columns: Iterable[str]) -> None:
    """Prints a table, and how many times faster buoy is than each peer by the column `ratio_of` (a cost or a rate)."""
    columns = list(columns)
    print(f"\n{title}")
    print(
        "  " + "peer".ljust(10) + "".join(column.rjust(22) for column in columns) + "buoy is faster".rjust(16)
    )
    ours = figures["buoy"][ratio_of]
    for peer, row in figures.items():
        cells = "".join(f"{row[column]:22,.2f}" for column in columns)
        faster = ours / row[ratio_of] if ratio_of.endswith("/s") else row[ratio_of] / ours
        print(f"  {peer.ljust(10)}{cells}{faster:15.2f}x")


def main() -> None:
    """Runs the comparison and prints it."""
    quick, slow = 20_000, 5_000
    latency = {peer: slow if peer in ("wandb", "trackio") else quick for peer in PEERS}
    for keys in (5, 200):
        calls = latency if keys == 5 else {peer: count // 10 for peer, count in latency.items()}
        figures = compare("latency", calls, keys)
        report(f"log() of {keys} floats, microseconds a call", figures, "p50", figures["buoy"])
    sustained = {"json": 100_000, "buoy": 100_000, "trackio": 20_000, "wandb": 10_000}
    figures = compare("sustained", sustained, 5)
    report("5 floats a call, back to back, finish() included", figures, "calls/s", figures["buoy"])


if __name__ == "__main__":
    main()
