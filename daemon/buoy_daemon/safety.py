"""Whether writers' records are where a client wants to know them before it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from buoy_proto import v1

from buoy_daemon.stream import Stream
from buoy_daemon.tail import Tail


class Safety:
    """Whether the records of writers of one stream, each up to an offset, are where they shall be."""

    def __init__(self, stream: Stream, targets: Sequence[tuple[Tail, int]], durability: int) -> None:
        self._stream = stream
        self._targets = targets
        self._on_server = durability == v1.DURABILITY_SERVER
        self._seq: int | None = None

    @property
    def hopeless(self) -> bool:
        """Whether there is no server to wait for."""
        return self._on_server and not self._stream.entry.base_url

    def reached(self) -> bool:
        """Whether they are."""
        if not self._on_server:
            return all(tail.synced >= offset or tail.ended for tail, offset in self._targets)
        if self._seq is None and all(tail.logged >= offset or tail.ended for tail, offset in self._targets):
            # Any sequence that covers the offsets will do; the stream's next one does now.
            self._seq = self._stream.next_seq
        return self._seq is not None and self._stream.acked_seq >= self._seq
