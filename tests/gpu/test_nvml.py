"""The GPU sampler on a real card, against what nvidia-smi says at the same time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from buoy_daemon.sampler.gpu import GpuSampler, gpu_values

pytestmark = pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs an NVIDIA GPU")

# nvidia-smi's name, ours, and how far they may be apart: load, power and temperature move between two looks.
FIELDS = [
    ("memory.total", None, 0),
    ("memory.used", "memoryAllocatedBytes", 600 << 20),
    ("utilization.gpu", "gpu", 100),
    ("temperature.gpu", "temp", 5),
    ("power.draw", "powerWatts", 60),
    ("enforced.power.limit", "enforcedPowerLimitWatts", 1),
    ("clocks.sm", "smClock", 2000),
    ("clocks.mem", "memoryClock", 3000),
    ("pcie.link.gen.current", "pcieLinkGen", 4),
    ("pcie.link.gen.max", "maxPcieLinkGen", 0),
    ("pcie.link.width.current", "pcieLinkWidth", 0),
    ("pcie.link.width.max", "maxPcieLinkWidth", 0),
]


def smi() -> list[dict[str, float | None]]:
    """One dictionary for each card; None where nvidia-smi says that there is no value."""
    query = ",".join(name for name, _, _ in FIELDS)
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [
        {name: _number(text) for (name, _, _), text in zip(FIELDS, line.split(","), strict=True)}
        for line in lines
    ]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def test_values_agree_with_nvidia_smi() -> None:
    sampler = GpuSampler()
    values = gpu_values(sampler.read(), set())
    sampler.close()
    for index, card in enumerate(smi()):
        for name, ours, tolerance in FIELDS:
            said = card[name]
            if ours is None or said is None:
                continue
            said *= 1 << 20 if name.startswith("memory.") else 1
            assert values[f"gpu.{index}.{ours}"] == pytest.approx(said, abs=tolerance), name
        used = card["memory.used"] or 0.0
        share = 100.0 * used / (card["memory.total"] or 1.0)
        assert values[f"gpu.{index}.memoryAllocated"] == pytest.approx(share, abs=2)


def test_a_process_on_the_card_is_found() -> None:
    """A child allocates memory on card 0; the driver may hide pids from a container, then there is nothing to find."""
    script = (
        "import ctypes; cuda = ctypes.CDLL('libcuda.so.1'); c = ctypes.c_void_p(); p = ctypes.c_void_p();"
        "assert cuda.cuInit(0) == 0; assert cuda.cuCtxCreate_v2(ctypes.byref(c), 0, 0) == 0;"
        "assert cuda.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(1 << 28)) == 0;"
        "print('ready', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"ready\n"
        sampler = GpuSampler()
        readings = sampler.read()
        sampler.close()
        child.stdin.close()
    pids = set().union(*(reading.pids for reading in readings))
    if child.pid not in pids:
        pytest.skip(f"the driver names other processes here: {sorted(pids)}")
    values = gpu_values(readings, {child.pid, os.getpid()})
    assert any(name.startswith("gpu.process.") for name in values)
