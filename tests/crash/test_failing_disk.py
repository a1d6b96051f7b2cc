"""Disks that refuse in other ways than being full: a quota, errors of the device, a folder that became read-only.

The seam gives the processes' calls those answers, so this needs no root.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from tests.crash.hungry import Hungry
from tests.crash.seam import Operation, Rule, Seam
from tests.crash.stack import Stack, wait_until
from tests.crash.test_full_disk import check_outcome, log_errors, writer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seam(tmp_path_factory: pytest.TempPathFactory) -> Seam:
    return Seam(tmp_path_factory.mktemp("seam") / "orders")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, seam: Seam) -> Iterator[Stack]:
    """One for all tests: each has a run of its own."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.environment |= seam.environment()
    with stack:
        yield stack


@pytest.fixture(autouse=True)
def well_again(seam: Seam) -> Iterator[None]:
    yield
    seam.clear()


@pytest.mark.parametrize(
    ("error", "text", "remedy"),
    [
        (errno.EDQUOT, "Disk quota exceeded", "Make room on that disk"),
        (errno.EIO, "Input/output error", "See to that disk"),
    ],
)
def test_spools_that_cannot_grow(stack: Stack, seam: Seam, error: int, text: str, remedy: str) -> None:
    trainer = Hungry(stack, f"spool{error}")
    trainer.wait_called(1000)
    spools = stack.folder / "state/spool"
    with seam.fail(spools, Operation.ALLOCATE | Operation.CREATE, error, program="hungry") as rule:
        wait_until(lambda: trainer.dropped > 0, "rows to be dropped")
        wait_until(lambda: writer(stack, trainer.run_id)["records_dropped"] > 0, "the count on the run page")
        assert trainer.median_us(1000) < 50
    assert rule.hits
    trainer.wait_kept_again()
    trainer.finish()
    assert trainer.said(text) == trainer.said(remedy) == 1, trainer.output()
    check_outcome(stack, trainer)


@pytest.mark.parametrize("transport", ["spool", "grpc"])
def test_a_run_that_begins_without_room(stack: Stack, seam: Seam, transport: str) -> None:
    """It was not recorded at all, however long it went on: now it is from when there is room."""
    with seam.full(stack.folder / "state", program="hungry"):
        trainer = Hungry(stack, f"late-{transport}", settings={"transport": transport})
        trainer.wait_called(2000)
        assert trainer.said("nothing of this run can be recorded for now") == 1, trainer.output()
        assert stack.run(trainer.run_id) is None
    trainer.wait_kept_again()
    wait_until(lambda: writer(stack, trainer.run_id)["records_dropped"], "the count on the run page")
    trainer.finish()
    assert trainer.dropped > 1000
    assert trainer.said("there is room again") == 1, trainer.output()
    check_outcome(stack, trainer)
    assert stack.run(trainer.run_id)["config"] == {"lr": 0.5}  # type: ignore[index]


def read_only(stack: Stack, seam: Seam) -> Rule:
    return seam.read_only(stack.folder / "runs")


def unsynced(stack: Stack, seam: Seam) -> Rule:
    return seam.fail(stack.folder / "runs", Operation.SYNC, errno.EIO)


def quota(stack: Stack, seam: Seam) -> Rule:
    return seam.fail(stack.folder / "runs", Operation.WRITE, errno.EDQUOT)


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (read_only, "Read-only file system"),
        (unsynced, "Input/output error"),
        (quota, "Disk quota exceeded"),
    ],
)
def test_logs_that_cannot_be_written(stack: Stack, seam: Seam, trouble: object, text: str) -> None:
    """Nothing is lost and nothing comes twice, whatever the log had taken when its disk failed."""
    trainer = Hungry(stack, f"log{text[:4]}")
    trainer.wait_called(1000)
    before = log_errors(stack)
    with trouble(stack, seam) as rule:  # type: ignore[operator]
        wait_until(lambda: trainer.said("cannot be written now"), "the terminal")
        trainer.wait_called(trainer.called + 3000)
    assert rule.hits
    wait_until(lambda: trainer.said("can be written again"), "the terminal")
    trainer.finish()
    assert trainer.dropped == 0
    check_outcome(stack, trainer)
    errors = log_errors(stack)[len(before) :]
    assert len(errors) == 1, errors
    assert text in errors[0]


def test_a_server_whose_disk_fails(stack: Stack, seam: Seam) -> None:
    trainer = Hungry(stack, "uploads")
    trainer.wait_called(1000)
    wait_until(lambda: stack.points(trainer.run_id) > 0, "the first points")
    begin = len((stack.folder / "server.log").read_text())

    def said() -> str:
        return (stack.folder / "server.log").read_text()[begin:]

    # SQLite and syncs hear of errors; what the metrics engine's writes meet is tests/server/test_write_guard.py.
    with (
        seam.fail(stack.folder / "data/metadata.sqlite*", Operation.WRITE, errno.EIO),
        seam.fail(stack.folder / "data/metrics", Operation.SYNC, errno.EIO),
    ):
        wait_until(lambda: "uploads are refused" in said(), "uploads to be refused")
        trainer.wait_called(trainer.called + 2000)
    trainer.finish()
    assert trainer.dropped == 0
    check_outcome(stack, trainer)
    assert said().count("uploads are refused") == 1
    assert "Traceback" not in said()
