"""Sorts more fragments than fit into memory: sorted runs in a temporary file, merged as they are read."""

from __future__ import annotations

import marshal
import os
import tempfile
from collections.abc import Iterable, Iterator
from heapq import merge
from pathlib import Path

from buoy.export.fragments import Fragment

VALUES_MAX = 400_000
_CHUNK = 1_000


def in_order(fragments: Iterable[Fragment], folder: Path) -> Iterator[Fragment]:
    """Fragments by step, attempt, rank and order.

    Args:
        fragments: any number.
        folder: where there is room for a temporary file.
    """
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        runs: list[list[tuple[int, int]]] = []
        held: list[tuple[object, ...]] = []
        values = 0
        for fragment in fragments:
            held.append(tuple(fragment))
            values += len(fragment.values)
            if values >= VALUES_MAX:
                runs.append(_write(file.fileno(), held))
                held, values = [], 0
        # No two have the same order, so values are never compared.
        held.sort(key=_place)
        parts = [_read(file.fileno(), run) for run in runs]
        for found in merge(*parts, iter(held), key=_place):
            yield Fragment(*found)  # type: ignore[arg-type]


def _place(fragment: tuple[object, ...]) -> tuple[object, ...]:
    return fragment[:4]


def _write(descriptor: int, fragments: list[tuple[object, ...]]) -> list[tuple[int, int]]:
    """Adds a sorted run to the file; returns offset and size of its pieces."""
    fragments.sort(key=_place)
    pieces = []
    for begin in range(0, len(fragments), _CHUNK):
        data = marshal.dumps(fragments[begin : begin + _CHUNK])
        offset = os.lseek(descriptor, 0, os.SEEK_END)
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        pieces.append((offset, len(data)))
    return pieces


def _read(descriptor: int, pieces: list[tuple[int, int]]) -> Iterator[tuple[object, ...]]:
    for offset, size in pieces:
        yield from marshal.loads(os.pread(descriptor, size, offset))
