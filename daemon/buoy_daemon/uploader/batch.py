"""Cuts the next body to send out of a log, block for block as they stand there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from buoy_core import join_records
from buoy_core.block import BlockHeader, build_block
from buoy_core.format import KIND_GAP, KIND_TABLES
from buoy_core.wal import Damage, WalReader
from buoy_proto import v1

from buoy_daemon import records


@dataclass(frozen=True)
class Batch:
    """Blocks in order; `end_seq` is the sequence after the last one, `lost` says what gaps stand for."""

    body: bytes
    blocks: int
    end_seq: int
    lost: tuple[str, ...] = ()


def cut_batch(
    reader: WalReader,
    stream_id: bytes,
    next_seq: int,
    *,
    end_seq: int,
    bytes_max: int,
    blocks_max: int | None,
) -> Batch | None:
    """The blocks from `next_seq` to `end_seq`, or None if the log does not have them.

    Where the log has lost blocks, a gap block is put in their place, so that the server can go on and say so.

    Args:
        reader: The log; kept between calls, it remembers where it is.
        stream_id: For gap blocks.
        next_seq: The sequence that the server expects.
        end_seq: Blocks beyond this sequence may not be sent yet: they may not be on disk.
        bytes_max: No block is added that would make the body larger, except the first.
        blocks_max: Most counting blocks in the body.
    """
    parts: list[bytes] = []
    size = blocks = 0
    expected = next_seq
    damage: Damage | None = None
    lost: list[str] = []
    for item in reader.blocks(next_seq):
        if isinstance(item, Damage):
            damage = item
            continue
        header = item.header
        if header.next_seq > end_seq:
            break
        if header.kind != KIND_TABLES and header.next_seq <= expected:
            continue
        added, missed = [], []
        if header.first_seq > expected:
            missed.append(_loss(expected, header, damage))
            added.append(_gap_block(stream_id, expected, header, damage))
        added.append(bytes(item.data))
        added_size = sum(map(len, added))
        if blocks and (size + added_size > bytes_max or blocks == blocks_max):
            break
        parts += added
        lost += missed
        size += added_size
        expected = header.next_seq
        blocks += header.kind != KIND_TABLES
    return Batch(b"".join(parts), blocks, expected, tuple(lost)) if blocks else None


def _loss(expected: int, after: BlockHeader, damage: Damage | None) -> str:
    """What is missing before a block, for people."""
    records_lost = after.first_seq - expected
    if damage is None:
        return f"{records_lost} records are missing from the log"
    return str(replace(damage, records=records_lost))


def _gap_block(stream_id: bytes, expected: int, after: BlockHeader, damage: Damage | None) -> bytes:
    lost = after.first_seq - expected
    details: dict[str, object] = {"first_seq": expected, "records": lost}
    if damage is not None:
        details |= {
            "path": damage.path,
            "offset": damage.offset,
            "bytes": damage.size,
            "reason": damage.reason,
        }
    text = _loss(expected, after, damage)
    # The time of the block behind the gap, so that sending it again gives the same bytes.
    event = records.event("block_damaged", text, details, level=v1.LEVEL_ERROR, time_us=after.time_us)
    return build_block(
        KIND_GAP,
        join_records([event]),
        first_seq=expected,
        records=lost,
        stream_id=stream_id,
        writer_id=bytes(16),
        time_us=after.time_us,
    )
