"""The data path in plain Python: the oracle of the compiled core, and its stand-in where that cannot be built."""

from __future__ import annotations

from buoy_core.python.decode import decode_rows, definitions, first_unnamed, last_row
from buoy_core.python.frames import (
    count_records,
    frame_records,
    join_records,
    parse_frames,
    split_records,
    table_records,
)
from buoy_core.python.spool_reader import SpoolReader
from buoy_core.python.spool_writer import Writer

__all__ = [
    "SpoolReader",
    "Writer",
    "count_records",
    "decode_rows",
    "definitions",
    "first_unnamed",
    "frame_records",
    "join_records",
    "last_row",
    "parse_frames",
    "split_records",
    "table_records",
]
