"""GPU samples through the real pynvml, on a library of our own in place of the driver's."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.processes import SpoolRun, wait_until, writer_start
from tests.daemon.test_sampler import samples

CARD_0 = {
    "gpu": 91,
    "memory": 42,
    "memoryAllocated": 25.0,
    "memoryAllocatedBytes": 250000,
    "temp": 40,
    "powerWatts": 123.456,
    "enforcedPowerLimitWatts": 700.0,
    "powerPercent": pytest.approx(17.6366, abs=1e-3),
    "smClock": 1001,
    "memoryClock": 1002,
    "graphicsClock": 1000,
    "correctedMemoryErrors": 11,
    "uncorrectedMemoryErrors": 2,
    "encoderUtilization": 7,
    "pcieLinkGen": 5,
    "pcieLinkSpeed": 32000,
    "pcieLinkWidth": 8,
    "maxPcieLinkGen": 6,
    "maxPcieLinkWidth": 16,
}
"""No fanSpeed: the card has no fan."""

READ = """
import json, sys
from buoy_daemon.sampler.gpu import GpuSampler, gpu_values
sampler = GpuSampler()
print(json.dumps(gpu_values(sampler.read(), {int(pid) for pid in sys.argv[1:]})))
sampler.close()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("fake_nvml.c")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", target, source], check=True)
    return folder


def read_gpus(*pids, **env):
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, pids)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_every_value_of_a_card(library):
    values = read_gpus(LD_LIBRARY_PATH=str(library))
    assert {name: value for name, value in values.items() if name.startswith("gpu.0.")} == {
        f"gpu.0.{name}": value for name, value in CARD_0.items()
    }


def test_a_card_that_supports_almost_nothing_costs_nothing(library):
    values = read_gpus(LD_LIBRARY_PATH=str(library))
    assert {name: value for name, value in values.items() if name.startswith("gpu.1.")} == {"gpu.1.temp": 41}


def test_cards_that_a_process_uses_are_named_again(library):
    values = read_gpus(4711, 1, LD_LIBRARY_PATH=str(library), FAKE_NVML_PIDS="4711")
    again = {name: value for name, value in values.items() if name.startswith("gpu.process.")}
    first_eight = list(CARD_0)[:8]
    assert again == {f"gpu.process.0.{name}": CARD_0[name] for name in first_eight}
    others = read_gpus(1, LD_LIBRARY_PATH=str(library), FAKE_NVML_PIDS="4711")
    assert not any(name.startswith("gpu.process.") for name in others)


def test_a_machine_without_the_library_says_nothing(tmp_path):
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has the library")
    assert read_gpus(LD_LIBRARY_PATH=str(tmp_path)) == {}


def test_the_daemon_samples_the_cards_of_a_run(library, state_dir, tmp_path, start_daemon, server):
    env = {"LD_LIBRARY_PATH": str(library), "FAKE_NVML_PIDS": str(os.getpid())}
    daemon = start_daemon("--sample-interval-s", "0.2", env=env)
    start = writer_start(tmp_path / "run", server.base_url, telemetry=True, host=socket.gethostname())
    run = SpoolRun(state_dir, start)
    daemon.client.open(start, str(run.folder))
    wait_until(lambda: samples(server.only_stream()), "a sample")
    values = samples(server.only_stream())[0][1]
    assert values["gpu.0.gpu"] == 91
    assert values["gpu.process.0.powerWatts"] == 123.456
    assert values["gpu.1.temp"] == 41
    run.finish()
