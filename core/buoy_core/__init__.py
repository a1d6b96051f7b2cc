"""buoy's data path: records, spools, blocks and the write-ahead log.

Two implementations of the parts that must be fast, with the same behaviour and the same bytes: `buoy_core.compiled`
(Cython) and `buoy_core.python`. `BUOY_CORE=compiled|python` chooses; without it the compiled one is taken if it can be
imported, else the other, with one warning. Importing this loads no grpc, protobuf, numpy or zstandard; the log and its
blocks are in `buoy_core.wal` and `buoy_core.block`.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module

from buoy_core.chunk import Chunk, KeyStatistics, Rows
from buoy_core.machine import boot_id, process_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buoy_core.python import (
        SpoolReader,
        Writer,
        decode_rows,
        definitions,
        frame_records,
        join_records,
        parse_frames,
        split_records,
        table_records,
    )

__all__ = [
    "Chunk",
    "KeyStatistics",
    "Rows",
    "SpoolReader",
    "Writer",
    "boot_id",
    "compiled_error",
    "decode_rows",
    "definitions",
    "frame_records",
    "implementation",
    "join_records",
    "parse_frames",
    "process_identity",
    "split_records",
    "table_records",
]

_CHOSEN = (
    "SpoolReader",
    "Writer",
    "decode_rows",
    "definitions",
    "frame_records",
    "join_records",
    "parse_frames",
    "split_records",
    "table_records",
)


def implementation() -> str:
    """Which implementation serves: "compiled" or "python"."""
    return _implementation


def compiled_error() -> str | None:
    """Why the compiled core cannot be imported; None if it can."""
    try:
        import_module("buoy_core.compiled")
    except ImportError as error:
        return str(error)
    return None


def _choose() -> str:
    wanted = os.environ.get("BUOY_CORE", "")
    if wanted not in ("", "compiled", "python"):
        raise ImportError(f"BUOY_CORE is {wanted!r}; it can be 'compiled' or 'python'")
    if wanted == "python":
        return "python"
    problem = compiled_error()
    if problem is None:
        return "compiled"
    if wanted:
        raise ImportError(f"BUOY_CORE=compiled, but the compiled core cannot be imported: {problem}")
    warnings.warn(
        f"buoy's compiled core cannot be imported ({problem}); the slower Python one serves. "
        "Build it with `python core/build_core.py`, or set BUOY_CORE=python to say that this is all right.",
        RuntimeWarning,
        stacklevel=2,
    )
    return "python"


_implementation = _choose()
_module = import_module(f"buoy_core.{_implementation}")
globals().update({name: getattr(_module, name) for name in _CHOSEN})
