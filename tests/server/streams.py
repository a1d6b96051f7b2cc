"""Builds streams as a daemon would: real records, real blocks."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from buoy_core import join_records
from buoy_core.block import KIND_DATA, KIND_GAP, KIND_TABLES, build_block
from buoy_core.format import ZERO_ID
from buoy_proto import v1

START_US = 1_700_000_000_000_000


class Stream:
    """One stream of one run; blocks are made in order and kept, so that tests can send them as they like."""

    def __init__(
        self,
        run_id: str = "run1",
        *,
        project: str = "digits",
        entity: str = "",
        attempt: int = 1,
        name: str = "",
        start_us: int = START_US,
        host: str = "host1",
        launch: bytes = b"",
        branch: v1.Branch | None = None,
    ) -> None:
        self.stream_id = secrets.token_bytes(16)
        self.info = v1.RunInfo(entity=entity, project=project, run_id=run_id, name=name)
        self.start_us = start_us
        self.seq = 0
        self.blocks: list[bytes] = []
        self.keys: dict[bytes, dict[str, int]] = {}
        self.starts: dict[bytes, bytes] = {}
        start = v1.StreamStart(
            stream_id=self.stream_id,
            run=self.info,
            attempt=attempt,
            machine_id="m",
            host=host,
            time_unix_us=start_us,
            launch_id=launch,
            branch=branch,
        )
        self.host = host
        self.add([v1.Record(stream_start=start)], ZERO_ID)

    @property
    def path(self) -> str:
        return f"/api/v1/streams/{self.stream_id.hex()}/blocks"

    @property
    def position_path(self) -> str:
        return f"/api/v1/streams/{self.stream_id.hex()}"

    def block(
        self, content: Sequence[v1.Record], writer_id: bytes, kind: int = KIND_DATA, **fields: Any
    ) -> bytes:
        """A block at the present position; does not move it."""
        given = {
            "first_seq": self.seq,
            "records": len(content),
            "stream_id": self.stream_id,
            "writer_id": writer_id,
            "time_us": self.start_us + self.seq,
        } | fields
        return build_block(kind, join_records([record.SerializeToString() for record in content]), **given)

    def add(self, records: Sequence[v1.Record], writer_id: bytes) -> bytes:
        block = self.block(records, writer_id)
        self.seq += len(records)
        self.blocks.append(block)
        return block

    def writer(
        self, rank: int = 0, *, world_size: int = 1, metadata: Mapping[str, object] | None = None
    ) -> Writer:
        return Writer(self, rank, world_size, metadata or {})

    def add_gap(self, records: int, text: str = "the disk lost them") -> bytes:
        event = v1.Record(event=v1.Event(code="block_damaged", text=text, level=v1.LEVEL_ERROR))
        block = self.block([event], ZERO_ID, KIND_GAP, records=records)
        self.seq += records
        self.blocks.append(block)
        return block

    def tables(self, writer: Writer) -> bytes:
        """The tables block that a new segment of the log would open with."""
        records = [
            writer.start,
            *(v1.Record(key=v1.KeyDef(id=id_, name=name)) for name, id_ in writer.ids.items()),
        ]
        return self.block(records, writer.id, KIND_TABLES)


class Writer:
    """A process that logs. `rank` None is the daemon's own writer."""

    def __init__(self, stream: Stream, rank: int, world_size: int, metadata: Mapping[str, object]) -> None:
        self.stream = stream
        self.id = secrets.token_bytes(16)
        self.rank = rank
        self.ids: dict[str, int] = {}
        self.start = v1.Record(
            writer_start=v1.WriterStart(
                writer_id=self.id,
                run=stream.info,
                time_unix_us=stream.start_us,
                rank=rank,
                local_rank=rank,
                world_size=world_size,
                host=stream.host,
                pid=1000 + rank,
                metadata_json=json.dumps(metadata),
            )
        )
        stream.add([self.start], self.id)

    def row(
        self, step: int, values: Mapping[str, object], *, system: bool = False, time_us: int | None = None
    ) -> list[v1.Record]:
        """The records of one log() call: new keys first."""
        records = []
        if time_us is None:
            time_us = self.stream.start_us + (1000 * step if abs(step) < 1 << 40 else 0)
        row = v1.Row(step=step, time_unix_us=time_us)
        for name, value in values.items():
            if name not in self.ids:
                self.ids[name] = len(self.ids)
                records.append(v1.Record(key=v1.KeyDef(id=self.ids[name], name=name)))
            _put(row, self.ids[name], value)
        records.append(v1.Record(system=row) if system else v1.Record(row=row))
        return records

    def log(self, rows: Iterable[tuple[int, Mapping[str, object]]], *, system: bool = False) -> bytes:
        """One block of several calls."""
        return self.stream.add(
            [record for step, values in rows for record in self.row(step, values, system=system)], self.id
        )

    def config(self, replaced: Mapping[str, object], removed: Sequence[str] = ()) -> bytes:
        entries = [v1.Entry(key=key, json=json.dumps(value)) for key, value in replaced.items()]
        return self.stream.add([v1.Record(config=v1.ConfigUpdate(set=entries, removed=removed))], self.id)

    def summary(self, replaced: Mapping[str, object], removed: Sequence[str] = ()) -> bytes:
        entries = [v1.Entry(key=key, json=json.dumps(value)) for key, value in replaced.items()]
        return self.stream.add([v1.Record(summary=v1.SummaryUpdate(set=entries, removed=removed))], self.id)

    def end(self, state: int = 2, exit_code: int = 0) -> bytes:
        ended = v1.WriterEnd(
            writer_id=self.id,
            state=state,
            exit_code=exit_code,
            time_unix_us=self.stream.start_us + 60_000_000,
        )
        return self.stream.add([v1.Record(writer_end=ended)], self.id)


def _put(row: Any, key_id: int, value: object) -> None:
    if isinstance(value, bool):
        row.others.append(v1.Value(key_id=key_id, flag=value))
    elif isinstance(value, int) and abs(value) > 1 << 53:
        row.others.append(v1.Value(key_id=key_id, integer=value))
    elif isinstance(value, (int, float)):
        row.slots.append(key_id << 1 | isinstance(value, int))
        row.values.append(float(value))
    elif isinstance(value, str):
        row.others.append(v1.Value(key_id=key_id, text=value))
    elif value is None:
        row.others.append(v1.Value(key_id=key_id, none=True))
    else:
        row.others.append(v1.Value(key_id=key_id, json=json.dumps(value)))
