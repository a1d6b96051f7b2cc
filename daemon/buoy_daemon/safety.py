"""Whether a writer's records are where a client wants to know them before it goes on."""

from __future__ import annotations

from buoy_proto import v1

from buoy_daemon.stream import Stream
from buoy_daemon.tail import Tail


class Safety:
    """Whether a writer's records up to an offset are where they shall be."""

    def __init__(self, stream: Stream, tail: Tail, offset: int, durability: int) -> None:
        self._stream = stream
        self._tail = tail
        self._offset = offset
        self._on_server = durability == v1.DURABILITY_SERVER
        self._seq: int | None = None

    @property
    def hopeless(self) -> bool:
        """Whether there is no server to wait for."""
        return self._on_server and not self._stream.entry.base_url

    def reached(self) -> bool:
        """Whether they are."""
        if not self._on_server:
            return self._tail.synced >= self._offset or self._tail.ended
        if self._seq is None and (self._tail.logged >= self._offset or self._tail.ended):
            # Any sequence that covers the offset will do; the stream's next one does now.
            self._seq = self._stream.next_seq
        return self._seq is not None and self._stream.acked_seq >= self._seq
