"""The server as a process: how it starts, refuses to start, and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server.processes import ServerProcess, run_server
from tests.server.streams import Stream


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with size and time of change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refused(folder: Path, *options: str, **environment: str) -> str:
    """The one line of a server that refuses with code 2."""
    result = run_server(folder, *options, **environment)
    assert result.returncode == 2, result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("buoy server: ")
    return lines[0]


def test_starts_says_where_and_stops_when_asked(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        assert server.ready_line.startswith("ready: http://127.0.0.1:")
        assert len(server.token) >= 32
        health = httpx.get(server.url + "/healthz", trust_env=False)
        assert health.json()["status"] == "ok"
        code, out, err = server.stop()
        assert (code, out, err) == (0, "", "")
    assert not (tmp_path / "data" / "metadata.sqlite-wal").exists(), "the database was closed in order"


def test_sigint_is_a_clean_stop_too(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        assert server.stop(signal.SIGINT) == (0, "", "")


def test_stops_although_a_browser_listens(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, server.client.stream("GET", "/api/v1/events") as events:
        lines = events.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        assert not [line for line in lines if line.startswith("data")]
        assert server.process.wait(timeout=20) == 0


def test_keeps_what_it_was_given_over_a_restart(tmp_path: Path) -> None:
    stream = Stream()
    stream.writer().log([(1, {"loss": 0.5})])
    with ServerProcess(tmp_path) as server:
        first = server.token
        assert server.client.post(stream.path, content=b"".join(stream.blocks)).json() == {
            "next_seq": stream.seq
        }
        server.stop()
    with ServerProcess(tmp_path) as server:
        assert server.token == first
        assert server.client.get(stream.position_path).json() == {"next_seq": stream.seq}


def test_the_token_is_private_and_found_by_clients(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        token = tmp_path / "data" / "token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        credentials = tmp_path / "state" / "credentials.json"
        assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
        known = json.loads(credentials.read_text())
        assert known[server.url] == {"api_key": server.token}
        assert known[server.url.replace("127.0.0.1", "localhost")] == {"api_key": server.token}


def test_the_token_is_in_no_log(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        httpx.get(f"{server.url}/?token={server.token}", trust_env=False)
        httpx.get(f"{server.url}/?token=wrong{server.token}", trust_env=False)
        server.client.get("/api/v1/projects")
        token = server.token
        _, out, err = server.stop()
    assert token not in out + err


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(tmp_path, "--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert f"port {port}" in line
    assert "--port" in line
    assert not (tmp_path / "data").exists()


def test_unknown_host(tmp_path: Path) -> None:
    line = refused(
        tmp_path, "--host", "no.such.host.invalid", "--port", "0", "--data-dir", str(tmp_path / "data")
    )
    assert "--host" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_impossible_port(tmp_path: Path, port: str) -> None:
    assert "--port" in refused(tmp_path, f"--port={port or 'x'}", "--data-dir", str(tmp_path / "data"))


def test_second_server_on_the_same_folder(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        before = snapshot(tmp_path / "data")
        line = refused(tmp_path, "--port", "0", "--data-dir", str(tmp_path / "data"))
        assert "--data-dir" in line
        assert str(server.process.pid) in line
        assert snapshot(tmp_path / "data") == before
        assert server.client.get("/api/v1/projects").status_code == 200


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    line = refused(tmp_path, "--port", "0", "--data-dir", "/proc/buoy")
    assert "/proc/buoy" in line
    assert "--data-dir" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere; /proc stands in for it above")
def test_read_only_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o500)
    assert "writable" in refused(tmp_path, "--port", "0", "--data-dir", str(data))


@pytest.mark.parametrize(
    ("option", "url"),
    [
        ("--metadata-url", "mysql://db/buoy"),
        ("--metadata-url", "buoy.sqlite"),
        ("--metrics-url", "duckdb:///x"),
        ("--objects-url", "ftp://x"),
    ],
)
def test_unknown_scheme(tmp_path: Path, option: str, url: str) -> None:
    line = refused(tmp_path, "--port", "0", "--data-dir", str(tmp_path / "data"), option, url)
    assert option in line
    assert "://" in line
    assert not (tmp_path / "data").exists()


def test_an_option_from_the_environment(tmp_path: Path) -> None:
    line = refused(tmp_path, "--port", "0", BUOY_SERVER_METADATA_URL="mysql://db/buoy", HOME=str(tmp_path))
    assert "--metadata-url" in line


def test_unreachable_database(tmp_path: Path) -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/none"
    line = refused(tmp_path, "--port", "0", "--data-dir", str(tmp_path / "data"), "--metadata-url", url)
    assert "--metadata-url" in line
    assert "secret" not in line


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"these are my notes, not a database\n" * 100)
    before = path.read_bytes()
    url = f"sqlite:///{path}"
    refused(tmp_path, "--port", "0", "--data-dir", str(tmp_path / "data"), "--metadata-url", url)
    assert path.read_bytes() == before


def test_metadata_of_a_newer_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.stop()
    path = tmp_path / "data" / "metadata.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version = 999")
    connection.close()
    before = path.read_bytes()
    line = refused(tmp_path, "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert "999" in line
    assert "newer" in line
    assert path.read_bytes() == before


def test_metrics_of_other_metadata(tmp_path: Path) -> None:
    # Whoever deletes the metadata alone would see old points under the names of new runs.
    with ServerProcess(tmp_path) as server:
        server.stop()
    (tmp_path / "data" / "metadata.sqlite").unlink()
    line = refused(tmp_path, "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert "--metadata-url" in line


def test_metrics_of_a_newer_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.stop()
    # In a process of its own: chDB takes one path a process.
    script = (
        "import clickhouse_connect, sys; client = clickhouse_connect.get_client(interface='chdb', path=sys.argv[1]); "
        "client.command('INSERT INTO schema_version VALUES (999)'); client.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "data" / "metrics")], check=True)
    line = refused(tmp_path, "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert "999" in line
    assert "newer" in line
