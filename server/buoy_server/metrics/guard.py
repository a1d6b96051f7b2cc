"""Stands between the embedded engine and a disk that fills up.

chDB ignores that a write has failed: an insert succeeds whose part cannot be read, and a merge puts such a part in the
place of good ones. It counts failed writes, though, reserves what it needs by statvfs() before it begins, and keeps the
parts that a merge has replaced for eight minutes. So here

- merges stop, those under way too, while the disk has less room than a margin;
- after an insert near that margin the count is looked at before anybody hears that the points are stored;
- if it has moved, the parts of the last minutes are checked: a broken insert is dropped, to come again, and a broken
  merge gives way to what it was made of.

A ClickHouse server does none of this and needs no guard.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from buoy_core.format import FREE_BYTES_MIN
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from buoy_server.errors import StorageTrouble

TABLES = ("points", "texts")
LOOK_S = 0.5
IN_USE_S = 60.0
"""After an insert the engine merges for a while; later there is nothing to look after."""

MARGIN_BYTES_MAX = 1 << 30
"""The margin is a twentieth of the disk, but no more than this and no less than twice what uploads leave to others."""

RECENT_S = 600
"""Parts that are checked after a failed write. Longer than the engine keeps what a merge has replaced."""

_PROBE_BYTES = 1 << 20

_log = logging.getLogger("buoy_server")


@dataclass(frozen=True)
class _Part:
    """A part of a table: the blocks it holds, how often they were merged, and where it is."""

    name: str
    first: int
    last: int
    level: int
    path: Path

    def holds(self, other: _Part) -> bool:
        return self.first <= other.first and other.last <= self.last and self.name != other.name


class WriteGuard:
    """Watches the engine's folder. Thread-safe, except `close`.

    Args:
        client: For the guard alone.
        folder: The engine's.
    """

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._lock = threading.RLock()
        self._generation = 0
        self._salt = secrets.token_hex(4)
        self._stopped = False
        self._used_at = float("-inf")
        self._failed_writes = self._count_failed()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="write-guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the watch."""
        self._closing.set()
        self._thread.join()
        self._client.close()

    @contextmanager
    def insert(self, token: str) -> Iterator[str]:
        """Around one insert; gives the token to insert with.

        A dropped part's token may not stand in the way of its points when they come again, in this process or the next.

        Raises:
            StorageTrouble: What was inserted may not be there.
        """
        before = self._generation
        self._used_at = time.monotonic()
        yield f"{token}:{self._salt}:{before}"
        if self._is_low() or not self._can_grow():
            self._verify()
        if self._generation != before:
            raise StorageTrouble(
                "storage_full",
                f"The disk of the server's metrics, {self._folder}, was full while points were written. "
                "They are written again once there is room.",
            )

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                in_use = time.monotonic() - self._used_at < IN_USE_S
                low = self._is_low() or (in_use and not self._can_grow())
                if low != self._stopped:
                    self._allow_merges(not low)
                if low:
                    self._verify()
            except (ClickHouseError, OSError, RuntimeError) as error:
                _log.warning("the metrics cannot be looked after now: %s", str(error).splitlines()[0])

    def _is_low(self) -> bool:
        status = os.statvfs(self._folder)
        total, free = (blocks * status.f_frsize for blocks in (status.f_blocks, status.f_bavail))
        margin = max(2 * FREE_BYTES_MIN, min(MARGIN_BYTES_MAX, total // 20))
        return free < margin

    def _can_grow(self) -> bool:
        """Whether a file can be made here; a quota shows in no other way."""
        probe = self._folder / ".probe"
        try:
            descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _PROBE_BYTES)
            finally:
                os.close(descriptor)
                probe.unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _allow_merges(self, allowed: bool) -> None:
        with self._lock:
            for table in TABLES:
                self._client.command(f"SYSTEM {'START' if allowed else 'STOP'} MERGES {table}")
            self._stopped = not allowed

    def _count_failed(self) -> int:
        rows = self._client.query(
            "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"
        ).result_rows
        return int(rows[0][0]) if rows else 0

    # Repair

    def _verify(self) -> None:
        """Repairs what failed writes have broken since the last time."""
        with self._lock:
            count = self._count_failed()
            if count == self._failed_writes:
                return
            self._failed_writes = count
            # First: whoever inserts now must not believe that it went well.
            self._generation += 1
            for table in TABLES:
                for part in self._parts(table, active=True):
                    if not self._is_sound(table, part):
                        self._replace(table, part)

    def _parts(self, table: str, *, active: bool) -> list[_Part]:
        rows = self._client.query(
            "SELECT name, min_block_number, max_block_number, level, path FROM system.parts "
            "WHERE database = currentDatabase() AND table = {table:String} AND active = {active:UInt8} "
            f"AND modification_time > now() - {RECENT_S}",
            parameters={"table": table, "active": int(active)},
        ).result_rows
        return [_Part(name, first, last, level, Path(path)) for name, first, last, level, path in rows]

    def _is_sound(self, table: str, part: _Part) -> bool:
        checked = self._client.query(
            f"CHECK TABLE {table} PART '{part.name}' SETTINGS check_query_single_value_result = 1"
        )
        return bool(int(checked.result_rows[0][0]))

    def _replace(self, table: str, part: _Part) -> None:
        """Takes a broken part out; what it was merged from takes its place."""
        sources = _outermost(other for other in self._parts(table, active=False) if part.holds(other))
        copies = [self._copy(source) for source in sources]
        self._client.command(f"ALTER TABLE {table} DROP PART '{part.name}'")
        for name in copies:
            self._client.command(f"ALTER TABLE {table} ATTACH PART '{name}'")
        _log.error(
            "the disk was full while the metrics engine wrote %s; it was taken out, and %s",
            part.path,
            f"the {len(copies)} parts it was made of are back" if copies else "its points come again",
        )

    def _copy(self, source: _Part) -> str:
        """Puts a part that the engine will delete where it looks for parts to attach; needs no room for the data."""
        target = source.path.parent / "detached" / source.path.name
        shutil.copytree(source.path, target, copy_function=os.link, dirs_exist_ok=True)
        return target.name


def _outermost(parts: Iterator[_Part]) -> list[_Part]:
    """Those that no other holds."""
    found = list(parts)
    return [part for part in found if not any(other.holds(part) for other in found)]
