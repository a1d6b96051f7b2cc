"""The folder of a writer's spool, and why it may not grow."""

from __future__ import annotations

import os

from buoy_core.errors import CoreError, SpoolFull
from buoy_core.format import SPOOL_HEADER_BYTES


def prepare_directory(directory: str, writer_id: bytes, segment_bytes: int) -> None:
    """Makes a spool's folder and checks that it is new.

    Raises:
        CoreError: it holds segments.
        ValueError: an argument is impossible.
    """
    if len(writer_id) != 16:
        raise ValueError(f"a writer id has 16 bytes, not {len(writer_id)}")
    if segment_bytes <= SPOOL_HEADER_BYTES:
        raise ValueError(f"a segment has more than {SPOOL_HEADER_BYTES} bytes, not {segment_bytes}")
    os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103 - pathlib is slow to import
    os.chmod(directory, 0o700)  # noqa: PTH101
    if any(name.endswith(".seg") for name in os.listdir(directory)):  # noqa: PTH208
        raise CoreError(f"{directory} already holds a spool; every writer needs a folder of its own")


def limit_reached(directory: str, bytes_max: int) -> SpoolFull:
    """The spool may not grow, whatever room the disk has."""
    return SpoolFull(f"the spool {directory} has reached its limit of {bytes_max:,} bytes", "limit")


def no_space(directory: str, free_bytes: int, free_bytes_min: int) -> SpoolFull:
    """The disk may not get fuller by what this spool writes."""
    return SpoolFull(
        f"the disk of {directory} is full: {free_bytes:,} bytes are free, and {free_bytes_min:,} are left to others",
        "space",
    )
