"""The server's second hand: notes signs of life, answers waiting daemons, looks for silent machines.

Requests only leave a note or a future here; once a second one thread carries everything to the database in one
transaction, and reads the open stop requests in one query, for however many daemons wait. So replicas need not
know of each other, and a thousand machines cost fifty small requests a second and one transaction.

What is noted and not written yet is lost if the process dies; the next one gives every machine its full grace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from buoy_server.errors import StorageTrouble
from buoy_server.liveness.attention import Attention
from buoy_server.liveness.backlogs import Backlogs, note_backlogs
from buoy_server.liveness.signs import Changed, find_silent, mark_back, mark_missing, note_signs
from buoy_server.liveness.stops import open_stops
from buoy_server.metadata.engine import Metadata

TICK_S = 1.0
SWEEP_S = 5.0
"""The longest time between two looks for silent machines; a tenth of the grace if that is shorter."""

WAIT_S_MAX = 25.0
"""How long a heartbeat may wait for an answer. Under the half minute after which proxies lose patience."""

_log = logging.getLogger("buoy_server")


def wall_us() -> int:
    """The server's clock, the only one that counts here."""
    return time.time_ns() // 1000


@dataclass(eq=False)
class _Waiting:
    """A daemon that waits."""

    streams: frozenset[str]
    answer: asyncio.Future[dict[str, str]]
    unnoted: set[str] = field(default_factory=set)
    """Streams that the server did not know when the daemon asked; they count as soon as it does."""


class Pulse:
    """See the module. `upload`, `wake` and `close` may be called from any thread, the rest on the event loop.

    Args:
        metadata: The database.
        grace_s: How long nothing may be heard of a machine before its processes count as crashed.
        tell: Told of each run that changed.
    """

    def __init__(self, metadata: Metadata, grace_s: float, tell: Callable[[Changed], None]) -> None:
        self._metadata = metadata
        self._tell = tell
        self.grace_s = grace_s
        self._attention = Attention(grace_s)
        self.beat_s_max = min(WAIT_S_MAX, grace_s / 4)
        """The longest time between two heartbeats of a machine that is well."""
        self._sweep_s = min(SWEEP_S, grace_s / 10)
        self._swept_at = float("-inf")
        self._lock = threading.Lock()
        self._uploads: set[str] = set()
        self._beats: set[str] = set()
        self._behind: Backlogs = {}
        self._waiting: set[_Waiting] = set()
        self._stops: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._closed = False

    # From requests

    def upload(self, stream_id: str) -> None:
        """Something of a stream has arrived."""
        with self._lock:
            self._uploads.add(stream_id)

    async def beat(
        self, streams: Collection[str], told: Collection[str], wait_s: float, behind: Backlogs | None = None
    ) -> dict[str, str]:
        """Notes that the writers of some streams live; gives those that have to stop, with the reason.

        Answers as soon as there is one that the daemon has not been told of, else when the time is over.
        """
        with self._lock:
            self._beats.update(streams)
            self._behind.update(behind or {})
        asked = frozenset(streams) - frozenset(told)
        found = _chosen(self._stops, asked)
        if found or self._closed:
            return found
        waiting = _Waiting(asked, asyncio.get_running_loop().create_future())
        waiting.unnoted.update(streams)
        self._waiting.add(waiting)
        try:
            return await asyncio.wait_for(waiting.answer, min(max(wait_s, 0.0), self.beat_s_max))
        except asyncio.TimeoutError:
            return {}
        finally:
            self._waiting.discard(waiting)

    def wake(self) -> None:
        """Has a new request to stop passed on at once."""
        self._on_loop(self._wake.set)

    def close(self) -> None:
        """Answers everybody, so that the server can end."""
        self._on_loop(self._close)

    def _on_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def _close(self) -> None:
        self._closed = True
        self._wake.set()
        for waiting in list(self._waiting):
            _answer(waiting, {})

    # The second hand

    async def run(self) -> None:
        """Ticks until cancelled."""
        self._loop = asyncio.get_running_loop()
        while not self._closed:
            self._wake.clear()
            try:
                await self._tick()
            except (SQLAlchemyError, StorageTrouble) as error:
                # Full, away, or busy for too long. Nobody shall be missed for what could not be noted.
                self._attention.lost()
                _log.warning("signs of life cannot be noted now: %s", str(error).splitlines()[0])
            except Exception:
                self._attention.lost()
                _log.exception("a tick failed")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_S)

    async def _tick(self) -> None:
        self._attention.tick(wall_us(), time.monotonic_ns() // 1000)
        if self._waiting:
            self._stops = await run_in_threadpool(self._read_stops)
            for waiting in list(self._waiting):
                if found := _chosen(self._stops, waiting.streams):
                    _answer(waiting, found)
        unnoted = {stream for waiting in self._waiting for stream in waiting.unnoted}
        known = await run_in_threadpool(self._note, unnoted)
        for waiting in self._waiting:
            waiting.unnoted -= known
        if time.monotonic() - self._swept_at >= self._sweep_s:
            self._swept_at = time.monotonic()
            await run_in_threadpool(self._sweep)

    def _read_stops(self) -> dict[str, str]:
        with self._metadata.read() as connection:
            return open_stops(connection)

    def _note(self, unnoted: set[str]) -> set[str]:
        with self._lock:
            uploads, self._uploads = self._uploads, set()
            beats, self._beats = self._beats, set()
            behind, self._behind = self._behind, {}
        if not (uploads or beats or unnoted):
            return set()
        try:
            known, back = note_signs(self._metadata, uploads, beats | unnoted, wall_us())
            note_backlogs(self._metadata, behind)
        except BaseException:
            with self._lock:
                self._uploads |= uploads
                self._beats |= beats
                self._behind = behind | self._behind
            raise
        for stream in back:
            self._changed(mark_back(self._metadata, stream, wall_us()))
        return known

    def _sweep(self) -> None:
        limit_us = self._attention.limit_us(wall_us())
        if limit_us is None:
            return
        with self._metadata.read() as connection:
            silent = find_silent(connection, limit_us)
        for stream in silent:
            self._changed(mark_missing(self._metadata, stream, limit_us, wall_us()))

    def _changed(self, changed: Changed | None) -> None:
        if changed is not None:
            self._tell(changed)


def _chosen(stops: dict[str, str], streams: frozenset[str]) -> dict[str, str]:
    return {stream: stops[stream] for stream in stops.keys() & streams}


def _answer(waiting: _Waiting, found: dict[str, str]) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(found)
