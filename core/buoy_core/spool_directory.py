"""The folder of a writer's spool."""

from __future__ import annotations

import os

from buoy_core.errors import CoreError
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
