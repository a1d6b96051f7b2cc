"""Opens the metrics engine, embedded or remote, and hands out its clients.

chDB takes one engine and one path a process; any number of client handles share it, each for one call at a time. A
pool bounds how many questions run at once, and with the limit per query that bounds the memory.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from buoy_server.errors import Busy, StartError
from buoy_server.metrics.guard import WriteGuard
from buoy_server.metrics.tables import claim, migrate

_CLIENTS = 4
_WAIT_S = 60.0
_QUERY_BYTES_MAX = 2 << 30

_CLIENT_SETTINGS = {
    "max_memory_usage": str(_QUERY_BYTES_MAX),
    "max_execution_time": "60",
    "max_threads": str(min(8, os.cpu_count() or 1)),
}


class MetricsEngine:
    """A pool of clients of one ClickHouse engine. Thread-safe."""

    def __init__(self, clients: list[Client], guard: WriteGuard | None = None) -> None:
        self._clients = clients
        self._guard = guard
        self._idle: queue.LifoQueue[Client] = queue.LifoQueue()
        for client in clients:
            self._idle.put(client)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Lends a client to this thread; waits for one.

        Raises:
            Busy: None came back in time.
        """
        try:
            client = self._idle.get(timeout=_WAIT_S)
        except queue.Empty:
            raise Busy("busy", "Too many metrics queries are running; try again shortly.") from None
        try:
            yield client
        finally:
            self._idle.put(client)

    @contextmanager
    def inserting(self, token: str) -> Iterator[str]:
        """Around one insert; gives the deduplication token to insert with.

        Raises:
            StorageTrouble: What was inserted may not be there.
        """
        if self._guard is None:
            yield token
            return
        with self._guard.insert(token) as salted:
            yield salted

    def rewriting(self) -> None:
        """Somebody has parts rewritten, which the engine does in its own time."""
        if self._guard is not None:
            self._guard.watch_rewriting()

    def close(self) -> None:
        """Closes all clients; the embedded engine ends with the last one."""
        if self._guard is not None:
            self._guard.close()
        for client in self._clients:
            client.close()


def open_engine(url: str, epoch: int) -> MetricsEngine:
    """Opens `chdb:///PATH` or `clickhouse://USER:PASSWORD@HOST:PORT/DATABASE` and brings the tables up to date.

    Args:
        url: Where.
        epoch: Of the metadata that the points belong to.

    Raises:
        StartError: It cannot be opened, a newer server made the tables, or they belong to other metadata.
    """
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    try:
        first = _connect(url)
    except (ClickHouseError, OSError, RuntimeError) as error:
        raise StartError(
            f"the metrics in {where} cannot be opened ({_first_line(error)}); check --metrics-url"
        ) from error
    try:
        migrate(first, where)
        claim(first, epoch, where)
        clients = [first, *(_connect(url) for _ in range(_CLIENTS - 1))]
        guard = WriteGuard(_connect(url), Path(unquote(parts.path))) if parts.scheme == "chdb" else None
        return MetricsEngine(clients, guard)
    except StartError:
        first.close()
        raise
    except ClickHouseError as error:
        first.close()
        raise StartError(f"the metrics in {where} cannot be used ({_first_line(error)})") from error


def _connect(url: str) -> Client:
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        folder = Path(unquote(parts.path))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return clickhouse_connect.get_client(interface="chdb", path=str(folder), settings=_CLIENT_SETTINGS)
    return clickhouse_connect.get_client(
        interface="https" if parts.scheme == "clickhouses" else "http",
        host=parts.hostname or "localhost",
        port=parts.port or (8443 if parts.scheme == "clickhouses" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/") or "default",
        settings=_CLIENT_SETTINGS,
        autogenerate_session_id=False,
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
