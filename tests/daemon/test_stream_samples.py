"""The machine's samples in a run's log: their names are defined there, whatever happens to the log."""

from __future__ import annotations

import os
from pathlib import Path

from buoy_core import split_records
from buoy_core.wal import Block, WalReader
from buoy_daemon.index import Index, StreamEntry
from buoy_daemon.stream import Stream
from buoy_proto import v1


def stream(tmp_path: Path) -> Stream:
    entry = StreamEntry(
        stream_id=bytes(range(16)),
        run=v1.RunInfo(entity="local", project="p", run_id="r"),
        attempt=1,
        run_dir=str(tmp_path / "run"),
        base_url="",
        telemetry=True,
        created_us=1,
        host="here",
    )
    return Stream(entry, Index(tmp_path / "streams"), "machine")


def samples(wal_dir: Path) -> list[set[str]]:
    """The names in each sample of a log, by the definitions before it. Raises KeyError if one is missing."""
    names: dict[int, str] = {}
    found: list[set[str]] = []
    for block in WalReader(str(wal_dir)).blocks(0):
        assert isinstance(block, Block)
        for data in split_records(block.payload()):
            record = v1.Record.FromString(data)
            if record.WhichOneof("kind") == "key":
                names[record.key.id] = record.key.name
            elif record.WhichOneof("kind") == "system":
                found.append({names[slot >> 1] for slot in record.system.slots})
    return found


def test_names_that_a_failing_disk_has_lost_are_defined_again(tmp_path: Path) -> None:
    """The log could not be synced and was opened again without its end. The next samples used names that had been
    there, the server refused them, and the whole run stood still."""
    logged = stream(tmp_path)
    logged.open()
    logged.append_sample({"cpu": 1.0}, 1)
    logged.sync()
    segment = logged.wal_dir / "00000000.wal"
    size = segment.stat().st_size
    logged.append_sample({"cpu": 2.0, "memory": 3.0}, 2)
    logged.suspend()
    os.truncate(segment, size)
    logged.open()
    logged.append_sample({"cpu": 4.0, "memory": 5.0}, 3)
    logged.suspend()
    assert samples(logged.wal_dir) == [{"cpu"}, {"cpu", "memory"}]
