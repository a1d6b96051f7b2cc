"""The compiled data path; an ImportError if it is not built for this interpreter."""

from __future__ import annotations

from buoy_core._compiled.decode import decode_rows, definitions, first_unnamed, last_row
from buoy_core._compiled.frames import (
    count_records,
    frame_records,
    join_records,
    parse_frames,
    split_records,
    table_records,
)
from buoy_core._compiled.spool_writer import Writer
from buoy_core.compiled_reader import SpoolReader

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
