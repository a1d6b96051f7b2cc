"""One run in several processes: pickled, spawned, pooled, daemonised, executed. Each row arrives exactly once."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import buoy
import pytest
from buoy.local import LocalRun, run_folders
from buoy.settings import Settings

from tests.sdk.training import Script, ended_run, only_run, wait_for

MAIN = "\nif __name__ == '__main__':\n"


def train(script: Script, code: str, **environment: str) -> str:
    """Runs a program from a file, as multiprocessing needs it, and returns what it printed."""
    (script.folder / "train.py").write_text(code)
    found = script.run("import runpy; runpy.run_path('train.py', run_name='__main__')", **environment)
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr, found.stderr
    return found.stdout


def values(run: LocalRun, key: str) -> list[float]:
    return [row[key] for row in run.rows() if key in row]


def runs() -> dict[str, LocalRun]:
    """Every run of the test's BUOY_DIR by its project."""
    return {run.info.project: run for run in map(LocalRun, run_folders(Path(os.environ["BUOY_DIR"])))}


# ------------------------------------------------------------------ multiprocessing

SPAWNED = (
    """
import multiprocessing, buoy
def work(run, number):
    assert run.config.lr == 1, run.config
    for step in range(50):
        run.log({f"worker{number}": step})
    run.summary[f"last{number}"] = number
    run.config[f"seen{number}"] = True
"""
    + MAIN
    + """
    context = multiprocessing.get_context("METHOD")
    run = buoy.init(project="p", config={"lr": 1})
    run.log({"main": 0})
    workers = [context.Process(target=work, args=(run, number)) for number in range(2)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    run.log({"main": 1})
"""
)


@pytest.mark.parametrize("transport", ["spool", "grpc"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_run_passed_to_a_process(script: Script, method: str, transport: str) -> None:
    train(script, SPAWNED.replace("METHOD", method), BUOY_TRANSPORT=transport)
    expected = {"worker0": list(range(50)), "worker1": list(range(50)), "main": [0, 1]}
    wait_for(lambda: {key: values(only_run(), key) for key in expected} == expected, "all rows, each once")
    run = ended_run("finished")
    assert run.config == {"lr": 1, "seen0": True, "seen1": True}
    assert (run.summary["last0"], run.summary["last1"]) == (0, 1)
    assert len(runs()) == 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_run_passed_through_a_pool_and_a_queue(script: Script, method: str) -> None:
    code = (
        """
import multiprocessing, buoy
def work(task):
    run, number = task
    run.log({f"task{number}": number})
    return run.id
def drain(queue):
    while (run := queue.get()) is not None:
        run.log({"queued": run.step})
"""
        + MAIN
        + """
    context = multiprocessing.get_context("METHOD")
    run = buoy.init(project="p")
    with context.Pool(2) as pool:
        ids = pool.map(work, [(run, number) for number in range(20)])
        pool.close()
        pool.join()
    queue = context.Queue()
    reader = context.Process(target=drain, args=(queue,))
    reader.start()
    for _ in range(5): queue.put(run)
    queue.put(None)
    reader.join()
    assert set(ids) == {run.id}
    run.finish()
"""
    )
    train(script, code.replace("METHOD", method))
    expected = {f"task{number}": [number] for number in range(20)}
    wait_for(lambda: {key: values(only_run(), key) for key in expected} == expected, "a row for each task")
    wait_for(lambda: len(values(only_run(), "queued")) == 5, "the rows of the queue's reader")
    ended_run("finished")


def test_a_worker_that_logs_nothing_leaves_no_trace(script: Script) -> None:
    code = (
        """
import multiprocessing, buoy
def work(run):
    print(run.name, run.step, run.config)
"""
        + MAIN
        + """
    run = buoy.init(project="p", config={"lr": 1}, name="mine")
    run.log({"a": 1})
    worker = multiprocessing.get_context("spawn").Process(target=work, args=(run,))
    worker.start()
    worker.join()
    run.finish()
"""
    )
    assert train(script, code).strip() == "mine 1 {'lr': 1}"
    assert len(ended_run("finished").writers) == 1


def test_a_worker_goes_on_after_its_parent_has_finished(script: Script) -> None:
    """The run's end is what its own process said; the worker's rows belong to it all the same."""
    code = (
        """
import multiprocessing, buoy
def work(run, gate):
    gate.wait()
    for step in range(10): run.log({"late": step})
"""
        + MAIN
        + """
    context = multiprocessing.get_context("spawn")
    gate = context.Event()
    run = buoy.init(project="p")
    run.log({"main": 1})
    worker = context.Process(target=work, args=(run, gate))
    worker.start()
    run.finish()
    gate.set()
    worker.join()
    assert worker.exitcode == 0
"""
    )
    train(script, code)
    wait_for(lambda: values(only_run(), "late") == list(range(10)), "the late rows")
    run = ended_run("finished")
    assert run.attempt == 1
    assert len(runs()) == 1


def test_init_in_a_worker_is_a_run_of_its_own(script: Script) -> None:
    """Whoever calls init() in a child wants a run, and until then got the parent's."""
    code = (
        """
import multiprocessing, buoy
def work(number):
    with buoy.init(project=f"worker{number}") as run:
        run.log({"a": number})
def join(run):
    assert buoy.init(id=run.id) is run
    run.log({"joined": 1})
"""
        + MAIN
        + """
    context = multiprocessing.get_context("fork")
    with buoy.init(project="main") as run:
        run.log({"a": 0})
        workers = [context.Process(target=work, args=(number,)) for number in (1, 2)]
        workers.append(context.Process(target=join, args=(run,)))
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        run.log({"a": 3})
"""
    )
    train(script, code)
    wait_for(
        lambda: {run.state for run in runs().values()} == {"finished"} and len(runs()) == 3, "three runs"
    )
    wait_for(lambda: values(runs()["main"], "joined") == [1], "the row of who joined by the id")
    assert values(runs()["main"], "a") == [0, 3]
    assert [values(runs()[f"worker{number}"], "a") for number in (1, 2)] == [[1], [2]]


# ------------------------------------------------------------------ pickles


def test_a_copy_in_the_same_process_is_the_run() -> None:
    with buoy.init(project="p") as run:
        assert pickle.loads(pickle.dumps(run)) is run
        assert copy.deepcopy({"run": run})["run"] is run
        ticket = pickle.dumps(run)
    assert pickle.loads(ticket) is run
    with pytest.raises(buoy.UsageError, match="is finished"):
        pickle.loads(ticket).log({"a": 1})


def test_a_pickle_holds_no_key() -> None:
    run = buoy.init(project="p", settings=Settings(api_key="very-secret"))
    assert b"very-secret" not in pickle.dumps(run)


def test_a_disabled_run_is_disabled_elsewhere(script: Script) -> None:
    ticket = pickle.dumps(buoy.init(mode="disabled"))
    found = script.run(
        f"import pickle; run = pickle.loads({ticket!r}); run.log({{'a': 1}}); print(run.summary['a'])"
    )
    assert found.stdout.strip() == "1", found.stderr


def test_a_finished_run_is_finished_elsewhere(script: Script) -> None:
    run = buoy.init(project="p")
    run.finish()
    code = """
import buoy, pickle
run = pickle.loads(TICKET)
try:
    run.log({"a": 1})
except buoy.UsageError as error:
    print(error)
"""
    found = script.run(code.replace("TICKET", repr(pickle.dumps(run))))
    assert "is finished" in found.stdout, found.stderr


def test_a_pickle_that_outlives_its_process_begins_the_next_attempt(script: Script) -> None:
    """As a checkpoint does that somebody loads a day later: its rows must not mix with those of the first attempt."""
    first = script.run("""
import buoy, pickle
run = buoy.init(project="p", config={"lr": 1})
for step in range(10): run.log({"a": step})
with open("ticket", "wb") as file: pickle.dump(run, file)
""")
    assert first.returncode == 0, first.stderr
    ended_run("finished")
    second = script.run("""
import pickle
with open("ticket", "rb") as file: run = pickle.load(file)
run.log({"a": 10 * run.step})
run.finish()
print(run.resumed, run.config)
""")
    assert second.stdout.strip() == "True {'lr': 1}", second.stderr
    assert "next attempt" in second.stderr
    attempts = [LocalRun(folder) for folder in run_folders(Path(os.environ["BUOY_DIR"]))]
    assert sorted((run.attempt, values(run, "a")) for run in attempts) == [(1, list(range(10))), (2, [100])]


def test_a_pickle_from_another_machine_joins_the_attempt(script: Script) -> None:
    """As an actor on another node does: whether the process that began the run still runs cannot be seen from there."""
    run = buoy.init(project="p")
    run.log({"a": 1})
    ticket = {**run.__reduce__()[1][0], "origin": ("elsewhere", "00" * 16, 1, 1)}  # type: ignore[index]
    found = script.run(f"""
from buoy.tracking.run import Run
run = Run._from_ticket({ticket!r})
for step in range(10): run.log({{"far": step}})
""")
    assert found.returncode == 0, found.stderr
    wait_for(lambda: values(only_run(), "far") == list(range(10)), "the far rows")
    run.finish()
    assert (ended_run("finished").attempt, len(ended_run("finished").writers)) == (1, 2)


# ------------------------------------------------------------------ forks


def test_a_daemonised_grandchild_logs(script: Script) -> None:
    code = """
import buoy, os
run = buoy.init(project="p")
run.log({"main": 0})
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 1024)
    for step in range(100): run.log({"daemon": step})
    run.finish()
    os._exit(0)
os.wait()
run.log({"main": 1})
"""
    found = script.run(code)
    assert found.returncode == 0, found.stderr
    wait_for(lambda: values(only_run(), "daemon") == list(range(100)), "the grandchild's rows")
    assert values(ended_run("finished"), "main") == [0, 1]


def test_children_of_threads_that_log_all_the_time(script: Script) -> None:
    """A fork may come while any thread is anywhere in log(); no row of the parent or of a child is lost or torn."""
    code = """
import buoy, os, threading, time
run = buoy.init(project="p")
stop = threading.Event()
counts = [0] * 8
def work(number):
    while not stop.is_set():
        run.log({f"thread{number}": counts[number], f"new/{number}/{counts[number] % 50}": 1}, step=counts[number])
        counts[number] += 1
        time.sleep(0.0001)
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
def child(number):
    def both(half):
        for step in range(10): run.log({f"child{number}/{half}": step}, step=step)
    halves = [threading.Thread(target=both, args=(half,)) for half in range(2)]
    for half in halves: half.start()
    for half in halves: half.join()
    os._exit(0)
for number in range(60):
    pid = os.fork()
    if pid == 0: child(number)
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
run.finish()
print(counts)
"""
    found = script.run(code)
    assert found.returncode == 0, found.stderr
    counts = eval(found.stdout)
    children = [f"child{number}/{half}" for number in range(60) for half in range(2)]
    wait_for(lambda: set(children) <= set(only_run().keys()), "every child's rows", 60)
    run = ended_run("finished")
    by_key: dict[str, list[float]] = {}
    for row in run.rows():
        for key, value in row.items():
            by_key.setdefault(key, []).append(value)
    for key in children:
        assert by_key[key] == list(range(10)), key
    for number, count in enumerate(counts):
        assert by_key[f"thread{number}"] == list(range(count))
    # One for each child, though two threads began at once.
    assert len(run.writers) == 61


# ------------------------------------------------------------------ exec


def test_a_process_that_executes_another_program_has_crashed(script: Script) -> None:
    """It keeps its pid and start time, and until there was a lock its run went on until that program ended."""
    code = """
import buoy, os, sys
run = buoy.init(project="p")
for step in range(10): run.log({"a": step})
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
"""
    process = script.start(code)
    run = ended_run("crashed")
    assert process.poll() is None, "it was the end of the process that told"
    process.kill()
    process.wait()
    assert values(run, "a") == list(range(10))


def test_a_process_that_executes_itself_begins_the_next_attempt(script: Script) -> None:
    (script.folder / "train.py").write_text("""
import buoy, os, sys
again = len(sys.argv) > 1
run = buoy.init(project="p", id="same")
for step in range(10): run.log({"a": step + 100 * again})
if not again:
    os.execv(sys.executable, [sys.executable, "train.py", "again"])
""")
    found = script.run("import os, sys; os.execv(sys.executable, [sys.executable, 'train.py'])")
    assert found.returncode == 0, found.stderr

    def attempts():
        found = [LocalRun(folder) for folder in run_folders(Path(os.environ["BUOY_DIR"]))]
        return sorted((run.attempt, run.state, values(run, "a")) for run in found)

    expected = [(1, "crashed", list(range(10))), (2, "finished", list(range(100, 110)))]
    wait_for(lambda: attempts() == expected, f"two attempts, not {attempts()}")


def test_a_process_that_executes_itself_with_no_id_begins_another_run(script: Script) -> None:
    (script.folder / "train.py").write_text("""
import buoy, os, sys
project = sys.argv[1] if len(sys.argv) > 1 else "first"
buoy.init(project=project).log({"a": 1})
if project == "first":
    os.execv(sys.executable, [sys.executable, "train.py", "second"])
""")
    found = script.run("import os, sys; os.execv(sys.executable, [sys.executable, 'train.py'])")
    assert found.returncode == 0, found.stderr
    wait_for(
        lambda: (
            {name: run.state for name, run in runs().items()} == {"first": "crashed", "second": "finished"}
        ),
        "both",
    )
