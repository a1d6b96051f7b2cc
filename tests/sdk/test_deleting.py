"""Deleted runs, as scripts, the command line and `init()` meet them."""

from __future__ import annotations

import secrets
from typing import Any

import buoy
import pytest
from buoy.api import Api
from buoy.cli import main
from buoy.daemon_link import DaemonLink
from buoy.errors import CommError, UsageError
from buoy_core.state import state_dir
from buoy_daemon.uploader.plan import DELETED
from click.testing import CliRunner

from tests.sdk.servers import Server, arrived
from tests.sdk.training import wait_for


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def path(online: Server) -> str:  # noqa: ARG001  the server must be there
    """A finished run of three steps on the server."""
    project = f"p{secrets.token_hex(4)}"
    with buoy.init(project=project, id="a", name="quiet-tide-1") as run:
        for step in range(3):
            run.log({"loss": 1.0 / (step + 1)})
    arrived(run.path)
    return run.path


def test_by_api(path: str) -> None:
    run, project = Api().run(path), path.rpartition("/")[0]
    run.delete()
    with pytest.raises(CommError) as raised:
        Api().run(path)
    assert (raised.value.status, raised.value.code) == (404, "run_deleted")
    assert len(Api().runs(project)) == 0
    assert [(found.id, found.name, found.state) for found in Api().deleted_runs(project)] == [
        ("a", "quiet-tide-1", "finished")
    ]
    with pytest.raises(UsageError, match="delete_artifacts"):
        run.delete(delete_artifacts=True)
    assert run.restore().summary["loss"] == pytest.approx(1 / 3)
    run.delete()
    assert Api().restore(path).name == "quiet-tide-1"
    assert len(Api().runs(project)) == 1


def test_by_command(path: str) -> None:
    project = path.rpartition("/")[0]
    assert f"buoy restore {path} brings it back" in invoke("rm", path)
    assert path not in invoke("runs", project)
    assert path in invoke("runs", "--deleted", project)
    assert "quiet-tide-1" in invoke("restore", path)
    assert path in invoke("runs", project)
    assert path not in invoke("runs", "--deleted")


def test_nobody_goes_on_with_a_deleted_run_by_mistake(path: str) -> None:
    """What it logged would have been hidden, and its user would have waited for it."""
    Api().run(path).delete()
    project = path.split("/")[1]
    ways: list[dict[str, Any]] = [{"id": "a", "resume": how} for how in ("allow", "must", "never")]
    ways += [{argument: "a?_step=1"} for argument in ("resume_from", "fork_from")]
    for way in ways:
        with pytest.raises(UsageError, match=f"run a is deleted at .*buoy restore {path}"):
            buoy.init(project=project, **way)


def test_a_job_that_is_started_again_goes_on_and_says_so(
    path: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A scheduler does it at night: training must not fail because somebody has deleted the run."""
    Api().run(path).delete()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with buoy.init(project=path.split("/")[1], id="a") as run:
        assert run.starting_step == 3
        run.log({"loss": 0.1})
    assert "run a is deleted at" in capfd.readouterr().err
    assert [row["_step"] for row in arrived_after_restore(path, 4)] == [0, 1, 2, 3]


def arrived_after_restore(path: str, rows: int) -> list[dict[str, object]]:
    run = Api().restore(path)
    return wait_for(
        lambda: found if len(found := list(run.scan_history())) == rows else None, "all rows are there"
    )


def test_whoever_logs_to_a_deleted_run_can_find_out(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    Api().run(path).delete()
    run = buoy.init(project=path.split("/")[1], id="a")
    run.log({"loss": 0.5})

    def told() -> bool:
        with DaemonLink(state_dir()) as link:
            return any(found.upload_error == DELETED for found in link.status().runs)

    wait_for(told, "the daemon has heard of it")
    assert DELETED in invoke("status")
    run.finish(wait="upload")
    assert DELETED in capfd.readouterr().err
