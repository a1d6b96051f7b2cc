"""The commands, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import buoy
import pytest
from buoy.cli import main
from buoy.daemon_link import Starter
from buoy_core.state import state_dir
from click.testing import CliRunner, Result

from tests.sdk.training import daemon_pid, gone


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def run() -> buoy.Run:
    with buoy.init(project="p", name="shown", config={"lr": 0.1}) as run:
        for step in range(30):
            run.log({"loss": 30 - step, "text": "a,b"})
        run.log({"nan": float("nan")})
    return run


def test_daemon_commands() -> None:
    stopped = invoke("daemon", "status")
    assert stopped.exit_code == 1
    assert "no daemon runs" in stopped.output
    assert "no daemon runs" in invoke("daemon", "stop").output
    started = invoke("daemon", "start")
    assert started.exit_code == 0, started.output
    pid = daemon_pid()
    assert str(pid) in started.output
    assert str(pid) in invoke("daemon", "start").output
    assert "has ended" in invoke("daemon", "stop", "--now").output
    buoy.init(mode="offline", settings={"silent": True}).finish()
    assert "started by a run" in invoke("status").output
    assert "the daemon runs" in invoke("daemon", "start").output
    pid = daemon_pid()
    status = invoke("status")
    assert status.exit_code == 0
    assert "started by hand" in status.output
    assert invoke("daemon", "logs", "-n", "5").output
    assert "has ended" in invoke("daemon", "stop").output
    assert gone(pid)
    assert not Starter(state_dir()).answers()


def test_status_names_the_runs(run: buoy.Run) -> None:
    found = invoke("status").output
    assert run.path in found
    assert run.dir in found
    assert str(os.getpid()) in found
    (told,) = [
        item for item in json.loads(invoke("status", "--json").output)["runs"] if item["run"] == run.path
    ]
    (writer,) = told["writers"]
    assert (writer["rank"], writer["pid"], writer["state"]) == (0, os.getpid(), "finished")
    assert writer["last_step"] == 30


@pytest.mark.parametrize("named", ["folder", "id", "name"])
def test_show_reads_a_folder_without_a_daemon(run: buoy.Run, named: str) -> None:
    invoke("daemon", "stop")
    argument = {"folder": run.dir, "id": run.id, "name": Path(run.dir).name}[named]
    found = invoke("show", argument, "--format", "jsonl")
    assert found.exit_code == 0, found.output
    rows = [json.loads(line) for line in found.output.splitlines()]
    assert [row.get("loss") for row in rows] == [*range(30, 0, -1), None]
    assert rows[-1]["nan"] != rows[-1]["nan"]
    assert not Starter(state_dir()).answers()


def test_show_as_csv(run: buoy.Run) -> None:
    lines = invoke("show", run.id, "--format", "csv").output.splitlines()
    assert lines[0] == "_step,_timestamp,_runtime,loss,nan,text"
    assert lines[1].startswith("0,")
    assert lines[1].endswith(',30,,"a,b"')
    assert len(lines) == 32


def test_show_as_a_table(run: buoy.Run) -> None:
    found = invoke("show", run.id).output
    for expected in ("shown", "finished", "lr", "0.1", "loss", "31 rows"):
        assert expected in found


def test_show_tells_of_damage(run: buoy.Run) -> None:
    invoke("daemon", "stop")
    segment = Path(run.dir) / "wal" / "00000000.wal"
    data = bytearray(segment.read_bytes())
    # In the payload of the first block, which others follow.
    data[64 + 96 + 5] ^= 0xFF
    segment.write_bytes(data)
    found = CliRunner().invoke(main, ["show", run.dir, "--format", "jsonl"])
    assert found.exit_code == 0
    assert "damaged" in found.stderr


def test_local_runs(run: buoy.Run) -> None:
    found = invoke("runs", "--local").output
    assert run.path in found
    assert "finished" in found


def test_errors_are_one_line() -> None:
    found = invoke("show", "no-such-run")
    assert found.exit_code == 1
    assert "does not answer" in found.output
    assert "Traceback" not in found.output
    assert found.output.count("\n") == 1


def test_doctor() -> None:
    found = invoke("doctor")
    assert "core" in found.output
    assert "state folder" in found.output


def test_python_m_buoy_and_version() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "buoy", "--version"], capture_output=True, text=True, check=True
    )
    assert buoy.__version__ in found.stdout


def test_server_takes_all_arguments() -> None:
    command = [sys.executable, "-m", "buoy", "server", "--help"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert "--data-dir" in found.stdout, found.stderr


def test_server_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    found = invoke("server")
    assert found.exit_code == 1
    assert "pip install 'buoy[server]'" in found.output
