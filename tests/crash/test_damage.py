"""A local log is damaged before it was uploaded: what the run page, the command line and the doctor make of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from buoy_core.block import KIND_DATA
from buoy_core.wal import Block, WalReader

from tests.crash.stack import Stack, wait_until
from tests.crash.trainer import loss

STEPS = 3000


def run_buoy(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "buoy", *arguments]
    return subprocess.run(command, env=stack.environment, capture_output=True, text=True, check=False)


def damage(block: Block, at: int) -> None:
    """Flips a bit of a block, `at` bytes from its beginning."""
    with Path(block.path).open("r+b") as file:
        file.seek(block.offset + at)
        (byte,) = file.read(1)
        file.seek(block.offset + at)
        file.write(bytes([byte ^ 8]))


@pytest.mark.slow
def test_each_damaged_block_is_a_gap_that_everybody_names(tmp_path: Path) -> None:
    """The payload of one, the header of another, and the very last one, which holds the end of the run."""
    with Stack(tmp_path) as stack:
        stack.kill_server()
        trainer = stack.train("run", STEPS, pause_s=0.0005)
        assert trainer.wait() == 0, trainer.output()
        wait_until(stack.stop_daemon, "the end of the daemon")
        (folder,) = (tmp_path / "runs").glob("run-*")
        blocks = [item for item in WalReader(str(folder / "wal")).blocks() if isinstance(item, Block)]
        blocks = [block for block in blocks if block.header.kind == KIND_DATA]
        assert len(blocks) > 6
        victims = [blocks[len(blocks) // 3], blocks[len(blocks) // 2], blocks[-1]]
        for victim, at in zip(victims, (150, 20, victims[-1].header.size_bytes - 1), strict=True):
            damage(victim, at)

        for said in (run_buoy(stack, "doctor").stdout, run_buoy(stack, "show", str(folder)).stderr):
            for victim in victims[:2]:
                assert f"{victim.path} is damaged at byte {victim.offset}: " in said
                assert f"{victim.header.records} records lost" in said
        doctor = run_buoy(stack, "doctor")
        assert doctor.returncode == 1
        assert f"ends early; {victims[-1].header.records} records lost" in doctor.stdout

        stack.start_server()
        stack.start_daemon()
        run = wait_until(lambda: (run := stack.run("run")) and run["state"] != "running" and run, "its end")
        assert run["state"] == "finished"
        expected = [(victim.header.first_seq, victim.header.records) for victim in victims]
        assert [(gap["first_seq"], gap["records"]) for gap in run["gaps"]] == expected
        for victim, gap in zip(victims[:2], run["gaps"], strict=False):
            assert f"{victim.path} is damaged at byte {victim.offset}: " in gap["text"]
        assert str(folder) in run["gaps"][-1]["text"]
        history = stack.history("run")
        assert set(history) < {(step, loss(step)) for step in range(STEPS)}
        lost = STEPS - len(history)
        assert 0 < lost <= sum(victim.header.records for victim in victims)
        assert sorted(set(history)) == history
