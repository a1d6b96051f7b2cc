"""Looks up in a log how a writer ended, when the daemon that read its last records is gone."""

from __future__ import annotations

from pathlib import Path

from buoy_core import split_records
from buoy_core.format import KIND_DATA, ZERO_ID
from buoy_core.wal import Block, Damage, WalReader
from buoy_proto import v1

from buoy_daemon.records import find_writer_end

_FIRST_WINDOW = 1 << 14


def writer_end_in_log(wal_dir: Path, writer_id: bytes, next_seq: int, offset: int) -> v1.WriterEnd | None:
    """The writer's own WriterEnd, or the daemon's word for it; None if it has not ended.

    The log is read from near its end, in growing steps back, until the writer's last block is found: both kinds of
    end come in that block or after it.

    Args:
        wal_dir: Folder of the log's segments.
        writer_id: Whose end is asked for.
        next_seq: The log's next sequence.
        offset: The writer's offset up to which the log holds its records.
    """
    window = _FIRST_WINDOW
    while True:
        begin = max(0, next_seq - window)
        found, end = _search(wal_dir, writer_id, begin, offset)
        if found or begin == 0:
            return end
        window *= 8


def _search(wal_dir: Path, writer_id: bytes, begin: int, offset: int) -> tuple[bool, v1.WriterEnd | None]:
    """Whether the writer's last block is at or after `begin`, and the end that was found."""
    last_block: Block | None = None
    end: v1.WriterEnd | None = None
    for item in WalReader(str(wal_dir)).blocks(begin):
        if isinstance(item, Damage) or item.header.kind != KIND_DATA or not item.data:
            continue
        if item.header.writer_id == writer_id and item.header.spool_end == offset:
            last_block = item
        elif item.header.writer_id == ZERO_ID:
            end = _daemon_word(item, writer_id) or end
    if last_block is not None:
        end = find_writer_end(last_block.payload(), writer_id) or end
    return last_block is not None or end is not None, end


def _daemon_word(block: Block, writer_id: bytes) -> v1.WriterEnd | None:
    if writer_id not in (payload := block.payload()):
        return None
    for data in split_records(payload):
        record = v1.Record.FromString(data)
        if record.WhichOneof("kind") == "writer_end" and record.writer_end.writer_id == writer_id:
            return record.writer_end
    return None
