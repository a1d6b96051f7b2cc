"""Small files that are replaced as a whole, so that a reader finds the old or the new one and never a half."""

from __future__ import annotations

import json
import os
import secrets
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
    # On one line: indented, it would be written by Python code, which an index of many writers would feel.
    _replace(path, json.dumps(value), durable, fault)


def write_text(path: Path, text: str, *, durable: bool) -> None:
    """As `write_json`, for any text."""
    _replace(path, text, durable, None)


def _replace(path: Path, text: str, durable: bool, fault: str | None) -> None:
    temporary = f"{path.parent}/.{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        _write(temporary, text.encode(), durable=durable)
        if fault:
            faults.point(f"{fault}.before_rename")
        os.rename(temporary, path)  # noqa: PTH104 - as the calls beside it, which pathlib does not have
        if fault:
            faults.point(f"{fault}.after_rename")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def _write(path: str, data: bytes, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], written)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, or None if there is no file or no object in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    descriptor = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
