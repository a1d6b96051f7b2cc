"""A request to stop reaches the main thread as Ctrl-C does, once, and after the row was written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from buoy_core.format import CONTROL_ALIVE, CONTROL_STOP

from tests.core.core_cases import WRITER_ID, Spool

SCRIPT = """
import signal, sys, threading, time
from buoy_core.{core} import Writer, SpoolReader

{before}

def train():
    while waiting and sys._current_frames()[threading.main_thread().ident].f_code.co_name != "wait":
        time.sleep(0.001)
    for step in range(2):
        writer.log({{"loss": step}})

waiting = {body!r} != "train()"
writer = Writer({folder!r}, writer_id=bytes(range(16)))
writer.log({{"loss": 9}})
reader = SpoolReader({folder!r})
reader.set_control(3)
try:
    {body}
except KeyboardInterrupt as interrupt:
    writer.log({{"saved": 1}})
    print("interrupted", writer.committed == reader.committed, reader.stop_seen)
else:
    print("went on")
"""
IN_MAIN = "train()"
IN_THREAD = "threading.Thread(target=train).start(); threading.Event().wait(60)"
IGNORED = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
OWN = "signal.signal(signal.SIGINT, lambda *_: print('own handler'))"


@pytest.mark.parametrize(
    ("before", "body", "said"),
    [
        ("", IN_MAIN, ["interrupted True True"]),
        ("", IN_THREAD, ["interrupted True True"]),
        (IGNORED, IN_MAIN, ["interrupted True True"]),
        (OWN, IN_MAIN, ["own handler", "went on"]),
    ],
    ids=["main", "thread", "ignored", "own"],
)
def test_the_main_thread_is_interrupted(
    core: ModuleType, tmp_path: Path, before: str, body: str, said: list[str]
) -> None:
    name = core.__name__.rpartition(".")[2]
    script = SCRIPT.format(core=name, folder=str(tmp_path / "spool"), before=before, body=body)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == said


def test_ignored_interrupts_reach_the_main_thread_from_another(core: ModuleType, tmp_path: Path) -> None:
    """A sleep ends by a signal only, so this main thread runs Python code meanwhile, as one that trains does."""
    name = core.__name__.rpartition(".")[2]
    body = IN_THREAD.replace("wait(60)", "wait(0.2); [time.sleep(0.01) for _ in range(6000)]")
    script = SCRIPT.format(core=name, folder=str(tmp_path / "spool"), before=IGNORED, body=body)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.stdout, done.stderr) == ("interrupted True True\n", "")


def test_one_request_interrupts_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across segments: the answer goes along into each new one, as the request does."""
    from buoy_core import interruption

    interrupts: list[int] = []
    monkeypatch.setattr(interruption, "interrupt", lambda: interrupts.append(spool.writer.committed))
    writer = spool.core.Writer(
        str(Path(spool.writer.directory).with_name("small")), writer_id=WRITER_ID, segment_bytes=1 << 14
    )
    writer.log({"text": "x"})
    reader = spool.core.SpoolReader(writer.directory)
    reader.set_control(CONTROL_ALIVE | CONTROL_STOP)
    writer.log({})
    assert interrupts == []
    for _ in range(200):
        writer.log({"text": "x" * 500})
        reader.set_control(CONTROL_ALIVE | CONTROL_STOP)
    assert len(list(Path(writer.directory).glob("*.seg"))) > 5
    assert len(interrupts) == 1
    assert reader.stop_seen
    reader.close()


def test_a_writer_is_not_interrupted_when_the_daemon_has_done_it(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from buoy_core import interruption

    monkeypatch.setattr(interruption, "interrupt", lambda: pytest.fail("twice"))
    spool.writer.log({"a": 1})
    reader = spool.core.SpoolReader(spool.writer.directory)
    reader.mark_stop_seen()
    reader.set_control(CONTROL_ALIVE | CONTROL_STOP)
    spool.writer.log({"a": 2})
    reader.close()
