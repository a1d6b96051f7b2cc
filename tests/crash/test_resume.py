"""Runs that go on: after a crash, from an earlier step, as a fork; on one machine, on another, without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.seam import Seam
from tests.crash.stack import Stack, wait_until

PREAMBLE = """
import json, os, signal, sys, buoy
def tell(run):
    print(json.dumps({
        "id": run.id, "name": run.name, "tags": run.tags, "notes": run.notes,
        "resumed": run.resumed, "attempt": run.attempt, "start": run.starting_step, "step": run.step,
        "config": dict(run.config), "summary": dict(run.summary),
    }), flush=True)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


class Machine:
    """A place to train: folders and a daemon of its own. Offline, there is no server for it."""

    def __init__(self, stack: Stack, folder: Path, *, offline: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **stack.environment,
            "BUOY_STATE_DIR": str(folder / "state"),
            "BUOY_DIR": str(folder / "runs"),
            **({"BUOY_MODE": "offline"} if offline else {}),
        }
        (folder / "state").mkdir(mode=0o700, exist_ok=True)
        keys = Path(stack.environment["BUOY_STATE_DIR"]) / "credentials.json"
        (folder / "state/credentials.json").write_bytes(keys.read_bytes())

    def start(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PREAMBLE + code],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self.folder,
        )

    def run(self, code: str, **environment: str) -> dict[str, Any]:
        """What the script told of its run, on its last line."""
        done = self.start(code, **environment)
        assert done.stdout, done.stderr
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told | {"said": done.stderr, "status": done.returncode}

    def stop(self) -> None:
        stop = [sys.executable, "-m", "buoy", "daemon", "stop"]
        subprocess.run(stop, env=self.environment, check=False, capture_output=True, timeout=60)


@pytest.fixture(params=["here", "elsewhere", "offline"])
def machines(
    request: pytest.FixtureRequest, stack: Stack, tmp_path: Path
) -> Iterator[tuple[Machine, Machine]]:
    """Where a run begins and where it goes on: one machine, two that share the server only, one without a server."""
    first = Machine(stack, tmp_path / "a", offline=request.param == "offline")
    second = Machine(stack, tmp_path / "b") if request.param == "elsewhere" else first
    yield first, second
    for machine in {first, second}:
        machine.stop()


BEGIN = """
run = buoy.init(project="crash", id=ID, tags=["a"], notes="n", config={"lr": 1, "old": 2})
for step in range(20):
    run.log({"loss": float(step)})
run.summary["by_hand"] = 7
"""


def synced(stack: Stack, machine: Machine, run_id: str, points: int) -> None:
    if machine.environment.get("BUOY_MODE") != "offline":
        wait_until(lambda: stack.points(run_id) >= points, f"{points} points of {run_id}")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["run.finish()", "die()"])
def test_resume_goes_on_where_the_run_was(
    stack: Stack, machines: tuple[Machine, Machine], tmp_path: Path, ending: str
) -> None:
    first, second = machines
    run_id = f"resume-{tmp_path.name}"
    first.start(f"ID = {run_id!r}" + BEGIN + ending)
    if second is not first:
        synced(stack, first, run_id, 20)
    told = second.run(
        f"run = buoy.init(project='crash', id={run_id!r}, resume='must', config={{'lr': 5, 'new': 3}})\n"
        "tell(run)\nrun.log({'loss': 100.0})\nrun.finish()"
    )
    assert (told["resumed"], told["attempt"], told["start"], told["step"]) == (True, 2, 20, 20), told["said"]
    assert told["config"] == {"lr": 5, "old": 2, "new": 3}
    assert told["summary"] == {"loss": 19.0, "by_hand": 7}
    assert (told["tags"], told["notes"]) == (["a"], "n")
    assert "goes on at step 20" in told["said"]
    if second.environment.get("BUOY_MODE") != "offline":
        synced(stack, second, run_id, 21)
        assert stack.history(run_id) == [(step, float(step)) for step in range(20)] + [(20, 100.0)]


@pytest.mark.slow
def test_rules_of_resume(stack: Stack, machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    first, second = machines
    run_id = f"rules-{tmp_path.name}"
    missing = first.start(f"buoy.init(project='crash', id={run_id!r}, resume='must')")
    assert missing.returncode == 1
    assert f'resume="must", but there is no run {run_id} of project crash' in missing.stderr
    for resume in ("'allow'", "'never'", "False"):
        told = first.run(f"tell(buoy.init(project='crash', id={run_id + resume[1:4]!r}, resume={resume}))")
        assert (told["resumed"], told["start"]) == (False, 0)
    first.start(f"ID = {run_id!r}" + BEGIN)
    if second is not first:
        synced(stack, first, run_id, 20)
    forbidden = second.start(f"buoy.init(project='crash', id={run_id!r}, resume='never')")
    assert forbidden.returncode == 1
    assert f'run {run_id} exists, and resume="never" forbids' in forbidden.stderr
    by_variable = second.run(f"tell(buoy.init(project='crash', id={run_id!r}))", BUOY_RESUME="allow")
    assert (by_variable["resumed"], by_variable["start"]) == (True, 20)


@pytest.mark.slow
def test_rewind_takes_steps_back(stack: Stack, machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    first, second = machines
    run_id = f"rewind-{tmp_path.name}"
    first.start(f"ID = {run_id!r}" + BEGIN)
    if second is not first:
        synced(stack, first, run_id, 20)
    told = second.run(
        f"run = buoy.init(project='crash', resume_from='{run_id}?_step=9')\ntell(run)\nrun.log({{'loss': -1.0}})"
    )
    assert (told["id"], told["resumed"], told["start"]) == (run_id, True, 10)
    assert told["config"] == {"lr": 1, "old": 2}
    if second.environment.get("BUOY_MODE") != "offline":
        expected = [(step, float(step)) for step in range(10)] + [(10, -1.0)]
        wait_until(lambda: stack.history(run_id) == expected, "the curve without what was taken back")
    beyond = second.start(f"buoy.init(project='crash', resume_from='{run_id}?_step=900')")
    assert beyond.returncode == 1
    assert "names step 900, but the last step" in beyond.stderr


@pytest.mark.slow
def test_fork_begins_with_the_steps_of_another_run(
    stack: Stack, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    first, second = machines
    run_id = f"fork-{tmp_path.name}"
    first.start(f"ID = {run_id!r}" + BEGIN)
    if second is not first:
        synced(stack, first, run_id, 20)
    told = second.run(
        f"run = buoy.init(project='crash', id='{run_id}-b', fork_from='{run_id}?_step=4', config={{'lr': 9}})\n"
        "tell(run)\nrun.log({'loss': -1.0})"
    )
    assert (told["id"], told["resumed"], told["start"]) == (f"{run_id}-b", False, 5)
    assert told["config"] == {"lr": 9, "old": 2}
    if second.environment.get("BUOY_MODE") != "offline":
        wait_until(lambda: stack.run(f"{run_id}-b"), "the fork on the server")
        expected = [(step, float(step)) for step in range(5)] + [(5, -1.0)]
        wait_until(lambda: stack.history(f"{run_id}-b") == expected, "the fork's curve")
        assert (stack.run(f"{run_id}-b") or {})["fork"] == {"run": run_id, "step": 4}
    missing = second.start(f"buoy.init(project='crash', fork_from='nobody-{run_id}?_step=4')")
    assert missing.returncode == 1
    assert "fork_from: there is no run nobody" in missing.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "resumed"),
    [
        ({}, False),
        ({"SLURM_RESTART_COUNT": "0"}, False),
        ({"SLURM_RESTART_COUNT": "2"}, True),
        ({"TORCHELASTIC_RESTART_COUNT": "1"}, True),
        ({"AWS_BATCH_JOB_ATTEMPT": "1"}, False),
        ({"AWS_BATCH_JOB_ATTEMPT": "2"}, True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "BUOY_FINISH_WAIT": "disk"}, True),
    ],
)
def test_restart_by_a_scheduler_needs_no_argument(
    stack: Stack, tmp_path: Path, variables: dict[str, str], resumed: bool
) -> None:
    machine = Machine(stack, tmp_path)
    run_id = f"restart-{tmp_path.name}"
    try:
        machine.start(f"ID = {run_id!r}" + BEGIN + "die()")
        told = machine.run("tell(buoy.init(project='crash'))", BUOY_RUN_ID=run_id, **variables)
        assert (told["id"], told["start"]) == (run_id, 20 if resumed else 0)
        assert (told["resumed"], told["attempt"]) == (True, 2), "the second attempt it is in any case"
    finally:
        machine.stop()


@pytest.mark.slow
def test_auto_resume_remembers_the_run_that_did_not_end_well(stack: Stack, tmp_path: Path) -> None:
    machine = Machine(stack, tmp_path, offline=True)
    script = "run = buoy.init(project='crash', resume=True)\ntell(run)\nrun.log({'loss': 1.0})\n"
    try:
        first = machine.run(script + "die()")
        second = machine.run(script + "sys.exit(3)")
        third = machine.run(script)
        fourth = machine.run(script)
    finally:
        machine.stop()
    assert (first["resumed"], first["start"]) == (False, 0)
    assert (second["id"], second["start"]) == (first["id"], 1)
    assert (third["id"], third["start"], third["attempt"]) == (first["id"], 2, 3)
    assert fourth["id"] != first["id"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("resume_from='x'", 'resume_from is written "RUN_ID?_step=N"'),
        ("fork_from='x?_step=-1'", 'fork_from is written "RUN_ID?_step=N"'),
        ("fork_from='a?b?_step=1'", 'fork_from is written "RUN_ID?_step=N"'),
        ("resume_from='x?_step=1', fork_from='y?_step=1'", "give resume_from or fork_from, not both"),
        ("resume='must', fork_from='y?_step=1'", "give resume or fork_from, not both"),
        ("id='z', resume_from='x?_step=1'", "leave the id out"),
        ("id='y', fork_from='y?_step=1'", "a fork needs an id of its own"),
        ("resume='always'", "must be one of allow, must, never, auto"),
    ],
)
def test_arguments_that_contradict_each_other(
    stack: Stack, tmp_path: Path, arguments: str, text: str
) -> None:
    machine = Machine(stack, tmp_path, offline=True)
    done = machine.start(f"buoy.init(project='crash', {arguments})")
    assert done.returncode == 1
    assert text in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_resume_on_a_machine_whose_clock_is_behind(stack: Stack, tmp_path: Path) -> None:
    """Attempts are ordered by when they began. What the second machine logged was hidden behind the first one's."""
    seam = Seam(tmp_path / "seam")
    ahead, behind = Machine(stack, tmp_path / "ahead"), Machine(stack, tmp_path / "behind")
    ahead.environment |= seam.environment()
    run_id = f"clocks-{tmp_path.name}"
    try:
        with seam.clock(3600):
            ahead.start(f"ID = {run_id!r}" + BEGIN)
            synced(stack, ahead, run_id, 20)
        told = behind.run(
            f"run = buoy.init(project='crash', id={run_id!r}, resume='must')\ntell(run)\n"
            "run.log({'loss': -1.0}, step=15)\nrun.finish()"
        )
        assert told["start"] == 20
        expected = [(step, float(step)) for step in range(15)] + [(15, -1.0)]
        wait_until(lambda: stack.history(run_id) == expected, "the later attempt on top")
    finally:
        ahead.stop()
        behind.stop()
