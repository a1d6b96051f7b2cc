"""`Survey`, `Sync` and `Remove` of `buoy.v1.Daemon`: handlers in gRPC's threads."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as JobTimeout
from contextlib import ExitStack
from pathlib import Path

import grpc
from buoy_proto import v1

from buoy_daemon.credentials import Credentials
from buoy_daemon.folders.folder_log import FolderLog, Unreadable, read_folder
from buoy_daemon.folders.housekeeper import Housekeeper
from buoy_daemon.folders.inquiry import Ask, Inquiry
from buoy_daemon.folders.parcels import Follow, Parcels
from buoy_daemon.folders.recorded import Recorded, RecordedFolder
from buoy_daemon.progress import Progress
from buoy_daemon.registry import Registry
from buoy_daemon.stream import Stream
from buoy_daemon.tailer import Tailer
from buoy_daemon.uploader.plan import DELETED
from buoy_daemon.uploader.worker import Uploader

log = logging.getLogger(__name__)

REPORT_S = 0.2
FLUSH_S = 4.0


class FolderCalls:
    """See docs in buoy.proto."""

    def __init__(
        self,
        *,
        registry: Registry,
        tailer: Tailer,
        uploader: Uploader,
        credentials: Credentials,
        progress: Progress,
        recorded: Recorded,
        parcels: Parcels,
        housekeeper: Housekeeper,
        inquiry: Inquiry,
    ) -> None:
        self._registry = registry
        self._tailer = tailer
        self._uploader = uploader
        self._credentials = credentials
        self._progress = progress
        self._recorded = recorded
        self._parcels = parcels
        self._housekeeper = housekeeper
        self._inquiry = inquiry

    # Survey

    def survey(self, request: v1.SurveyRequest, _context: grpc.ServicerContext) -> v1.SurveyResponse:
        """Reads folders, and asks servers about them if that is wanted."""
        self._take_key(request.destination)
        wanted = [*request.run_dirs, *(self._recorded_folders() if request.recorded else [])]
        due = self._housekeeper.due() if request.recorded else {}
        with self._inquiry.session() as ask:
            return v1.SurveyResponse(
                folders=[
                    self._look(Path(run_dir), request.destination, ask if request.ask else None, due)
                    for run_dir in dict.fromkeys(wanted)
                ]
            )

    def _recorded_folders(self) -> Iterator[str]:
        for entry in sorted(self._recorded.all(), key=lambda entry: entry.done_us):
            if os.path.isdir(entry.path / "wal"):  # noqa: PTH112 - no disk that is away makes it raise
                yield entry.run_dir
        for stream in list(self._registry.streams.values()):
            if not stream.finished and os.path.isdir(stream.wal_dir):  # noqa: PTH112
                yield stream.run_dir

    def _look(
        self, run_dir: Path, wanted: v1.Destination, ask: Ask | None, due: dict[str, str]
    ) -> v1.FolderStatus:
        try:
            folder = read_folder(run_dir)
        except Unreadable as error:
            return unreadable(run_dir, error)
        entry, stream = self._recorded.get(folder.stream_id), self._parcels.own_stream(folder)
        own = entry is not None and entry.run_dir == str(run_dir)
        status = describe(folder, self._parcels.server_of(folder, wanted))
        if own and entry is not None and entry.base_url and not wanted.base_url:
            # An offline run may have been uploaded since.
            status.base_url = entry.base_url
        if stream is not None:
            status.records = max(folder.next_seq, stream.next_seq)
        status.live = stream is not None and not stream.entry.closed
        status.recorded = stream is not None or own
        status.due = due.get(folder.stream_id.hex(), "")
        if ask is not None and status.base_url:
            answer = ask(status.base_url, folder.stream_id)
            if answer.next_seq is None:
                status.state, status.error = answer.state, answer.error
            else:
                status.acked_seq = min(answer.next_seq, status.records)
                status.state = "complete" if answer.next_seq >= status.records else "sending"
        return status

    def _take_key(self, destination: v1.Destination) -> None:
        base_url = destination.base_url or destination.default_base_url
        if destination.api_key and base_url and self._credentials.give(base_url, destination.api_key):
            self._uploader.lane(base_url).hurry(server_answers=False)

    # Sync

    def sync(self, request: v1.SyncRequest, context: grpc.ServicerContext) -> Iterator[v1.SyncProgress]:
        """Uploads folders; when the client goes, what is on its way goes on for a while."""
        self._take_key(request.destination)
        self._flush(request.run_dirs)
        with ExitStack() as following:
            report = _Report(self._status, self._show_life)
            said_at = time.monotonic()
            for run_dir in dict.fromkeys(request.run_dirs):
                try:
                    follow = following.enter_context(
                        self._parcels.following(Path(run_dir), request.destination)
                    )
                except Unreadable as error:
                    yield v1.SyncProgress(folders=[unreadable(Path(run_dir), error)])
                    continue
                self._uploader.lane(follow.consignment.base_url).hurry(server_answers=True)
                report.add(follow)
                # There may be thousands, and the first are sent while the last are looked at.
                if time.monotonic() - said_at >= REPORT_S:
                    said_at = time.monotonic()
                    yield v1.SyncProgress(folders=report.news())
            while context.is_active() and report.waiting:
                self._progress.wait_for(lambda: report.over, REPORT_S)
                yield v1.SyncProgress(folders=report.news())

    def _show_life(self, follow: Follow) -> None:
        """Tells the server of a log that has got something new, in case nobody is left to say how it ends."""
        # A stream in hand has heartbeats of its own, or is offline: then this daemon will say how it ends.
        if self._parcels.own_stream(follow.folder) is None:
            machine_id = follow.folder.start.machine_id
            self._inquiry.show_life(follow.consignment.base_url, machine_id, follow.folder.stream_id)

    def _status(self, follow: Follow) -> v1.FolderStatus:
        consignment = follow.consignment
        status = describe(follow.folder, consignment.base_url)
        status.records = follow.goal
        if follow.began_seq is not None:
            status.began_seq = min(follow.began_seq, follow.goal)
        # Before what was lost is read: a gap is noted before it counts as sent.
        status.acked_seq = min(consignment.acked_seq, follow.goal)
        status.lost.extend(list(consignment.lost))
        status.live = isinstance(consignment, Stream) and not consignment.entry.closed
        state, status.error = self._uploader.state(consignment)
        status.state = "sending" if state == "idle" else state
        if follow.reached:
            status.state, status.error = "complete", DELETED if consignment.hidden else ""
        elif follow.cut_short:
            status.state, status.error = "incomplete", "the end of its log cannot be read"
        return status

    def _flush(self, run_dirs: Iterable[str]) -> None:
        """Has what live writers have handed over put into their logs, so that a run is sent as far as it has come."""
        wanted = set(run_dirs)

        def job() -> list[Stream]:
            self._tailer.scan(eager=True)
            streams = [
                stream
                for stream in self._registry.streams.values()
                if stream.run_dir in wanted and not stream.entry.closed
            ]
            for tail in (tail for stream in streams for tail in stream.live_tails()):
                tail.look()
                tail.flush_to = max(tail.flush_to, tail.committed)
            return streams

        try:
            streams = self._tailer.call(job).result(FLUSH_S)
        except JobTimeout:
            return
        tails = [tail for stream in streams for tail in stream.live_tails()]
        self._progress.wait_for(
            lambda: all(tail.ended or tail.synced >= tail.flush_to for tail in tails), FLUSH_S
        )

    # Remove

    def remove(self, request: v1.RemoveRequest, _context: grpc.ServicerContext) -> v1.RemoveResponse:
        """Removes folders that this daemon has recorded; what no server has only if that is said."""
        recorded = {entry.run_dir: entry for entry in self._recorded.all()}
        answer = v1.RemoveResponse()
        with self._inquiry.session() as ask:
            for run_dir in dict.fromkeys(request.run_dirs):
                reason = self._remove(run_dir, recorded.get(run_dir), ask, unsynced=request.unsynced)
                gone = not os.path.lexists(Path(run_dir) / "wal")
                log.info("asked to remove %s: %s", run_dir, reason or "removed")
                answer.folders.append(v1.FolderRemoval(run_dir=run_dir, removed=gone, reason=reason))
        return answer

    def _remove(self, run_dir: str, entry: RecordedFolder | None, ask: Ask, *, unsynced: bool) -> str:
        """Why a folder stays, or what of it does; empty if it is gone."""
        entry = entry or self._let_go(run_dir, ask, unsynced=unsynced)
        if entry is None:
            return "it is not one that this machine has recorded, or its run is not uploaded yet"
        if not unsynced and not _has_all(ask, entry.base_url, bytes.fromhex(entry.stream_id), entry.next_seq):
            return "its server does not say that it has everything"
        return self._housekeeper.remove(entry)

    def _let_go(self, run_dir: str, ask: Ask, *, unsynced: bool) -> RecordedFolder | None:
        """Finishes an ended run that is on its server without that being noted yet, or of which nobody minds."""
        streams = list(self._registry.streams.values())
        stream = next((each for each in streams if each.run_dir == run_dir and each.closed), None)
        if stream is None:
            return None
        uploaded = _has_all(ask, stream.base_url, stream.stream_id, stream.next_seq)
        if not uploaded and not unsynced:
            return None

        def job() -> bool:
            return stream.closed and self._registry.let_go(stream, uploaded=uploaded)

        try:
            if not self._tailer.call(job).result(FLUSH_S):
                return None
        except JobTimeout:
            return None
        self._uploader.forget(stream)
        return self._recorded.get(stream.stream_id)


def _has_all(ask: Ask, base_url: str, stream_id: bytes, next_seq: int) -> bool:
    """Whether a server says that it has all of a log."""
    if not base_url:
        return False
    answer = ask(base_url, stream_id)
    return answer.next_seq is not None and answer.next_seq >= next_seq


class _Report:
    """What there is to say about folders that are followed: each change once.

    Args:
        status: says how one is.
        on_first: is called once for each of which something was sent.
    """

    def __init__(
        self, status: Callable[[Follow], v1.FolderStatus], on_first: Callable[[Follow], None]
    ) -> None:
        self._status = status
        self._on_first = on_first
        self._follows: list[Follow] = []
        self._moved: set[Follow] = set()
        self._said: dict[str, v1.FolderStatus] = {}

    def add(self, follow: Follow) -> None:
        """One more."""
        self._follows.append(follow)

    @property
    def waiting(self) -> bool:
        """Whether there is one of which the last has not been said."""
        return bool(self._follows)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return all(follow.over for follow in self._follows)

    def news(self) -> list[v1.FolderStatus]:
        """What has changed since the last time. What was over before that is looked at for the last time."""
        found, left = [], []
        for follow in self._follows:
            over = follow.over
            if follow.moved and follow not in self._moved:
                self._moved.add(follow)
                self._on_first(follow)
            status = self._status(follow)
            if self._said.get(status.run_dir) != status:
                self._said[status.run_dir] = status
                found.append(status)
            if not over:
                left.append(follow)
        self._follows = left
        return found


def describe(folder: FolderLog, base_url: str) -> v1.FolderStatus:
    """What a folder says of itself."""
    return v1.FolderStatus(
        run_dir=str(folder.run_dir),
        run=folder.start.run,
        base_url=base_url,
        records=folder.next_seq,
        size_bytes=folder.size_bytes,
        state="unknown",
        changed_unix_us=folder.changed_us,
    )


def unreadable(run_dir: Path, error: Unreadable) -> v1.FolderStatus:
    """The status of what is no run's folder."""
    return v1.FolderStatus(run_dir=str(run_dir), state="unreadable", error=str(error))
