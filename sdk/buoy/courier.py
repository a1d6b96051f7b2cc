"""Carries the spools of forked processes to a daemon with which they share no disk: `python -m buoy.courier OUTBOX`.

gRPC's threads and locks do not survive a fork, so a forked child leaves its spool in the outbox, with a mark that
nobody sends it, and sees to it that a courier runs. That is a process of its own, with a gRPC of its own. There is one
for each outbox, which a lock makes sure of; it outlives the children, and ends when there is nothing left to carry.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from buoy_core import SpoolReader, split_records
from buoy_core.errors import CoreError
from buoy_core.holder import is_running
from buoy_core.machine import process_identity
from buoy_core.state import state_dir
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy.daemon_link import absolute_python_path
from buoy.forwarder import Forwarder
from buoy.tracking.messages import Messages

_MARK = "courier"
_LOCK = "courier.lock"
_LOG = "courier.log"
_POLL_S = 0.1
_IDLE_S = 3.0
_BEHIND_EVERYTHING = 1 << 62


class Parcel:
    """A spool that another process writes.

    Raises:
        OSError, CoreError: it cannot be read, or not yet.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with closing(SpoolReader(str(directory))) as reader:
            chunk = reader.read(1)
            if chunk is None:
                raise CoreError(f"{directory} has no record yet")
            self._process = reader.pid, reader.process_start
            self._same_boot = not reader.foreign_boot
        self.start = v1.Record.FromString(split_records(chunk.payload)[0]).writer_start
        self.writer_id = self.start.writer_id

    @property
    def committed(self) -> int:
        """The writer's offset after the last complete frame."""
        with closing(self._end()) as reader:
            return reader.committed

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        with closing(self._end()) as reader:
            return reader.closed or not self._has_writer()

    def heed_stop(self) -> None:
        """Its process is another one."""

    def _end(self) -> SpoolReader:
        # Anew each time: segments are deleted meanwhile, and a reader that lags behind would not find the next one.
        return SpoolReader(str(self.directory), _BEHIND_EVERYTHING)

    def _has_writer(self) -> bool:
        pid, _ = self._process
        return self._same_boot and process_identity(pid) == self._process and is_running(pid)


class Courier:
    """Everything that one outbox needs carried.

    Args:
        outbox: the folder with the spools.
        state: the state folder with the daemon's socket.
    """

    def __init__(self, outbox: Path, state: Path) -> None:
        self._outbox = outbox
        self._state = state
        self._carried: dict[Path, Forwarder] = {}
        self._messages = Messages()

    def serve(self) -> None:
        """Carries until nothing has been left for a while."""
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < _IDLE_S:
            if self.turn():
                idle_since = time.monotonic()
            time.sleep(_POLL_S)

    def turn(self) -> bool:
        """Takes on what is new and puts away what is done; whether there is anything to carry."""
        for folder in marked(self._outbox):
            if folder not in self._carried:
                self._take_on(folder)
        for folder, forwarder in list(self._carried.items()):
            if forwarder.is_alive() and folder.exists():
                continue
            # A daemon of this host may have taken the folder of a dead writer; then it has the rest, too.
            if forwarder.drain(0.0):
                shutil.rmtree(folder, ignore_errors=True)
            del self._carried[folder]
        return bool(self._carried)

    def _take_on(self, folder: Path) -> None:
        try:
            parcel = Parcel(folder)
        except (OSError, CoreError, DecodeError) as error:
            self._messages.warn_once(folder.name, f"{folder} waits: {error}")
            return
        self._carried[folder] = Forwarder(self._state, parcel, "", self._messages)
        self._carried[folder].start()


def marked(outbox: Path, family: bytes | None = None) -> list[Path]:
    """The spools that are for a courier; only those of one family of processes, if given."""
    found = []
    for mark in outbox.glob(f"*/{_MARK}"):
        with contextlib.suppress(OSError):
            if family is None or mark.read_text(encoding="ascii") == family.hex():
                found.append(mark.parent)
    return found


def leave(spool: Path, family: bytes) -> None:
    """Leaves a spool to the courier, which is summoned. After a fork this is safe: it only executes another program.

    Args:
        spool: its folder, in the outbox.
        family: the writer whose process began the run.

    Raises:
        OSError: it cannot be marked, or no process can be made.
    """
    (spool / _MARK).write_text(family.hex(), encoding="ascii")
    summon(spool.parent)


def summon(outbox: Path) -> None:
    """Sees to it that a courier runs. Raises OSError if no process can be made."""
    lock = _take_lock(outbox)
    if lock is None:
        return
    os.close(lock)
    # As the daemon: no child of the training process, which may wait for all it has.
    with (outbox / _LOG).open("ab") as log:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-m", "buoy.courier", str(outbox)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, "BUOY_STATE_DIR": str(state_dir()), "PYTHONPATH": absolute_python_path()},
            start_new_session=True,
            check=False,
        )


def wait_for_family(outbox: Path, family: bytes, timeout_s: float) -> bool:
    """Waits until what the family's ended processes have left is carried; False if the time is over first."""
    deadline = time.monotonic() + timeout_s
    while waiting := [folder for folder in marked(outbox, family) if _has_ended(folder)]:
        if time.monotonic() > deadline:
            return False
        summon(waiting[0].parent)
        time.sleep(_POLL_S)
    return True


def _has_ended(folder: Path) -> bool:
    try:
        return Parcel(folder).closed
    except (OSError, CoreError, DecodeError):
        return False


def _take_lock(outbox: Path) -> int | None:
    """The descriptor that makes this process the courier; None if there is one."""
    descriptor = os.open(outbox / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def main(outbox: Path) -> None:
    """Serves the outbox, unless another courier does."""
    while marked(outbox):
        lock = _take_lock(outbox)
        if lock is None:
            return
        Courier(outbox, state_dir()).serve()
        # A child that came too late to be seen, and saw the lock, relies on another look.
        os.close(lock)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
