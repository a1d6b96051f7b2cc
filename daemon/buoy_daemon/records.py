"""The records that the daemon writes itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from buoy_proto import v1
from google.protobuf.message import DecodeError

WRITER_END_BYTES_MAX = 96
"""No WriterEnd is longer: an id and four varints, each with its tag, and the length in front."""


_WRITER_END_TAG = v1.Record.WRITER_END_FIELD_NUMBER << 3 | 2


def stream_start(
    stream_id: bytes,
    run: v1.RunInfo,
    *,
    attempt: int,
    machine_id: str,
    host: str,
    time_us: int,
    version: str,
    launch: bytes,
    branch: v1.Branch | None,
) -> bytes:
    """The first record of a stream."""
    start = v1.StreamStart(
        stream_id=stream_id,
        run=run,
        attempt=attempt,
        machine_id=machine_id,
        host=host,
        time_unix_us=time_us,
        daemon_version=version,
        launch_id=launch,
        branch=branch,
    )
    return v1.Record(stream_start=start).SerializeToString()


def writer_crashed(writer_id: bytes, *, time_us: int, dropped: int) -> bytes:
    """The daemon's word for the end of a writer that could not say it itself."""
    return writer_end(writer_id, v1.RUN_STATE_CRASHED, time_us=time_us, dropped=dropped)


def writer_end(writer_id: bytes, state: int, *, time_us: int, dropped: int = 0) -> bytes:
    """How a writer ended."""
    end = v1.WriterEnd(writer_id=writer_id, state=state, time_unix_us=time_us, records_dropped=dropped)  # type: ignore[arg-type]
    return v1.Record(writer_end=end).SerializeToString()


def writer_drops(writer_id: bytes, *, time_us: int, dropped: int) -> bytes:
    """How much a live writer could not keep so far."""
    drops = v1.WriterDrops(writer_id=writer_id, records_dropped=dropped, time_unix_us=time_us)
    return v1.Record(writer_drops=drops).SerializeToString()


def event(code: str, text: str, details: Mapping[str, object], *, level: int, time_us: int) -> bytes:
    """Something the run page should show."""
    message = v1.Event(time_unix_us=time_us, level=level, code=code, text=text, json=json.dumps(details))  # type: ignore[arg-type]
    return v1.Record(event=message).SerializeToString()


def key_definition(key_id: int, name: str) -> bytes:
    """Names a key id of the daemon's own rows."""
    return v1.Record(key=v1.KeyDef(id=key_id, name=name)).SerializeToString()


def system_row(values: Iterable[tuple[int, float | int]], *, time_us: int) -> bytes:
    """One sample; pairs of key id and value. The x axis of a sample is its time, so its step stays 0."""
    row = v1.Row(time_unix_us=time_us)
    for key_id, value in values:
        row.slots.append(key_id << 1 | isinstance(value, int))
        row.values.append(value)
    return v1.Record(system=row).SerializeToString()


def find_writer_end(tail: bytes, writer_id: bytes) -> v1.WriterEnd | None:
    """The WriterEnd that a payload ends with, if it does.

    A payload can only be walked from its start, which costs too much for every chunk. Its end is searched for the
    first field of this writer's WriterEnd instead; the 16 random bytes of the id make a mistake impossible.

    Args:
        tail: At least the last WRITER_END_BYTES_MAX bytes of the payload, or all of it.
        writer_id: Whose end is asked for.
    """
    # The record is: tag and length of Record.writer_end, then tag, length and bytes of WriterEnd.writer_id.
    at = tail.rfind(b"\x0a\x10" + writer_id)
    if at < 2 or tail[at - 2] != _WRITER_END_TAG or tail[at - 1] != len(tail) - at:
        return None
    try:
        return v1.WriterEnd.FromString(tail[at:])
    except DecodeError:
        return None
