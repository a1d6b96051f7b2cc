"""How calls get to the daemon: by gRPC in this process, or, where that cannot be, by gRPC in a helper process.

gRPC has threads and locks that a fork does not take along. A child that is forked while they are busy, and they are for
a second after each connection, hangs for ever at its first use of gRPC. So a process whose parent had gRPC loaded asks
another program, which costs a quarter of a second instead of a run.

    child --stdin--> [name, timeout, request]        python -m buoy.daemon_channel SOCKET
          <-stdout-- [kind, message]...              kind: m message, e error (code, text), . end of the answer
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from buoy.errors import CommError

_SERVICE = "/buoy.v1.Daemon/"
_REQUEST = struct.Struct("<IdI")
"""Lengths of name and request around the timeout in seconds."""
_ANSWER = struct.Struct("<cI")

_grpc_is_the_parents = False


def _note_fork() -> None:
    global _grpc_is_the_parents
    _grpc_is_the_parents = _grpc_is_the_parents or "grpc" in sys.modules


os.register_at_fork(after_in_child=_note_fork)


def grpc_is_usable() -> bool:
    """Whether this process may use gRPC itself."""
    return not _grpc_is_the_parents


Answers = Generator[bytes, None, None]
"""Closed early, the call is cancelled; better read it to its end, because gRPC keeps the socket of such a call."""


class Channel(Protocol):
    """Calls of the daemon's service, in bytes. Each may raise CommError."""

    def unary(self, name: str, request: bytes, timeout_s: float) -> bytes:
        """A call with one answer."""

    def stream(self, name: str, request: bytes, timeout_s: float) -> Answers:
        """A call with several answers."""

    def duplex(self, name: str, requests: Iterator[bytes]) -> Answers:
        """A call with several requests and answers."""

    def close(self) -> None:
        """Ends the connection."""


def open_channel(socket: Path) -> Channel:
    """A channel to the daemon's socket, of the kind that this process can use."""
    return GrpcChannel(socket) if grpc_is_usable() else HelperChannel(socket)


class GrpcChannel:
    """gRPC in this process; its threads follow within a second after `close`."""

    def __init__(self, socket: Path) -> None:
        import grpc  # noqa: PLC0415  as late as possible: 75 ms

        self._grpc = grpc
        # A proxy from the environment has no business with a local socket.
        # The interpreter starts no threads while it shuts down, which is when many runs end; so no thread for a stream.
        options = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("SingleThreadedUnaryStream", 1),
        ]
        self._channel = grpc.insecure_channel(f"unix:{socket}", options=options)

    def unary(self, name: str, request: bytes, timeout_s: float) -> bytes:
        """A call with one answer."""
        with self._translated():
            return self._channel.unary_unary(_SERVICE + name)(request, timeout=timeout_s)  # type: ignore[no-any-return]

    def stream(self, name: str, request: bytes, timeout_s: float) -> Answers:
        """A call with several answers."""
        return self._answers(self._channel.unary_stream(_SERVICE + name)(request, timeout=timeout_s))

    def duplex(self, name: str, requests: Iterator[bytes]) -> Answers:
        """A call with several requests and answers."""
        return self._answers(self._channel.stream_stream(_SERVICE + name)(requests))

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _answers(self, call: Any) -> Answers:
        try:
            with self._translated():
                yield from call
        finally:
            # A call that is left half way would go on.
            call.cancel()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._grpc.RpcError as error:
            code, details = (getattr(error, name, lambda: None)() for name in ("code", "details"))
            raise CommError(
                f"the daemon does not answer: {details or code}", code=str(getattr(code, "name", code))
            ) from None


class HelperChannel:
    """gRPC in a process of its own, which lives as long as this object. For one call at a time.

    Raises:
        CommError: there can be no such process.
    """

    def __init__(self, socket: Path) -> None:
        command = [sys.executable, "-m", "buoy.daemon_channel", str(socket)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise CommError(f"the daemon cannot be asked: {error}") from None

    def unary(self, name: str, request: bytes, timeout_s: float) -> bytes:
        """A call with one answer."""
        (answer,) = self.stream(name, request, timeout_s)
        return answer

    def stream(self, name: str, request: bytes, timeout_s: float) -> Answers:
        """A call with several answers."""
        out, into = self._process.stdout, self._process.stdin
        assert out is not None
        assert into is not None
        ended = False
        try:
            encoded = name.encode()
            into.write(_REQUEST.pack(len(encoded), timeout_s, len(request)) + encoded + request)
            into.flush()
            while (answer := _read_answer(out))[0] == b"m":
                yield answer[1]
            ended = True
        except (OSError, EOFError) as error:
            raise CommError(f"the daemon cannot be asked: {error}") from None
        finally:
            if not ended:
                # What else comes would be taken for the answer to the next call.
                self._process.kill()
        if answer[0] == b"e":
            code, _, text = answer[1].decode("utf-8", "replace").partition(" ")
            raise CommError(text, code=code)

    def duplex(self, name: str, requests: Iterator[bytes]) -> Answers:  # noqa: ARG002
        """Not by a helper: a courier carries the spools of such processes."""
        raise CommError(f"{name} needs a process that can use gRPC")

    def close(self) -> None:
        """Ends the helper."""
        self._process.kill()
        with self._process:
            pass


def _read_answer(out: IO[bytes]) -> tuple[bytes, bytes]:
    kind, size = _ANSWER.unpack(_read(out, _ANSWER.size))
    return kind, _read(out, size)


def _read(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError("the process that asks has ended")
    return data


def serve(channel: Channel, requests: IO[bytes], answers: IO[bytes]) -> None:
    """The helper's side: makes one call after the other, until nobody asks any more."""
    while True:
        try:
            name_size, timeout_s, size = _REQUEST.unpack(_read(requests, _REQUEST.size))
        except EOFError:
            return
        name, request = _read(requests, name_size).decode(), _read(requests, size)
        kind, last = b".", b""
        try:
            for answer in channel.stream(name, request, timeout_s):
                answers.write(_ANSWER.pack(b"m", len(answer)) + answer)
                answers.flush()
        except CommError as error:
            kind, last = b"e", f"{error.code} {error}".encode()
        answers.write(_ANSWER.pack(kind, len(last)) + last)
        answers.flush()


if __name__ == "__main__":
    serve(GrpcChannel(Path(sys.argv[1])), sys.stdin.buffer, sys.stdout.buffer)
