"""A notebook: cells that are run again, interrupted, and a kernel that is restarted under a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from buoy.local import LocalRun, run_folders

from tests.sdk.training import wait_for

jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")

PATIENCE_S = 60


class Kernel:
    """A real kernel, and what a notebook does with it."""

    def __init__(self) -> None:
        self.manager, self.client = jupyter_client.manager.start_new_kernel(kernel_name="python3")

    def run(self, code: str, while_busy: Callable[[], None] = lambda: None) -> str:
        """Runs a cell; what it printed, and the name of its exception if it had one."""
        said: list[str] = []

        def hear(message: dict[str, object]) -> None:
            content = message["content"]
            assert isinstance(content, dict)
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                said.append(content["text"])
                if "busy" in content["text"]:
                    while_busy()

        reply = self.client.execute_interactive(code, timeout=PATIENCE_S, output_hook=hear)
        return "".join(said) + reply["content"].get("ename", "")

    def restart(self, *, now: bool) -> None:
        self.manager.restart_kernel(now=now)
        self.client.wait_for_ready(timeout=PATIENCE_S)

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    kernel = Kernel()
    yield kernel
    kernel.end()


def states() -> dict[str, tuple[str, list[float]]]:
    """State and history of each run, by its name."""
    runs = map(LocalRun, run_folders(Path(os.environ["BUOY_DIR"])))
    return {run.info.name: (run.state, [row["a"] for row in run.rows() if "a" in row]) for run in runs}


INIT = "import buoy\nrun = buoy.init(project='p', name={!r})\nrun.log({{'a': {}}})"


def test_running_the_cell_again_begins_another_run(kernel: Kernel) -> None:
    for number in range(3):
        assert kernel.run(INIT.format(f"run{number}", number)) == ""
        assert kernel.run("run.log({'a': 10})") == ""
    kernel.run("run.finish()")
    assert kernel.run("run.log({'a': 0})") == "UsageError"
    assert states() == {f"run{number}": ("finished", [number, 10]) for number in range(3)}


def test_the_configuration_may_change_in_a_notebook(kernel: Kernel) -> None:
    assert (
        kernel.run("import buoy\nrun = buoy.init(config={'lr': 1})\nrun.config.lr = 2\nprint(run.config)")
        == "{'lr': 2}\n"
    )


def test_a_restarted_kernel_leaves_a_finished_run(kernel: Kernel) -> None:
    """The kernel ends in an orderly way, as the button does it; the next init() is another run."""
    kernel.run(INIT.format("first", 1))
    kernel.restart(now=False)
    kernel.run(INIT.format("second", 2) + "\nrun.finish()")
    expected = {"first": ("finished", [1]), "second": ("finished", [2])}
    wait_for(lambda: states() == expected, f"{expected}, not {states()}")


def test_a_killed_kernel_leaves_a_crashed_run(kernel: Kernel) -> None:
    kernel.run(INIT.format("first", 1))
    kernel.restart(now=True)
    kernel.run(INIT.format("second", 2) + "\nrun.finish()")
    expected = {"first": ("crashed", [1]), "second": ("finished", [2])}
    wait_for(lambda: states() == expected, f"{expected}, not {states()}")


def test_an_interrupted_cell_leaves_its_run_open(kernel: Kernel) -> None:
    kernel.run(INIT.format("run", 1))
    endless = "import time\nprint('busy', flush=True)\nwhile True: time.sleep(0.01)"
    assert kernel.run(endless, while_busy=kernel.manager.interrupt_kernel) == "busy\nKeyboardInterrupt"
    assert kernel.run("run.log({'a': 2})\nrun.finish()") == ""
    assert states() == {"run": ("finished", [1, 2])}


def test_an_interrupted_block_is_killed(kernel: Kernel) -> None:
    kernel.run("import buoy, time")
    head = "with buoy.init(name='run') as run:\n    run.log({'a': 1})\n"
    endless = head + "    print('busy', flush=True)\n    time.sleep(600)"
    assert kernel.run(endless, while_busy=kernel.manager.interrupt_kernel) == "busy\nKeyboardInterrupt"
    assert states() == {"run": ("killed", [1])}


@pytest.mark.parametrize("code", ["1 / 0", "import sys; sys.exit(3)", "raise SystemExit(3)"])
def test_a_cell_that_fails_does_not_fail_the_run(kernel: Kernel, code: str) -> None:
    """The process goes on: what counts is how it ends."""
    kernel.run(INIT.format("run", 1))
    assert kernel.run(code) in {"ZeroDivisionError", "SystemExit"}
    kernel.run("run.log({'a': 2})")
    kernel.restart(now=False)
    wait_for(lambda: states() == {"run": ("finished", [1, 2])}, f"a finished run, not {states()}")
