"""The demo: a server on its embedded defaults, two training processes, a link to open.

python scripts/demo.py start [--epochs N]     everything it makes is under .demo/
python scripts/demo.py stop                   ends the server and the daemon; keeps the data
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / ".demo"
SERVER_FILE = DEMO / "server.json"
PORT = 8765


def environment() -> dict[str, str]:
    """The demo's own state and run folders, so that it leaves the user's alone."""
    return {**os.environ, "BUOY_STATE_DIR": str(DEMO / "state"), "BUOY_DIR": str(DEMO / "runs")}


def running_server() -> dict[str, object] | None:
    """What is known of the demo's server, if that very process is still alive."""
    try:
        server = json.loads(SERVER_FILE.read_text())
        alive = psutil.Process(server["pid"]).create_time() == server["create_time"]
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return server if alive else None


def free_port() -> int:
    """The usual port, or any other when somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
        return PORT


def start_server() -> dict[str, object]:
    """Starts a server that outlives this script and waits for its `ready:` line."""
    log = DEMO / "server.log"
    command = [sys.executable, "-m", "buoy", "server", "--port", str(free_port())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data-dir", str(DEMO / "data")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    while not (ready := re.search(r"^ready: (\S+)$", log.read_text(), re.MULTILINE)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the server did not start; its log says:\n{log.read_text()}")
        time.sleep(0.05)
    server = {
        "pid": process.pid,
        "create_time": psutil.Process(process.pid).create_time(),
        "link": ready[1],
    }
    SERVER_FILE.write_text(json.dumps(server))
    return server


def start(epochs: int | None) -> None:
    """Starts the server unless it runs already, trains, and leaves the server running."""
    DEMO.mkdir(exist_ok=True)
    server = running_server() or start_server()
    base, _, token = str(server["link"]).partition("/?token=")
    print(f"\n  open this link and watch the run move:\n\n      {server['link']}\n", flush=True)
    train = [sys.executable, str(ROOT / "examples/train_digits.py")]
    if epochs is not None:
        train += ["--epochs", str(epochs)]
    subprocess.run(train, env={**environment(), "BUOY_BASE_URL": base}, check=True)
    print(f"\n  the server goes on running (`make demo-stop` ends it):\n\n      {server['link']}\n")
    print("  to log to it from a script of your own:\n")
    print(f"      export BUOY_BASE_URL={base} BUOY_API_KEY={token}\n")


def stop() -> None:
    """Ends the demo's daemon and server; says so when there is nothing to end."""
    subprocess.run([sys.executable, "-m", "buoy", "daemon", "stop"], env=environment(), check=False)
    server = running_server()
    if server is None:
        print("the demo's server is not running")
        return
    process = psutil.Process(int(str(server["pid"])))
    process.terminate()
    try:
        process.wait(timeout=20)
    except psutil.TimeoutExpired:
        process.kill()
    SERVER_FILE.unlink(missing_ok=True)
    print("the demo's server has ended; its data stays in .demo/ (delete it when you like)")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Start or stop buoy's demo.")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--epochs", type=int, help="of the training; fewer make a shorter demo")
    options = parser.parse_args()
    if options.action == "start":
        start(options.epochs)
    else:
        stop()


if __name__ == "__main__":
    main()
