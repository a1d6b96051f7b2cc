"""The daemon from start to end among real trainers: races, upgrades, a stopped daemon, odd machines."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from buoy_core.holder import read_holder
from buoy_core.state import socket_path

from tests.crash.seam import Seam
from tests.crash.stack import Stack, Trainer, wait_until
from tests.crash.trainer import loss
from tests.crash.versions import install

STEPS = 2_000

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can do this to the machine")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def stack(shared: Stack) -> Iterator[Stack]:
    """One server for all; each test begins without a daemon, and in the plain environment."""
    before = dict(shared.environment)
    wait_until(shared.stop_daemon, "no daemon runs")
    yield shared
    shared.environment.clear()
    shared.environment.update(before)


def assert_complete(stack: Stack, run_id: str, count: int = STEPS) -> None:
    wait_until(lambda: stack.points(run_id) >= count, f"{count} points of {run_id}")
    assert stack.history(run_id) == [(step, loss(step)) for step in range(count)]


def assert_undisturbed(trainer: Trainer) -> None:
    assert trainer.wait() == 0, trainer.output()
    assert "Traceback" not in trainer.output()
    assert "dropped" not in trainer.output()


@contextlib.contextmanager
def held(*trainers: Trainer) -> Iterator[None]:
    """Has trainers do nothing for a while, so that they still have steps to log after it."""
    for trainer in trainers:
        os.kill(trainer.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for trainer in trainers:
            os.kill(trainer.process.pid, signal.SIGCONT)


def buoy(stack: Stack, *words: str) -> str:
    command = [sys.executable, "-m", "buoy", *words]
    done = subprocess.run(
        command, env=stack.environment, capture_output=True, text=True, timeout=100, check=False
    )
    return done.stdout + done.stderr


def daemon_log(stack: Stack) -> str:
    return (stack.folder / "state/daemon.log").read_text()


def listens(state: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(os.fspath(socket_path(state))) == 0


# Races


@pytest.mark.slow
def test_of_daemons_started_at_once_exactly_one_serves(tmp_path: Path) -> None:
    """Round after round, over what the one before has left: it was killed."""
    state = tmp_path / "state"
    command = [sys.executable, "-m", "buoy_daemon", "run", "--state-dir", str(state)]
    for _ in range(5):
        daemons = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
        wait_until(partial(one_is_left, state, daemons), "one is left")
        winner = next(each for each in daemons if each.poll() is None)
        assert read_holder(state / "daemon.lock") == (winner.pid, "serving", psutil_start(winner.pid))
        winner.kill()
        assert sorted(each.wait(30) for each in daemons) == [-signal.SIGKILL, 0, 0, 0]
        assert all(not each.stderr.read() for each in daemons)
        for each in daemons:
            each.stderr.close()


def one_is_left(state: Path, daemons: list[subprocess.Popen[bytes]]) -> bool:
    return listens(state) and sum(each.poll() is None for each in daemons) == 1


def psutil_start(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@pytest.mark.slow
def test_twenty_processes_that_start_at_once(stack: Stack) -> None:
    trainers = [stack.train(f"many{number}", 50) for number in range(20)]
    for trainer in trainers:
        assert_undisturbed(trainer)
    # One daemon, with its supervisor.
    wait_until(lambda: len(stack.daemons()) == 2, "the end of those that found one")
    for trainer in trainers:
        assert_complete(stack, trainer.run_id, 50)


# Upgrades


@pytest.mark.slow
def test_a_newer_buoy_takes_over_while_runs_log(stack: Stack, tmp_path: Path) -> None:
    stack.environment["PYTHONPATH"] = str(install(tmp_path / "older", "0.0.9"))
    trainers = [stack.train(f"upgrade{number}", STEPS, pause_s=0.002) for number in range(4)]
    for trainer in trainers:
        trainer.wait_accepted(STEPS // 10)
    assert "daemon 0.0.9" in buoy(stack, "daemon", "status")
    stack.environment["PYTHONPATH"] = str(install(tmp_path / "newer", "0.2.0"))
    # Two log meanwhile; the other two are sure to go on afterwards.
    with held(*trainers[2:]):
        assert_undisturbed(stack.train("newcomer", 100))
        assert "daemon 0.2.0" in buoy(stack, "daemon", "status")
    assert all(trainer.accepted < STEPS for trainer in trainers[2:]), "they were too fast for this test"
    for trainer in trainers:
        assert_undisturbed(trainer)
        assert_complete(stack, trainer.run_id)
    assert_complete(stack, "newcomer", 100)
    # The older ones have ended with the newer daemon; none of them has brought the old one back.
    assert "daemon 0.2.0" in buoy(stack, "daemon", "status")


@pytest.mark.slow
def test_an_older_trainer_meets_a_daemon_of_another_protocol(stack: Stack, tmp_path: Path) -> None:
    """They cannot talk to each other, and the spool needs no talk."""
    stack.environment["PYTHONPATH"] = str(install(tmp_path / "newest", "0.3.0", protocol=99))
    stack.start_daemon()
    stack.environment["PYTHONPATH"] = str(install(tmp_path / "older", "0.0.9"))
    trainer = stack.train("foreign", STEPS)
    assert_undisturbed(trainer)
    assert "is newer than this buoy 0.0.9" in trainer.output()
    assert_complete(stack, "foreign")
    stack.environment["PYTHONPATH"] = str(tmp_path / "newest")
    assert "daemon 0.3.0" in buoy(stack, "daemon", "status")


@pytest.mark.slow
def test_files_that_are_replaced_under_a_running_daemon(stack: Stack, tmp_path: Path) -> None:
    """`pip install --upgrade` in the same place; then the daemon is killed: its old supervisor starts the new one."""
    site = install(tmp_path / "site", "0.0.9")
    stack.environment["PYTHONPATH"] = str(site)
    trainer = stack.train("replaced", STEPS, pause_s=0.003)
    trainer.wait_accepted(STEPS // 10)
    install(site, "0.2.0")
    stack.kill_daemon()
    with held(trainer):
        wait_until(lambda: "buoy daemon 0.2.0" in daemon_log(stack), "the new daemon")
    assert trainer.accepted < STEPS, "the trainer was too fast for this test"
    assert_undisturbed(trainer)
    assert_complete(stack, "replaced")


# What people and cleaners do to its files


@pytest.mark.slow
def test_socket_and_lock_file_are_deleted_under_a_running_daemon(stack: Stack) -> None:
    trainer = stack.train("tidied", STEPS, pause_s=0.003)
    trainer.wait_accepted(100)
    state = stack.folder / "state"
    before = read_holder(state / "daemon.lock")
    (state / "daemon.sock").unlink()
    (state / "daemon.lock").unlink()
    # Whoever comes now gets the daemon that is there, and none besides.
    assert_undisturbed(stack.train("after", 100))
    assert read_holder(state / "daemon.lock") == before
    assert "the socket" in daemon_log(stack)
    wait_until(lambda: len(stack.daemons()) == 2, "the end of those that found one")
    assert_undisturbed(trainer)
    assert_complete(stack, "tidied")
    assert_complete(stack, "after", 100)


@pytest.mark.slow
def test_what_a_dead_daemon_has_left_is_no_obstacle(stack: Stack) -> None:
    """Its pid belongs to somebody else by now, and its files are garbage."""
    state = stack.folder / "state"
    for content in (f"{os.getpid()} serving 1\n".encode(), b"\xff\xfe\x00", b"", b"-1 serving x\n"):
        (state / "daemon.lock").write_bytes(content)
        (state / "supervisor").write_bytes(content)
        (state / "daemon.sock").unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(os.fspath(state / "daemon.sock"))
        stack.start_daemon()
        assert listens(state)
        wait_until(stack.stop_daemon, "its end")


# A daemon that does not answer


@pytest.mark.slow
def test_a_stopped_daemon_holds_up_nobody(stack: Stack) -> None:
    """SIGSTOP, as a debugger or a suspended container does it: training goes on, and everything arrives later."""
    stack.environment["BUOY_START_TIMEOUT"] = "2"
    stack.start_daemon()
    running = stack.train("stopped-under", STEPS)
    running.wait_accepted(1)
    daemon = wait_until(stack.daemon_pid, "the daemon")
    os.kill(daemon, signal.SIGSTOP)
    try:
        later = stack.train("stopped-before", STEPS)
        for trainer in (running, later):
            assert_undisturbed(trainer)
        assert "Everything is recorded in" in later.output() or "is recorded in" in later.output()
        assert len(stack.daemons()) <= 2
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert_complete(stack, "stopped-under")
    assert_complete(stack, "stopped-before")
    wait_until(lambda: stack.run("stopped-before")["state"] == "finished", "its end")


# The clock


@pytest.mark.slow
@pytest.mark.parametrize("hours", [-1, 24])
def test_the_clock_is_set_while_a_run_logs(stack: Stack, tmp_path: Path, hours: int) -> None:
    """No pause of the daemon depends on it, the order stays, and the run's times make sense."""
    seam = Seam(tmp_path / "seam")
    stack.environment.update(seam.environment())
    run_id = f"clock{hours}"
    trainer = stack.train(run_id, STEPS, pause_s=0.002)
    trainer.wait_accepted(STEPS // 4)
    with seam.clock(hours * 3600.0):
        goal = min(STEPS, trainer.accepted + 100)
        wait_until(lambda: stack.points(run_id) >= goal, "uploads go on")
        # The server is away for a moment, so that there are pauses to get wrong.
        stack.kill_server()
        trainer.wait_accepted(STEPS // 2)
        stack.start_server()
        assert_undisturbed(trainer)
        assert_complete(stack, run_id)
        wait_until(lambda: stack.run(run_id)["state"] == "finished", "its end")
        took = re.search(r"finished after ([\d.]+) (s|min|h)", trainer.output())
        assert took is not None, trainer.output()
        assert took[2] == "s", trainer.output()
        (writer,) = stack.run(run_id)["writers"]
        assert 0 < writer["ended_us"] - writer["started_us"] < 300e6, writer


# Odd machines


@as_root
@pytest.mark.slow
def test_a_machine_without_dev_shm(stack: Stack) -> None:
    trainer = Trainer(
        stack, "no-shm", {"steps": STEPS}, prefix=["unshare", "--mount", "sh", "-c", _NO_SHM, "sh"]
    )
    assert_undisturbed(trainer)
    assert_complete(stack, "no-shm")


_NO_SHM = 'mount -t tmpfs -o ro,size=4k none /dev/shm && exec "$@"'


@as_root
@pytest.mark.slow
def test_a_training_that_is_the_first_process_of_its_container(stack: Stack, tmp_path: Path) -> None:
    """Nobody waits for the processes that are handed to it: dead daemons stay as zombies, and count for nothing."""
    script = tmp_path / "first.py"
    script.write_text(
        """
import os, signal, time, buoy
from pathlib import Path

def daemons():
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and b"buoy_daemon" in Path(f"/proc/{name}/cmdline").read_bytes():
            found.append(int(name))
    return found

assert os.getpid() == 1
run = buoy.init(project="crash", id="first")
for step in range(1000):
    run.log({"loss": 1.0 / (step + 1)})
while victims := daemons():
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
def is_zombie(name):
    return name.isdigit() and ") Z" in Path(f"/proc/{name}/stat").read_text()

# One that dies has no command any more a while before it is a zombie.
deadline = time.monotonic() + 30
while not any(map(is_zombie, os.listdir("/proc"))):
    assert time.monotonic() < deadline, "somebody has waited for them"
for step in range(1000, 2000):
    run.log({"loss": 1.0 / (step + 1)})
run.finish()
again = buoy.init(project="crash", id="second")
again.log({"loss": 1.0})
again.finish()
import subprocess, sys
subprocess.run([sys.executable, "-m", "buoy", "sync"], check=True)
subprocess.run([sys.executable, "-m", "buoy", "daemon", "stop"], check=True)
"""
    )
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, str(script)]
    done = subprocess.run(
        command, env=stack.environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert_complete(stack, "first")
    assert_complete(stack, "second", 1)


# Places


@pytest.mark.slow
def test_a_home_on_nfs(stack: Stack, tmp_path: Path) -> None:
    """Trainer, daemon and command line come to the same local folder; the key stays in the home; one line says so."""
    home = tmp_path / "home"
    state = home / ".local/state/buoy"
    state.mkdir(parents=True, mode=0o700)
    shutil.copy(stack.folder / "state/credentials.json", state)
    seam = Seam(tmp_path / "seam")
    kept = {name: value for name, value in stack.environment.items() if name != "BUOY_STATE_DIR"}
    kept.pop("XDG_STATE_HOME", None)
    stack.environment.clear()
    stack.environment.update({**kept, **seam.environment(), "HOME": str(home)})
    place = None
    with seam.filesystem(home, "nfs"):
        try:
            trainer = stack.train("nfs", STEPS)
            assert_undisturbed(trainer)
            assert_complete(stack, "nfs")
            said = re.search(
                r"is on a network file system \(nfs\); socket and spools are in (\S+) instead",
                trainer.output(),
            )
            assert said is not None, trainer.output()
            place = Path(said[1])
            assert place.parent in {Path("/var/tmp"), Path("/tmp"), Path("/dev/shm")}
            assert sorted(path.name for path in state.iterdir()) == ["credentials.json"]
            assert (place / "daemon.lock").exists()
            # Said once for a machine, and whenever somebody asks how things are.
            again = stack.train("nfs2", 10)
            assert_undisturbed(again)
            assert "network file system" not in again.output()
            assert "network file system (nfs)" in buoy(stack, "doctor")
            assert str(os.getuid()) in place.name
        finally:
            buoy(stack, "daemon", "stop")
            if place is not None:
                shutil.rmtree(place)


@as_root
@pytest.mark.slow
def test_two_users_of_one_machine(stack: Stack) -> None:
    """Each has a daemon of its own, and no way to the other's socket, spools, runs or keys."""
    base = Path("/var/tmp") / f"buoy-test-users-{os.getpid()}"
    base.mkdir(mode=0o755)
    users = (54321, 54322)
    try:
        for uid in users:
            home = base / str(uid)
            home.mkdir(mode=0o755)
            os.chown(home, uid, uid)
        script = """
import buoy, os
from buoy.daemon_link import DaemonLink
from buoy_core.state import state_dir
run = buoy.init(project="mine", mode="offline")
for step in range(100):
    run.log({"a": step})
buoy.login("secret-of-" + str(os.getuid()), host="http://127.0.0.1:9", verify=False)
with DaemonLink(state_dir()) as link:
    print(link.status().pid, flush=True)
run.finish()
"""
        pids = {uid: int(_as_user(uid, stack, base, script).stdout) for uid in users}
        assert len(set(pids.values())) == 2
        assert {psutil.Process(pid).uids().real for pid in pids.values()} == set(users)
        first, second = (base / str(uid) / "state" for uid in users)
        spy = f"""
import os, socket
from pathlib import Path
probe = socket.socket(socket.AF_UNIX)
for attempt in (
    lambda: probe.connect({str(first / "daemon.sock")!r}),
    lambda: os.listdir({str(first)!r}),
    lambda: Path({str(first / "credentials.json")!r}).read_text(),
    lambda: os.listdir({str(first / "spool")!r}),
    lambda: list(Path({str(base / str(users[0]) / "runs")!r}).glob("run-*/wal/*.wal"))[0].read_bytes(),
):
    try:
        attempt()
    except (PermissionError, IndexError):
        continue
    print("could get at it")
os.environ["BUOY_STATE_DIR"] = {str(first)!r}
import buoy
run = buoy.init(project="mine", mode="offline")
run.log({{"a": 1}})
run.finish()
"""
        done = _as_user(users[1], stack, base, spy)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        # The other's folder is refused, and told; what is logged is kept elsewhere.
        assert (
            f"the state folder {first} cannot be used" in done.stderr
            or "belongs to another user" in done.stderr
        )
        assert "nothing of this run can be recorded" not in done.stderr
        moved = re.search(r"socket and spools are in (\S+) instead", done.stderr)
        assert moved is not None
        for uid, folder in ((users[0], first), (users[1], second), (users[1], Path(moved[1]))):
            _as_user(
                uid,
                stack,
                base,
                "from buoy.cli import main; main(['daemon', 'stop'])",
                BUOY_STATE_DIR=str(folder),
            )
        shutil.rmtree(moved[1])
    finally:
        shutil.rmtree(base)


def _interpreter(uid: int, home: Path) -> tuple[str, str]:
    """A Python that the user may run, and where it finds buoy: this one may be in a home that is closed to others."""
    names = ("buoy_proto", "buoy_core", "buoy_daemon", "buoy", "grpc")
    roots = [Path(next(iter(importlib.import_module(name).__path__))).parent for name in names]
    paths = os.pathsep.join(dict.fromkeys(map(str, roots)))
    for candidate in (sys.executable, "/usr/bin/python3"):
        probe = [candidate, "-c", "import buoy, grpc, buoy_daemon.lifecycle"]
        with contextlib.suppress(OSError):
            who = {"user": uid, "group": uid, "extra_groups": []}
            done = subprocess.run(
                probe, env={"PYTHONPATH": paths}, cwd=home, check=False, capture_output=True, **who
            )
            if done.returncode == 0:
                return candidate, paths
    pytest.skip("another user can run no Python that has what buoy needs")


def _as_user(
    uid: int, stack: Stack, base: Path, code: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    home = base / str(uid)
    kept = {name: value for name, value in stack.environment.items() if not name.startswith("BUOY_")}
    mine = {"HOME": str(home), "BUOY_STATE_DIR": str(home / "state"), "BUOY_DIR": str(home / "runs")}
    python, paths = _interpreter(uid, home)
    return subprocess.run(
        [python, "-c", code],
        env={"PYTHONPATH": paths, **kept, **mine, **environment},
        cwd=home,
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
