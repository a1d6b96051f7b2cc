"""`Survey`, `Sync` and `Remove` of `buoy.v1.Daemon`: handlers in gRPC's threads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
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
            if (entry.path / "wal").is_dir():
                yield entry.run_dir
        for stream in list(self._registry.streams.values()):
            if not stream.finished and stream.wal_dir.is_dir():
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
            follows = []
            for run_dir in dict.fromkeys(request.run_dirs):
                try:
                    follow = following.enter_context(
                        self._parcels.following(Path(run_dir), request.destination)
                    )
                except Unreadable as error:
                    yield v1.SyncProgress(folders=[unreadable(Path(run_dir), error)])
                    continue
                self._uploader.lane(follow.consignment.base_url).hurry(server_answers=True)
                follows.append(follow)
            yield from self._report(follows, context)

    def _report(self, follows: list[Follow], context: grpc.ServicerContext) -> Iterator[v1.SyncProgress]:
        said: dict[str, v1.FolderStatus] = {}
        while context.is_active():
            news = []
            for follow in follows:
                status = self._status(follow)
                if said.get(status.run_dir) != status:
                    said[status.run_dir] = status
                    news.append(status)
            yield v1.SyncProgress(folders=news)
            if all(follow.over for follow in follows):
                return
            self._progress.wait_for(lambda: all(follow.over for follow in follows), REPORT_S)

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
            status.state, status.error = "complete", ""
        elif consignment.log_is_short:
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
                entry = recorded.get(run_dir) or (self._give_up(run_dir) if request.unsynced else None)
                if entry is None:
                    reason = "it is not one that this machine has recorded, or its run is not uploaded yet"
                elif not request.unsynced and not self._is_uploaded(entry, ask):
                    reason = "its server does not say that it has everything"
                else:
                    reason = self._housekeeper.remove(entry)
                gone = not (Path(run_dir) / "wal").exists()
                log.info("asked to remove %s: %s", run_dir, reason or "removed")
                answer.folders.append(v1.FolderRemoval(run_dir=run_dir, removed=gone, reason=reason))
        return answer

    def _is_uploaded(self, entry: RecordedFolder, ask: Ask) -> bool:
        if not entry.base_url:
            return False
        answer = ask(entry.base_url, bytes.fromhex(entry.stream_id))
        return answer.next_seq is not None and answer.next_seq >= entry.next_seq

    def _give_up(self, run_dir: str) -> RecordedFolder | None:
        """Lets go of an ended run that no server has taken yet, so that its folder may be removed."""

        def job() -> bytes | None:
            for stream in list(self._registry.streams.values()):
                if stream.run_dir == run_dir and stream.closed:
                    self._uploader.forget(stream)
                    return stream.stream_id if self._registry.let_go(stream) else None
            return None

        try:
            stream_id = self._tailer.call(job).result(FLUSH_S)
        except JobTimeout:
            return None
        return self._recorded.get(stream_id) if stream_id is not None else None


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
