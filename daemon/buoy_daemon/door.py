"""The daemon's socket: where clients find it, as long as it runs.

gRPC deletes the file it was told to listen on when a server ends, whoever listens there by then. So each server gets a
name of its own, and the socket is renamed to the one that clients know: it appears complete, with its permissions, in
place of whatever was there. When somebody deletes it, another server takes over, and the former one ends its calls.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path

import grpc
from buoy_core.placement import check_private

log = logging.getLogger(__name__)

GRACE_S = 0.5
WAIT_S = 2.0
FORMER_GRACE_S = 60.0
"""How long the calls of a server that cannot be found any more may take."""


class Door:
    """Listens from the start.

    Args:
        path: the socket.
        make_server: makes a server, not started, that listens at an address.

    Raises:
        OSError, RuntimeError: it cannot listen there.
    """

    def __init__(self, path: Path, make_server: Callable[[str], grpc.Server]) -> None:
        self._path = path
        self._make_server = make_server
        # No longer than the socket's own name, because that path is as long as it may be.
        self._names = (f"s{number}.sock" for number in count())
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(path.parent)
        # Only the holder of the lock gets here, so sockets that are left are nobody's.
        for left in path.parent.glob("s*.sock"):
            left.unlink(missing_ok=True)
        self._server = self._open()

    def renew(self) -> None:
        """Listens anew if the socket was deleted. OSError or RuntimeError if that fails; then try again."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                return
        log.warning("the socket %s was deleted; listening anew", self._path)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(self._path.parent)
        former, self._server = self._server, self._open()
        former.stop(grace=FORMER_GRACE_S)

    def close(self) -> None:
        """Ends the calls and stops listening."""
        self._server.stop(grace=GRACE_S).wait(WAIT_S)
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
            # A folder of the socket's own, where the state folder's path is too long, is left empty.
            self._path.parent.rmdir()

    def _open(self) -> grpc.Server:
        bound = self._path.with_name(next(self._names))
        server = self._make_server(f"unix:{bound}")
        bound.chmod(0o600)
        self._inode = bound.stat().st_ino
        # Nobody must find it before it answers.
        server.start()
        bound.replace(self._path)
        return server
