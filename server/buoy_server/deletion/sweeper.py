"""Sweeps now and then, for as long as the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from buoy_server.deletion.removal import sweep
from buoy_server.errors import Refused
from buoy_server.metadata.engine import Metadata
from buoy_server.metrics.remover import MetricsRemover

_SWEEP_S_MAX = 600.0

_log = logging.getLogger("buoy_server")


class Sweeper:
    """Removes deleted runs after a while. `close` may be called from any thread, the rest on the event loop.

    Args:
        metadata: The database.
        remover: Of the metrics.
        removed_after_s: How long a deleted run can be brought back.
    """

    def __init__(self, metadata: Metadata, remover: MetricsRemover, removed_after_s: float) -> None:
        self._metadata = metadata
        self._remover = remover
        self.removed_after_us = round(removed_after_s * 1e6)
        self._pause_s = min(_SWEEP_S_MAX, removed_after_s / 4)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = asyncio.Event()

    async def run(self) -> None:
        """Sweeps until closed."""
        self._loop = asyncio.get_running_loop()
        while not self._closed.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closed.wait(), self._pause_s)
                return
            try:
                await run_in_threadpool(self.sweep, time.time_ns() // 1000)
            except (SQLAlchemyError, ClickHouseError, Refused, OSError) as error:
                _log.warning("deleted runs cannot be removed now: %s", str(error).splitlines()[0])
            except Exception:
                _log.exception("removing deleted runs failed")

    def sweep(self, now_us: int) -> None:
        """Removes what is due at a moment."""
        sweep(self._metadata, self._remover, now_us - self.removed_after_us, now_us)

    def close(self) -> None:
        """Ends the sweeping."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._closed.set)
