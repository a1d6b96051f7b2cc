"""The folders that somebody wants uploaded, and how far each is.

A folder is sent by the same lanes as the streams of runs that go on. If its stream is one of this daemon's own, on its
way to the same server, that is followed; otherwise the folder is sent beside whoever else may send it, and the server
counts each record once.

Whoever asks may go away: what is on its way goes on as long as the server takes anything, and no longer than
`PATIENCE_S` when it does not. Nothing of it is kept for another daemon: it is asked for again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from buoy_proto import v1

from buoy_daemon.folders.destination import destination, same_server
from buoy_daemon.folders.folder_log import FolderLog, Unreadable, make_durable, read_folder
from buoy_daemon.folders.parcel import Parcel
from buoy_daemon.folders.recorded import Recorded
from buoy_daemon.registry import Registry
from buoy_daemon.stream import Stream
from buoy_daemon.stream_log import now_us
from buoy_daemon.uploader.consignment import Consignment
from buoy_daemon.uploader.worker import Uploader

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""How long folders that nobody waits for stay on their way to a server that takes nothing."""


_Key = tuple[str, bytes, str]
"""Folder, stream and server: what makes two wishes the same."""


@dataclass
class _Traffic:
    """A parcel, how many wait for it, and how far it was when that was looked at last."""

    parcel: Parcel
    followers: int = 0
    seen: int | None = None

    def moves(self) -> bool:
        """Whether anything has come of it since the last look; the server's first answer is something, too."""
        before, self.seen = self.seen, None if self.parcel.began_seq is None else self.parcel.acked_seq
        return self.seen != before


@dataclass(frozen=True, eq=False)
class Follow:
    """Something to wait for: a log up to a sequence."""

    consignment: Consignment
    goal: int
    folder: FolderLog
    begin: int | None
    """What the server had when it was asked for; None = it has not said yet."""

    @property
    def began_seq(self) -> int | None:
        """What the server had before; None = it has not said yet."""
        if self.begin is None and isinstance(self.consignment, Parcel):
            return self.consignment.began_seq
        return self.begin

    @property
    def reached(self) -> bool:
        """Whether the server has it."""
        return self.consignment.acked_seq >= self.goal

    @property
    def moved(self) -> bool:
        """Whether anything was sent since it was asked for."""
        return self.began_seq is not None and self.consignment.acked_seq > self.began_seq

    @property
    def cut_short(self) -> bool:
        """Whether the rest of the log cannot be read. The log of a stream in hand is mended instead."""
        return isinstance(self.consignment, Parcel) and self.consignment.log_is_short

    @property
    def over(self) -> bool:
        """Whether waiting makes no sense any more."""
        return self.reached or self.cut_short


class Parcels:
    """All that are on their way. For any thread."""

    def __init__(self, registry: Registry, uploader: Uploader, recorded: Recorded, machine_id: str) -> None:
        self._registry = registry
        self._uploader = uploader
        self._recorded = recorded
        self._machine_id = machine_id
        self._lock = threading.Lock()
        self._traffic: dict[_Key, _Traffic] = {}
        self._moved_at: dict[str, float] = {}
        """When anything moved last, by server: one that waits for its turn among many is not stuck."""

    def own_stream(self, folder: FolderLog) -> Stream | None:
        """The stream that writes to a folder, if this daemon has it in hand."""
        stream = self._registry.streams.get(folder.stream_id)
        if stream is None or stream.finished or Path(stream.run_dir).resolve() != folder.run_dir.resolve():
            return None
        return stream

    def server_of(self, folder: FolderLog, wanted: v1.Destination) -> str:
        """Where a folder goes."""
        from_here = folder.start.machine_id == self._machine_id
        return destination(folder.base_url, wanted.base_url, wanted.default_base_url, from_here=from_here)

    @contextmanager
    def following(self, run_dir: Path, wanted: v1.Destination) -> Iterator[Follow]:
        """Has a folder uploaded, as far as its log reaches now.

        Raises:
            Unreadable: there is no log, or no server to send it to.
        """
        folder = read_folder(run_dir)
        base_url = self.server_of(folder, wanted)
        if not base_url:
            raise Unreadable("no server is configured for it; name one with --base-url")
        stream = self.own_stream(folder)
        if stream is not None and stream.base_url and same_server(stream.base_url, base_url):
            yield Follow(stream, stream.synced_seq, folder, stream.acked_seq)
            return
        if stream is None:
            make_durable(run_dir)
        end_seq = folder.next_seq if stream is None else stream.synced_seq
        traffic = self._take(Parcel(folder, base_url, end_seq))
        parcel = traffic.parcel
        begin = None if parcel.began_seq is None else parcel.acked_seq
        try:
            self._uploader.wake(parcel)
            yield Follow(parcel, end_seq, folder, begin)
        finally:
            with self._lock:
                traffic.followers -= 1
                self._settle(traffic, time.monotonic())

    def _take(self, wanted: Parcel) -> _Traffic:
        key = (wanted.run_dir, wanted.stream_id, wanted.base_url)
        with self._lock:
            traffic = self._traffic.get(key)
            # One that has arrived is not gone on with: the server is asked anew.
            if traffic is None or traffic.parcel.uploaded:
                traffic = self._traffic[key] = _Traffic(wanted)
            traffic.parcel.extend(wanted.next_seq)
            traffic.followers += 1
            self._moved_at[wanted.base_url] = time.monotonic()
            return traffic

    def tidy(self, now: float) -> None:
        """Forgets what has arrived, and what nobody waits for and does not move."""
        with self._lock:
            for traffic in list(self._traffic.values()):
                self._settle(traffic, now)

    def _settle(self, traffic: _Traffic, now: float) -> None:
        parcel = traffic.parcel
        if traffic.moves():
            self._moved_at[parcel.base_url] = now
        stuck = parcel.log_is_short or now - self._moved_at[parcel.base_url] > PATIENCE_S
        if traffic.followers or not (parcel.uploaded or stuck):
            return
        key = (parcel.run_dir, parcel.stream_id, parcel.base_url)
        if self._traffic.get(key) is traffic:
            del self._traffic[key]
        self._uploader.forget(parcel)
        if parcel.uploaded:
            self._recorded.sent(parcel.stream_id, parcel.run_dir, parcel.base_url, now_us())
        else:
            log.warning("%s is not uploaded: nobody waits for it, and it does not move", parcel.run_dir)

    def has(self, stream_id: bytes) -> bool:
        """Whether a log is on its way."""
        with self._lock:
            return any(key[1] == stream_id for key in self._traffic)

    @property
    def idle(self) -> bool:
        """Whether there is none."""
        return not self._traffic
