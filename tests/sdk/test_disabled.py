"""mode="disabled": the whole API works, and nothing outside the process can tell that it was used.

Every file that Python opens for writing, every socket and process is reported by the interpreter itself; what C code
might do beside it would show in the folders, in /proc, or as a child.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.ingest_server import IngestServer
from tests.sdk.training import Script, daemons

WATCH = """
import json, os, sys, threading
seen = []
ACTS = ("socket.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "os.mkdir", "os.rename",
        "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.kill", "shutil.",
        "tempfile.", "mmap.", "urllib.", "http.", "fcntl.", "signal.pthread_kill")
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and "__pycache__" not in str(path):
            seen.append(f"open {path} {flags:o}")
    elif event.startswith(ACTS) and "__pycache__" not in str(arguments):
        seen.append(f"{event} {arguments}"[:300])
sys.addaudithook(watch)
def report():
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
             if os.path.islink(f"/proc/self/fd/{name}")]
    print(json.dumps({
        "seen": list(seen), "threads": len(os.listdir("/proc/self/task")), "children": children,
        "sockets": [link for link in links if "socket" in link], "grpc": "grpc" in sys.modules,
    }), flush=True)
"""

USE = """
import math, pickle
import buoy
with buoy.init(
    project="p", entity="e", id="i", name="n", notes="o", tags=["t"], group="g", job_type="j", config={"lr": 1},
    resume="allow", settings={"finish_wait": "upload", "keep_days": 1},
) as run:
    run.log({"a": 1, "b": 2.5, "c": True, "d": None, "e": "text", "f": {"g": [1, 2]}, "h": 2**70, "i": math.nan})
    run.log({"a": 2}, step=5)
    run.log({"a": 3}, commit=False)
    buoy.log({"a": 4})
    run.define_metric("a", summary="min", step_metric="b")
    buoy.define_metric("z*", hidden=True)
    run.config["depth"] = 2
    run.config.update({"x": {"y": 1}}, allow_val_change=True)
    buoy.config.width = 3
    run.summary["best"] = 9
    run.summary.update({"deep": {"er": 1}})
    buoy.summary["great"] = 1
    run.name, run.notes, run.tags = "other", "else", ("u",)
    facts = (run.id, run.name, run.notes, run.tags, run.entity, run.project, run.group, run.job_type, run.rank,
             run.path, run.dir, run.url, run.project_url, run.start_time, run.starting_step, run.step, run.resumed,
             run.attempt, run.offline, run.disabled, dict(run.config), run.config_static, dict(run.summary), repr(run))
    assert run.disabled and not run.offline and run.url is None and buoy.run is run
    copy = pickle.loads(pickle.dumps(run))
    copy.log({"a": 5})
    assert buoy.init() is run
    buoy.Settings(mode="offline")
for reinit in ("create_new", "finish_previous", True, None):
    other = buoy.init(reinit=reinit, ranks="all")
    other.log({"a": 1})
buoy.finish(exit_code=3)
for left in (copy, other):
    left.finish(wait="upload")
"""


def done_by(script: Script, code: str, **environment: str) -> dict[str, Any]:
    done = script.run(WATCH + code, **environment)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told | {"stderr": done.stderr, "status": done.returncode}


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("core", ["compiled", "python"])
def test_no_file_no_process_no_request(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core: str
) -> None:
    """With a server that listens, a job of two ranks, and a scheduler that has started it again."""
    server = IngestServer()
    home = tmp_path / "home"
    home.mkdir()
    for name, value in {
        "BUOY_MODE": "disabled", "BUOY_CORE": core, "BUOY_BASE_URL": server.base_url, "HOME": str(home),
        "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1", "SLURM_RESTART_COUNT": "1", "BUOY_RESUME": "allow",
        "BUOY_RANK": "0", "BUOY_WORLD_SIZE": "2", "BUOY_JOB_ID": "7", "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    before = tree(tmp_path)
    told = done_by(script, USE + "report()")
    assert told["status"] == 0, told["stderr"]
    assert told["seen"] == []
    assert (told["threads"], told["children"], told["sockets"], told["grpc"]) == (1, [], [], False)
    assert tree(tmp_path) == before
    assert not server.requests
    assert not server.beats
    assert not server.old_beats
    assert not daemons()
    server.stop()


def test_forked_and_failing_programs_leave_nothing_either(script: Script, tmp_path: Path) -> None:
    code = """
import buoy
run = buoy.init(mode="disabled")
children = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        run.log({"a": 1})
        buoy.log({"a": 2})
        run.finish()
        report()
        os._exit(0)
    os.waitpid(pid, 0)
report()
raise SystemExit(7)
"""
    before = tree(tmp_path)
    done = script.run(WATCH + code)
    assert done.returncode == 7, done.stderr
    for line in done.stdout.splitlines():
        told = json.loads(line)
        assert [event for event in told["seen"] if not event.startswith("os.fork")] == []
        assert (told["children"], told["sockets"]) == ([], [])
    assert tree(tmp_path) == before
    assert not daemons()


@pytest.mark.parametrize(
    ("variable", "argument", "mode"),
    [
        ("online", "", "online"), ("offline", "", "offline"), ("DryRun", "", "offline"), ("disabled", "", "disabled"),
        ("shared", "", "online"),
        ("offline", "mode='disabled'", "disabled"), ("disabled", "mode='offline'", "offline"), ("", "", "online"),
    ],
)  # fmt: skip
def test_the_variable_switches_and_an_argument_wins(
    script: Script, variable: str, argument: str, mode: str
) -> None:
    code = f"""
import buoy
run = buoy.init({argument})
run.log({{"a": 1}})
print("disabled" if run.disabled else "offline" if run.offline else "online")
run.finish()
"""
    done = script.run(code, BUOY_MODE=variable, BUOY_RUN_ID="r", BUOY_PROJECT="p")
    assert done.stdout.split() == [mode], done.stderr
    folders = list((script.folder.parent / "buoy").glob("run-*/run.json"))
    assert len(folders) == (mode != "disabled")
    for path in folders:
        assert bool(json.loads(path.read_text())["base_url"]) == (mode == "online")


def test_a_mode_that_is_none_is_an_error_at_once(script: Script) -> None:
    done = script.run("import buoy; buoy.init()", BUOY_MODE="sometimes")
    assert done.returncode == 1
    assert "BUOY_MODE" in done.stderr
    assert "must be one of online, run, offline, dryrun, disabled, shared" in done.stderr
