"""Threads, forks and spawned processes of one rank, as the server has them: each row once, of the right rank."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.stack import PATIENCE_S, Stack, wait_until

CODE = """
import multiprocessing, os, threading, buoy

def rows(run, key, count):
    for step in range(count):
        run.log({key: step / 3}, step=step)

def spawned(run, number):
    rows(run, f"spawned{number}", 300)

if __name__ == "__main__":
    run = buoy.init(project="crash", id="RUN", ranks="all")
    threads = [threading.Thread(target=rows, args=(run, f"thread{number}", 1000)) for number in range(16)]
    for thread in threads: thread.start()
    workers = [multiprocessing.get_context(method).Process(target=spawned, args=(run, number))
               for number, method in enumerate(("fork", "spawn", "forkserver"))]
    for worker in workers: worker.start()
    pids = []
    for number in range(5):
        pid = os.fork()
        if pid == 0:
            rows(run, f"forked{number}", 300)
            os._exit(number)
        pids.append(pid)
    for pid in pids: os.waitpid(pid, 0)
    for thread in threads: thread.join()
    for worker in workers: worker.join()
    ENDING
"""
ENDINGS = {
    "normal": ("pass", 0, "finished"),
    "failed": ("raise SystemExit(3)", 3, "failed"),
    "exit": ("os._exit(0)", 0, "crashed"),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["spool", "grpc"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_row_once_at_the_server(stack: Stack, tmp_path: Path, ending: str, transport: str) -> None:
    last, status, state = ENDINGS[ending]
    run_id = f"{ending}-{transport}"
    script = tmp_path / "train.py"
    script.write_text(CODE.replace("RUN", run_id).replace("ENDING", last))
    environment = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "BUOY_TRANSPORT": transport}
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**stack.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == status, done.stderr
    expected = {f"thread{number}": 1000 for number in range(16)}
    expected |= {f"spawned{number}": 300 for number in range(3)}
    expected |= {f"forked{number}": 300 for number in range(5)}

    def counts() -> dict[str, int]:
        keys = stack.get(f"p/local:crash/keys?run={run_id}")
        return (
            {entry["key"]: entry["n"] for entry in keys["keys"] if entry["key"] in expected} if keys else {}
        )

    wait_until(lambda: counts() == expected, f"every row once, not {counts()}")
    run = wait_until(
        lambda: (run := stack.run(run_id)) and run["state"] != "running" and run,
        "the run's end",
        2 * PATIENCE_S,
    )
    assert run["state"] == state
    assert [writer["rank"] for writer in run["writers"]] == [1] * 9
    assert len({writer["pid"] for writer in run["writers"]}) == 9
