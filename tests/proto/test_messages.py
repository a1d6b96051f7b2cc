"""The messages load and round-trip on every protobuf major that training environments pin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/protobuf"

ROUND_TRIP = """
import google.protobuf, sys
from buoy_proto import v1
row = v1.Row(step=-3, time_unix_us=2**50, slots=[1, 2, 130], values=[1.0, float("inf"), -0.0])
record = v1.Record(row=row)
record.row.others.add(key_id=7, text="\\u6d6e\\u6a19")
data = record.SerializeToString()
back = v1.Record.FromString(data)
assert back == record and back.WhichOneof("kind") == "row", back
assert list(back.row.slots) == [1, 2, 130] and back.row.step == -3
assert back.row.others[0].text == "\\u6d6e\\u6a19"
end = v1.Record(writer_end=v1.WriterEnd(state=v1.RUN_STATE_KILLED, exit_code=-15))
end = v1.Record.FromString(end.SerializeToString())
assert end.writer_end.state == v1.RunState.Value("RUN_STATE_KILLED") and end.writer_end.exit_code == -15
metric = v1.MetricDef(name="loss", hidden=False)
assert metric.HasField("hidden") and not metric.HasField("step_sync")
assert {method.name for method in v1.DESCRIPTOR.services_by_name["Daemon"].methods} == {
    "Status", "Open", "Flush", "Close", "Append", "Survey", "Sync", "Remove", "Shutdown"}
print(google.protobuf.__version__)
"""


def installed_protobuf(version: str) -> Path:
    """A folder with just that protobuf; kept between test runs."""
    folder = CACHE / version
    if not (folder / "google").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        subprocess.run([*pip, f"protobuf=={version}.*"], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("version", ["4.25", "5.29", "6.33", "7.36"])
def test_messages_work_on_protobuf(version: str) -> None:
    path = os.pathsep.join([str(installed_protobuf(version)), str(ROOT / "proto")])
    # -S keeps the environment's own protobuf out of sight.
    command = [sys.executable, "-S", "-c", ROUND_TRIP]
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Since 4.21 the Python package counts its own major: 4.25 is protobuf 25.
    assert done.stdout.strip().startswith(version)


def test_generated_files_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "proto/build_proto.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
