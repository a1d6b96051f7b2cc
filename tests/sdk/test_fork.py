"""Forked children log into spools of their own; the parent's run stays the parent's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from buoy.local import LocalRun, run_folders

from tests.sdk.training import Script, ended_run, only_run, wait_for


def test_parent_and_child_log(script: Script) -> None:
    code = """
import buoy, os
run = buoy.init(config={"lr": 1})
log = run.log
for step in range(10):
    run.log({"parent": step})
pid = os.fork()
if pid == 0:
    for step in range(10):
        log({"child": step})
    run.summary["from_child"] = 1
    run.finish()
    os._exit(0)
os.waitpid(pid, 0)
for step in range(10, 20):
    run.log({"parent": step})
"""
    found = script.run(code)
    assert found.returncode == 0, found.stderr
    assert "fork" not in found.stderr.lower(), found.stderr
    wait_for(lambda: sum("child" in row for row in only_run().rows()) == 10, "the child's rows")
    run = ended_run("finished")
    rows = list(run.rows())
    assert [row["parent"] for row in rows if "parent" in row] == list(range(20))
    # The child goes on counting where it branched off.
    assert [row["_step"] for row in rows if "child" in row] == list(range(10, 20))
    assert run.summary["from_child"] == 1


def test_a_child_that_logs_nothing_leaves_the_run_alone(script: Script) -> None:
    code = """
import buoy, os, sys
run = buoy.init()
run.log({"a": 1})
pid = os.fork()
if pid == 0:
    sys.exit(3)
os.waitpid(pid, 0)
run.log({"a": 2})
"""
    found = script.run(code)
    assert found.returncode == 0, found.stderr
    assert [row["a"] for row in ended_run("finished").rows()] == [1, 2]


def test_workers_of_multiprocessing(script: Script) -> None:
    """As a data loader forks them; the pool ends its workers by SIGTERM."""
    (script.folder / "train.py").write_text("""
import buoy, multiprocessing
def work(number):
    buoy.run.log({f"worker/{number}": number})
    return number
if __name__ == "__main__":
    run = buoy.init()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, range(20)) == list(range(20))
    run.log({"main": 1})
""")
    found = script.run("import runpy; runpy.run_path('train.py', run_name='__main__')")
    assert found.returncode == 0, found.stderr
    wait_for(
        lambda: {f"worker/{number}" for number in range(20)} <= set(only_run().keys()), "all workers' rows"
    )


def test_a_child_killed_by_sigterm_does_not_end_the_run(script: Script) -> None:
    code = """
import buoy, os, signal, time
run = buoy.init()
run.log({"a": 1})
pid = os.fork()
if pid == 0:
    time.sleep(60)
    os._exit(1)
os.kill(pid, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(pid, 0)[1]))
run.log({"a": 2})
"""
    found = script.run(code)
    assert found.stdout.strip() == "15", found.stderr
    assert [row["a"] for row in ended_run("finished").rows()] == [1, 2]


@pytest.mark.parametrize("transport", ["spool", "grpc"])
def test_a_child_with_a_run_of_its_own_keeps_off_its_parents_grpc(script: Script, transport: str) -> None:
    """A child that was forked while gRPC's threads were busy hung for ever in init(), about one in seventy."""
    code = """
import buoy, os
buoy.init(project="first").finish()
import grpc
grpc.insecure_channel = lambda *_, **__: os._exit(9)
pid = os.fork()
if pid == 0:
    with buoy.init(project="second") as run:
        for step in range(100): run.log({"a": step})
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    found = script.run(code, BUOY_TRANSPORT=transport)
    assert found.returncode == 0, found.stderr
    folders = run_folders(Path(os.environ["BUOY_DIR"]))
    second = next(run for run in map(LocalRun, folders) if run.info.project == "second")
    # The child's finish() has returned, so everything is in the log.
    assert second.state == "finished"
    assert [row["a"] for row in second.rows()] == list(range(100))
