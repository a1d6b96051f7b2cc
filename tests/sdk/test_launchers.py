"""The environments that launchers really give, as their documentation and sources have them: whose rank is what, and
which processes are of one job."""

from __future__ import annotations

from typing import Any

import pytest
from buoy.errors import UsageError
from buoy.ids import derived_id
from buoy.ranks import Rank, detect, job_name

from tests.sdk.training import Script, ended_run

Environment = dict[str, str]


def torchrun(rank: int, local: int, nodes: int = 2, **more: str) -> Environment:
    """Two processes a machine."""
    return {
        "RANK": str(rank), "LOCAL_RANK": str(local), "WORLD_SIZE": str(2 * nodes), "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": str(rank // 2), "GROUP_WORLD_SIZE": str(nodes), "ROLE_RANK": str(rank),
        "MASTER_ADDR": "node0", "MASTER_PORT": "29500", "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0", "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True",
        **more,
    }  # fmt: skip


def slurm(rank: int, **more: str) -> Environment:
    """A batch job of two machines with two tasks each, in a step of srun."""
    return {
        "SLURM_JOB_ID": "4711", "SLURM_JOBID": "4711", "SLURM_CLUSTER_NAME": "c", "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank % 2), "SLURM_NODEID": str(rank // 2),
        "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NNODES": "2", "SLURM_TASKS_PER_NODE": "2(x2)",
        **more,
    }  # fmt: skip


def openmpi(rank: int, **more: str) -> Environment:
    return {
        "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": str(rank % 2),
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_NODE_RANK": str(rank % 2), "OMPI_UNIVERSE_SIZE": "4",
        "PMIX_NAMESPACE": "prterun-node0-812@1", "PMIX_RANK": str(rank), **more,
    }  # fmt: skip


def hydra(rank: int, **more: str) -> Environment:
    """MPICH and Intel MPI."""
    return {
        "PMI_RANK": str(rank), "PMI_SIZE": "4", "PMI_FD": "9", "MPI_LOCALRANKID": str(rank % 2),
        "MPI_LOCALNRANKS": "2", **more,
    }  # fmt: skip


def mvapich(rank: int, prefix: str = "MV2", **more: str) -> Environment:
    return {
        f"{prefix}_COMM_WORLD_RANK": str(rank), f"{prefix}_COMM_WORLD_SIZE": "4",
        f"{prefix}_COMM_WORLD_LOCAL_RANK": str(rank % 2), f"{prefix}_COMM_WORLD_LOCAL_SIZE": "2",
        "PMI_RANK": str(rank), "PMI_SIZE": "4", **more,
    }  # fmt: skip


def deepspeed(rank: int, **more: str) -> Environment:
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank % 2), "WORLD_SIZE": "4", "LOCAL_SIZE": "2",
        "CROSS_RANK": str(rank // 2), "CROSS_SIZE": "2", "MASTER_ADDR": "node0", "MASTER_PORT": "29500", **more,
    }  # fmt: skip


def ray(rank: int, **more: str) -> Environment:
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank % 2), "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2",
        "NODE_RANK": str(rank // 2), "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "38211", "RAY_JOB_ID": "02000000",
        "RAY_RAYLET_PID": "77", **more,
    }  # fmt: skip


def horovod(rank: int, **more: str) -> Environment:
    return {
        "HOROVOD_RANK": str(rank), "HOROVOD_SIZE": "4", "HOROVOD_LOCAL_RANK": str(rank % 2),
        "HOROVOD_LOCAL_SIZE": "2", "HOROVOD_CROSS_RANK": str(rank // 2), "HOROVOD_CROSS_SIZE": "2",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": "10.0.0.1", "HOROVOD_GLOO_RENDEZVOUS_PORT": "4242",
        "HOROVOD_CONTROLLER": "gloo", **more,
    }  # fmt: skip


def jsrun(rank: int, **more: str) -> Environment:
    return {
        "JSM_NAMESPACE_RANK": str(rank), "JSM_NAMESPACE_SIZE": "4", "JSM_NAMESPACE_LOCAL_RANK": str(rank % 2),
        "JSM_NAMESPACE_LOCAL_SIZE": "2", "PMIX_NAMESPACE": "1", "LSB_JOBID": "991", "LSB_JOBINDEX": "0",
        "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": "4", **more,
    }  # fmt: skip


def pals(rank: int, **more: str) -> Environment:
    return {
        "PALS_RANKID": str(rank), "PALS_LOCAL_RANKID": str(rank % 2), "PALS_NODEID": str(rank // 2),
        "PALS_APID": "5d0e-11", "PMI_RANK": str(rank), "PMI_SIZE": "4", "PMI_LOCAL_RANK": str(rank % 2),
        "PBS_JOBID": "88.server", **more,
    }  # fmt: skip


def flux(rank: int, **more: str) -> Environment:
    return {
        "FLUX_TASK_RANK": str(rank), "FLUX_JOB_SIZE": "4", "FLUX_TASK_LOCAL_ID": str(rank % 2),
        "FLUX_JOB_ID": "f4Dk", "FLUX_JOB_NNODES": "2", "PMI_RANK": str(rank), "PMI_SIZE": "4", **more,
    }  # fmt: skip


PLACES: list[tuple[str, Environment, Rank]] = [
    ("alone", {}, Rank()),
    ("torchrun", torchrun(3, 1), Rank(3, 1, 4, 1, "torchrun")),
    # accelerate starts its processes as torchrun does, and adds words of its own.
    ("accelerate", torchrun(3, 1, ACCELERATE_MIXED_PRECISION="bf16"), Rank(3, 1, 4, 1, "torchrun")),
    ("deepspeed", deepspeed(3), Rank(3, 1, 4, 1, "torchrun")),
    ("ray", ray(3), Rank(3, 1, 4, 1, "ray")),
    ("horovodrun", horovod(3), Rank(3, 1, 4, 1, "horovod")),
    ("horovodrun over mpirun", {**openmpi(3), "HOROVOD_CONTROLLER": "mpi"}, Rank(3, 1, 4, 0, "openmpi")),
    ("jsrun", jsrun(3), Rank(3, 1, 4, 0, "jsrun")),
    ("mpirun of Open MPI", openmpi(3), Rank(3, 1, 4, 0, "openmpi")),
    ("mpirun_rsh of MVAPICH2", mvapich(3), Rank(3, 1, 4, 0, "mvapich")),
    ("mpirun_rsh of MVAPICH", mvapich(3, "MVP"), Rank(3, 1, 4, 0, "mvapich")),
    ("mpiexec of MPICH and Intel MPI", hydra(3), Rank(3, 1, 4, 0, "mpich")),
    ("mpiexec of Cray PALS", pals(3), Rank(3, 1, 4, 1, "pals")),
    ("flux", flux(3), Rank(3, 1, 4, 0, "flux")),
    ("srun", slurm(3), Rank(3, 1, 4, 1, "srun")),
    # The local rank used to be 0 for all, because PMI_RANK came first and has none beside it.
    ("srun --mpi=pmi2", slurm(3, PMI_RANK="3", PMI_SIZE="4"), Rank(3, 1, 4, 1, "srun")),
    ("srun --mpi=pmix", slurm(3, PMIX_RANK="3", PMIX_NAMESPACE="slurm.pmix.4711.0"), Rank(3, 1, 4, 1, "srun")),
    # One task of srun for each machine, whose rank is not that of the processes.
    ("srun torchrun", {**slurm(1), **torchrun(3, 1)}, Rank(3, 1, 4, 1, "torchrun")),
    ("mpirun in a batch job", {**slurm(1), **openmpi(3)}, Rank(3, 1, 4, 0, "openmpi")),
    ("mpiexec in a batch job", {**slurm(1), **hydra(3)}, Rank(3, 1, 4, 0, "mpich")),
    # The batch script itself is task 0 of its job.
    ("sbatch without srun", {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1"}, Rank(0, 0, 4, 0, "srun")),
    (
        "given", {**torchrun(3, 1), "BUOY_RANK": "7", "BUOY_WORLD_SIZE": "8", "BUOY_NODE_RANK": "2"},
        Rank(7, 0, 8, 2, "explicit"),
    ),
    ("no size", {"RANK": "3"}, Rank()),
    ("no number", {"RANK": "four", "WORLD_SIZE": "4"}, Rank()),
    ("beyond the size", {"RANK": "4", "WORLD_SIZE": "4"}, Rank()),
    ("broken, but another one makes sense", {"RANK": "", "WORLD_SIZE": "", **openmpi(1)}, Rank(1, 1, 4, 0, "openmpi")),
    ("negative", {"RANK": "-1", "WORLD_SIZE": "4"}, Rank()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "rank"), [place[1:] for place in PLACES], ids=[place[0] for place in PLACES]
)
def test_place_in_the_job(environment: Environment, rank: Rank) -> None:
    assert detect(environment) == rank


JOBS: list[tuple[str, Any]] = [
    ("srun", slurm),
    ("openmpi", openmpi),
    ("horovod", horovod),
    ("jsrun", jsrun),
    ("pals", pals),
    ("flux", flux),
    ("ray", ray),
    ("torchrun with an id", lambda rank: torchrun(rank, rank % 2, TORCHELASTIC_RUN_ID="job7")),
    ("torchrun in srun", lambda rank: {**slurm(rank // 2), **torchrun(rank, rank % 2)}),
    ("deepspeed in srun", lambda rank: {**slurm(rank // 2), **deepspeed(rank)}),
    ("mpich in a batch job", lambda rank: {**hydra(rank), "PBS_JOBID": "88.server"}),
    ("mvapich in a batch job", lambda rank: {**mvapich(rank), "LSB_JOBID": "5"}),
    ("given", lambda rank: {**torchrun(rank, rank % 2), "BUOY_JOB_ID": "mine"}),
    (
        "AWS Batch",
        lambda rank: {**torchrun(rank, rank % 2), "AWS_BATCH_JOB_ID": f"a7182d0e-7e9e#{rank // 2}"},
    ),
]


@pytest.mark.parametrize("make", [make for _, make in JOBS], ids=[name for name, _ in JOBS])
def test_ranks_of_all_machines_find_the_same_id(make: Any) -> None:
    """Without talking: their parents are other processes on other machines."""
    names = {job_name(make(rank), f"parent on machine {rank // 2}") for rank in range(4)}
    assert len(names) == 1
    assert len(derived_id(names.pop())) == 8


def single(**more: str) -> Environment:
    return torchrun(1, 1, nodes=1, **more)


def test_torchrun_without_an_id_on_one_machine() -> None:
    """Its id is the word "none" for everybody: what tells two trainings apart is torchrun's own process."""
    assert job_name(single(), "launcher-1") == job_name(single(RANK="0", LOCAL_RANK="0"), "launcher-1")
    assert job_name(single(), "launcher-1") != job_name(single(), "launcher-2")
    # Workers that torchrun has started again are still its own.
    assert job_name(single(TORCHELASTIC_RESTART_COUNT="2"), "launcher-1") == job_name(single(), "launcher-1")
    # An id that everybody copies from the manual is no better.
    for name in ("100", "none"):
        assert job_name(single(TORCHELASTIC_RUN_ID=name), "1") != job_name(
            single(TORCHELASTIC_RUN_ID=name), "2"
        )


def test_torchrun_without_an_id_on_several_machines_is_refused() -> None:
    # Nothing tells today's job from yesterday's.
    for environment in (torchrun(1, 1), deepspeed(1), hydra(1), mvapich(1)):
        with pytest.raises(UsageError, match="BUOY_RUN_ID"):
            job_name(environment, "parent")


def test_a_requeued_job_has_the_same_id() -> None:
    """SLURM keeps the job's id, counts its steps from 0 again, and gives other processes, ports and machines."""
    again = {"SLURM_RESTART_COUNT": "1", "SLURM_NODELIST": "n[7-8]", "MASTER_PORT": "4000"}
    assert job_name(slurm(1), "p") == job_name({**slurm(1), **again}, "q")
    both = {**slurm(1), **torchrun(3, 1)}
    assert job_name(both, "p") == job_name({**both, **again}, "q")
    # torchrun on a single machine needs an id that is made of the job's.
    one = {**slurm(0), **single(TORCHELASTIC_RUN_ID="4711")}
    assert job_name(one, "p") == job_name({**one, **again}, "q")
    assert job_name(one, "p") != job_name({**one, "SLURM_JOB_ID": "4712", "TORCHELASTIC_RUN_ID": "4712"}, "p")
    other = {**slurm(0), **single(TORCHELASTIC_RUN_ID="100")}
    assert job_name(other, "p") != job_name(other, "q")


def test_other_jobs_have_other_ids() -> None:
    pairs: list[tuple[Environment, Environment]] = [
        (slurm(1), slurm(1, SLURM_STEP_ID="1")),
        (slurm(1), slurm(1, SLURM_JOB_ID="4712")),
        (slurm(1), slurm(1, SLURM_CLUSTER_NAME="d")),
        (slurm(1), slurm(1, SLURM_JOB_ID="4711", SLURM_ARRAY_TASK_ID="3")),
        (openmpi(1), openmpi(1, PMIX_NAMESPACE="prterun-node0-813@1")),
        ({**slurm(0), **openmpi(1)}, {**slurm(0), **openmpi(1, PMIX_NAMESPACE="prterun-node0-813@1")}),
        (horovod(1), horovod(1, HOROVOD_GLOO_RENDEZVOUS_PORT="4243")),
        (jsrun(1), jsrun(1, PMIX_NAMESPACE="2")),
        (jsrun(1), jsrun(1, LSB_JOBID="992")),
        (pals(1), pals(1, PALS_APID="5d0e-12")),
        (flux(1), flux(1, FLUX_JOB_ID="f4Dm")),
        # All workers of a machine are children of one raylet, whatever they train.
        (ray(1, LOCAL_WORLD_SIZE="4"), ray(1, LOCAL_WORLD_SIZE="4", MASTER_PORT="38212")),
        (ray(1), ray(1, RAY_JOB_ID="03000000")),
        (torchrun(1, 1, TORCHELASTIC_RUN_ID="a"), torchrun(1, 1, TORCHELASTIC_RUN_ID="b")),
    ]
    for one, other in pairs:
        assert job_name(one, "p") != job_name(other, "p"), (one, other)
    for environment in (hydra(1, MPI_LOCALNRANKS="4"), mvapich(1, MV2_COMM_WORLD_LOCAL_SIZE="4")):
        assert job_name(environment, "launcher-1") != job_name(environment, "launcher-2")


def test_the_run_says_where_it_ran(script: Script) -> None:
    code = "import buoy; buoy.init(project='p', ranks='all', mode='offline').finish()"
    found = script.run(code, **slurm(0, SLURM_NTASKS="1", SLURM_STEP_NUM_TASKS="1", SLURM_NODEID="5"))
    assert found.returncode == 0, found.stderr
    metadata = ended_run("finished").metadata
    assert {name: metadata[name] for name in ("launcher", "node_rank", "job")} == {
        "launcher": "srun", "node_rank": 5, "job": "4711",
    }  # fmt: skip
