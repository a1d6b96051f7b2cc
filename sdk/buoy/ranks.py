"""Which process of a distributed job this is, from the environment that its launcher set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from buoy.errors import UsageError

# rank, local rank, world size
_LAUNCHERS = (
    ("RANK", "LOCAL_RANK", "WORLD_SIZE"),  # torchrun, accelerate, deepspeed
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "MPI_LOCALRANKID", "PMI_SIZE"),  # MPICH, Intel MPI
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
)
_MPI_SIZES = ("OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_SIZE")
_SLURM_JOB = ("SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID")


class Rank(NamedTuple):
    """This process's place in its job; 0 of 1 when there is no job."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1


def detect(environment: Mapping[str, str]) -> Rank:
    """Reads the launcher's variables; what is incomplete or not a number counts as absent."""
    for rank_name, local_name, size_name in _LAUNCHERS:
        try:
            rank, size = int(environment[rank_name]), int(environment[size_name])
            local = int(environment.get(local_name, "0"))
        except (KeyError, ValueError):
            continue
        if 0 <= rank < size and local >= 0:
            return Rank(rank, local, size)
    return Rank()


def logs(chosen: str | tuple[int, ...], rank: int) -> bool:
    """Whether this rank has a part in the run."""
    if isinstance(chosen, tuple):
        return rank in chosen
    return chosen == "all" or rank == 0


def job_name(environment: Mapping[str, str], parent: str) -> str:
    """What all ranks of this job share and no other job has.

    Args:
        environment: the process's variables.
        parent: identity of the parent process; ranks on one machine share their launcher.

    Raises:
        UsageError: nothing in the environment tells this job from another one.
    """
    slurm = [environment.get(name, "") for name in _SLURM_JOB]
    address = f"{environment.get('MASTER_ADDR', '')}:{environment.get('MASTER_PORT', '')}"
    # A rendezvous id is often one constant for every job ("none" by default, "100" in tutorials). On a single
    # machine the launcher's process tells two trainings apart, so it comes first.
    for local_name, size_name in (("LOCAL_WORLD_SIZE", "WORLD_SIZE"), _MPI_SIZES):
        if (size := environment.get(size_name)) and environment.get(local_name) == size:
            return "/".join(("launcher", parent, address, *slurm))
    elastic = environment.get("TORCHELASTIC_RUN_ID", "none")
    if elastic != "none":
        return "/".join(("torchrun", elastic, address, *slurm))
    if slurm[0]:
        return "/".join(("slurm", *slurm))
    if namespace := environment.get("PMIX_NAMESPACE"):
        return f"mpi/{namespace}"
    raise UsageError(
        "ranks='all' needs a run id that all machines of the job share, and the launcher gives none: "
        "set BUOY_RUN_ID, or give init(id=...), or start torchrun with --rdzv-id"
    )


def parent_identity() -> str:
    """Names the parent process beyond its number, which the system uses again."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        start = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        boot = start = ""
    return f"{boot}/{os.getppid()}/{start}"
