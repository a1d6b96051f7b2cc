"""One `Append` call: frames come in by a thread of their own, acknowledgements go out by the handler's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import grpc
from buoy_core import faults
from buoy_core.errors import CoreError
from buoy_proto import v1

from buoy_daemon.errors import OutOfOrder
from buoy_daemon.progress import Progress
from buoy_daemon.source import AppendSource
from buoy_daemon.tail import Tail

LOOK_S = 0.5
"""How long it may take until a broken connection is noticed."""


class Feeder(threading.Thread):
    """Reads a client's frames into the writer's source; it blocks while the buffer there is full."""

    def __init__(
        self,
        source: AppendSource,
        connection: int,
        first: v1.AppendRequest,
        requests: Iterator[v1.AppendRequest],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name="append", daemon=True)
        self.error = ""
        self.finished = False
        self.source = source
        self.connection = connection
        self._first = first
        self._requests = requests
        self._wake = wake

    @property
    def over(self) -> bool:
        """Whether no more frames come by this connection."""
        return self.finished or bool(self.error)

    def run(self) -> None:
        """Feeds until the client stops, breaks off or sends nonsense."""
        try:
            if self._take(self._first):
                for request in self._requests:
                    if not self._take(request):
                        return
            self.finished = True
        except (OutOfOrder, CoreError, ValueError) as error:
            self.error = str(error)
        except grpc.RpcError:
            return  # The client is gone; the source waits for it to come back.
        except Exception as error:  # gRPC raises a bare Exception when the call was cancelled.
            self.error = f"the frames could not be read: {error}"

    def _take(self, request: v1.AppendRequest) -> bool:
        self.source.dropped = max(self.source.dropped, request.records_dropped)
        if not request.frames:
            return True
        taken = self.source.offer(self.connection, request.begin_offset, request.frames)
        self._wake()
        return taken


class Refusal(Exception):  # noqa: N818 - what the client gets is no error of ours
    """Ends the call with a gRPC status."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def acknowledge(
    tail: Tail, feeder: Feeder, progress: Progress, is_active: Callable[[], bool], told: int
) -> Iterator[v1.AppendResponse]:
    """Answers whenever more of the writer's records are synced, or the control word has changed.

    Ends when all are synced that the client has sent.

    Args:
        tail: The writer.
        feeder: What brings its frames in.
        progress: Signalled at each sync.
        is_active: Whether the client is still there.
        told: The offset that it knows of.

    Raises:
        Refusal: The client has sent nonsense, or should connect again.
    """
    source = feeder.source
    control = source.control
    while is_active():
        # In this order: a writer ends only after its last records are synced.
        ended = tail.ended
        synced = tail.synced
        if synced > told or source.control != control:
            told, control = synced, source.control
            faults.point("append.before_acknowledge")
            yield v1.AppendResponse(logged_offset=told, control=control)
        if feeder.error:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, feeder.error)
        if ended or (feeder.finished and told >= source.available):
            return
        if not source.is_current(feeder.connection) and not tail.ended:
            raise Refusal(grpc.StatusCode.ABORTED, "another connection took over, or the log has trouble")
        progress.wait_for(partial(_moved, tail, feeder, told, control), LOOK_S)


def _moved(tail: Tail, feeder: Feeder, told: int, control: int) -> bool:
    return tail.synced > told or feeder.over or feeder.source.control != control
