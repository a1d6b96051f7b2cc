"""Many writers in one run on one machine: what arrives at the server, and what that costs daemon and server.

1,024 writers in 8 processes log through the real core into spools of their own, one daemon reads them, one server on
SQLite and the embedded engine takes them in. First a row a second for each writer, as training has it: what does the
daemon's looking cost? Then as many rows as they can. The floor is what the same processes need to write the same rows
as JSON lines, one file each. It ends by itself: every wait has an end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.environments import ROOT
from bench.rank_worker import KEYS
from tests.crash.stack import Stack, wait_until

WRITERS = 1024
PROCESSES = 8
STEADY_S = 15
ROWS = 400
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far, and the most memory that was in use, of a process."""

    cpu_s: float
    peak_bytes: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        process = psutil.Process(pid)
        times = process.cpu_times()
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
        return cls(times.user + times.system, peak << 10, process.num_fds())


class Workers:
    """The processes with the writers."""

    def __init__(self, stack: Stack) -> None:
        share = WRITERS // PROCESSES
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.rank_worker", json.dumps(options)],
                env=stack.environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for options in (
                {
                    "begin": number * share,
                    "end": (number + 1) * share,
                    "size": WRITERS,
                    "folder": str(stack.folder),
                    "state": stack.environment["BUOY_STATE_DIR"],
                    "base_url": stack.base_url,
                }
                for number in range(PROCESSES)
            )
        ]
        self.answers()

    def order(self, words: str) -> list[dict[str, Any]]:
        """Has all of them do something at once; returns when the last one has."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(words + "\n")
            process.stdin.flush()
        return self.answers()

    def answers(self) -> list[dict[str, Any]]:
        return [
            json.loads(process.stdout.readline()) for process in self._processes if process.stdout is not None
        ]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@contextmanager
def installation() -> Iterator[tuple[Stack, Workers]]:
    """A server, a daemon, and the workers."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-ranks-", ignore_cleanup_errors=True) as name,
        Stack(Path(name)) as stack,
    ):
        stack.start_daemon()
        workers = Workers(stack)
        try:
            yield stack, workers
        finally:
            workers.close()


def arrived(stack: Stack) -> int:
    """Points of the run on the server."""
    found = stack.get("p/local:bench/keys?run=ranks")
    return sum(entry["n"] for entry in found["keys"] if entry["key"] in KEYS) if found else 0


def wait_arrived(stack: Stack, points: int) -> float:
    """When all of them are there."""
    wait_until(lambda: arrived(stack) >= points, f"{points} points at the server", PATIENCE_S)
    assert arrived(stack) == points
    return time.monotonic()


def page_s(stack: Stack, path: str) -> float:
    """How long the server takes for an answer, the best of three."""
    taken = []
    for _ in range(3):
        begin = time.monotonic()
        assert stack.get(path) is not None
        taken.append(time.monotonic() - begin)
    return min(taken)


def report(title: str, before: tuple[Usage, Usage], after: tuple[Usage, Usage], seconds: float) -> None:
    """What daemon and server have used meanwhile."""
    print(f"\n{title}")
    for name, old, new in zip(("daemon", "server"), before, after, strict=True):
        cpu_s = new.cpu_s - old.cpu_s
        print(
            f"  {name}: {cpu_s:7.2f} s CPU, {100 * cpu_s / seconds:5.1f} % of a core, "
            f"at most {new.peak_bytes / 1e6:6.0f} MB, {new.descriptors} descriptors"
        )


def main() -> None:
    """Runs the comparison and prints it."""
    with installation() as (stack, workers):
        daemon, server = stack.daemon_pid(), stack.server
        assert daemon is not None
        assert server is not None

        def usage() -> tuple[Usage, Usage]:
            return Usage.of(daemon), Usage.of(server.pid)

        begin = time.monotonic()
        workers.order("steady 1")
        points = WRITERS * len(KEYS)
        end = wait_arrived(stack, points)
        print(f"{WRITERS:,} writers: the first row of each at the server after {end - begin:.1f} s")

        before, begin = usage(), time.monotonic()
        workers.order(f"steady {STEADY_S}")
        report(f"a row a second of {len(KEYS)} floats, each", before, usage(), time.monotonic() - begin)
        points += STEADY_S * WRITERS * len(KEYS)
        wait_arrived(stack, points)

        floor_s = max(answer["seconds"] for answer in workers.order(f"floor {ROWS}"))
        before, begin = usage(), time.monotonic()
        log_s = max(answer["seconds"] for answer in workers.order(f"burst {ROWS}"))
        fresh = ROWS * WRITERS * len(KEYS)
        end = wait_arrived(stack, points + fresh)
        report(f"{ROWS} rows each, as fast as they can: {fresh:,} points", before, usage(), end - begin)
        all_s = end - begin
        print(
            f"  log() {log_s:.2f} s, all at the server after {all_s:.2f} s: {fresh / all_s:,.0f} points/s\n"
            f"  JSON lines {floor_s:.2f} s: {fresh / floor_s:,.0f} points/s; log() takes {log_s / floor_s:.2f} times "
            f"as long, the whole way {all_s / floor_s:.2f} times"
        )
        begin = time.monotonic()
        workers.order("end")
        wait_until(lambda: ended(stack), "the end of the run", PATIENCE_S)
        print(f"\nall writers have ended at the server after {time.monotonic() - begin:.1f} s")
        for name, path in (
            ("run page", "p/local:bench/runs/ranks"),
            ("a reduced curve", "p/local:bench/runs/ranks/history?rank=mean&key=train/metric_0&limit=1000"),
        ):
            print(f"  {name}: {1000 * page_s(stack, path):.0f} ms")


def ended(stack: Stack) -> bool:
    page = stack.get("p/local:bench/runs/ranks")
    return page is not None and page["state"] == "finished"
