"""Each program of buoy dies at each of its fault points; what was accepted arrives, each record once and in order.

The table in `buoy_core/faults.py` is the list of these tests: a point that its program never visits fails here, because
then nothing dies. Real processes throughout.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from buoy_core import faults

from tests.crash.stack import Stack, Trainer, wait_until
from tests.crash.trainer import loss
from tests.daemon.processes import Client, DaemonProcess
from tests.server.processes import ServerProcess
from tests.server.test_exactly_once import counts_of, history_of, make_stream, upload

SOURCES = [Path(folder) for folder in ("core", "daemon", "server", "sdk")]
VISIT = re.compile(r"""\b(?:faults\.point|visit)\("([a-z_.]+)"\)|\bfault="([a-z_]+)\"""")

ROWS = 3000
QUICK = (
    *("--sync-interval-s", "0.1", "--log-segment-bytes", "4000", "--append-grace-s", "1"),
    *("--housekeeping-interval-s", "0.2"),
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def test_the_table_lists_what_the_code_visits() -> None:
    visited = set()
    for folder in SOURCES:
        for path in [*folder.rglob("*.py"), *folder.rglob("*.pyx")]:
            for name, stem in VISIT.findall(path.read_text(encoding="utf-8")):
                visited |= {name} if name else {f"{stem}.before_rename", f"{stem}.after_rename"}
    assert visited == set(faults.POINTS)


@pytest.mark.parametrize("order", ["nowhere:1", "wal.after_sync:soon"])
@pytest.mark.parametrize(
    "program", ["buoy_core.faults", "buoy_core._compiled.spool_writer", "buoy_server.serve"]
)
def test_an_order_that_makes_no_sense_is_refused(program: str, order: str) -> None:
    command = [sys.executable, "-c", f"import {program}"]
    done = subprocess.run(command, env={"BUOY_FAULT": order}, capture_output=True, text=True, check=False)
    assert "names no fault point" in done.stderr


# The training process. One run dies at each point in turn, and is started again where it was.


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["compiled", "python", "grpc"])
def test_trainer_dies_at_each_point(stack: Stack, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stack.environment, "BUOY_CORE", "python" if way == "python" else "compiled")
    transport = "grpc" if way == "grpc" else "spool"
    stack.start_daemon()
    step = 0

    def train(steps: int, fault: str = "") -> Trainer:
        # A segment of the spool has room for 41 such rows.
        return stack.train(way, steps, fault=fault, begin=step, pad=100_000, transport=transport)

    for fault in trainer_faults(transport):
        trainer = train(step + 150, fault)
        assert trainer.wait() == -signal.SIGKILL, f"{fault} was never visited\n{trainer.output()}"
        step = max(step, trainer.accepted)
    steps = step + 50
    assert train(steps).wait() == 0
    wait_until(lambda: stack.history(way) == [(at, loss(at)) for at in range(steps)], "every accepted step")


def trainer_faults(transport: str) -> list[str]:
    """The points that a trainer visits: in the middle of its run, and those of its first segment in `init()` too."""
    begin = ["spool.before_create:1", "spool.before_publish:1", "spool.after_publish:1"]
    rolls = [f"{name}:2" for name in faults.reached_by(faults.TRAINER)]
    return begin + [fault for fault in rolls if transport == "grpc" or "delete" not in fault]


# The daemon. One daemon dies, another goes on: started by the trainer's finish(), or by hand if the trainer is dead.

LATER = {
    "wal.before_append": 4,
    "wal.after_append": 4,
    "wal.before_sync": 2,
    "wal.after_sync": 2,
    "wal.before_roll": 3,
    "wal.before_rename": 3,
    "wal.after_rename": 3,
    "wal.after_roll": 3,
    "append.before_acknowledge": 2,
    "upload.after_send": 2,
}
"""Points that come many times: not only the first visit matters."""

SPECIAL: dict[str, dict[str, object]] = {
    "append": {"transport": "grpc"},
    "outbox": {"transport": "grpc", "die_at": ROWS},
    "end": {"die_at": ROWS},
    "remove": {"keep_days": 0},
    "spool.before_delete": {"pad": 3000},
    "spool.after_delete": {"pad": 3000},
}
"""What it takes to reach a point, by its name or the beginning of it."""


def spools(state_dir: Path) -> set[str]:
    root = state_dir / "spool"
    return {folder.name for folder in root.iterdir()} if root.exists() else set()


@pytest.mark.slow
@pytest.mark.parametrize("name", faults.reached_by(faults.DAEMON))
def test_daemon_dies_at_each_point(stack: Stack, name: str) -> None:
    state_dir = stack.folder / "state"
    end_daemons(stack, state_dir)
    options = SPECIAL.get(name) or SPECIAL.get(name.partition(".")[0], {})
    armed = stack.environment | {"BUOY_FAULT": f"{name}:{LATER.get(name, 1)}"}
    # A trainer that died before its first segment had a name leaves a folder that stays for an hour.
    before = spools(state_dir)
    daemon = DaemonProcess(state_dir, *QUICK, env=armed).wait_ready()
    trainer = stack.train(name, ROWS, pause_s=0.0001, **options)
    assert daemon.process.wait(60) == -signal.SIGKILL, "the fault point was never visited"
    second = DaemonProcess(state_dir, *QUICK, env=stack.environment)
    assert trainer.wait() == (-signal.SIGKILL if "die_at" in options else 0), trainer.output()
    run = wait_until(lambda: (run := stack.run(name)) and run["state"] != "running" and run, "the run's end")
    assert run["state"] == ("crashed" if "die_at" in options else "finished")
    assert stack.history(name) == [(step, loss(step)) for step in range(ROWS)]
    assert stack.points(name) == ROWS
    assert (len(run["writers"]), run["gaps"], run["events"]) == (1, [], [])
    wait_until(lambda: spools(state_dir) <= before, "the spool's removal")
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "the stream's completion")
    if "keep_days" in options:
        wait_until(lambda: not list((stack.folder / "runs").glob(f"run-*-{name}*")), "the folder's removal")
    assert "Traceback" not in second.log()


def end_daemons(stack: Stack, state_dir: Path) -> None:
    """Ends whatever daemon serves the folder now, whoever has started it."""
    client = Client(state_dir)
    while stack.daemons():
        with contextlib.suppress(grpc.RpcError):
            client.shut_down()
        wait_until(lambda: client.try_status() is None, "the end of the daemon")
    client.close()


# The server. It dies at each point in turn, over one and the same data; a client sends until it is gone.


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_server_dies_at_each_point(tmp_path: Path) -> None:
    chance = random.Random(77)
    streams = []
    for number, name in enumerate(faults.reached_by(faults.SERVER)):
        stream, expected = make_stream(blocks=10, rows=6, seed=number, project="killed")
        streams.append((stream, expected))
        # A stream is made only once.
        for count in (1,) if name == "ingest.after_stream" else (1, 3):
            with ServerProcess(tmp_path, fault=f"{name}:{count}") as server:
                with pytest.raises(httpx.TransportError):
                    upload(server, stream, chance)
                assert server.process.wait(30) == -signal.SIGKILL, f"{name} was never visited"
    with ServerProcess(tmp_path) as server:
        for stream, expected in streams:
            upload(server, stream, chance)
            assert history_of(server, stream) == expected
            path = f"/api/v1/p/local:killed/keys?run={stream.info.run_id}"
            keys = server.client.get(path).json()["keys"]
            assert {key["key"]: key["n"] for key in keys} == counts_of(expected)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_removal_dies_at_each_point(tmp_path: Path) -> None:
    """A deleted run is neither seen again nor does it take anything of the others along, and in the end it is gone."""
    chance = random.Random(78)
    kept, expected = make_stream(blocks=5, rows=6, seed=0, project="removed")
    paths = []
    for number, name in enumerate(faults.reached_by(faults.REMOVAL), 1):
        stream, _ = make_stream(blocks=5, rows=6, seed=number, project="removed")
        paths.append(f"/api/v1/p/local:removed/runs/{stream.info.run_id}")
        # One that removes nothing yet: it would otherwise go on with the run before, and not live to get this one.
        with ServerProcess(tmp_path, "--removed-after", "3600") as server:
            upload(server, kept, chance)
            upload(server, stream, chance)
            server.client.delete(paths[-1]).raise_for_status()
        with ServerProcess(tmp_path, "--removed-after", "6", fault=name) as server:
            assert server.process.wait(60) == -signal.SIGKILL, f"{name} was never visited"
    with ServerProcess(tmp_path, "--removed-after", "1") as server:
        for path in paths:
            wait_until(lambda path=path: server.client.get(path).json()["code"] == "no_such_run", "removal")
        assert history_of(server, kept) == expected
        answer = server.client.post("/api/v1/p/local:removed/runs:query", json={}).json()
        assert answer["ids"] == [kept.info.run_id]
    assert runs_in_engine(tmp_path) == [1]


def runs_in_engine(folder: Path) -> list[int]:
    """The runs that the tables have points or texts of, once the engine has done what it was told to."""
    program = f"""
import time, clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path={str(folder / "data/metrics")!r})
ask = lambda sql: [row[0] for row in client.query(sql).result_rows]
end = time.monotonic() + 60
while ask("SELECT count() FROM system.mutations WHERE NOT is_done") != [0] and time.monotonic() < end:
    time.sleep(0.05)
print(ask("SELECT DISTINCT run FROM (SELECT run FROM points UNION ALL SELECT run FROM texts)"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found: list[int] = json.loads(done.stdout)
    return found
