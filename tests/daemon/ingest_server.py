"""A server that keeps the rules of docs/format.md section 5, and can be told to break them.

It checks every block with `buoy_core`, refuses what a real server would refuse, and remembers each record with its
sequence, so that a test can say exactly what arrived, how often and in which order.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from buoy_core import decode_rows, split_records
from buoy_core.block import open_block, split_blocks
from buoy_core.errors import CoreError
from buoy_core.format import KIND_GAP, KIND_TABLES
from buoy_proto import v1

Script = Callable[["Handler", bytes], bool]
"""Handles a request in place of the server; False = the server goes on as usual."""


@dataclass
class ReceivedStream:
    next_seq: int = 0
    records: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(writer id, record), the index is the sequence. A record lost in a gap is an empty one."""
    gaps: list[tuple[int, int, bytes]] = field(default_factory=list)

    def messages(self) -> list[tuple[bytes, v1.Record]]:
        return [(writer_id, v1.Record.FromString(data)) for writer_id, data in self.records]

    def writer_ends(self) -> dict[bytes, int]:
        ends = [
            record.writer_end for _, record in self.messages() if record.WhichOneof("kind") == "writer_end"
        ]
        assert len(ends) == len({end.writer_id for end in ends}), "a writer ended twice"
        return {end.writer_id: end.state for end in ends}


class IngestServer:
    def __init__(self, port: int = 0, *, api_key: str | None = None) -> None:
        self.streams: dict[bytes, ReceivedStream] = defaultdict(ReceivedStream)
        self.api_key = api_key
        self.script: Script | None = None
        self.requests: Counter[str] = Counter()
        self.heartbeat: Callable[[dict[str, Any]], tuple[int, dict[str, Any]]] | None = None
        """Answers heartbeats; None = an older server, which knows none."""
        self.beats: list[dict[str, Any]] = []
        self.old_beats = 0
        self.received_at: dict[bytes, float] = {}
        self.errors: list[str] = []
        self.body_bytes_max = 16 << 20
        self.largest_body = 0
        self.lock = threading.Lock()
        self._http = _Http(("127.0.0.1", port), Handler)
        self._http.ingest = self
        self.port = self._http.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._http.connections):
            cut(connection)

    def restarted(self) -> IngestServer:
        """Another server on the same port with the same data."""
        other = IngestServer(self.port, api_key=self.api_key)
        other.streams = self.streams
        other.received_at = self.received_at
        return other

    def only_stream(self) -> ReceivedStream:
        """The stream, or an empty one as long as there is none."""
        assert len(self.streams) <= 1, f"{len(self.streams)} streams"
        return next(iter(self.streams.values()), ReceivedStream())

    def of_run(self, run_id: str) -> list[ReceivedStream]:
        found = []
        # One that was only asked about has no record yet.
        for stream in [stream for stream in list(self.streams.values()) if stream.records]:
            start = v1.Record.FromString(stream.records[0][1]).stream_start
            if start.run.run_id == run_id:
                found.append((start.attempt, stream))
        return [stream for _, stream in sorted(found, key=lambda pair: pair[0])]

    def take(self, stream_id: bytes, body: bytes) -> tuple[int, dict[str, Any]]:
        """What a POST of blocks answers."""
        with self.lock:
            self.largest_body = max(self.largest_body, len(body))
            stream = self.streams[stream_id]
            try:
                blocks = [(header, bytes(data)) for header, data in split_blocks(body)]
            except CoreError as error:
                self.errors.append(str(error))
                return 400, {"code": "bad_block", "detail": str(error)}
            for header, _ in blocks:
                if header.stream_id != stream_id:
                    self.errors.append("foreign block")
                    return 400, {"code": "foreign_block"}
            if len(body) > self.body_bytes_max:
                return 413, {"code": "too_large"}
            for header, data in blocks:
                if header.kind != KIND_TABLES and header.first_seq > stream.next_seq:
                    return 409, {"code": "sequence_gap", "next_seq": stream.next_seq}
                self._store(stream, header, data)
            return 200, {"next_seq": stream.next_seq}

    def _store(self, stream: ReceivedStream, header: Any, data: bytes) -> None:
        if header.kind == KIND_TABLES or header.next_seq <= stream.next_seq:
            return
        payload = open_block(data)[1]
        if header.kind == KIND_GAP:
            stream.gaps.append((header.first_seq, header.records, payload))
            stream.records += [(b"", b"")] * (header.next_seq - stream.next_seq)
        else:
            records = split_records(payload)
            assert len(records) == header.records
            stream.records += [
                (header.writer_id, data) for data in records[stream.next_seq - header.first_seq :]
            ]
        stream.next_seq = header.next_seq
        self.received_at[header.writer_id] = time.monotonic()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    ingest: IngestServer

    def __init__(self, *args: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two packets; without this each answer takes 40 ms.
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        ingest = self.server.ingest
        ingest.requests["GET"] += 1
        if self.path == "/healthz":
            self.answer(200, {"status": "ok"})
        elif not self._authorised():
            self.answer(401, {"code": "unauthorised", "title": "the token is wrong"})
        elif ingest.script is None or not ingest.script(self, b""):
            stream_id = bytes.fromhex(self.path.rsplit("/", 1)[-1])
            self.answer(200, {"next_seq": ingest.streams[stream_id].next_seq})

    def do_POST(self) -> None:
        ingest = self.server.ingest
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/v1/heartbeat":
            self._beat(json.loads(body))
            return
        ingest.requests["POST"] += 1
        assert self.headers["Content-Type"] == "application/vnd.buoy.blocks"
        if not self._authorised():
            self.answer(401, {"code": "unauthorised", "title": "the token is wrong"})
        elif ingest.script is None or not ingest.script(self, body):
            self.answer(*self.take(body))

    def _beat(self, beat: dict[str, Any]) -> None:
        ingest = self.server.ingest
        if ingest.heartbeat is None:
            ingest.old_beats += 1
            self.answer(404, {"code": "no_such_route"})
            return
        ingest.beats.append(beat)
        self.answer(*ingest.heartbeat(beat))

    def take(self, body: bytes) -> tuple[int, dict[str, Any]]:
        return self.server.ingest.take(bytes.fromhex(self.path.split("/")[-2]), body)

    def _authorised(self) -> bool:
        key = self.server.ingest.api_key
        return key is None or self.headers.get("Authorization") == f"Bearer {key}"

    def answer(
        self, status: int, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def cut(self) -> None:
        self.close_connection = True
        cut(self.connection)


def cut(connection: socket.socket) -> None:
    """Breaks a connection as a crash does: with a reset, not a goodbye."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def values_of(stream: ReceivedStream, writer_id: bytes) -> list[float]:
    """The numbers of a writer's rows, in the order of arrival."""
    values: list[float] = []
    for owner, data in stream.records:
        if owner == writer_id:
            rows = decode_rows(bytes([*_varint(len(data))]) + data)
            values += struct.unpack(f"={rows.n}d", rows.value)
    return values


def _varint(number: int) -> list[int]:
    out = []
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return [*out, number]
