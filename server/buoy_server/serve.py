"""Runs the server process: takes the port and the folder, opens the stores, answers until it is told to stop.

    socket -> folder lock -> token -> stores -> serve -> "ready: ..." -> SIGTERM -> last answers -> stores close

The order makes refusals cheap: whatever can be refused is checked before anything is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType

import uvicorn
from buoy_core.repeats import Repeats

from buoy_server.access import load_token, publish_token
from buoy_server.config import Options
from buoy_server.errors import StartError
from buoy_server.lock import FolderLock
from buoy_server.services import open_services
from buoy_server.web.app import make_app

_STOP_S = 10
_BACKLOG = 2048


def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT. Returns after everything is closed.

    Raises:
        StartError: The server cannot start; nothing was touched.
    """
    listener = _listen(options)
    options = dataclasses.replace(options, port=listener.getsockname()[1])
    try:
        lock = FolderLock(options.data_dir)
    except StartError:
        listener.close()
        raise
    with contextlib.closing(listener), contextlib.closing(_Closer(lock)):
        token = load_token(options.data_dir)
        services = open_services(options)
        with contextlib.closing(services):
            _Server(options, token, make_app(services, token), services.end_waiting).run(sockets=[listener])


class _Closer:
    """Gives a lock the method that `contextlib.closing` wants."""

    def __init__(self, lock: FolderLock) -> None:
        self.close = lock.release


def _listen(options: Options) -> socket.socket:
    """Takes the port.

    Raises:
        StartError: It cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise StartError(
            f"the address {options.host!r} is unknown ({error}); give another one with --host"
        ) from error
    # Lets a server that was just stopped start again; two at once are still refused.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"port {options.port} on {options.host} is in use; "
                "stop the other program or choose another port with --port"
            ) from error
        raise StartError(
            f"cannot listen on {options.host} port {options.port} ({error.strerror}); see --host and --port"
        ) from error
    listener.set_inheritable(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn, with one line when it answers and a clean end on a signal."""

    def __init__(self, options: Options, token: str, app: object, stop_listening: object) -> None:
        # uvicorn's access log would print the token in the address of the first page.
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_STOP_S,
            server_header=False,
            proxy_headers=False,
        )
        super().__init__(config)
        self._options = options
        self._token = token
        self._stop_listening = stop_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where the server is once it answers."""
        await super().startup(sockets)
        base_url = self._options.base_url
        publish_token(base_url, self._token)
        sys.stdout.write(f"ready: {base_url}/?token={self._token}\n")
        sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stops taking requests; streams that would never end are ended."""
        assert callable(self._stop_listening)
        self._stop_listening()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles both signals while serving. uvicorn would raise them again; to stop when asked is no failure."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)


def configure_logging() -> None:
    """Warnings and errors go to stderr, each once in a while; nothing that is logged holds an address with a query."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    text = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, handlers=[handler], format=text)
