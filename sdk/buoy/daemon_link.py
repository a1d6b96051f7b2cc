"""Finds the machine's daemon, or starts one.

The daemon's own lock makes it the only one of its user; a lock of ours makes that of many processes which start
together only one spawns, instead of each paying for an interpreter that finds itself superfluous. Connections are
short: a trainer that held one would have gRPC's threads while it trains, and forks.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from buoy_core.holder import is_running, read_holder
from buoy_core.placement import is_private
from buoy_core.state import DAEMON_PROTOCOL, PAUSING, lock_path, log_path, socket_path, supervisor_path

from buoy._version import __version__
from buoy.daemon_channel import open_channel
from buoy.errors import CommError

if TYPE_CHECKING:
    from buoy_proto import v1

_POLL_S = 0.005
_CALL_TIMEOUT_S = 5.0


class Starter:
    """Brings up the daemon of a state folder.

    Args:
        state: the state folder.
        auto: whether the daemon may end by itself when it is idle.
    """

    def __init__(self, state: Path, *, auto: bool = True) -> None:
        self._state = state
        self._auto = auto
        self._socket = socket_path(state)
        self._lock: int | None = None
        self._spawned: int | None = None
        self._yielded = False

    def answers(self) -> bool:
        """Whether somebody listens on the socket, in a folder where nobody else can have put it."""
        if not is_private(self._socket.parent):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(os.fspath(self._socket))
            except OSError:
                return False
        return True

    def begin(self, *, force: bool = False) -> None:
        """Spawns a daemon unless one listens or another process is at it; does not wait for it.

        Args:
            force: spawns one although another process is at it, which seems to be stuck.

        Raises:
            CommError: there is no daemon to spawn.
        """
        if self._lock is not None or self.answers():
            return
        lock = os.open(self._state / "start.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not force:
                os.close(lock)
                return
        self._lock = lock
        if not self.answers():
            self._spawned = spawn(self._state, auto=self._auto)

    def wait(self, timeout_s: float) -> bool:
        """Waits until somebody listens; takes over from a process that meant to spawn a daemon and died."""
        begin = time.monotonic()
        try:
            while not self.answers():
                waited_s = time.monotonic() - begin
                if waited_s > timeout_s:
                    return False
                if self._has_failed():
                    # Nothing is gained by waiting.
                    return self.answers()
                self.begin(force=waited_s > timeout_s / 2)
                time.sleep(_POLL_S)
        finally:
            self.release()
        return True

    def _has_failed(self) -> bool:
        """Whether the daemon that was spawned here has ended without a reason that passes."""
        if self._spawned is None:
            return False
        supervisor = read_holder(supervisor_path(self._state))
        if supervisor is not None and (supervisor.pid, supervisor.doing) == (self._spawned, PAUSING):
            return True
        if is_running(self._spawned):
            return False
        # It may have found another one, which ends, or listens in a moment; when that is gone it is our turn again.
        other = read_holder(lock_path(self._state))
        if other is not None and other.is_running():
            self._yielded = True
            return False
        if self._yielded:
            self._yielded, self._spawned = False, None
            self.release()
            return False
        return True

    def wait_until_gone(self, timeout_s: float) -> bool:
        """Waits until nobody listens."""
        deadline = time.monotonic() + timeout_s
        while self.answers():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def release(self) -> None:
        """Lets others try."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def spawn(state: Path, *, auto: bool) -> int:
    """Starts a daemon that belongs to nobody's process tree; returns its process id.

    A shell in between ends at once, so that the trainer has no child that it did not make: a framework that waits for
    its children must not meet ours, and the daemon must not count as memory of the training.

    Raises:
        CommError: the daemon is not installed or cannot be started.
    """
    if importlib.util.find_spec("buoy_daemon") is None:
        raise CommError("the daemon (package buoy_daemon) is not installed; reinstall buoy")
    command = [
        sys.executable,
        "-m",
        "buoy_daemon",
        "run",
        "--state-dir",
        str(state),
        "--supervise",
        *(["--auto"] if auto else []),
    ]
    # Only the run it belongs to may use a key from the environment, and relative paths mean nothing in another folder.
    environment = {name: value for name, value in os.environ.items() if name != "BUOY_API_KEY"}
    environment["PYTHONPATH"] = absolute_python_path()
    try:
        with log_path(state).open("ab") as log:
            shell = subprocess.Popen(
                ["/bin/sh", "-c", '"$@" 1>&2 & echo $!', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
            return int(shell.communicate(timeout=_CALL_TIMEOUT_S)[0])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise CommError(f"the daemon cannot be started: {error}") from None


def absolute_python_path() -> str:
    """PYTHONPATH for a process in another folder."""
    paths = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(str(Path(path).absolute()) for path in paths.split(os.pathsep)) if paths else ""


class DaemonLink:
    """A short connection to the daemon; close it before user code runs. Every call may raise CommError."""

    def __init__(self, state: Path) -> None:
        from buoy_proto import v1  # noqa: PLC0415  as late as possible

        self._v1 = v1
        self._channel = open_channel(socket_path(state))

    def __enter__(self) -> DaemonLink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def status(self, timeout_s: float = _CALL_TIMEOUT_S, *, look: bool = False) -> v1.StatusResponse:
        """Health, version and runs of the daemon; with `look` it sees first what lies around."""
        answer = self._channel.unary(
            "Status", self._v1.StatusRequest(look=look).SerializeToString(), timeout_s
        )
        return self._v1.StatusResponse.FromString(answer)

    def open(self, writer: v1.WriterStart, spool: str, api_key: str) -> v1.OpenResponse:
        """Tells the daemon about a writer; an empty `spool` announces the gRPC transport."""
        request = self._v1.OpenRequest(
            spool_dir=spool, writer=writer, api_key=api_key, protocol=DAEMON_PROTOCOL
        )
        answer = self._channel.unary("Open", request.SerializeToString(), _CALL_TIMEOUT_S)
        return self._v1.OpenResponse.FromString(answer)

    def close_writer(
        self, writer_id: bytes, offset: int, timeout_s: float, *, upload: bool = False
    ) -> Generator[v1.CloseProgress, None, None]:
        """Follows the daemon until everything of the writer is on disk, or on the server with all of its run."""
        durability = self._v1.DURABILITY_SERVER if upload else self._v1.DURABILITY_DISK
        request = self._v1.CloseRequest(writer_id=writer_id, offset=offset, durability=durability)
        with closing(self._channel.stream("Close", request.SerializeToString(), timeout_s)) as answers:
            for answer in answers:
                yield self._v1.CloseProgress.FromString(answer)

    def survey(self, request: v1.SurveyRequest, timeout_s: float) -> v1.SurveyResponse:
        """What is in run folders, and what a server has of it."""
        answer = self._channel.unary("Survey", request.SerializeToString(), timeout_s)
        return self._v1.SurveyResponse.FromString(answer)

    def sync(self, request: v1.SyncRequest, timeout_s: float) -> Generator[v1.SyncProgress, None, None]:
        """Has run folders uploaded; follows that until there is nothing more to wait for."""
        with closing(self._channel.stream("Sync", request.SerializeToString(), timeout_s)) as answers:
            for answer in answers:
                yield self._v1.SyncProgress.FromString(answer)

    def remove(self, request: v1.RemoveRequest, timeout_s: float) -> v1.RemoveResponse:
        """Removes run folders."""
        answer = self._channel.unary("Remove", request.SerializeToString(), timeout_s)
        return self._v1.RemoveResponse.FromString(answer)

    def append(self, requests: Iterator[v1.AppendRequest]) -> Generator[v1.AppendResponse, None, None]:
        """Opens the stream of the gRPC transport; it lasts until `requests` ends or the link breaks."""
        encoded = (each.SerializeToString() for each in requests)
        with closing(self._channel.duplex("Append", encoded)) as answers:
            for answer in answers:
                yield self._v1.AppendResponse.FromString(answer)

    def shutdown(self, *, drain: bool) -> int:
        """Asks the daemon to end; returns its process id."""
        request = self._v1.ShutdownRequest(drain=drain)
        answer = self._channel.unary("Shutdown", request.SerializeToString(), 60.0)
        return self._v1.ShutdownResponse.FromString(answer).pid


def connect(state: Path, timeout_s: float, starter: Starter | None = None) -> DaemonLink:
    """A link to a daemon that this version can talk to; starts or replaces one as needed.

    Args:
        state: the state folder.
        timeout_s: how long that may take.
        starter: one that has begun already.

    Raises:
        CommError: there is none within the time.
    """
    deadline = time.monotonic() + timeout_s
    starter = starter or Starter(state)
    starter.begin()
    while starter.wait(max(deadline - time.monotonic(), 0.0)):
        link = DaemonLink(state)
        try:
            status = link.status(max(deadline - time.monotonic(), 0.1))
            if not _older(status):
                if status.protocol > DAEMON_PROTOCOL:
                    raise CommError(
                        f"the running daemon (version {status.version}) is newer than this buoy {__version__}"
                    )
                return link
            link.shutdown(drain=True)
        except CommError:
            link.close()
            if starter.answers():
                raise
        else:
            link.close()
        starter.wait_until_gone(deadline - time.monotonic())
    raise CommError(f"the daemon does not start; see {log_path(state)}")


def _older(status: v1.StatusResponse) -> bool:
    """Whether the daemon should make way: this buoy was installed after it had been started."""
    theirs, ours = _numbers(status.version), _numbers(__version__)
    return status.protocol < DAEMON_PROTOCOL or (theirs is not None and ours is not None and theirs < ours)


def _numbers(version: str) -> tuple[int, ...] | None:
    """The numbers of a version, None for one that says nothing (a source tree that was never installed)."""
    parts = version.partition("+")[0].split(".")
    numbers = tuple(int(part) for part in parts if part.isdigit())
    return numbers if len(numbers) == len(parts) and any(numbers) else None
