"""Stands between the embedded engine and a disk that is full or fails.

chDB ignores that a write has failed: an insert succeeds whose part cannot be read, and a merge puts such a part in the
place of good ones. It counts failed writes, though, reserves what it needs by statvfs() before it begins, and keeps the
parts that a merge has replaced for eight minutes. So here

- merges stop, those under way too, while the disk has less room than a margin;
- after each insert, and while the engine is in use, the count is looked at: nobody hears that points are stored before;
  to remove points is to rewrite parts, so the engine is in use until that is done;
- if it has moved, the tables are mended, and whoever was inserting is told to come again (parts.py).

A ClickHouse server reports failed writes itself and needs no guard.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from buoy_core.format import FREE_BYTES_MIN
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from buoy_server.errors import StorageTrouble
from buoy_server.metrics.parts import mend

TABLES = ("points", "texts")
LOOK_S = 0.5
IN_USE_S = 60.0
"""After an insert the engine merges for a while; later there is nothing to look after."""

MARGIN_BYTES_MAX = 1 << 30
"""The margin is a twentieth of the disk, but no more than this and no less than twice what uploads leave to others."""

_PROBE_BYTES = 1 << 20

_log = logging.getLogger("buoy_server")


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
        # A removal that was asked for earlier goes on by itself.
        self._rewriting = True
        self._failed_writes = self._count_failed()
        # An earlier process may have left something to mend.
        self._broken = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="write-guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the watch."""
        self._closing.set()
        self._thread.join()
        self._client.close()

    def watch_rewriting(self) -> None:
        """Parts are rewritten from now on: looks until the engine has done all of it."""
        self._used_at = time.monotonic()
        self._rewriting = True

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
        try:
            self._verify()
            if self._generation != before:
                # Another thread may have mended the tables before this part was in its place.
                self._broken = True
                self._verify()
        except (ClickHouseError, OSError, RuntimeError) as error:
            raise self._trouble() from error
        if self._generation != before:
            raise self._trouble()

    def _trouble(self) -> StorageTrouble:
        full = self._is_low() or not self._can_grow()
        return StorageTrouble(
            "storage_full" if full else "storage_failed",
            f"The disk of the server's metrics, {self._folder}, {'was full' if full else 'has failed'} while points "
            "were written. They are written again once it is well.",
        )

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                self._follow_rewriting()
                in_use = time.monotonic() - self._used_at < IN_USE_S
                low = self._is_low() or (in_use and not self._can_grow())
                if low != self._stopped:
                    self._allow_merges(not low)
                if low or in_use or self._broken:
                    self._verify()
            except (ClickHouseError, OSError, RuntimeError) as error:
                _log.warning("the metrics cannot be looked after now: %s", str(error).splitlines()[0])

    def _follow_rewriting(self) -> None:
        if self._rewriting:
            self._used_at = time.monotonic()
            rows = self._client.query("SELECT count() FROM system.mutations WHERE NOT is_done").result_rows
            self._rewriting = bool(rows[0][0])

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

    def _verify(self) -> None:
        """Mends what failed writes have broken since the last time."""
        with self._lock:
            count = self._count_failed()
            if count != self._failed_writes:
                # First: whoever inserts now must not believe that it went well.
                self._generation += 1
                self._failed_writes = count
                self._broken = True
            if self._broken:
                # A merge that has met the trouble may put its part in place only later.
                merging = self._client.query("SELECT count() FROM system.merges").result_rows[0][0]
                mend(self._client)
                self._broken = bool(merging)
