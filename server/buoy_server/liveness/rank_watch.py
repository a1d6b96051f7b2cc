"""The server's second hand for ranks: judges those of all running attempts, some times a minute.

Apart from the pulse, which must pass a request to stop on within a second. One judgement is one query for the attempts,
one for each of them, and a transaction for fifty; nothing is done for a point. A sweep that takes long is followed by
a longer pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from buoy_server.errors import StorageTrouble
from buoy_server.liveness.attention import Attention
from buoy_server.liveness.pulse import wall_us
from buoy_server.liveness.signs import Changed
from buoy_server.liveness.watch import Limits
from buoy_server.liveness.watched import judge_all
from buoy_server.metadata.engine import Metadata

_REST = 10
"""A sweep takes at most one part in so many of the time, ..."""

_INTERVALS_MAX = 1.5
"""... but pauses grow to so many intervals only: after longer ones the server has not listened."""

_log = logging.getLogger("buoy_server")


class RankWatch:
    """See the module. Ranks are judged once the server has listened for `stopped_after` without a break."""

    def __init__(self, metadata: Metadata, limits: Limits, tell: Callable[[Changed], None]) -> None:
        self._metadata = metadata
        self._limits = limits
        self._tell = tell
        self._attention = Attention(limits.stopped_after_us / 1e6)
        self._end = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        """Ends `run`. From any thread, also from a signal handler."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)

    async def run(self) -> None:
        """Judges until closed."""
        self._loop = asyncio.get_running_loop()
        interval_s = self._limits.interval_us / 1e6
        while not self._end.is_set():
            began = time.monotonic()
            try:
                await self._sweep()
            except (SQLAlchemyError, StorageTrouble) as error:
                self._attention.lost()
                _log.warning("ranks cannot be judged now: %s", str(error).splitlines()[0])
            except Exception:
                self._attention.lost()
                _log.exception("judging ranks failed")
            took_s = time.monotonic() - began
            pause_s = min(max(interval_s, _REST * took_s), _INTERVALS_MAX * interval_s)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._end.wait(), pause_s)

    async def _sweep(self) -> None:
        now_us = wall_us()
        self._attention.tick(now_us, time.monotonic_ns() // 1000)
        if self._attention.limit_us(now_us) is None:
            return
        for changed in await run_in_threadpool(judge_all, self._metadata, self._limits, now_us):
            self._tell(changed)
