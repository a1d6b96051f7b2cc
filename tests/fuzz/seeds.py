"""Valid artefacts to damage: the golden files, and small ones made by the real writers."""

from __future__ import annotations

import json
import secrets
from functools import cache
from pathlib import Path
from struct import pack
from zlib import crc32

from buoy_core import frame_records, join_records, split_records
from buoy_core.block import KIND_GAP, KIND_TABLES, build_block
from buoy_core.format import SPOOL_HEADER_BYTES, ZERO_ID
from buoy_core.wal import Block, WalReader
from buoy_proto import v1

GOLDEN = Path(__file__).parent.parent / "golden" / "v1"
WRITER_ID = bytes(range(16))
STREAM_ID = bytes(range(16, 32))


@cache
def spools() -> list[bytes]:
    """Spools, their segments in a row."""
    segments = [path.read_bytes() for path in sorted((GOLDEN / "spool").glob("*.seg"))]
    return [b"".join(segments), segments[0], segments[0] + segments[1]]


@cache
def logs() -> list[bytes]:
    """Logs, their segments in a row."""
    segments = [path.read_bytes() for path in sorted((GOLDEN / "wal").glob("*.wal"))]
    return [b"".join(segments), segments[0], segments[0] + segments[1]]


@cache
def payloads() -> list[bytes]:
    """Records with their lengths: every kind there is, and rows as other encoders may write them."""
    golden = [item.payload() for item in WalReader(str(GOLDEN / "wal")).blocks() if isinstance(item, Block)]
    others = [
        v1.Value(key_id=1, text="t"),
        v1.Value(key_id=2, flag=True),
        v1.Value(key_id=3, integer=-(1 << 60)),
        v1.Value(key_id=4, big_integer=b"\x01" * 12),
        v1.Value(key_id=5, none=True),
        v1.Value(key_id=6, json='[1,NaN,{"a":null}]'),
        v1.Value(key_id=7, wtf8=b"\xed\xa0\x80"),
    ]
    row = v1.Row(step=-7, time_unix_us=1 << 50, slots=[0, 3, 5], values=[0.5, 1.0, 2.0], others=others)
    system = v1.Row(time_unix_us=1 << 50, slots=[2], values=[0.5])
    rows = [v1.Record(row=row), v1.Record(system=system), v1.Record(key=v1.KeyDef(id=1, name="loss"))]
    unpacked = b"\x0a\x11\x08\x02\x18\x04\x21" + bytes(8) + b"\x18\x01"
    joined = join_records([record.SerializeToString() for record in rows])
    return [*golden, joined, join_records([unpacked]), join_records(every_record())]


def every_record() -> list[bytes]:
    """One record of each kind that is no row."""
    run = v1.RunInfo(entity="e", project="p", run_id="r", name="n", tags=["t"])
    records = [
        v1.Record(stream_start=v1.StreamStart(stream_id=STREAM_ID, run=run, attempt=1, host="h")),
        v1.Record(
            writer_start=v1.WriterStart(
                writer_id=WRITER_ID, run=run, rank=1, world_size=2, metadata_json='{"a": 1}', pid=7
            )
        ),
        v1.Record(key=v1.KeyDef(id=0, name="loss")),
        v1.Record(config=v1.ConfigUpdate(set=[v1.Entry(key="lr", json='{"$float": "nan"}')], removed=["a"])),
        v1.Record(summary=v1.SummaryUpdate(set=[v1.Entry(key="best", json='{"$int": "99999999999"}')])),
        v1.Record(metric=v1.MetricDef(name="loss*", step_metric="epoch", summary=["min"], hidden=True)),
        v1.Record(run=v1.RunUpdate(name="new", tags=v1.Tags(values=["x"]))),
        v1.Record(event=v1.Event(time_unix_us=5, code="c", text="t", level=2, json='{"a": [1]}')),
        v1.Record(writer_end=v1.WriterEnd(writer_id=WRITER_ID, state=2, exit_code=-1, records_dropped=3)),
    ]
    return [record.SerializeToString() for record in records]


@cache
def frames() -> list[bytes]:
    """Spool frames in a row."""
    first = (GOLDEN / "spool" / "00000000.seg").read_bytes()[SPOOL_HEADER_BYTES:]
    return [frame_records(split_records(payload)) for payload in payloads()] + [first]


@cache
def bodies() -> list[bytes]:
    """Uploads of one stream."""
    start, writer, key, *others = every_record()
    row = v1.Record(row=v1.Row(step=1, slots=[0], values=[0.5], others=[v1.Value(key_id=0, text="t")]))
    system = v1.Record(system=v1.Row(time_unix_us=9, slots=[0], values=[0.5]))
    head = _block([start], 0, ZERO_ID)
    rows = _block([row.SerializeToString()] * 4 + [system.SerializeToString()], 3)
    gap = build_block(
        KIND_GAP,
        join_records([others[4]]),
        first_seq=8,
        records=5,
        stream_id=STREAM_ID,
        writer_id=ZERO_ID,
        time_us=9,
    )
    tables = build_block(
        KIND_TABLES,
        join_records([writer, key]),
        first_seq=13,
        records=2,
        stream_id=STREAM_ID,
        writer_id=WRITER_ID,
        time_us=9,
    )
    rest = _block(others, 13)
    both = _block([writer, key], 1)
    return [head + both + rows + gap + tables + rest, head, head + both + rows, head + gap + tables]


def _block(records: list[bytes], first_seq: int, writer_id: bytes = WRITER_ID) -> bytes:
    return build_block(
        1,
        join_records(records),
        first_seq=first_seq,
        records=len(records),
        stream_id=STREAM_ID,
        writer_id=writer_id,
        time_us=1_700_000_000_000_000 + first_seq,
    )


@cache
def state_files() -> list[bytes]:
    """Small JSON files of the daemon, the credentials, a run's description."""
    entry = {
        "stream_id": STREAM_ID.hex(),
        "run_id": "r",
        "run": v1.RunInfo(entity="e", project="p", run_id="r").SerializeToString().hex(),
        "attempt": 1,
        "run_dir": "/nowhere",
        "base_url": "http://127.0.0.1:1",
        "telemetry": False,
        "created_us": 5,
        "host": "h",
        "writers": {
            WRITER_ID.hex(): {
                "spool_dir": "",
                "host": "h",
                "rank": 0,
                "pid": 1,
                "process_start": 2,
                "state": 1,
            }
        },
        "system_keys": ["cpu"],
        "closed": False,
        "final_seq": 0,
    }
    credentials = {"http://127.0.0.1:8765": {"api_key": secrets.token_hex(8)}}
    run = {"stream_id": STREAM_ID.hex(), "run_id": "r", "attempt": 1, "base_url": ""}
    return [json.dumps(each).encode() for each in (entry, credentials, run, {"next_seq": 7}, {}, [1])]


def shadows() -> list[bytes]:
    """What is kept beside the index of a log: how far it went, and its tables."""
    position = b'[7, {"%s": 4096}]' % WRITER_ID.hex().encode()
    tables = b"records"
    return [
        b"%08x %s\n" % (crc32(position), position),
        pack("<16sII", WRITER_ID, len(tables), crc32(tables)) + tables,
    ]
