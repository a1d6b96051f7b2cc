"""Reads an upload: the whole body is checked before anything of it is stored.

What comes from the network is only believed after its checksums, its sizes, its stream and its records are right.
"""

from __future__ import annotations

from dataclasses import dataclass

from buoy_core import Rows, count_records, decode_rows, definitions
from buoy_core.block import BLOCK_HEADER_BYTES, BlockHeader, decompress, split_blocks
from buoy_core.errors import CorruptBlock, TooManyObjects, UnsupportedVersion
from buoy_core.format import KIND_GAP
from buoy_proto import v1
from google.protobuf.message import DecodeError, Message

from buoy_server.errors import Malformed, TooLarge

RAW_BYTES_MAX = 160 << 20
"""What one body may unpack to. A single block of the largest size always fits."""

OBJECTS_MAX = 2_000_000
"""How many records that are no rows, and values that are no numbers, one body may hold. Each becomes an object of some
hundred bytes, made of as little as two: a body of a few kilobytes could otherwise take all memory. A block that a
daemon cuts holds a tenth of that at most."""


@dataclass(frozen=True)
class Block:
    """A block that has been checked and decoded.

    Attributes:
        header: As sent.
        rows: Points that were logged.
        system: Points of the sampler.
        records: Everything else, with its position in the payload.
    """

    header: BlockHeader
    rows: Rows
    system: Rows
    records: list[tuple[int, v1.Record]]

    @property
    def objects(self) -> int:
        """How many Python objects its content has become."""
        return len(self.records) + len(self.rows.others) + len(self.system.others)


def read_body(stream_id: bytes, body: bytes) -> list[Block]:
    """All blocks of an upload to a stream.

    Raises:
        Malformed: A block is foreign, truncated, corrupt or mislabelled.
        TooLarge: Together they unpack to too much.
    """
    blocks: list[Block] = []
    raw_bytes = objects = 0
    try:
        for number, (header, data) in enumerate(split_blocks(body)):
            if header.stream_id != stream_id:
                raise Malformed(
                    "mislabelled_block",
                    f"Block {number} belongs to stream {header.stream_id.hex()}.",
                    block=number,
                )
            raw_bytes += header.raw_size
            if raw_bytes > RAW_BYTES_MAX:
                raise TooLarge(
                    "body_too_large",
                    f"The blocks unpack to more than {RAW_BYTES_MAX} bytes; send fewer of them.",
                )
            payload = decompress(header, data[BLOCK_HEADER_BYTES:])
            blocks.append(_decode(number, header, payload, OBJECTS_MAX - objects))
            objects += blocks[-1].objects
    except CorruptBlock as error:
        detail = f"Block {len(blocks)} is not sound: {error.reason}."
        raise Malformed("corrupt_block", detail, block=len(blocks), offset=error.offset) from error
    except TooManyObjects as error:
        raise TooLarge("body_too_large", f"The blocks hold {error}; send fewer of them.") from error
    except UnsupportedVersion as error:
        detail = f"Block {len(blocks)} has a format this server does not know: {error}. Update the server."
        raise Malformed("unsupported_version", detail, block=len(blocks)) from error
    if not blocks:
        raise Malformed("empty_body", "The body holds no block.")
    return blocks


def _decode(number: int, header: BlockHeader, payload: bytes, objects_max: int) -> Block:
    try:
        records = count_records(payload)
        found = definitions(payload, objects_max=objects_max)
        objects_max -= len(found)
        rows = decode_rows(payload, objects_max=objects_max)
        system = decode_rows(payload, system=True, objects_max=objects_max - len(rows.others))
        block = Block(header, rows, system, [(index, _record(data)) for index, data in found])
    except (ValueError, DecodeError) as error:
        raise Malformed(
            "corrupt_block", f"Block {number} holds records that cannot be read: {error}.", block=number
        ) from error
    if header.kind != KIND_GAP and records != header.records:
        detail = f"Block {number} announces {header.records} records and holds {records}."
        raise Malformed("mislabelled_block", detail, block=number)
    return block


def _record(data: bytes) -> v1.Record:
    record = v1.Record.FromString(data)
    assert isinstance(record, Message)
    return record
