"""The gRPC transport: a thread that carries this process's spool to a daemon with which it shares no disk.

`log()` is the same as ever: it writes a spool, in a private folder. The thread reads that spool and sends its frames;
what the daemon has acknowledged is on the daemon's disk, and its segments are deleted here. When the link breaks, it
connects again and goes on where the daemon says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from buoy_core import SpoolReader
from buoy_core.format import CONTROL_STOP
from buoy_proto import v1

from buoy.daemon_link import Starter, connect

if TYPE_CHECKING:
    from buoy.tracking.messages import Messages

_POLL_S = 0.05
_ANSWER_S = 1.0
"""How long `log()` has to notice that the run is to stop."""
_BATCH_BYTES = 1 << 20
_PAUSE_FIRST_S = 0.2
_PAUSE_MAX_S = 10.0
_CONNECT_TIMEOUT_S = 5.0


class Outgoing(Protocol):
    """A spool to be sent."""

    start: v1.WriterStart
    writer_id: bytes
    directory: Path

    @property
    def committed(self) -> int:
        """The writer's offset after the last complete frame."""

    @property
    def closed(self) -> bool:
        """Whether nothing more will come; looked at before `committed`."""

    def heed_stop(self) -> None:
        """Interrupts the process that writes, if it is this one and was not interrupted yet."""


class Forwarder(threading.Thread):
    """Sends one spool until its writer has closed it and the daemon has everything.

    Args:
        state: the state folder with the daemon's socket.
        recorder: whose spool.
        api_key: key for the daemon to upload with; empty if it should find one.
        messages: where to say that the daemon is away.
        starter: one that has begun to bring up the daemon.
    """

    def __init__(
        self,
        state: Path,
        recorder: Outgoing,
        api_key: str,
        messages: Messages,
        starter: Starter | None = None,
    ) -> None:
        super().__init__(name="buoy-forwarder", daemon=True)
        self._state = state
        self._recorder = recorder
        self._api_key = api_key
        self._messages = messages
        self._starter = starter
        self._wake = threading.Event()
        self._opened = threading.Event()
        self._done = threading.Event()
        self._given_up = threading.Event()
        self._acknowledged = 0
        self._stopping = False
        # One thread reads the spool, another deletes what was acknowledged and closes it.
        self._reading = threading.Lock()
        self.answer: v1.OpenResponse | None = None

    def run(self) -> None:
        """Connects, sends, and connects again, until all is acknowledged or nobody waits for it any more."""
        pause_s = _PAUSE_FIRST_S
        while not (self._complete() or self._given_up.is_set()):
            before = self._acknowledged
            try:
                self._session()
            except Exception as error:
                # Whatever it is, without this thread the rows would go nowhere.
                self._messages.warn_once("forward", f"{error}. The rows wait here; training goes on")
            self._opened.set()
            pause_s = _PAUSE_FIRST_S if self._acknowledged > before else min(pause_s * 2, _PAUSE_MAX_S)
            if not self._complete():
                self._wake.wait(pause_s)
                self._wake.clear()
        if self._complete():
            self._done.set()

    def wait_opened(self, timeout_s: float) -> v1.OpenResponse | None:
        """The daemon's first answer, None if it has not come."""
        self._opened.wait(timeout_s)
        return self.answer

    def drain(self, timeout_s: float) -> bool:
        """After the writer has closed: waits until the daemon has everything; gives up when the time is over."""
        self._wake.set()
        delivered = self._done.wait(timeout_s)
        self._given_up.set()
        return delivered

    def _insist_on_stop(self) -> None:
        """Interrupts this process itself if `log()` has not done it after a second, in a long step for example.

        Not a worker: what becomes of it is for the program that started it.
        """
        if not (self._stopping or self._recorder.start.parent_writer):
            self._stopping = True
            timer = threading.Timer(_ANSWER_S, self._recorder.heed_stop)
            timer.daemon = True
            timer.start()

    def _complete(self) -> bool:
        return self._recorder.closed and self._acknowledged >= self._recorder.committed

    def _session(self) -> None:
        starter, self._starter = self._starter, None
        with connect(self._state, _CONNECT_TIMEOUT_S, starter) as link:
            self.answer = link.open(self._recorder.start, "", self._api_key)
            self._opened.set()
            begin: SimpleQueue[SpoolReader | None] = SimpleQueue()
            ended = threading.Event()
            reader = None
            try:
                for response in link.append(self._requests(begin, ended)):
                    self._acknowledged = max(self._acknowledged, response.logged_offset)
                    if reader is None:
                        # The first answer says where to go on; what an earlier connection sent beyond may be lost.
                        reader = SpoolReader(str(self._recorder.directory), response.logged_offset)
                        begin.put(reader)
                    with self._reading:
                        reader.release(self._acknowledged)
                        reader.set_control(response.control)
                    if response.control & CONTROL_STOP:
                        self._insist_on_stop()
                    if self._complete():
                        break
            finally:
                ended.set()
                begin.put(None)
                if reader is not None:
                    with self._reading:
                        reader.close()

    def _requests(
        self, begin: SimpleQueue[SpoolReader | None], ended: threading.Event
    ) -> Iterator[v1.AppendRequest]:
        """What to send; gRPC asks for it from a thread of its own."""
        yield v1.AppendRequest(writer_id=self._recorder.writer_id)
        reader = begin.get()
        told = 0
        while reader is not None:
            with self._reading:
                if ended.is_set():
                    return
                chunk, sealed, dropped = reader.read(_BATCH_BYTES, frames=True), reader.sealed, reader.dropped
            if chunk is not None:
                yield v1.AppendRequest(begin_offset=chunk.begin, frames=chunk.frames, records_dropped=dropped)
                told = dropped
            elif dropped != told:
                yield v1.AppendRequest(records_dropped=dropped)
                told = dropped
            elif sealed:
                return
            else:
                # Polling, because waking this thread from log() would cost what log() may not.
                time.sleep(_POLL_S)
