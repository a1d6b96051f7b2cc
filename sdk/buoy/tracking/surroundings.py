"""Whether anything on this machine outlives the job: if not, nobody uploads after `finish()` what is left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
_CONTAINER_VARIABLES = ("KUBERNETES_SERVICE_HOST", "container")
_CONTAINER_WORDS = ("docker", "kubepods", "containerd", "libpod", "lxc", "garden", "/ecs/")
_BATCH_VARIABLES = {"SLURM_JOB_ID": "SLURM job", "PBS_JOBID": "PBS job", "LSB_JOBID": "LSF job"}


def job_that_ends_all(environment: Mapping[str, str], root: Path = Path("/")) -> str:
    """What takes every process along when it ends: "container", "SLURM job" and the like; empty if nothing does.

    Args:
        environment: the process's variables.
        root: where the file system begins.
    """
    for variable, name in _BATCH_VARIABLES.items():
        if environment.get(variable):
            return name
    if any(environment.get(variable) for variable in _CONTAINER_VARIABLES):
        return "container"
    if any((root / file.lstrip("/")).exists() for file in _CONTAINER_FILES):
        return "container"
    try:
        groups = (root / "proc/1/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "container" if any(word in groups for word in _CONTAINER_WORDS) else ""
