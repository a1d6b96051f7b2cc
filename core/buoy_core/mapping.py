"""Shared mappings of whole files that keep no descriptor.

Python's own mappings keep a duplicate of the file's descriptor until version 3.13. A daemon maps two segments of each
writer, and has only so many descriptors; the mapping itself needs none.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

_FAILED = ctypes.c_void_p(-1).value


def map_file(descriptor: int, size: int) -> memoryview:
    """Maps the first `size` bytes of a file, to be read and written; the descriptor may be closed then.

    The file is unmapped when the view, and every view made of it, is released.

    Raises:
        OSError: the system refuses.
    """
    map_memory, unmap_memory = _calls()
    address = map_memory(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
    if address == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    memory = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(memory, unmap_memory, ctypes.c_void_p(address), size).atexit = False
    return memoryview(memory).cast("B")


@cache
def _calls() -> tuple[Callable[..., Any], Callable[..., Any]]:
    system = ctypes.CDLL(None, use_errno=True)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    system.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return system.mmap, system.munmap
