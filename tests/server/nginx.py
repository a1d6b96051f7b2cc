"""A real nginx in front of a server, with the lines that docs/operations.md gives people.

python -m tests.server.nginx SERVER_URL     says `ready: URL` and serves until its standard input ends
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.server.processes import PATIENCE_S

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"

_AROUND = """
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
{user}
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


def binary() -> str | None:
    """Where nginx is; Debian has it where only root looks."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def documented() -> str:
    """The lines for nginx in the document."""
    found = re.findall(r"```nginx\n(.*?)```", _DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


class Nginx:
    """nginx on a port of its own that passes `/buoy/` on to a server; a context manager."""

    def __init__(self, folder: Path, server_url: str) -> None:
        self.folder = folder
        path = binary()
        assert path is not None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.origin = f"http://127.0.0.1:{port}"
        self.url = self.origin + "/buoy"
        location = documented()
        assert "http://127.0.0.1:8765/" in location
        location = location.replace("http://127.0.0.1:8765/", server_url + "/")
        # As root it would hand its work to a user who cannot look into the folder.
        user = "user root;" if os.getuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(_AROUND.format(folder=folder, port=port, location=location, user=user))
        error_log = folder / "error.log"
        self.process = subprocess.Popen([path, "-e", str(error_log), "-p", str(folder), "-c", str(config)])
        deadline = time.monotonic() + PATIENCE_S
        while not _listens(port):
            assert self.process.poll() is None, error_log.read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)

    def log(self) -> str:
        """What nginx has written into its logs."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def __enter__(self) -> Nginx:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=PATIENCE_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """For tests in other languages."""
    with tempfile.TemporaryDirectory() as folder, Nginx(Path(folder), sys.argv[1]) as proxy:
        print(f"ready: {proxy.url}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
