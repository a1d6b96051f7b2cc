"""NVIDIA cards through NVML. A machine without them, or without the library, gives no values and no complaint.

Every query may be unsupported on some card, so each is tried by itself, and one that a card does not know
costs that one value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from buoy_daemon.sampler.machine import Values

log = logging.getLogger(__name__)

PROCESS_NAMES = (
    "gpu",
    "memory",
    "memoryAllocated",
    "memoryAllocatedBytes",
    "temp",
    "powerWatts",
    "enforcedPowerLimitWatts",
    "powerPercent",
)
"""What is repeated as `gpu.process.{i}.*` for the cards that a run's processes use."""


class GpuSampler:
    """Reads all cards. For one thread."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        self._started = False

    def read(self) -> list[GpuReading]:
        """One reading for each card, in NVML's order."""
        if not self._started:
            self._started = True
            self._start()
        return [self._read(handle) for handle in self._handles]

    def close(self) -> None:
        """Lets go of NVML."""
        if self._nvml is not None:
            _try(self._nvml.nvmlShutdown)
            self._nvml, self._handles = None, []

    def _start(self) -> None:
        try:
            # Optional: most machines that run a daemon only to sync have no card.
            import pynvml  # noqa: PLC0415
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        except pynvml.NVMLError as error:
            log.info("no GPU metrics: %s", error)
            return
        self._nvml = pynvml
        log.info("sampling %d GPUs", count)

    def _read(self, handle: Any) -> GpuReading:
        nvml = self._nvml
        values: Values = {}
        for name, query in _queries(nvml).items():
            value = _try(query, handle)
            if value is not None:
                values[name] = value
        _add_memory(values, _try(nvml.nvmlDeviceGetMemoryInfo, handle))
        _add_utilization(values, _try(nvml.nvmlDeviceGetUtilizationRates, handle))
        if values.get("enforcedPowerLimitWatts") and "powerWatts" in values:
            values["powerPercent"] = 100.0 * values["powerWatts"] / values["enforcedPowerLimitWatts"]
        running = [
            *(_try(nvml.nvmlDeviceGetComputeRunningProcesses, handle) or []),
            *(_try(nvml.nvmlDeviceGetGraphicsRunningProcesses, handle) or []),
        ]
        return GpuReading(values, {process.pid for process in running})


class GpuReading:
    """One card at one moment."""

    def __init__(self, values: Values, pids: set[int]) -> None:
        self.values = values
        self.pids = pids


def gpu_values(readings: list[GpuReading], pids: set[int]) -> Values:
    """The metrics of all cards, and once more those of cards that one of `pids` uses."""
    values: Values = {}
    for index, reading in enumerate(readings):
        values.update({f"gpu.{index}.{name}": value for name, value in reading.values.items()})
        if reading.pids & pids:
            for name in PROCESS_NAMES:
                if name in reading.values:
                    values[f"gpu.process.{index}.{name}"] = reading.values[name]
    return values


def _queries(nvml: Any) -> dict[str, Callable[[Any], float | int]]:
    """How to ask for each value; NVML gives milliwatts, megahertz, degrees Celsius and percent."""
    corrected, uncorrected = nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED

    def errors(kind: int) -> Callable[[Any], int]:
        return lambda handle: int(nvml.nvmlDeviceGetTotalEccErrors(handle, kind, nvml.NVML_VOLATILE_ECC))

    def clock(kind: int) -> Callable[[Any], int]:
        return lambda handle: int(nvml.nvmlDeviceGetClockInfo(handle, kind))

    return {
        "temp": lambda handle: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        "powerWatts": lambda handle: nvml.nvmlDeviceGetPowerUsage(handle) / 1000.0,
        "enforcedPowerLimitWatts": lambda handle: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000.0,
        "smClock": clock(nvml.NVML_CLOCK_SM),
        "memoryClock": clock(nvml.NVML_CLOCK_MEM),
        "graphicsClock": clock(nvml.NVML_CLOCK_GRAPHICS),
        "correctedMemoryErrors": errors(corrected),
        "uncorrectedMemoryErrors": errors(uncorrected),
        "fanSpeed": lambda handle: int(nvml.nvmlDeviceGetFanSpeed(handle)),
        "encoderUtilization": lambda handle: int(nvml.nvmlDeviceGetEncoderUtilization(handle)[0]),
        "pcieLinkGen": lambda handle: int(nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle)),
        "pcieLinkSpeed": lambda handle: int(nvml.nvmlDeviceGetPcieSpeed(handle)),
        "pcieLinkWidth": lambda handle: int(nvml.nvmlDeviceGetCurrPcieLinkWidth(handle)),
        "maxPcieLinkGen": lambda handle: int(nvml.nvmlDeviceGetMaxPcieLinkGeneration(handle)),
        "maxPcieLinkWidth": lambda handle: int(nvml.nvmlDeviceGetMaxPcieLinkWidth(handle)),
    }


def _add_memory(values: Values, memory: Any) -> None:
    if memory is not None and memory.total:
        values["memoryAllocated"] = 100.0 * memory.used / memory.total
        values["memoryAllocatedBytes"] = int(memory.used)


def _add_utilization(values: Values, rates: Any) -> None:
    if rates is not None:
        values["gpu"] = int(rates.gpu)
        values["memory"] = int(rates.memory)


def _try(query: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or None: the card does not know this, the driver is too old for it, or it is just being reset."""
    try:
        return query(*arguments)
    except Exception as error:
        # Each code has a class of its own, and what an old library lacks fails in yet other ways.
        log.debug("NVML: %s", error)
        return None
