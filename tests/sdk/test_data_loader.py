"""torch's DataLoader: its workers log, each row once, whatever way they are started.

torch is not among the packages that the tests install, because its usual wheel has gigabytes; without it they are
skipped.
"""

from __future__ import annotations

import importlib.util

import pytest

from tests.sdk.training import Script, ended_run, only_run, wait_for

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")

CODE = """
import buoy, torch
from torch.utils.data import DataLoader, Dataset

class Numbers(Dataset):
    def __init__(self, run):
        self.run = run
    def __len__(self):
        return 200
    def __getitem__(self, index):
        self.run.log({f"item{index}": torch.tensor(float(index)), "worker": torch.utils.data.get_worker_info().id})
        return index

if __name__ == "__main__":
    run = buoy.init(project="p")
    loader = DataLoader(Numbers(run), batch_size=10, num_workers=2, multiprocessing_context="METHOD",
                        persistent_workers=PERSISTENT)
    for epoch in range(2):
        for batch in loader:
            run.log({"loss": batch.float().mean()})
    run.finish()
"""


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["spool", "grpc"])
@pytest.mark.parametrize(("method", "persistent"), [("fork", False), ("spawn", True), ("forkserver", False)])
def test_workers_log(script: Script, method: str, persistent: bool, transport: str) -> None:
    code = CODE.replace("METHOD", method).replace("PERSISTENT", str(persistent))
    (script.folder / "train.py").write_text(code)
    found = script.run(
        "import runpy; runpy.run_path('train.py', run_name='__main__')", BUOY_TRANSPORT=transport
    )
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr, found.stderr

    def complete() -> bool:
        rows = list(only_run().rows())
        points = [(key, value) for row in rows for key, value in row.items() if key.startswith("item")]
        # Rows of several workers may share a step; a value of one does not replace another's key.
        return sorted(set(points)) == sorted((f"item{index}", float(index)) for index in range(200))

    wait_for(complete, "every item's row", 60)
    run = ended_run("finished")
    assert len([row for row in run.rows() if "loss" in row]) == 40
    assert len(run.writers) == (3 if persistent else 5)
