"""Processes of a distributed job and their one run."""

from __future__ import annotations

import os
from pathlib import Path

from buoy.local import run_folders

from tests.sdk.training import Script, ended_run, wait_for

CODE = """
import buoy, os
run = buoy.init(project="job", **eval(os.environ.get("ARGUMENTS", "{}")))
for step in range(10):
    run.log({"loss": step + run.rank})
run.finish()
print(run.id, run.name, run.dir)
"""


def start_job(script: Script, size: int, **environment: str) -> list[tuple[str, str]]:
    processes = [
        script.start(
            CODE,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(size),
            LOCAL_WORLD_SIZE=str(size),
            MASTER_ADDR="localhost",
            MASTER_PORT="29500",
            **environment,
        )
        for rank in range(size)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert all(process.returncode == 0 for process in processes), outputs
    return outputs


def folders() -> list[Path]:
    return run_folders(Path(os.environ["BUOY_DIR"]))


def test_all_ranks_in_one_run(script: Script) -> None:
    outputs = start_job(script, 3, ARGUMENTS="{'ranks': 'all'}")
    assert len({out for out, _ in outputs}) == 1, outputs
    # The later ranks do not leave empty folders behind.
    assert len(list(Path(os.environ["BUOY_DIR"]).iterdir())) == 1
    wait_for(lambda: ended_run("finished").ranks == [0, 1, 2], "three ranks")
    run = ended_run("finished")
    for rank in range(3):
        assert [row["loss"] for row in run.rows(rank)] == [step + rank for step in range(10)]


def test_by_a_given_id(script: Script) -> None:
    outputs = start_job(script, 2, BUOY_RUN_ID="shared")
    assert {out.split()[0] for out, _ in outputs} == {"shared"}
    wait_for(lambda: ended_run("finished").ranks == [0, 1], "two ranks")


def test_by_default_only_rank_zero_logs(script: Script) -> None:
    outputs = start_job(script, 3)
    assert len(folders()) == 1
    assert ended_run("finished").ranks == [0]
    assert [("ranks='all'" in error) for _, error in outputs] == [False, True, False]


def test_chosen_ranks(script: Script) -> None:
    outputs = start_job(script, 3, ARGUMENTS="{'ranks': [0, 2]}")
    assert ["ranks other than 0, 2 log nothing" in error for _, error in outputs] == [False, True, False]
    wait_for(lambda: ended_run("finished").ranks == [0, 2], "ranks 0 and 2")


def test_two_jobs_are_two_runs(script: Script) -> None:
    # Same variables, other launchers: this process launches one job, a process between us the other.
    start_job(script, 1)
    launcher = (
        "import os, subprocess, sys; subprocess.run([sys.executable, '-c', os.environ['CODE']], check=True)"
    )
    for _ in range(2):
        found = script.run(
            launcher, CODE=CODE, RANK="0", WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", ARGUMENTS="{'ranks': 'all'}"
        )
        assert found.returncode == 0, found.stderr
    assert len(folders()) == 3


def test_a_silent_rank_says_so_once(script: Script) -> None:
    """It said it at each init(), and with chosen ranks nobody said it unless rank 1 was silent."""
    code = "import buoy\nfor _ in range(3):\n    buoy.init(project='job').finish()"
    job = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    said = [script.run(code, RANK=str(rank), LOCAL_RANK=str(rank), **job).stderr for rank in (1, 2)]
    assert [text.count("log nothing") for text in said] == [1, 0]
    chosen = "import buoy; buoy.init(project='job', ranks=[0, 1]).finish()"
    assert "log nothing" in script.run(chosen, RANK="2", LOCAL_RANK="2", **job).stderr
