"""Installs a wheel in a fresh virtual environment outside the repository and uses it there.

python scripts/check_wheel.py sdk    dist/*.whl     no extra: imports and logs; no server dependency is installed
python scripts/check_wheel.py server dist/*.whl     with [server]: the tutorial, from log() to the server's answer
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

SERVER_ONLY = ("starlette", "uvicorn", "sqlalchemy", "chdb", "clickhouse_connect", "obstore", "pyarrow")

LOGS = f"""
import importlib.util, sys
import buoy
buoy.require("core")
present = [name for name in {SERVER_ONLY!r} if importlib.util.find_spec(name)]
assert not present, f"server dependencies are installed: {{present}}"
with buoy.init(project="wheel", mode="offline", config={{"lr": 0.1}}) as run:
    for step in range(100):
        run.log({{"loss": 1 / (step + 1)}})
print(run.dir)
"""

TUTORIAL = """
import buoy
run = buoy.init(project="wheel", config={"lr": 0.1})
for step in range(100):
    run.log({"loss": 1 / (step + 1)})
run.finish()
print(run.path)
"""

READS = """
import sys, time
import buoy
deadline = time.monotonic() + 30
rows = []
while len(rows) < 100 and time.monotonic() < deadline:
    try:
        rows = list(buoy.Api().run(sys.argv[1]).scan_history())
    except buoy.Error:
        pass
    time.sleep(0.1)
assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(100)], rows
print("100 steps are on the server")
"""

# The link sets a cookie and leads to the page without the token, as in a browser.
BROWSES = """
import sys, urllib.request as u
print(u.build_opener(u.HTTPCookieProcessor()).open(sys.argv[1]).read().decode())
"""


class Installation:
    """A virtual environment with the wheel, and folders of its own for state and runs."""

    def __init__(self, folder: Path, requirement: str) -> None:
        venv.create(folder / "venv", with_pip=True)
        self.folder = folder
        self.python = folder / "venv/bin/python"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BUOY_", "PYTHON"))}
        self.environment = {
            **kept,
            "BUOY_STATE_DIR": str(folder / "state"),
            "BUOY_DIR": str(folder / "runs"),
        }
        self.run("-m", "pip", "install", "--quiet", "--upgrade", "pip")
        self.run("-m", "pip", "install", "--quiet", requirement)

    def run(self, *arguments: str) -> str:
        """Runs the environment's Python in its folder; standard output, or an exception."""
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def stop_daemon(self) -> None:
        """Ends the daemon that init() started."""
        self.run("-m", "buoy", "daemon", "stop")


def check_sdk(folder: Path, wheel: Path) -> None:
    """Logs without any server dependency, and reads the run back from its folder."""
    installation = Installation(folder, str(wheel))
    try:
        run_dir = installation.run("-c", LOGS).splitlines()[-1]
        rows = installation.run("-m", "buoy", "show", run_dir, "--format", "jsonl").splitlines()
        assert len(rows) == 100, f"{len(rows)} rows came back of 100"
    finally:
        installation.stop_daemon()
    print("the wheel logs without the server extra; 100 rows read back from the folder")


def check_server(folder: Path, wheel: Path) -> None:
    """Starts the server of the wheel, logs to it, reads the run and the dashboard back."""
    installation = Installation(folder, f"{wheel}[server]")
    command = [str(installation.python), "-m", "buoy", "server", "--port", "0"]
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            cwd=folder,
            env=installation.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        link = wait_for_link(log, server)
        installation.environment["BUOY_BASE_URL"] = link.partition("/?token=")[0]
        path = installation.run("-c", TUTORIAL).splitlines()[-1]
        print(installation.run("-c", READS, path))
        page = installation.run("-c", BROWSES, link)
        assert "assets/" in page, f"the server does not serve the dashboard: {page[:300]}"
        print("the dashboard is served")
    finally:
        installation.stop_daemon()
        server.terminate()
        server.wait(timeout=30)


def wait_for_link(log: Path, server: subprocess.Popen[bytes]) -> str:
    """The link of the server's `ready:` line."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        if ready := re.search(r"^ready: (\S+)$", log.read_text(), re.MULTILINE):
            return ready[1]
        time.sleep(0.05)
    raise SystemExit(f"the server did not start; its log says:\n{log.read_text()}")


def check_contents(wheel: Path) -> None:
    """The wheel has a compiled core and a dashboard, and no sources of either."""
    names = zipfile.ZipFile(wheel).namelist()
    assert any(re.fullmatch(r"buoy_core/_compiled/\w+\..*\.so", name) for name in names), "no compiled core"
    assert "buoy_server/static/index.html" in names, "no dashboard"
    strays = [name for name in names if name.endswith((".pyx", ".c", ".map")) or "node_modules" in name]
    assert not strays, f"files that do not belong into a wheel: {strays[:5]}"


def main() -> None:
    """Reads the command line."""
    kind, wheel = sys.argv[1], Path(sys.argv[2]).resolve()
    check_contents(wheel)
    with tempfile.TemporaryDirectory(prefix="buoy-wheel-") as folder:
        {"sdk": check_sdk, "server": check_server}[kind](Path(folder), wheel)


if __name__ == "__main__":
    main()
