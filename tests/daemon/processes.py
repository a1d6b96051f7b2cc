"""Real daemons and real writers in processes of their own, and a client that talks to the daemon."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from buoy_core import SpoolReader, Writer, process_identity
from buoy_core.state import DAEMON_PROTOCOL, log_path, socket_path, spool_root
from buoy_proto import v1

DEADLINE_S = 30.0


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Polls until `condition()` is true; fails the test after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not in {deadline_s} s: {what}"
        time.sleep(0.01)


class DaemonProcess:
    """A daemon of the state folder, started at once."""

    def __init__(
        self,
        state_dir: Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.state_dir = state_dir
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "buoy_daemon", "run", "--state-dir", str(state_dir), *arguments],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.client = Client(state_dir)

    def wait_ready(self) -> DaemonProcess:
        def ready() -> bool:
            assert self.process.poll() is None, f"the daemon ended: {self.process.returncode}\n{self.log()}"
            status = self.client.try_status()
            return status is not None and status.pid == self.process.pid

        wait_until(ready, "the daemon answers Status")
        return self

    def log(self) -> str:
        path = log_path(self.state_dir)
        said = self.process.stderr.read().decode() if self.process.poll() is not None else ""
        return said + (path.read_text() if path.exists() else "")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.client.close()
            self.process.stderr.close()


class Client:
    """The calls of `buoy.v1.Daemon`, by path."""

    def __init__(self, state_dir: Path) -> None:
        self._address = f"unix:{socket_path(state_dir)}"
        self._channel: grpc.Channel | None = None

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _call(self, kind: str, method: str, response: Any) -> Any:
        if self._channel is None:
            # A pool of its own: channels to one address share a connection and its back-off otherwise.
            self._channel = grpc.insecure_channel(
                self._address, options=[("grpc.use_local_subchannel_pool", 1)]
            )
        return getattr(self._channel, kind)(
            f"/buoy.v1.Daemon/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def status(self, timeout_s: float = 5.0) -> v1.StatusResponse:
        return self._call("unary_unary", "Status", v1.StatusResponse)(v1.StatusRequest(), timeout=timeout_s)

    def try_status(self) -> v1.StatusResponse | None:
        try:
            return self.status(1.0)
        except grpc.RpcError:
            self.close()
            return None

    def open(self, start: v1.WriterStart, spool_dir: str = "", api_key: str = "") -> v1.OpenResponse:
        request = v1.OpenRequest(spool_dir=spool_dir, writer=start, api_key=api_key, protocol=DAEMON_PROTOCOL)
        return self._call("unary_unary", "Open", v1.OpenResponse)(request, timeout=15.0)

    def flush(self, writer_id: bytes, offset: int, durability: int, timeout_s: float) -> bool:
        request = v1.FlushRequest(
            writer_id=writer_id, offset=offset, durability=durability, timeout_s=timeout_s
        )
        return self._call("unary_unary", "Flush", v1.FlushResponse)(request, timeout=timeout_s + 10).done

    def close_writer(self, writer_id: bytes, offset: int, durability: int) -> Iterator[v1.CloseProgress]:
        request = v1.CloseRequest(writer_id=writer_id, offset=offset, durability=durability)
        return self._call("unary_stream", "Close", v1.CloseProgress)(request, timeout=DEADLINE_S)

    def append(self, requests: Iterator[v1.AppendRequest]) -> Any:
        return self._call("stream_stream", "Append", v1.AppendResponse)(requests, timeout=120.0)

    def shut_down(self) -> int:
        request = v1.ShutdownRequest(drain=True)
        return self._call("unary_unary", "Shutdown", v1.ShutdownResponse)(request, timeout=5.0).pid


def writer_start(run_dir: Path, base_url: str = "", run_id: str = "r1", **fields: Any) -> v1.WriterStart:
    pid, _ = process_identity()
    return v1.WriterStart(
        **{
            "writer_id": secrets.token_bytes(16),
            "run": v1.RunInfo(entity="local", project="p", run_id=run_id),
            "time_unix_us": time.time_ns() // 1000,
            "host": "h",
            "pid": pid,
            "run_dir": str(run_dir),
            "base_url": base_url,
            "world_size": 1,
            **fields,
        }
    )


class SpoolRun:
    """A writer of this process, as the SDK would make one."""

    def __init__(self, state_dir: Path, start: v1.WriterStart) -> None:
        self.start = start
        self.writer_id = start.writer_id
        self.folder = spool_root(state_dir) / start.writer_id.hex()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.writer = Writer(str(self.folder), writer_id=start.writer_id, segment_bytes=1 << 18)
        self.writer.append(v1.Record(writer_start=start).SerializeToString())

    def log(self, count: int, begin: int = 0) -> None:
        for number in range(begin, begin + count):
            self.writer.log({"value": number})

    def finish(self, state: int = v1.RUN_STATE_FINISHED) -> int:
        end = v1.WriterEnd(writer_id=self.writer_id, state=state, time_unix_us=time.time_ns() // 1000)
        self.writer.append(v1.Record(writer_end=end).SerializeToString())
        offset = self.writer.committed
        self.writer.close()
        return offset


class AppendRun(SpoolRun):
    """A writer that shares no folder with the daemon: its spool is private, and a thread forwards the frames."""

    def __init__(self, state_dir: Path, start: v1.WriterStart) -> None:
        self.private = state_dir.parent / "private"
        super().__init__(self.private, start)
        self.acknowledged = 0
        self.answers: list[v1.AppendResponse] = []
        self.stopped = threading.Event()
        self.batch_bytes = 1 << 16
        self.client = Client(state_dir)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.stopped.is_set() and not (
            self.writer.closed and self.acknowledged >= self.writer.committed
        ):
            try:
                self._session()
            except grpc.RpcError:
                self.client.close()
                time.sleep(0.05)
        self.client.close()

    def _session(self) -> None:
        self.acknowledged = max(self.acknowledged, self.client.open(self.start).logged_offset)
        reader = SpoolReader(str(self.folder), self.acknowledged)
        over = threading.Event()
        try:
            for answer in self.client.append(self._requests(reader, over)):
                self.answers.append(answer)
                self.acknowledged = max(self.acknowledged, answer.logged_offset)
                if self.stopped.is_set():
                    return
        finally:
            over.set()

    def _requests(self, reader: SpoolReader, over: threading.Event) -> Iterator[v1.AppendRequest]:
        yield v1.AppendRequest(writer_id=self.writer_id, begin_offset=reader.offset)
        while not over.is_set() and not self.stopped.is_set():
            chunk = reader.read(self.batch_bytes, frames=True)
            if chunk is not None:
                yield v1.AppendRequest(begin_offset=chunk.begin, frames=chunk.frames)
            elif reader.sealed:
                return
            else:
                time.sleep(0.01)

    def vanish(self) -> None:
        """As if the process had died."""
        self.stopped.set()
        self.thread.join()


class WriterProcess:
    """A writer in a process of its own; see writer_process.py."""

    def __init__(
        self,
        state_dir: Path,
        run_dir: Path,
        base_url: str,
        *,
        count: int,
        rate: float = 1e9,
        end: str = "finish",
        run_id: str = "r1",
    ) -> None:
        self.writer_id = secrets.token_bytes(16)
        self.count = count
        self.folder = spool_root(state_dir) / self.writer_id.hex()
        words = [state_dir, run_dir, base_url, self.writer_id.hex(), run_id, count, rate, end]
        script = Path(__file__).with_name("writer_process.py")
        self.process = subprocess.Popen(
            [sys.executable, script, *map(str, words)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )

    def announce(self, client: Client) -> None:
        """Tells the daemon at once, instead of waiting for it to look round. It may die of that."""
        wait_until((self.folder / "00000000.seg").exists, "the spool begins")
        start = v1.WriterStart(writer_id=self.writer_id, run=v1.RunInfo(run_id="r"))
        with contextlib.suppress(grpc.RpcError):
            client.open(start, str(self.folder))
        client.close()

    def wait(self) -> int:
        with self.process.stdout:
            return self.process.wait(DEADLINE_S)

    def wait_logged(self) -> None:
        """Returns when all rows have been logged; with end="hold" the process lives on."""
        assert self.process.stdout.readline() == b"done\n"
