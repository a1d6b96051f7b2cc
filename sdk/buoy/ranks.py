"""Which process of a distributed job this is, from the environment that its launcher set.

The first launcher of the table whose variables make sense counts. The order matters, because launchers are nested:
torchrun inside srun, mpirun inside a batch job, and many set the variables of others as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from buoy.errors import UsageError


class Launcher(NamedTuple):
    """The variables that a launcher gives each process; of several names the first that is set.

    Attributes:
        name: for people.
        rank, size: the process's number, and how many there are.
        local_rank, local_size: the same on its machine.
        node_rank: number of the machine.
        launch: what all processes of one launch share and no other launch has, together.
        one_parent: all processes on a machine have the same parent process, which no other launch has.
    """

    name: str
    rank: tuple[str, ...]
    size: tuple[str, ...]
    local_rank: tuple[str, ...]
    local_size: tuple[str, ...] = ()
    node_rank: tuple[str, ...] = ()
    launch: tuple[str, ...] = ()
    one_parent: bool = True


LAUNCHERS = (
    # Said by the user, who knows best.
    Launcher(
        "explicit", ("BUOY_RANK",), ("BUOY_WORLD_SIZE",), ("BUOY_LOCAL_RANK",), ("BUOY_LOCAL_WORLD_SIZE",),
        ("BUOY_NODE_RANK",), one_parent=False,
    ),
    # A worker of Ray is a child of the machine's raylet, whatever it trains.
    Launcher(
        "ray", ("RANK",), ("WORLD_SIZE",), ("LOCAL_RANK",), ("LOCAL_WORLD_SIZE",), ("NODE_RANK",),
        ("RAY_JOB_ID", "MASTER_ADDR", "MASTER_PORT"), one_parent=False,
    ),
    # torchrun and accelerate; deepspeed has other names for what concerns the machine.
    Launcher(
        "torchrun", ("RANK",), ("WORLD_SIZE",), ("LOCAL_RANK",), ("LOCAL_WORLD_SIZE", "LOCAL_SIZE"),
        ("GROUP_RANK", "NODE_RANK", "CROSS_RANK"),
    ),
    # Each process is started by a shell of its own.
    Launcher(
        "horovod", ("HOROVOD_RANK",), ("HOROVOD_SIZE",), ("HOROVOD_LOCAL_RANK",), ("HOROVOD_LOCAL_SIZE",),
        ("HOROVOD_CROSS_RANK",), ("HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_RENDEZVOUS_PORT"), one_parent=False,
    ),
    Launcher(
        "jsrun", ("JSM_NAMESPACE_RANK",), ("JSM_NAMESPACE_SIZE",), ("JSM_NAMESPACE_LOCAL_RANK",),
        ("JSM_NAMESPACE_LOCAL_SIZE",), launch=("PMIX_NAMESPACE",),
    ),
    # Its NODE_RANK is no number of a machine.
    Launcher(
        "openmpi", ("OMPI_COMM_WORLD_RANK",), ("OMPI_COMM_WORLD_SIZE",), ("OMPI_COMM_WORLD_LOCAL_RANK",),
        ("OMPI_COMM_WORLD_LOCAL_SIZE",), launch=("PMIX_NAMESPACE",),
    ),
    Launcher(
        "mvapich", ("MV2_COMM_WORLD_RANK", "MVP_COMM_WORLD_RANK"), ("MV2_COMM_WORLD_SIZE", "MVP_COMM_WORLD_SIZE"),
        ("MV2_COMM_WORLD_LOCAL_RANK", "MVP_COMM_WORLD_LOCAL_RANK"),
        ("MV2_COMM_WORLD_LOCAL_SIZE", "MVP_COMM_WORLD_LOCAL_SIZE"),
    ),
    Launcher(
        "flux", ("FLUX_TASK_RANK",), ("FLUX_JOB_SIZE",), ("FLUX_TASK_LOCAL_ID",), launch=("FLUX_JOB_ID",),
        one_parent=False,
    ),
    Launcher(
        "pals", ("PALS_RANKID",), ("PMI_SIZE",), ("PALS_LOCAL_RANKID",), ("PALS_LOCAL_SIZE",), ("PALS_NODEID",),
        ("PALS_APID",),
    ),
    # srun sets the next one's variables too if its tasks speak PMI, but not where they are on their machine.
    Launcher(
        "srun", ("SLURM_PROCID",), ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), ("SLURM_LOCALID",), (),
        ("SLURM_NODEID",), one_parent=False,
    ),
    # MPICH and Intel MPI.
    Launcher("mpich", ("PMI_RANK",), ("PMI_SIZE",), ("MPI_LOCALRANKID", "PMI_LOCAL_RANK"), ("MPI_LOCALNRANKS",)),
)  # fmt: skip

_SCHEDULERS = (
    ("slurm", ("SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID")),
    ("lsf", ("LSB_JOBID", "LSB_JOBINDEX")),
    ("pbs", ("PBS_JOBID",)),
    ("batch", ("AWS_BATCH_JOB_ID",)),
)
"""Names of batch jobs; all of them survive a requeue."""

_NO_RENDEZVOUS = "none"


class Rank(NamedTuple):
    """This process's place in its job; 0 of 1 when there is no job."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    node_rank: int = 0
    launcher: str = ""


def detect(environment: Mapping[str, str]) -> Rank:
    """Reads the launcher's variables; what is incomplete or not a number counts as absent."""
    launcher = _launcher(environment)
    if launcher is None:
        return Rank()
    rank, size = _number(environment, launcher.rank), _number(environment, launcher.size)
    assert rank is not None
    assert size is not None
    local = _number(environment, launcher.local_rank)
    node = _number(environment, launcher.node_rank)
    return Rank(rank, local or 0, size, node or 0, launcher.name)


def _launcher(environment: Mapping[str, str]) -> Launcher | None:
    inside_hydra = "MPI_LOCALRANKID" in environment
    for launcher in LAUNCHERS:
        rank, size = _number(environment, launcher.rank), _number(environment, launcher.size)
        if rank is None or size is None or rank >= size:
            continue
        if launcher.name == "ray" and "RAY_JOB_ID" not in environment:
            continue
        if launcher.name == "srun" and inside_hydra:
            # mpiexec starts its helpers with srun, and what these hand on is their own place.
            continue
        return launcher
    return None


def _number(environment: Mapping[str, str], names: Sequence[str]) -> int | None:
    for name in names:
        text = environment.get(name, "")
        if text.isascii() and text.isdecimal():
            return int(text)
    return None


def logs(chosen: str | tuple[int, ...], rank: int) -> bool:
    """Whether this rank has a part in the run."""
    if isinstance(chosen, tuple):
        return rank in chosen
    return chosen == "all" or rank == 0


def job_name(environment: Mapping[str, str], parent: str) -> str:
    """What all ranks of this job share and no other job has.

    A job that its scheduler starts again has the same name as before, unless it was started by a launcher of which a
    batch job may start several, one after the other: these must not become one run.

    Args:
        environment: the process's variables.
        parent: identity of the parent process; ranks on one machine usually share their launcher.

    Raises:
        UsageError: nothing in the environment tells this job from another one.
    """
    if given := environment.get("BUOY_JOB_ID"):
        return f"given/{given}"
    launcher, scheduled = _launcher(environment), _scheduled(environment)
    if (
        launcher is not None
        and (launch := [environment.get(name, "") for name in launcher.launch])
        and all(launch)
    ):
        return "/".join((launcher.name, *launch, *scheduled))
    name = None
    if launcher is not None and launcher.name == "torchrun":
        name = _torchrun(environment, launcher, parent, scheduled)
    elif launcher is not None and launcher.one_parent and _on_one_machine(environment, launcher):
        name = "/".join(("launcher", parent, *scheduled))
    if name is None and scheduled:
        name = "/".join(scheduled)
    if name is None and (namespace := environment.get("PMIX_NAMESPACE")):
        name = f"mpi/{namespace}"
    if name is None:
        raise UsageError(
            "ranks='all' needs a run id that all machines of the job share, and the launcher gives none: "
            "set BUOY_RUN_ID, or give init(id=...), or start torchrun with --rdzv-id"
        )
    return name


def _torchrun(
    environment: Mapping[str, str], launcher: Launcher, parent: str, scheduled: Sequence[str]
) -> str | None:
    """A rendezvous id is often one constant for every job: "none" by default, "100" in tutorials."""
    address = f"{environment.get('MASTER_ADDR', '')}:{environment.get('MASTER_PORT', '')}"
    elastic = environment.get("TORCHELASTIC_RUN_ID", _NO_RENDEZVOUS)
    if scheduled and _mentions(elastic, scheduled[1].partition(".")[0]):
        # Made from the batch job's id, so it is this job's, also after a requeue.
        return "/".join(("torchrun", elastic, *scheduled))
    if _on_one_machine(environment, launcher):
        # The launcher's process tells two trainings apart.
        return "/".join(("launcher", parent, address, *scheduled))
    if elastic != _NO_RENDEZVOUS:
        # The port may be another one after workers were restarted; a batch job's id is not.
        return "/".join(("torchrun", elastic, *(scheduled or [address])))
    return None


def _mentions(elastic: str, job: str) -> bool:
    """Whether a rendezvous id was made of a batch job's id: `$SLURM_JOB_ID` and the like."""
    return job in re.findall(r"\d+", elastic) or (len(job) > 8 and job in elastic)


def batch_job(environment: Mapping[str, str]) -> str:
    """The batch job's name as people know it; empty outside of any."""
    return next(iter(_scheduled(environment)[1:]), "")


def _on_one_machine(environment: Mapping[str, str], launcher: Launcher) -> bool:
    size = _number(environment, launcher.size)
    return size is not None and _number(environment, launcher.local_size) == size


def _scheduled(environment: Mapping[str, str]) -> list[str]:
    """The batch job's name, in parts; empty outside of any."""
    for scheduler, names in _SCHEDULERS:
        if environment.get(names[0]):
            parts = [environment.get(name, "") for name in names]
            # The machines of one job of AWS Batch are numbered after a #.
            return [scheduler, *(part.partition("#")[0] for part in parts)]
    return []


def parent_identity() -> str:
    """Names the parent process beyond its number, which the system uses again."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        start = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        boot = start = ""
    return f"{boot}/{os.getppid()}/{start}"
