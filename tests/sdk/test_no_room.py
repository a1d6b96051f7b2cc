"""What a training process says, while it trains, when its records have no room; and that it trains on.

The spool's own limit stands for a full disk here, because every machine has it; tests/crash fills real disks.
"""

from __future__ import annotations

from buoy.tracking.trouble import not_kept
from buoy_core.errors import SpoolFull

from tests.sdk.training import Script, ended_run

ONE_SEGMENT = str(4 << 20)

TRAIN = """
import sys
import buoy

run = buoy.init(project="p", id="r")
for step in range(100_000):
    run.log({"loss": step, "a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4})
print("trained", file=sys.stderr)
run.config["late"] = "x" * 1000
run.finish()
print(run._recorder.dropped)
"""


def test_the_terminal_says_once_that_rows_are_dropped(script: Script) -> None:
    done = script.run(TRAIN, BUOY_SPOOL_BYTES_MAX=ONE_SEGMENT)
    assert done.returncode == 0, done.stderr
    while_training, _, at_the_end = done.stderr.partition("trained\n")
    told = [line for line in while_training.splitlines() if "rows are dropped" in line]
    assert len(told) == 1, done.stderr
    assert "has reached its limit of 4,194,304 bytes" in told[0]
    assert "`buoy status`" in told[0]
    dropped = int(done.stdout)
    # All but the rows of one segment, and the change of the configuration, which waited for room in vain.
    assert 30_000 < dropped < 70_000
    assert f"{dropped:,} records were dropped" in at_the_end
    run = ended_run("finished")
    assert len(list(run.rows())) == 100_000 + 1 - dropped


def test_a_run_that_never_has_room(script: Script) -> None:
    done = script.run(
        "import buoy\nrun = buoy.init(project='p')\nrun.log({'a': 1.0})\nrun.config['b'] = 2\n"
        "print(run.step, run.summary['a'])\nrun.finish()\n",
        BUOY_FREE_BYTES_MIN="1000T",
    )
    assert (done.returncode, done.stdout) == (0, "1 1.0\n"), done.stderr
    said = [line for line in done.stderr.splitlines() if "nothing of this run" in line]
    assert len(said) == 2, done.stderr
    assert "can be recorded for now" in said[0]
    assert "Make room on that disk" in said[0]
    assert "was recorded, 1 rows were dropped" in said[1]


def test_every_cause_has_a_remedy() -> None:
    for cause, remedy in (("space", "Make room"), ("limit", "buoy status"), ("system", "See to that disk")):
        text = not_kept(SpoolFull("the disk of /x is full", cause))
        assert "the disk of /x is full" in text
        assert remedy in text
