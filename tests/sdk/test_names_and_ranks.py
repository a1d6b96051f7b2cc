"""Ids, names, default projects, and the place of a process in its job."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from buoy import ids
from buoy.errors import UsageError
from buoy.ranks import Rank, detect, job_name, logs


def test_ids_do_not_repeat_when_the_user_seeds() -> None:
    found = set()
    for _ in range(100):
        random.seed(0)
        found.add(ids.random_id())
    assert len(found) == 100
    assert all(re.fullmatch("[0-9a-z]{8}", one) for one in found)


def test_names_follow_from_the_id() -> None:
    assert ids.name_of("abc") == ids.name_of("abc")
    names = {ids.name_of(str(number)) for number in range(1000)}
    assert len(names) > 990
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-\d+", name) for name in names)


def test_default_project(tmp_path: Path) -> None:
    repository = tmp_path / "my:repo"
    (repository / ".git").mkdir(parents=True)
    (repository / "src" / "train").mkdir(parents=True)
    assert ids.default_project(repository) == "my-repo"
    assert ids.default_project(repository / "src" / "train") == "my-repo-src-train"
    # Somewhere above the test's folder there might be a repository, but not above the root.
    assert ids.default_project(Path("/")) == "uncategorized"


TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, Rank(0, 0, 1)),
        (TORCHRUN, Rank(3, 1, 4)),
        ({"RANK": "3"}, Rank()),
        ({"RANK": "four", "WORLD_SIZE": "4"}, Rank()),
        ({"RANK": "4", "WORLD_SIZE": "4"}, Rank()),
        ({"SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8"}, Rank(5, 1, 8)),
        (
            {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0", "OMPI_COMM_WORLD_SIZE": "3"},
            Rank(2, 0, 3),
        ),
        # torchrun under SLURM: one task for each machine, whose ranks are not the processes' ranks.
        ({**TORCHRUN, "SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, Rank(3, 1, 4)),
    ],
)
def test_detect(environment: dict[str, str], rank: Rank) -> None:
    assert detect(environment) == rank


def test_which_ranks_log() -> None:
    assert [logs("all", rank) for rank in range(3)] == [True, True, True]
    assert [logs("zero", rank) for rank in range(3)] == [True, False, False]
    assert [logs((0, 2), rank) for rank in range(3)] == [True, False, True]


def test_job_names() -> None:
    """Ranks of a job agree, and two jobs differ even if their launchers' variables are the same."""
    single = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "TORCHELASTIC_RUN_ID": "none",
        "MASTER_PORT": "29500",
    }
    assert job_name(single, "launcher-1") == job_name({**single, "RANK": "1"}, "launcher-1")
    assert job_name(single, "launcher-1") != job_name(single, "launcher-2")
    several = {"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "job7"}
    assert job_name(several, "machine-1") == job_name(several, "machine-2")
    slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}
    assert job_name(slurm, "machine-1") == job_name(slurm, "machine-2")
    assert job_name(slurm, "machine-1") != job_name({**slurm, "SLURM_STEP_ID": "1"}, "machine-1")


def test_a_job_without_a_name_is_refused() -> None:
    # torchrun's defaults on several machines: nothing tells today's job from yesterday's.
    with pytest.raises(UsageError, match="BUOY_RUN_ID"):
        job_name({"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "none"}, "parent")
