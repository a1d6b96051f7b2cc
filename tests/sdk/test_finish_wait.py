"""What `finish()` decides, without waiting for anything."""

from __future__ import annotations

from pathlib import Path

import buoy
import pytest
from buoy.tracking.patience import Patience
from buoy.tracking.progress import Upload, line
from buoy.tracking.surroundings import job_that_ends_all


@pytest.mark.parametrize(
    ("environment", "files", "found"),
    [
        ({}, {}, ""),
        ({}, {"proc/1/cgroup": "0::/init.scope\n"}, ""),
        ({}, {"proc/1/cgroup": "0::/\n"}, ""),
        ({}, {".dockerenv": ""}, "container"),
        ({}, {"run/.containerenv": ""}, "container"),
        ({}, {"proc/1/cgroup": "4:memory:/kubepods/besteffort/pod1/2\n"}, "container"),
        ({}, {"proc/1/cgroup": "0::/system.slice/docker-12.scope\n"}, "container"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, "container"),
        ({"container": "podman"}, {}, "container"),
        ({"SLURM_JOB_ID": "1"}, {".dockerenv": ""}, "SLURM job"),
        ({"PBS_JOBID": "1.host"}, {}, "PBS job"),
        ({"LSB_JOBID": "1"}, {}, "LSF job"),
        ({"SLURM_JOB_ID": ""}, {}, ""),
    ],
)
def test_what_ends_with_the_job(
    tmp_path: Path, environment: dict[str, str], files: dict[str, str], found: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert job_that_ends_all(environment, tmp_path) == found


def test_patience_ends_when_nothing_moves() -> None:
    patience = Patience(10.0, now=100.0)
    patience.saw(5, 104.0)
    assert patience.left_s(104.0) == 6.0
    patience.saw(5, 108.0)
    assert patience.left_s(108.0) == 2.0
    patience.saw(6, 109.0)
    assert patience.left_s(109.0) == 10.0
    assert patience.left_s(150.0) == 0.0


@pytest.mark.parametrize(
    ("upload", "elapsed_s", "bar", "said"),
    [
        (
            Upload(20_000, 12_400, True),
            4.0,
            "█" * 18 + "▌",
            " 62%  12,400 of 20,000 records, 3,100/s, 2.5 s left",
        ),
        (Upload(20_000, 0, False), 0.5, "", "  0%  0 of 20,000 records, no answer yet"),
        (Upload(20_000, 0, False, "HTTP 502"), 9.0, "", "  0%  0 of 20,000 records, no answer (HTTP 502)"),
        (Upload(20_000, 20_000, True), 0.1, "█" * 30, "100%  20,000 of 20,000 records"),
        (Upload(0, 0, True), 0.0, "█" * 30, "100%  0 of 0 records"),
    ],
)
def test_the_line(upload: Upload, elapsed_s: float, bar: str, said: str) -> None:
    assert line(0, upload, elapsed_s, bar=" ▏▎▍▌▋▊▉█") == f"uploading {bar:<30} {said}"


def test_the_line_counts_what_was_left() -> None:
    assert line(1000, Upload(3000, 2000, True), 0.1, bar="") == "uploading  50%  1,000 of 2,000 records"


def test_a_wait_for_something_else_is_refused() -> None:
    run = buoy.init(project="p")
    with pytest.raises(buoy.UsageError, match="wait must be one of disk, upload"):
        run.finish(wait="forever")
    run.log({"a": 1})
    run.finish(wait="disk")
