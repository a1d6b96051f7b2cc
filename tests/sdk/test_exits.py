"""How processes end, and what their runs are then."""

from __future__ import annotations

import signal

import pytest

from tests.sdk.training import Script, ended_run, wait_for

HEAD = """
import buoy, os, signal, sys, time
run = buoy.init(project="p")
for step in range(10):
    run.log({"a": step})
"""


@pytest.mark.parametrize(
    ("tail", "state", "exit_code"),
    [
        ("", "finished", 0),
        ("run.finish()", "finished", 0),
        ("run.finish(exit_code=4)", "failed", 0),
        ("sys.exit()", "finished", 0),
        ("sys.exit(3)", "failed", 3),
        (
            "import threading; t = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()",
            "finished",
            0,
        ),
        ("sys.exit('a message')", "failed", 1),
        ("raise SystemExit(3)", "failed", 3),
        ("raise SystemExit", "finished", 0),
        ("raise SystemExit('a message')", "failed", 1),
        ("def deep():\n    raise SystemExit(6)\ndeep()", "failed", 6),
        ("exit(3)", "failed", 3),
        ("quit()", "finished", 0),
        ("import argparse; argparse.ArgumentParser().parse_args(['--nonsense'])", "failed", 2),
        ("try:\n    sys.exit(3)\nexcept SystemExit as error:\n    print(error.code)", "finished", 0),
        (
            "try:\n    raise SystemExit(3)\nexcept SystemExit as error:\n    error.code = 7\n    raise",
            "failed",
            7,
        ),
        ("1 / 0", "failed", 1),
        ("with run: 1 / 0", "failed", 1),
        ("with run: sys.exit(3)", "failed", 3),
        ("with run: raise SystemExit(5)", "failed", 5),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", "killed", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)", "crashed", -signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", "killed", -signal.SIGINT),
        ("with run:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", "killed", -signal.SIGINT),
        ("os._exit(0)", "crashed", 0),
    ],
)
def test_states(script: Script, tail: str, state: str, exit_code: int) -> None:
    found = script.run(HEAD + tail)
    assert found.returncode == exit_code, found.stderr
    run = ended_run(state)
    assert [row["a"] for row in run.rows()] == list(range(10))


@pytest.mark.parametrize("how", ["script", "module", "stdin"])
def test_a_raised_exit_code_however_the_program_was_started(script: Script, how: str) -> None:
    (script.folder / "train.py").write_text(HEAD + "raise SystemExit(3)")
    arguments = {"script": "['train.py']", "module": "['-m', 'train']", "stdin": "['-']"}[how]
    run = f"subprocess.run([sys.executable, *{arguments}], stdin=open('train.py'))"
    assert script.run(f"import subprocess, sys; sys.exit({run}.returncode)").returncode == 3
    ended_run("failed")


def test_hooks_of_the_user_still_run(script: Script) -> None:
    code = """
import sys
sys.excepthook = lambda kind, error, trace: print("mine", kind.__name__)
import buoy
buoy.init().log({"a": 1})
1 / 0
"""
    found = script.run(code)
    assert found.stdout.strip() == "mine ZeroDivisionError"
    ended_run("failed")


def test_a_handler_of_the_user_is_left_alone(script: Script) -> None:
    code = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
import buoy
buoy.init().log({"a": 1})
os.kill(os.getpid(), signal.SIGTERM)
"""
    assert script.run(code).returncode == 7
    ended_run("failed")


def test_init_in_a_thread(script: Script) -> None:
    code = """
import threading, buoy
def work():
    run = buoy.init()
    run.log({"a": 1})
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    found = script.run(code)
    assert found.returncode == 0, found.stderr
    ended_run("finished")


def test_a_child_of_multiprocessing_ends_its_own_run(script: Script) -> None:
    (script.folder / "train.py").write_text("""
import multiprocessing, sys, buoy
def work(fail):
    buoy.init(project=f"fail-{fail}").log({"a": 1})
    if fail:
        raise ValueError
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work, args=(int(sys.argv[1]),))
    child.start()
    child.join()
""")
    for fail, state in ((0, "finished"), (1, "failed")):
        code = f"import subprocess, sys; subprocess.run([sys.executable, 'train.py', '{fail}'])"
        found = script.run(code, BUOY_DIR=str(script.folder / state))
        wait_for(lambda state=state: state_in(script, state) == state, f"{state}: {found.stderr}")


def state_in(script: Script, folder: str) -> str:
    from buoy.local import LocalRun, run_folders

    found = run_folders(script.folder / folder)
    return LocalRun(found[0]).state if found else ""


def test_warnings_and_output_stay_off_stdout(script: Script) -> None:
    found = script.run(HEAD)
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
