"""A server that is away for long: what is logged meanwhile waits on disk and not in memory, and arrives exactly once.

    make outage ROWS=2500000    ten times as long as the test

Eight keys a row. While the backlog goes up the daemon is killed, and then the server.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.crash.stack import Stack, wait_until

ROWS = 250_000
KEYS = 8
PATIENCE_S = 600
GROWTH_BYTES_MAX = 16 << 20
"""What a daemon may need on top of what it needs with nothing to do: buffers of a few blocks, and what the allocator
does not give back. The rows of this test are 26 MB as they stand in the spool: to hold them takes more."""


TRAINER = f"""
import sys, buoy
from tests.crash.test_outage import value
run = buoy.init(project="crash", id="outage")
print("ready", flush=True)
sys.stdin.readline()
names = ["key%d" % number for number in range({KEYS})]
for step in range(int(sys.argv[1])):
    run.log({{name: value(step, key) for key, name in enumerate(names)}})
run.finish()
"""


def memory(pid: int | None) -> tuple[int, int]:
    """What a process has for itself, and with what it has mapped: spool segments are the page cache's."""
    try:
        found = psutil.Process(pid).memory_full_info() if pid else None
    except psutil.NoSuchProcess:
        found = None
    return (found.uss, found.rss) if found else (0, 0)


class Watch:
    """The largest memory of a process that may be replaced by another."""

    def __init__(self, pid: Any) -> None:
        self._pid = pid
        self._largest = (0, 0)

    def look(self) -> bool:
        """Takes a reading; False, so that it can stand in a condition that goes on waiting."""
        own, resident = memory(self._pid())
        self._largest = max(self._largest[0], own), max(self._largest[1], resident)
        return False

    def note(self, figures: dict[str, float], name: str) -> None:
        """Notes the largest sizes so far, and begins anew."""
        figures[f"{name}, own MiB"], figures[f"{name}, RSS MiB"] = (size / 2**20 for size in self._largest)
        self._largest = (0, 0)


def value(step: int, key: int) -> float:
    """What is logged at a step; an exact number, so that sums can be compared."""
    return float((step * 7 + key * 13) % 1024)


def outage(folder: Path, rows: int) -> dict[str, float]:
    """The whole story; returns the figures."""
    figures: dict[str, float] = {}
    with Stack(folder) as stack:
        stack.kill_server()
        daemon = Watch(stack.daemon_pid)
        with subprocess.Popen(
            [sys.executable, "-c", TRAINER, str(rows)],
            cwd=Path(__file__).parents[2],
            env=stack.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as trainer:
            assert trainer.stdin is not None
            assert trainer.stdout is not None
            assert trainer.stdout.readline() == b"ready\n"
            wait_until(lambda: list((folder / "runs").glob("*/wal/*.wal")), "the run's log")
            daemon.look()
            daemon.note(figures, "daemon before")
            begin = time.monotonic()
            trainer.stdin.write(b"\n")
            trainer.stdin.flush()
            wait_until(lambda: daemon.look() or trainer.poll() is not None, "the trainer", PATIENCE_S)
        assert trainer.returncode == 0
        figures["time to log and finish, s"] = time.monotonic() - begin
        daemon.note(figures, "daemon during")
        catch_up(stack, rows, figures)
        check(stack, rows)
    return figures


def catch_up(stack: Stack, rows: int, figures: dict[str, float]) -> None:
    daemon, server = Watch(stack.daemon_pid), Watch(lambda: stack.server.pid if stack.server else None)

    def arrived(share: float) -> bool:
        daemon.look()
        server.look()
        return stack.points("outage", "key0") >= share * rows

    stack.start_server()
    begin = time.monotonic()
    wait_until(lambda: arrived(0.1), "a tenth", PATIENCE_S)
    killed = stack.kill_daemon()
    wait_until(lambda: stack.daemon_pid() not in (None, killed), "another daemon")
    wait_until(lambda: arrived(0.4), "two fifths", PATIENCE_S)
    stack.kill_server()
    stack.start_server()
    wait_until(lambda: arrived(1.0), "everything", PATIENCE_S)
    wait_until(lambda: (stack.run("outage") or {}).get("state") == "finished", "the end", PATIENCE_S)
    took_s = time.monotonic() - begin
    figures["time to catch up, s"] = took_s
    figures["points a second"] = rows * KEYS / took_s
    daemon.note(figures, "daemon while catching up")
    server.note(figures, "server while catching up")
    daemon.look()
    daemon.note(figures, "daemon after")


def check(stack: Stack, rows: int) -> None:
    """Counts and sums of each key over the whole, and each value of a few ranges."""
    names = [f"key{number}" for number in range(KEYS)]
    counted = {entry["key"]: entry["n"] for entry in stack.get("p/local:crash/keys?run=outage")["keys"]}
    assert [counted[name] for name in names] == [rows] * KEYS
    summary = stack.run("outage")["summary"]  # type: ignore[index]
    assert [summary[name] for name in names] == [value(rows - 1, key) for key in range(KEYS)]
    sums = dict.fromkeys(names, 0.0)
    seen = 0
    for row in history(stack, names):
        assert row["_step"] == seen
        if seen % 997 == 0:
            assert [row[name] for name in names] == [value(seen, key) for key in range(KEYS)]
        for name in names:
            sums[name] += row[name]
        seen += 1
    assert seen == rows
    expected = [sum(value(step, key) for step in range(rows)) for key in range(KEYS)]
    assert [sums[name] for name in names] == expected


def history(stack: Stack, names: list[str]) -> Any:
    """The rows of the run, in order, a page at a time."""
    cursor = None
    keys = "&".join(f"key={name}" for name in names)
    while True:
        path = f"p/local:crash/runs/outage/history?{keys}&limit=10000"
        page = stack.get(path + (f"&cursor={cursor}" if cursor else ""))
        yield from page["rows"]
        cursor = page["cursor"]
        if cursor is None:
            return


def report(figures: dict[str, float]) -> None:
    for name, number in figures.items():
        print(f"{name:32} {number:12,.1f}")


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
def test_a_long_outage(tmp_path: Path) -> None:
    figures = outage(tmp_path, ROWS)
    report(figures)
    idle = figures["daemon before, own MiB"]
    for name in ("daemon during, own MiB", "daemon while catching up, own MiB"):
        assert (figures[name] - idle) * 2**20 < GROWTH_BYTES_MAX, figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        report(outage(Path(folder), int(sys.argv[1])))
