"""From start to end of the one daemon of a state folder.

The lock is taken first and let go by the kernel when the process ends, after everything else: whoever gets it
knows that nobody else reads these spools, writes these logs or listens on this socket.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import grpc
from buoy_core import implementation, state
from buoy_core.placement import check_private
from buoy_core.repeats import Repeats

from buoy_daemon.credentials import Credentials
from buoy_daemon.door import Door
from buoy_daemon.files import write_text
from buoy_daemon.folders.calls import FolderCalls
from buoy_daemon.folders.housekeeper import Housekeeper
from buoy_daemon.folders.inquiry import Inquiry
from buoy_daemon.folders.parcels import Parcels
from buoy_daemon.folders.recorded import Recorded
from buoy_daemon.index import Index
from buoy_daemon.lock import Lock, take_lock
from buoy_daemon.log_file import LogFile
from buoy_daemon.open_files import fit_to_limit
from buoy_daemon.options import Options
from buoy_daemon.outbox import Outbox
from buoy_daemon.progress import Progress
from buoy_daemon.registry import Registry
from buoy_daemon.sampler.thread import Sampler
from buoy_daemon.service import Service, make_server
from buoy_daemon.supervision import Supervision
from buoy_daemon.supervisor import FAILED, REFUSED
from buoy_daemon.tailer import Tailer
from buoy_daemon.uploader.heartbeat import Heartbeats
from buoy_daemon.uploader.worker import Uploader
from buoy_daemon.version import version

log = logging.getLogger("buoy_daemon")

LOCK_WAIT_S = 2.0
"""How long to wait for a lock: a daemon that is being replaced needs a moment to end."""

LOG_BYTES_MAX, LOG_FILES = 4 << 20, 2

CHECK_S = 1.0


def run(options: Options) -> int:
    """Runs the daemon until it is told to end, or is idle; returns the exit status.

    0 as well when another daemon runs already: whoever wanted one has one.
    """
    os.umask(0o077)
    fit_to_limit()
    folder = options.state_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(folder)
        lock = take_lock(folder, LOCK_WAIT_S)
        if lock is None:
            return 0
        _start_logging(options)
    except OSError as error:
        # There is no log yet.
        print(f"buoy daemon: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return REFUSED if isinstance(error, PermissionError) else FAILED
    try:
        return _Daemon(options, lock).run()
    except Exception:
        log.exception("the daemon ends: this should not happen")
        return FAILED


def _start_logging(options: Options) -> None:
    path = state.log_path(options.state_dir)
    file = LogFile(path, bytes_max=LOG_BYTES_MAX, older=LOG_FILES)
    file.addFilter(Repeats())
    handlers: list[logging.Handler] = [file]
    if options.foreground:
        # First: the file's filter may add to what is said.
        handlers.insert(0, logging.StreamHandler())
    text = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=text, handlers=handlers)
    threading.excepthook = lambda args: log.error(
        "thread %s died",
        args.thread.name if args.thread else "?",
        exc_info=(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback),
    )
    if not options.foreground:
        _let_go_of_terminal()


def _let_go_of_terminal() -> None:
    """Whoever started this process may wait for the other end of its pipes; nobody reads them from here on."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


class _Daemon:
    """The parts, and their order of start and end."""

    def __init__(self, options: Options, lock: Lock) -> None:
        self._options = options
        self._lock = lock
        self._ending = threading.Event()
        self._supervision = Supervision(options)
        folder = options.state_dir
        spools = state.spool_root(folder)
        spools.mkdir(mode=0o700, exist_ok=True)
        outbox = Outbox(folder / "outbox", spools)
        self._progress = Progress()
        self._credentials = Credentials(folder)
        machine_id = _machine_id(folder)
        recorded = Recorded(folder / "streams" / "recorded")
        self._registry = Registry(
            Index(folder / "streams"),
            recorded,
            machine_id=machine_id,
            state_dir=folder,
            append_grace_s=options.append_grace_s,
            log_segment_bytes=options.log_segment_bytes,
            unseen_grace_s=options.unseen_grace_s,
        )
        self._uploader = Uploader(self._credentials, self._progress, timeout_s=options.upload_timeout_s)
        self._tailer = Tailer(
            self._registry,
            spools,
            outbox,
            self._progress,
            self._uploader,
            sync_interval_s=options.sync_interval_s,
        )
        self._heartbeats = Heartbeats(machine_id, self._credentials, self._tailer.stop_stream)
        self._tailer.heartbeats = self._heartbeats
        self._sampler = Sampler(
            self._registry, self._tailer.append_sample, interval_s=options.sample_interval_s
        )
        self._registry.on_open = self._sampler.wake
        self._parcels = Parcels(self._registry, self._uploader, recorded, machine_id)
        inquiry = Inquiry(self._credentials, timeout_s=options.upload_timeout_s)
        self._housekeeper = Housekeeper(
            recorded,
            self._registry,
            self._tailer,
            self._parcels,
            inquiry,
            interval_s=options.housekeeping_interval_s,
        )
        self._folders = FolderCalls(
            registry=self._registry,
            tailer=self._tailer,
            uploader=self._uploader,
            credentials=self._credentials,
            progress=self._progress,
            recorded=recorded,
            parcels=self._parcels,
            housekeeper=self._housekeeper,
            inquiry=inquiry,
        )

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._registry.load()
        door = Door(state.socket_path(self._options.state_dir), self._make_server)
        self._tailer.start()
        self._sampler.start()
        self._housekeeper.start()
        for stream in list(self._registry.streams.values()):
            if not stream.finished:
                self._uploader.wake(stream)
        log.info("buoy daemon %s (%s core), pid %d", version(), implementation(), os.getpid())
        while not self._ending.wait(CHECK_S):
            if not self._tailer.is_alive() or self._is_idle() or self._is_orphan():
                break
            self._keep_reachable(door)
            self._parcels.tidy(time.monotonic())
        failed = not self._tailer.is_alive()
        self._end(door)
        return FAILED if failed else 0

    def _keep_reachable(self, door: Door) -> None:
        """Somebody may tidy up /tmp, or the state folder, while the daemon works there; or kill its supervisor."""
        try:
            self._lock.renew()
            door.renew()
        except (OSError, RuntimeError) as error:
            log.warning("the daemon cannot be reached for now: %s", error)
        self._supervision.renew()

    def _make_server(self, address: str) -> grpc.Server:
        service = Service(
            registry=self._registry,
            tailer=self._tailer,
            uploader=self._uploader,
            credentials=self._credentials,
            progress=self._progress,
            folders=self._folders,
            auto=self._options.auto,
            shut_down=self._on_shutdown,
        )
        return make_server(service, address)

    def _is_idle(self) -> bool:
        if not self._options.auto or not (self._registry.idle and self._parcels.idle):
            return False
        return time.monotonic() - self._tailer.idle_since >= self._options.idle_exit_s

    def _is_orphan(self) -> bool:
        if self._lock.lost:
            log.error("ending: the state folder %s was deleted", self._options.state_dir)
        return self._lock.lost

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("ending: %s", signal.Signals(number).name)
        self._ending.set()

    def _on_shutdown(self, drain: bool) -> None:
        log.info("ending: asked to%s", ", after a last look at the spools" if drain else "")
        self._ending.set()

    def _end(self, door: Door) -> None:
        """Reads and syncs what there is, then stops listening. Uploads go on with the next daemon."""
        if not self._lock.lost:
            self._lock.note(state.ENDING)
        self._sampler.stop()
        self._housekeeper.stop()
        self._tailer.stop()
        self._tailer.join()
        self._heartbeats.stop()
        self._uploader.stop()
        door.close()
        log.info("ended")


def _machine_id(folder: Path) -> str:
    """A random name for this machine and user, kept in the state folder."""
    path = folder / "machine-id"
    try:
        machine_id = path.read_text(encoding="ascii").strip()
        if len(bytes.fromhex(machine_id)) == 16:
            return machine_id
        log.warning("%s is damaged; this machine gets a new id", path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s); this machine gets a new id", path, error)
    machine_id = secrets.token_hex(16)
    try:
        write_text(path, machine_id, durable=True)
    except OSError as error:
        log.warning("%s cannot be written: %s", path, error)
    return machine_id
