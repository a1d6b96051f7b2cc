"""Small files that are replaced as a whole, so that a reader finds the old or the new one and never a half."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from buoy_core import faults


def write_json(path: Path, value: object, *, durable: bool, fault: str) -> None:
    """Replaces `path`.

    Args:
        path: The file; its folder must exist.
        value: What `json.dumps` takes.
        durable: Whether the new content must survive a power cut when this returns. Without the sync before the
            rename some file systems show an empty file after one.
        fault: The fault points `<fault>.before_rename` and `<fault>.after_rename`.

    Raises:
        OSError: The old file is untouched.
    """
    _replace(path, json.dumps(value, indent=1), durable, fault)


def write_text(path: Path, text: str, *, durable: bool) -> None:
    """As `write_json`, for any text."""
    _replace(path, text, durable, None)


def _replace(path: Path, text: str, durable: bool, fault: str | None) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if fault:
            faults.point(f"{fault}.before_rename")
        Path(temporary).replace(path)
        if fault:
            faults.point(f"{fault}.after_rename")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, or None if there is no file or no object in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
