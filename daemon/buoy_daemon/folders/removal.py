"""How a run's folder goes, so that one that is half gone is never taken for a run that has lost data.

    run-20261121_101500-abc/                 run-20261121_101500-abc/              (gone, or with
        run.json  ack.json                       .wal.removed/                      the user's files)
        wal/00000000.wal ...      ─ bury ─>          00000000.wal ...    ─ clear ─>

Without `wal` it is no run's folder any more, for anybody. Only files that buoy makes are deleted; whatever else is in
the folder stays, and the folder with it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from buoy_core import faults
from buoy_core.errors import CoreError
from buoy_core.wal import WalReader

from buoy_daemon.files import sync_folder

TOMBSTONE = ".wal.removed"

_OWN_FILES = ("run.json", "ack.json")


def size_of(run_dir: Path) -> int:
    """Bytes of a folder's log; 0 if it cannot be looked at."""
    try:
        return sum(item.stat(follow_symlinks=False).st_size for item in os.scandir(run_dir / "wal"))
    except OSError:
        return 0


def is_half_gone(run_dir: Path) -> bool:
    """Whether the removal of a folder has begun."""
    return (run_dir / TOMBSTONE).is_dir() and not _why_not_ours(run_dir / TOMBSTONE)


def obstacle(run_dir: Path, stream_id: bytes) -> str:
    """Why a folder may not be removed: it is not the one that was recorded, or not ours. Empty if it may."""
    for path in (run_dir, run_dir / "wal"):
        reason = _why_not_ours(path)
        if reason:
            return reason
    try:
        reader = WalReader(str(run_dir / "wal"))
        next(reader.blocks(), None)
    except (OSError, CoreError) as error:
        return f"its log cannot be read: {error}"
    return "" if reader.stream_id == stream_id else "its log is another one than was recorded there"


def _why_not_ours(path: Path) -> str:
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a link"
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is no folder"
    return f"{path} belongs to another user" if found.st_uid != os.getuid() else ""


def bury(run_dir: Path) -> None:
    """Makes a folder one that is going. Raises OSError: then it is whole, or `is_half_gone`."""
    faults.point("remove.before_rename")
    (run_dir / "wal").rename(run_dir / TOMBSTONE)
    # Or a power cut might undo this, and not what is deleted after it.
    sync_folder(run_dir)
    faults.point("remove.after_rename")


def sweep(run_dir: Path) -> None:
    """Deletes the small files beside a log that was buried, unless another log has begun there. Raises OSError."""
    if (run_dir / "wal").exists():
        return
    for name in _OWN_FILES:
        (run_dir / name).unlink(missing_ok=True)


def clear(run_dir: Path) -> str:
    """Deletes what was buried, after `sweep`; both can be done again after an interruption.

    Returns:
        What stays in the folder, for people; empty if it is gone.

    Raises:
        OSError: something cannot be deleted.
    """
    grave = run_dir / TOMBSTONE
    for item in sorted(os.listdir(grave)):  # noqa: PTH208
        if item.endswith((".wal", ".wal.tmp")):
            (grave / item).unlink(missing_ok=True)
            faults.point("remove.after_delete")
    with contextlib.suppress(OSError):
        grave.rmdir()
    for leftover in run_dir.glob(".*.json.*.tmp"):
        # Of a daemon that was killed while it wrote one.
        leftover.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        run_dir.rmdir()
    faults.point("remove.before_forget")
    if not run_dir.exists():
        return ""
    names = sorted(os.listdir(run_dir))  # noqa: PTH208
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"the log is removed; {', '.join(names[:3])}{more} in {run_dir} stays, as it is not buoy's"
