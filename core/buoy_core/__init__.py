"""buoy's data path: records, spools, blocks and the write-ahead log.

Two implementations of the parts that must be fast, with the same behaviour and the same bytes: `buoy_core.compiled`
(Cython) and `buoy_core.python`. `BUOY_CORE=compiled|python` chooses; without it the compiled one is taken if it can be
imported, else the other, with one warning. Importing this loads no grpc, protobuf, numpy or zstandard; the log and its
blocks are in `buoy_core.wal` and `buoy_core.block`.
"""

from __future__ import annotations

import os
from importlib import import_module

from buoy_core.chunk import Chunk, KeyStatistics, Rows
from buoy_core.machine import boot_id, pid_namespace, process_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from buoy_core.python import (
        SpoolReader,
        Writer,
        count_records,
        decode_rows,
        definitions,
        first_unnamed,
        frame_records,
        join_records,
        last_row,
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
    "count_records",
    "decode_rows",
    "definitions",
    "first_unnamed",
    "frame_records",
    "implementation",
    "join_records",
    "last_row",
    "parse_frames",
    "pid_namespace",
    "process_identity",
    "split_records",
    "table_records",
]

# Where each name is; imported at its first use, because a trainer needs the writer only.
_HOMES = {
    "SpoolReader": ("compiled_reader", "python.spool_reader"),
    "Writer": ("_compiled.spool_writer", "python.spool_writer"),
    "count_records": ("_compiled.frames", "python.frames"),
    "decode_rows": ("_compiled.decode", "python.decode"),
    "definitions": ("_compiled.decode", "python.decode"),
    "first_unnamed": ("_compiled.decode", "python.decode"),
    "frame_records": ("_compiled.frames", "python.frames"),
    "join_records": ("_compiled.frames", "python.frames"),
    "last_row": ("_compiled.decode", "python.decode"),
    "parse_frames": ("_compiled.frames", "python.frames"),
    "split_records": ("_compiled.frames", "python.frames"),
    "table_records": ("_compiled.frames", "python.frames"),
}


def implementation() -> str:
    """Which implementation serves: "compiled" or "python"."""
    return _implementation


def compiled_error() -> str | None:
    """Why the compiled core cannot be imported; None if it can."""
    return _import_error("compiled")


def _import_error(module: str) -> str | None:
    try:
        import_module(f"buoy_core.{module}")
    except ImportError as error:
        return str(error)
    return None


def _choose() -> str:
    wanted = os.environ.get("BUOY_CORE", "")
    if wanted not in ("", "compiled", "python"):
        raise ImportError(f"BUOY_CORE is {wanted!r}; it can be 'compiled' or 'python'")
    problem = _import_error("_compiled.spool_writer") if wanted != "python" else "BUOY_CORE=python"
    if problem is None:
        return "compiled"
    if _is_sub_interpreter():
        raise ImportError(
            "buoy does not run in a sub-interpreter: its compiled core, protobuf and gRPC keep state for a whole "
            "process. Log from the main interpreter, or from a process of its own (multiprocessing, subprocess)"
        )
    if wanted == "python":
        return "python"
    if wanted:
        raise ImportError(f"BUOY_CORE=compiled, but the compiled core cannot be imported: {problem}")
    _warn(problem)
    return "python"


def _is_sub_interpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            module = import_module(name)
        except ImportError:
            continue
        return bool(module.get_current() != module.get_main())
    return False


def _warn(problem: str) -> None:
    import warnings  # noqa: PLC0415 - only when needed

    warnings.warn(
        f"buoy's compiled core cannot be imported ({problem}); the slower Python one serves. "
        "Build it with `python core/build_core.py`, or set BUOY_CORE=python to say that this is all right.",
        RuntimeWarning,
        stacklevel=4,
    )


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name][0 if _implementation == "compiled" else 1]
    value: object = getattr(import_module(f"buoy_core.{home}"), name)
    globals()[name] = value
    return value


_implementation = _choose()
