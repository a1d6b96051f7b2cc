"""Samples of the machine and of the run's processes, from the rules to the rows on the server."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest
from buoy_daemon.sampler import cgroup
from buoy_daemon.sampler.machine import MachineReading, read_machine
from buoy_daemon.sampler.process_tree import ProcessReading, ProcessTree, children_of_all, read_tree
from buoy_proto import v1

from tests.daemon.processes import SpoolRun, wait_until, writer_start

MIB, GIB = 1 << 20, 1 << 30


def reading(**changes):
    values = {
        "memory_used": 3 * GIB,
        "memory_total": 4 * GIB,
        "disk_usage": {"/": (40.0, 2 * GIB)},
        "disk_io": {"sda": (5 * MIB, 7 * MIB)},
        "network": (1000, 2000),
    }
    return MachineReading(**{**values, **changes})


def test_counters_begin_with_the_run_and_levels_do_not():
    later = reading(disk_io={"sda": (8 * MIB, 7 * MIB), "sdb": (9, 9)}, network=(1500, 2001))
    assert later.values(reading()) == {
        "memory_percent": 75.0,
        "proc.memory.availableMB": 1024.0,
        "disk./.usagePercent": 40.0,
        "disk./.usageGB": 2.0,
        "disk.sda.in": 3.0,
        "disk.sda.out": 0.0,
        "disk.sdb.in": 0.0,
        "disk.sdb.out": 0.0,
        "network.sent": 500,
        "network.recv": 1,
    }


def test_the_machine_as_it_is():
    machine = read_machine()
    values = machine.values(machine)
    assert 0 < values["memory_percent"] < 100
    assert values["disk./.usageGB"] > 0
    assert values["network.sent"] == 0
    assert (
        any(name.startswith("disk.") and name.endswith(".in") for name in values)
        or not psutil.disk_io_counters()
    )


def test_cpu_of_a_tree():
    clock = iter([100.0, 110.0, 120.0])
    tree = ProcessTree(clock=lambda: next(clock))
    cores = cgroup.cpu_count()
    # The first time: the average since the process began.
    first = {1: ProcessReading(created_at=90.0, cpu_s=5.0, rss_bytes=GIB, threads=3)}
    values = tree.values(first, 4 * GIB)
    assert values["cpu"] == pytest.approx(100 * 0.5 / cores)
    assert (values["proc.memory.rssMB"], values["proc.memory.percent"], values["proc.cpu.threads"]) == (
        1024,
        25,
        3,
    )
    # Then: what was used in between; a child that is new has used all of its time since, one that ended counts no more.
    second = {
        1: ProcessReading(created_at=90.0, cpu_s=9.0, rss_bytes=GIB, threads=3),
        2: ProcessReading(created_at=105.0, cpu_s=2.0, rss_bytes=GIB, threads=1),
    }
    values = tree.values(second, 4 * GIB)
    assert values["cpu"] == pytest.approx(100 * 0.6 / cores)
    assert (values["proc.memory.rssMB"], values["proc.cpu.threads"]) == (2048, 4)
    # The pid of the child is taken over by another process: that is no negative time.
    third = {2: ProcessReading(created_at=115.0, cpu_s=1.0, rss_bytes=0, threads=1)}
    assert tree.values(third, 4 * GIB)["cpu"] == pytest.approx(100 * 0.1 / cores)


def test_a_tree_has_the_descendants():
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"1\n"
        readings = read_tree([process.pid], children_of_all())
        assert len(readings) == 2
        assert all(item.rss_bytes > MIB and item.threads >= 1 for item in readings.values())
        process.stdin.close()
    assert read_tree([process.pid], children_of_all()) == {}


def test_cgroup_limits_are_sane():
    assert 0 < cgroup.cpu_count() <= (os.cpu_count() or 1)
    memory = cgroup.memory()
    assert memory is None or 0 < memory[0] <= memory[1] * 1.1


def samples(stream):
    """(time, {name: value}) of the daemon's own rows."""
    names, rows = {}, []
    for writer_id, record in stream.messages():
        if writer_id != bytes(16):
            continue
        if record.WhichOneof("kind") == "key":
            names[record.key.id] = record.key.name
        elif record.WhichOneof("kind") == "system":
            row = record.system
            values = {names[slot >> 1]: value for slot, value in zip(row.slots, row.values, strict=True)}
            rows.append((row.time_unix_us / 1e6, values))
    return rows


def test_a_run_is_sampled_at_once_and_then_every_interval(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon("--sample-interval-s", "0.5", "--sync-interval-s", "0.1")
    start = writer_start(tmp_path / "run", server.base_url, telemetry=True, host=socket.gethostname())
    run = SpoolRun(state_dir, start)
    began = time.time()
    daemon.client.open(start, str(run.folder))
    wait_until(lambda: samples(server.only_stream()), "a first sample")
    assert time.time() - began < 1.5
    burn_until = time.time() + 1.2
    while time.time() < burn_until:
        sum(range(10_000))
    wait_until(lambda: len(samples(server.only_stream())) >= 4, "four samples")
    run.finish()
    rows = samples(server.only_stream())
    times = [at for at, _ in rows]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(0.3 < gap < 1.5 for gap in gaps), gaps
    names = set(rows[0][1])
    assert names >= {"cpu", "proc.cpu.threads", "memory_percent", "proc.memory.rssMB", "proc.memory.percent"}
    assert names >= {
        "proc.memory.availableMB",
        "disk./.usagePercent",
        "disk./.usageGB",
        "network.sent",
        "network.recv",
    }
    rss = psutil.Process().memory_info().rss / MIB
    assert rows[-1][1]["proc.memory.rssMB"] >= rss * 0.5
    assert max(values["cpu"] for _, values in rows) > 100 * 0.3 / cgroup.cpu_count()
    assert all(0 <= values["cpu"] <= 110 for _, values in rows)


def test_another_daemon_goes_on_with_the_same_names(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon("--sample-interval-s", "0.2")
    start = writer_start(tmp_path / "run", server.base_url, telemetry=True, host=socket.gethostname())
    run = SpoolRun(state_dir, start)
    daemon.client.open(start, str(run.folder))
    wait_until(lambda: len(samples(server.only_stream())) >= 2, "samples")
    daemon.kill()
    known = len(samples(server.only_stream()))
    start_daemon("--sample-interval-s", "0.2")
    wait_until(lambda: len(samples(server.only_stream())) >= known + 3, "more samples")
    run.finish()
    keys = [record.key for _, record in server.only_stream().messages() if record.WhichOneof("kind") == "key"]
    names = {}
    for key in keys:
        assert names.setdefault(key.id, key.name) == key.name or key.name == "value"
    rows = samples(server.only_stream())
    assert set(rows[0][1]) == set(rows[-1][1])


def test_a_run_without_telemetry_is_not_sampled(state_dir, tmp_path, start_daemon, server):
    daemon = start_daemon("--sample-interval-s", "0.1")
    start = writer_start(tmp_path / "run", server.base_url)
    run = SpoolRun(state_dir, start)
    daemon.client.open(start, str(run.folder))
    run.log(10)
    offset = run.finish()
    list(daemon.client.close_writer(run.writer_id, offset, v1.DURABILITY_SERVER))
    assert samples(server.only_stream()) == []
