"""Which launch of its job this process belongs to, and whether a scheduler has started the job again.

All ranks of a launch find the same answers, from their environment alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_RESTART_COUNTS = (
    ("SLURM_RESTART_COUNT", 0),  # requeued so many times
    ("TORCHELASTIC_RESTART_COUNT", 0),  # workers started again by torchrun
    ("AWS_BATCH_JOB_ATTEMPT", 1),  # the first attempt is 1
)


def restart_count(environment: Mapping[str, str]) -> int:
    """How many times the job was started again, as far as its scheduler says."""
    count = 0
    for name, first in _RESTART_COUNTS:
        text = environment.get(name, "")
        if text.isdecimal():
            count += max(0, int(text) - first)
    return count


def may_be_restarted(environment: Mapping[str, str], *, id_from_environment: bool) -> bool:
    """Whether a run of this id that is there already is an earlier start of this very job.

    Kubernetes starts a failed pod again from the same manifest and does not say so. If the run's id comes from there,
    the run that has it is the same job's.
    """
    if restart_count(environment) > 0:
        return True
    return id_from_environment and bool(environment.get("KUBERNETES_SERVICE_HOST"))


def launch_id(environment: Mapping[str, str], job: str, run: str) -> bytes:
    """16 bytes that the processes of one launch share, and no other launch has.

    Args:
        environment: the process's variables.
        job: what all ranks of the job share; empty if nothing is known to be shared, and then there is no launch id.
        run: path of the run.
    """
    if not job:
        return b""
    return hashlib.sha256(f"{job}#{restart_count(environment)}#{run}".encode()).digest()[:16]


def shared_launch_id(run: str) -> bytes:
    """The launch of every process that writes a run in shared mode, whenever it comes."""
    return hashlib.sha256(f"shared#{run}".encode()).digest()[:16]
