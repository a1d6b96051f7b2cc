"""What is in a run's folder, wherever that comes from: read as it stands, and never changed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from buoy_core import definitions
from buoy_core.errors import CoreError
from buoy_core.format import ZERO_ID
from buoy_core.wal import Block, WalReader
from buoy_core.wal_recovery import recover
from buoy_core.wal_segment import segment_indices, segment_path
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy_daemon.files import read_json

_START_BLOCKS_MAX = 1000
"""How many of the daemon's blocks are searched for the stream's start, which is in the first unless that is damaged."""

_NEVER_DIRTY = {errno.EROFS, errno.EINVAL, errno.ENOTSUP}
"""What a sync answers on a disk that nobody writes to."""


class Unreadable(Exception):  # noqa: N818 - says what the folder is
    """There is no log in a folder, or none that can be read. Nothing was changed."""


@dataclass(frozen=True)
class FolderLog:
    """A run's folder as it was when it was read.

    Attributes:
        run_dir: the folder.
        stream_id: 16 bytes.
        start: what begins the stream; with the names in run.json if the log has lost it.
        base_url: the server in run.json; empty if there is none.
        next_seq: the end of the log, a torn tail left out.
        size_bytes: of the log.
        changed_us: when it was last written.
    """

    run_dir: Path
    stream_id: bytes
    start: v1.StreamStart
    base_url: str
    next_seq: int
    size_bytes: int
    changed_us: int


def read_folder(run_dir: Path) -> FolderLog:
    """Looks into a run's folder.

    Raises:
        Unreadable: it cannot be read, or is none.
    """
    wal_dir = run_dir / "wal"
    try:
        indices = segment_indices(str(wal_dir))
        state = recover(str(wal_dir))
        if state.stream_id is None:
            raise Unreadable("there is no log in it")
        changed_us = Path(segment_path(str(wal_dir), indices[-1])).stat().st_mtime_ns // 1000
        about = read_json(run_dir / "run.json") or {}
        start = _start_in_log(wal_dir) or _start_in(about)
    except FileNotFoundError:
        raise Unreadable("there is no log in it") from None
    except (OSError, CoreError) as error:
        raise Unreadable(str(error)) from error
    base_url = about.get("base_url")
    return FolderLog(
        run_dir=run_dir,
        stream_id=state.stream_id,
        start=start,
        base_url=base_url if isinstance(base_url, str) else "",
        next_seq=state.next_seq,
        size_bytes=state.size_bytes,
        changed_us=changed_us,
    )


def make_durable(run_dir: Path) -> None:
    """Has everything that can be read of a log put on disk, whoever writes it.

    A server that is ahead of a log after a power cut would take new records under old numbers for duplicates. All
    segments but the last were synced when they were closed.

    Raises:
        Unreadable: the disk fails.
    """
    try:
        indices = segment_indices(str(run_dir / "wal"))
        for index in indices[-1:]:
            _sync_file(segment_path(str(run_dir / "wal"), index))
    except OSError as error:
        raise Unreadable(str(error)) from error


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NEVER_DIRTY:
            raise
    finally:
        os.close(descriptor)


def _start_in_log(wal_dir: Path) -> v1.StreamStart | None:
    for number, block in enumerate(_own_blocks(wal_dir)):
        if number == _START_BLOCKS_MAX:
            break
        try:
            for _, data in definitions(block.payload()):
                record = v1.Record.FromString(data)
                if record.WhichOneof("kind") == "stream_start":
                    return record.stream_start
        except (CoreError, ValueError, DecodeError):
            continue
    return None


def _own_blocks(wal_dir: Path) -> Iterator[Block]:
    """The blocks that a daemon has written of itself."""
    for item in WalReader(str(wal_dir)).blocks():
        if isinstance(item, Block) and item.header.writer_id == ZERO_ID:
            yield item


def _start_in(about: dict[str, object]) -> v1.StreamStart:
    names = {name: about.get(name) for name in ("entity", "project", "run_id", "name")}
    return v1.StreamStart(
        run=v1.RunInfo(**{name: value for name, value in names.items() if isinstance(value, str)})
    )
