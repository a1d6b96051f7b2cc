"""Makes the golden files of the formats: `python tests/golden/make_golden.py v1`.

Run once for each version of the formats that is released, never again for the same one: the point of the files is that
later code still reads them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import buoy_core.python as core
from buoy_core.wal import WalReader, WalWriter
from buoy_proto import v1

WRITER_ID = bytes(range(16))
STREAM_ID = bytes(range(16, 32))
TIME_US = 1_790_000_000_123_456

ROWS: list[tuple[dict[str, Any], int | None]] = [
    ({"loss": 0.5, "epoch": 0}, None),
    ({"loss": float("nan"), "inf": float("-inf"), "zero": -0.0, "tiny": 5e-324}, None),
    ({"val": {"loss": 0.25, "acc": 1}, "ok": True, "none": None}, 10),
    ({"text": "naïve ☃ 😀", "half": "\ud800", "list": [1, 2.5, "x", None]}, 3),
    ({"large": 2**53 + 1, "larger": -(2**63), "largest": 2**100, "\udc80key": 1}, -7),
]


def records() -> list[bytes]:
    """One record of each kind that is no row."""
    info = v1.RunInfo(entity="local", project="golden", run_id="abc123")
    return [
        v1.Record(
            writer_start=v1.WriterStart(writer_id=WRITER_ID, run=info, host="h", pid=1)
        ).SerializeToString(),
        v1.Record(config=v1.ConfigUpdate(set=[v1.Entry(key="lr", json="0.1")])).SerializeToString(),
        v1.Record(event=v1.Event(time_unix_us=TIME_US, code="golden", text="A line.")).SerializeToString(),
        # A kind of the future, which must be kept.
        b"\xfa\x07\x03new",
        v1.Record(
            writer_end=v1.WriterEnd(writer_id=WRITER_ID, state=v1.RUN_STATE_FINISHED)
        ).SerializeToString(),
    ]


def write_spool(directory: Path) -> None:
    """The spool of one writer, in segments as small as they can be."""
    writer = core.Writer(str(directory), writer_id=WRITER_ID, segment_bytes=4096 + 256)
    writer.fixed_time_us = TIME_US
    for record in records()[:-1]:
        writer.append(record)
    for data, step in ROWS:
        writer.log(data, step=step)
    writer.append(records()[-1])
    writer.close()


def write_log(directory: Path, spool: Path) -> None:
    """The log of that spool: two segments, data, tables and a gap."""
    log = WalWriter(str(directory), STREAM_ID, segment_bytes=500)
    start = v1.StreamStart(stream_id=STREAM_ID, attempt=1)
    log.append_records([v1.Record(stream_start=start).SerializeToString()], time_us=TIME_US)
    reader = core.SpoolReader(str(spool))
    while (chunk := reader.read()) is not None:
        log.append(chunk, WRITER_ID, time_us=TIME_US)
    log.append_gap(
        5, records()[2], WRITER_ID, time_us=TIME_US, spool_begin=reader.offset, spool_end=reader.offset
    )
    log.append_records([records()[2]], time_us=TIME_US)
    log.close()


def describe(root: Path) -> dict[str, Any]:
    """What is in the files, as later code must read it."""
    reader = core.SpoolReader(str(root / "spool"))
    spool: list[str] = []
    while (chunk := reader.read()) is not None:
        spool += [record.hex() for record in core.split_records(chunk.payload)]
    blocks = []
    for block in WalReader(str(root / "wal")).blocks():
        assert not hasattr(block, "reason"), block
        header = block.header
        blocks.append(
            {
                "file": Path(block.path).name,
                "offset": block.offset,
                "kind": header.kind,
                "first_seq": header.first_seq,
                "records": header.records,
                "writer_id": header.writer_id.hex(),
                "spool": [header.spool_begin, header.spool_end],
                "payload": [record.hex() for record in core.split_records(block.payload())],
            }
        )
    return {"spool": spool, "committed": reader.committed, "blocks": blocks}


def main() -> None:
    root = Path(__file__).parent / sys.argv[1]
    root.mkdir()
    write_spool(root / "spool")
    write_log(root / "wal", root / "spool")
    (root / "expected.json").write_text(json.dumps(describe(root), indent=1) + "\n")


if __name__ == "__main__":
    main()
