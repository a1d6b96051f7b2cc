"""Tells listeners that something changed. Nudges carry revisions, never data: a listener that missed some misses
nothing.

Uploads call `publish` from their threads; it only notes the change. On the event loop each listener gets what has
gathered, at most four times a second a project. A second replica would feed `publish` from the database; nothing
else would change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

INTERVAL_S = 0.25
COMMENT_S = 15.0


@dataclass
class Nudge:
    """What changed in a project since the last nudge: its revision, for each run (revision, bits), for each view
    (revision, who).
    """

    project: str
    rev: int = 0
    runs: dict[str, tuple[int, int]] = field(default_factory=dict)
    views: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, run: str, rev: int, bits: int) -> None:
        """Joins one more change."""
        self.rev = max(self.rev, rev)
        before_rev, before_bits = self.runs.get(run, (0, 0))
        self.runs[run] = max(before_rev, rev), before_bits | bits


class Subscription:
    """One listener's pending nudges. Used on the event loop only."""

    def __init__(self, project: str | None) -> None:
        self.project = project
        self.pending: dict[str, Nudge] = {}
        self.wake = asyncio.Event()

    def add(self, project: str, run: str, rev: int, bits: int) -> None:
        """Notes a change."""
        if self.project in (None, project):
            self.pending.setdefault(project, Nudge(project)).add(run, rev, bits)
            self.wake.set()

    def add_view(self, project: str, view: str, rev: int, by: str) -> None:
        """Notes a change of a view."""
        if self.project in (None, project):
            nudge = self.pending.setdefault(project, Nudge(project))
            nudge.rev = max(nudge.rev, rev)
            nudge.views[view] = rev, by
            self.wake.set()

    def take(self) -> list[Nudge]:
        """What has gathered; the listener starts anew."""
        gathered, self.pending = list(self.pending.values()), {}
        self.wake.clear()
        return gathered


class Broadcaster:
    """Connects uploads with listeners. Any thread may call `publish` and `close`; the rest is for the event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Names the loop that listeners live on."""
        self._loop = loop

    def publish(self, project: str, run: str, rev: int, bits: int) -> None:
        """Notes that a run changed. Returns at once."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish, project, run, rev, bits)

    def publish_view(self, project: str, view: str, rev: int, by: str) -> None:
        """Notes that a view changed. Returns at once."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish_view, project, view, rev, by)

    def close(self) -> None:
        """Ends all listening, so that the server can stop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close)

    async def listen(self, project: str | None) -> AsyncIterator[list[Nudge]]:
        """Gathered nudges as they come; an empty list first, when nothing can be missed any more, and every 15 seconds
        of silence. Ends when the server stops.
        """
        subscription = Subscription(project)
        self._subscriptions.add(subscription)
        try:
            yield []
            while not self._closed:
                try:
                    await asyncio.wait_for(subscription.wake.wait(), COMMENT_S)
                except asyncio.TimeoutError:
                    yield []
                    continue
                yield subscription.take()
                if not self._closed:
                    await asyncio.sleep(INTERVAL_S)
        finally:
            self._subscriptions.discard(subscription)

    @asynccontextmanager
    async def watch(self, project: str) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
        """Gives a function that waits for a change since here, at most so many seconds or until the server stops."""
        subscription = Subscription(project)
        self._subscriptions.add(subscription)

        async def changed(timeout_s: float) -> None:
            if not self._closed:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(subscription.wake.wait(), timeout_s)

        try:
            yield changed
        finally:
            self._subscriptions.discard(subscription)

    def _publish(self, project: str, run: str, rev: int, bits: int) -> None:
        for subscription in self._subscriptions:
            subscription.add(project, run, rev, bits)

    def _publish_view(self, project: str, view: str, rev: int, by: str) -> None:
        for subscription in self._subscriptions:
            subscription.add_view(project, view, rev, by)

    def _close(self) -> None:
        self._closed = True
        for subscription in self._subscriptions:
            subscription.wake.set()
