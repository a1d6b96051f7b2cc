"""A real PostgreSQL for tests, from Debian's package."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """The folder of the newest installed version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


@contextmanager
def running() -> Iterator[str]:
    """Starts a server that listens on loopback only; gives the URL of its first database.

    It does not run as root, and its own user cannot enter the folders of pytest, so it gets a folder of its own.
    """
    bin_dir = binaries()
    assert bin_dir is not None
    data = Path(tempfile.mkdtemp(prefix="buoy-postgres-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def call(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    database = str(data / "db")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={data} -c fsync=off"
    try:
        call(
            str(bin_dir / "initdb"),
            "-D",
            database,
            "-U",
            "buoy",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        )
        call(str(bin_dir / "pg_ctl"), "-D", database, "-w", "-l", str(data / "log"), "-o", options, "start")
        try:
            yield f"postgresql://buoy@127.0.0.1:{port}/postgres"
        finally:
            call(str(bin_dir / "pg_ctl"), "-D", database, "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(data, ignore_errors=True)
