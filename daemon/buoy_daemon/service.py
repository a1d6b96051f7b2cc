"""`buoy.v1.Daemon` on the Unix socket: calls by path with our own messages, so that no generated code is involved.

Handlers run in gRPC's threads. They read plain attributes of streams, and have the tail thread change things. A
handler that waits occupies its thread, so there are many; a thread that has nothing to do costs little.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as JobTimeout
from pathlib import Path
from typing import Any, NoReturn

import grpc
import psutil
from buoy_core import implementation
from buoy_core.state import DAEMON_PROTOCOL
from buoy_proto import v1

from buoy_daemon.append import Feeder, Refusal, acknowledge
from buoy_daemon.credentials import Credentials
from buoy_daemon.errors import LogTrouble, UnclearSpool
from buoy_daemon.folders.calls import FolderCalls
from buoy_daemon.progress import Progress
from buoy_daemon.registry import Registry, check_start
from buoy_daemon.safety import Safety
from buoy_daemon.source import ALIVE, AppendSource
from buoy_daemon.stream import Stream
from buoy_daemon.tail import Tail
from buoy_daemon.tailer import Tailer
from buoy_daemon.uploader.worker import Uploader
from buoy_daemon.version import version

MESSAGE_BYTES_MAX = 80 << 20
"""A record may have 64 MiB, and a frame has to hold it."""

THREADS_MAX = 1024
JOB_TIMEOUT_S = 4.0
PROGRESS_S = 0.2
TROUBLE_PATIENCE_S = 3.0
"""How long Close reports on a log that cannot be written. A disk may stay full, and whoever waits for it is a program
that could end."""
FOREVER_S = 10.0 * 365 * 86400


class Service:
    """The calls. See docs in buoy.proto."""

    def __init__(
        self,
        *,
        registry: Registry,
        tailer: Tailer,
        uploader: Uploader,
        credentials: Credentials,
        progress: Progress,
        folders: FolderCalls,
        auto: bool,
        shut_down: Callable[[bool], None],
    ) -> None:
        self._registry = registry
        self._tailer = tailer
        self._uploader = uploader
        self._credentials = credentials
        self._progress = progress
        self.folders = folders
        self._auto = auto
        self._shut_down = shut_down
        self._started_us = time.time_ns() // 1000

    # Status

    def status(self, request: v1.StatusRequest, _context: grpc.ServicerContext) -> v1.StatusResponse:
        """Version, health and all runs."""
        if request.look:
            self._uploader.hurry()
            with contextlib.suppress(JobTimeout):
                self._tailer.call(lambda: self._tailer.scan(eager=True)).result(JOB_TIMEOUT_S)
        return v1.StatusResponse(
            version=version(),
            protocol=DAEMON_PROTOCOL,
            pid=os.getpid(),
            started_unix_us=self._started_us,
            auto_started=self._auto,
            runs=[self._run_status(stream) for stream in list(self._registry.streams.values())],
            rss_bytes=psutil.Process().memory_info().rss,
            core=implementation(),
            waiting=[
                v1.WaitingSpool(path=path, reason=reason) for path, reason in self._tailer.unclear_spools()
            ],
        )

    def _run_status(self, stream: Stream) -> v1.RunStatus:
        state, error = self._uploader.state(stream)
        return v1.RunStatus(
            run=stream.entry.run,
            attempt=stream.entry.attempt,
            run_dir=stream.entry.run_dir,
            writers=[_writer_status(stream, tail) for tail in list(stream.tails.values())],
            next_seq=stream.next_seq,
            acked_seq=stream.acked_seq,
            upload_state=state,
            upload_error=error,
            url=stream.url,
            log_error=stream.trouble,
        )

    # Open

    def open(self, request: v1.OpenRequest, context: grpc.ServicerContext) -> v1.OpenResponse:
        """Takes on a writer. Never waits for a server longer than a short probe."""
        start = request.writer
        if request.protocol != DAEMON_PROTOCOL:
            text = f"this daemon speaks protocol {DAEMON_PROTOCOL}, the client {request.protocol}"
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, text)
        try:
            check_start(start)
        except UnclearSpool as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if request.api_key and start.base_url:
            self._take_key(start.base_url, request.api_key)
        try:
            job = self._tailer.call(lambda: self._adopt(request))
            stream = job.result(JOB_TIMEOUT_S)
        except (UnclearSpool, LogTrouble, JobTimeout) as error:
            _abort(context, grpc.StatusCode.UNAVAILABLE, f"the spool stays and is taken on later: {error}")
        tail = stream.tails[start.writer_id]
        base_url = stream.entry.base_url
        return v1.OpenResponse(
            url=stream.url,
            server_answers=bool(base_url) and self._uploader.server_answers(base_url),
            run_dir=stream.entry.run_dir,
            attempt=stream.entry.attempt,
            logged_offset=tail.synced,
        )

    def _take_key(self, base_url: str, api_key: str) -> None:
        if self._credentials.give(base_url, api_key):
            self._uploader.lane(base_url).hurry(server_answers=False)

    def _adopt(self, request: v1.OpenRequest) -> Stream:
        known = self._registry.find(request.writer.writer_id)
        if known is not None:
            stream = known[0]
        elif request.spool_dir:
            stream = self._registry.adopt_spool(Path(request.spool_dir))
        else:
            stream = self._registry.adopt(request.writer, "", pid=request.writer.pid)
        tail = stream.tails[request.writer.writer_id]
        if tail.entry.state == v1.RUN_STATE_CRASHED and not tail.entry.spool_dir:
            self._registry.revive(stream, tail)
        self._uploader.wake(stream)
        return stream

    # Flush and Close

    def flush(self, request: v1.FlushRequest, context: grpc.ServicerContext) -> v1.FlushResponse:
        """Waits until an offset is safe."""
        stream, tail = self._find(request.writer_id, context)
        timeout_s = request.timeout_s or context.time_remaining() or FOREVER_S
        self._hurry(tail, request.offset)
        safe = Safety(stream, [(tail, request.offset)], request.durability)
        return v1.FlushResponse(done=self._wait(safe, timeout_s, context))

    def close(self, request: v1.CloseRequest, context: grpc.ServicerContext) -> Iterator[v1.CloseProgress]:
        """Reports until an offset is safe, or until it is clear that the log cannot be written for a while.

        Safe on the server means: with what the stream's other writers have written by now.
        """
        stream, tail = self._find(request.writer_id, context)
        on_disk = Safety(stream, [(tail, request.offset)], v1.DURABILITY_DISK)
        wanted = on_disk
        if request.durability == v1.DURABILITY_SERVER:
            targets = self._tailer.call(lambda: self._handed_over(stream)).result(JOB_TIMEOUT_S)
            wanted = Safety(stream, [*targets, (tail, request.offset)], v1.DURABILITY_SERVER)
            for other, offset in targets:
                self._hurry(other, offset)
        self._hurry(tail, request.offset)
        well_at = time.monotonic()
        while context.is_active():
            self._wait(wanted if on_disk.reached() else on_disk, PROGRESS_S, context)
            done = wanted.reached() or (wanted.hopeless and on_disk.reached())
            yield self._progress_of(stream, on_disk=on_disk.reached())
            if not stream.trouble:
                well_at = time.monotonic()
            if done or (not on_disk.reached() and time.monotonic() - well_at > TROUBLE_PATIENCE_S):
                return

    def _handed_over(self, stream: Stream) -> list[tuple[Tail, int]]:
        """How far the stream's live writers are. In the tail thread only."""
        # A forked child tells nobody of its spool, and may have ended already.
        self._tailer.scan(eager=True)
        for tail in stream.live_tails():
            tail.look()
        return [(tail, tail.committed) for tail in stream.live_tails()]

    def _progress_of(self, stream: Stream, *, on_disk: bool) -> v1.CloseProgress:
        state, error = self._uploader.state(stream)
        return v1.CloseProgress(
            on_disk=on_disk,
            records=stream.next_seq,
            records_acked=stream.acked_seq,
            server_answers=self._uploader.last_known(stream.entry.base_url),
            log_error=stream.trouble,
            upload_state=state,
            upload_error=error,
        )

    def _find(self, writer_id: bytes, context: grpc.ServicerContext) -> tuple[Stream, Tail]:
        found = self._registry.find(writer_id) or self._look_for(writer_id)
        if found is None:
            _abort(context, grpc.StatusCode.NOT_FOUND, "this daemon does not know the writer; open it first")
        return found

    def _look_for(self, writer_id: bytes) -> tuple[Stream, Tail] | None:
        """A writer that the tail thread would come across by itself in a moment."""
        self._tailer.call(self._tailer.scan).result(JOB_TIMEOUT_S)
        return self._registry.find(writer_id)

    def _hurry(self, tail: Tail, offset: int) -> None:
        if offset > tail.synced:
            tail.flush_to = max(tail.flush_to, offset)
            self._tailer.wake()

    def _wait(self, safety: Safety, timeout_s: float, context: grpc.ServicerContext) -> bool:
        end = time.monotonic() + timeout_s
        while context.is_active() and not safety.hopeless:
            left = end - time.monotonic()
            if self._progress.wait_for(safety.reached, min(left, 1.0)):
                return True
            if left <= 0:
                break
        return safety.reached()

    # Append

    def append(
        self, requests: Iterator[v1.AppendRequest], context: grpc.ServicerContext
    ) -> Iterator[v1.AppendResponse]:
        """Takes frames in; answers with the offset to go on from, then with what is synced."""
        first = next(requests, None)
        if first is None:
            return
        stream, tail = self._find(first.writer_id, context)
        if tail.ended:
            yield v1.AppendResponse(logged_offset=tail.synced, control=ALIVE)
            return
        source = tail.source
        if not isinstance(source, AppendSource):
            text = stream.trouble or "the writer writes to a spool"
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, text)
        connection = source.attach()
        context.add_callback(lambda: self._leave(source, connection))
        # What waits in memory may yet be lost to a full disk, so the client goes on from what is synced.
        self._hurry(tail, source.available)
        self._progress.wait_for(lambda: source.ready and tail.synced >= source.available, JOB_TIMEOUT_S)
        offset = tail.synced
        yield v1.AppendResponse(logged_offset=offset, control=source.control)
        feeder = Feeder(source, connection, first, requests, self._tailer.wake)
        feeder.start()
        try:
            yield from acknowledge(tail, feeder, self._progress, context.is_active, offset)
        except Refusal as refusal:
            _abort(context, refusal.code, refusal.text)

    def _leave(self, source: AppendSource, connection: int) -> None:
        source.detach(connection)
        self._progress.notify()

    # Shutdown

    def shutdown(self, request: v1.ShutdownRequest, _context: grpc.ServicerContext) -> v1.ShutdownResponse:
        """Ends the daemon, once the answer is out."""
        self._shut_down(request.drain)
        return v1.ShutdownResponse(pid=os.getpid())


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, text: str) -> NoReturn:
    context.abort(code, text)
    raise AssertionError("abort() raises")


def _writer_status(stream: Stream, tail: Tail) -> v1.WriterStatus:
    return v1.WriterStatus(
        writer_id=tail.writer_id,
        rank=tail.entry.rank,
        pid=tail.entry.pid,
        state=tail.entry.state,  # type: ignore[arg-type]
        committed_offset=tail.committed,
        logged_offset=tail.logged,
        alive=tail.alive and not tail.ended,
        records_dropped=tail.drops.seen,
        local_rank=tail.entry.local_rank,
        host=tail.entry.host or stream.entry.host,
        last_step=tail.entry.last_step,
        last_row_unix_us=max(0, tail.entry.last_row_us),
        backlog_bytes=tail.backlog_bytes(stream.acked_seq) if stream.base_url and not stream.uploaded else 0,
        forked=tail.entry.forked,
    )


def make_server(service: Service, address: str) -> grpc.Server:
    """A server on `address`, not yet started. RuntimeError if it cannot listen there."""
    options = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.so_reuseport", 0),
    ]
    pool = ThreadPoolExecutor(max_workers=THREADS_MAX, thread_name_prefix="rpc")
    server = grpc.server(pool, options=options)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("buoy.v1.Daemon", _handlers(service)),)
    )
    if server.add_insecure_port(address) == 0:
        raise RuntimeError(f"cannot listen on {address}")
    return server


def _handlers(service: Service) -> dict[str, Any]:
    def with_types(make: Callable[..., Any], behaviour: Callable[..., Any], request: Any) -> Any:
        return make(
            behaviour,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    unary, streaming = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    return {
        "Status": with_types(unary, service.status, v1.StatusRequest),
        "Open": with_types(unary, service.open, v1.OpenRequest),
        "Flush": with_types(unary, service.flush, v1.FlushRequest),
        "Close": with_types(streaming, service.close, v1.CloseRequest),
        "Append": with_types(grpc.stream_stream_rpc_method_handler, service.append, v1.AppendRequest),
        "Survey": with_types(unary, service.folders.survey, v1.SurveyRequest),
        "Sync": with_types(streaming, service.folders.sync, v1.SyncRequest),
        "Remove": with_types(unary, service.folders.remove, v1.RemoveRequest),
        "Shutdown": with_types(unary, service.shutdown, v1.ShutdownRequest),
    }
