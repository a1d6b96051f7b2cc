"""`python -m buoy_daemon run --state-dir DIR`: the process that `buoy.init()` and `buoy daemon start` spawn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from buoy_daemon.options import Options
from buoy_daemon.supervisor import supervise


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line and runs the daemon until it ends; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    parsed = _parser().parse_args(words)
    options = _options(parsed)
    if not parsed.supervise:
        return _run(options)
    command = ["-m", "buoy_daemon", *_supervised(words)]
    return supervise(lambda: _run(options), command, options.state_dir, parsed.watch)


def _supervised(words: list[str]) -> list[str]:
    """The command line of a daemon that a supervisor starts."""
    kept = [word for word in words if word not in ("--supervise", "--supervised")]
    at = kept.index("--watch") if "--watch" in kept else len(kept)
    return [*kept[:at], *kept[at + 2 :], "--supervised"]


def _run(options: Options) -> int:
    # Imported late, because the supervisor must stay small: gRPC is in there.
    from buoy_daemon.lifecycle import run  # noqa: PLC0415

    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="buoy_daemon", description="The machine daemon of buoy.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("run", help="run the daemon in this process")
    defaults = Options(state_dir=Path())
    command.add_argument("--state-dir", type=Path, required=True)
    command.add_argument("--auto", action="store_true", help="end when idle: nobody asked for this daemon")
    command.add_argument("--supervise", action="store_true", help="start another one when it gets killed")
    command.add_argument("--supervised", action="store_true", help="the parent process is the supervisor")
    command.add_argument(
        "--watch", type=int, default=0, metavar="PID", help="supervise the daemon that runs already"
    )
    command.add_argument("--foreground", action="store_true", help="log to the terminal too")
    for name, text in _SECONDS.items():
        flag = "--" + name.replace("_", "-")
        command.add_argument(flag, type=float, default=getattr(defaults, name), metavar="S", help=text)
    text = "a log's file of this size is followed by the next"
    size_bytes = defaults.log_segment_bytes
    command.add_argument("--log-segment-bytes", type=int, default=size_bytes, metavar="N", help=text)
    return parser


_SECONDS = {
    "idle_exit_s": "with --auto: end after so long without writers and uploads",
    "sync_interval_s": "longest time between a write to the log and its fdatasync",
    "sample_interval_s": "time between two samples of the machine",
    "append_grace_s": "how long a writer on gRPC may be away before it counts as crashed",
    "unseen_grace_s": "how long a writer whose process cannot be seen from here (a container's) may be silent",
    "upload_timeout_s": "how long one request to a server may take",
    "housekeeping_interval_s": "time between two looks for uploaded run folders that may go",
}


def _options(parsed: argparse.Namespace) -> Options:
    return Options(
        state_dir=parsed.state_dir.expanduser().absolute(),
        auto=parsed.auto,
        foreground=parsed.foreground,
        supervised=parsed.supervise or parsed.supervised,
        log_segment_bytes=parsed.log_segment_bytes,
        **{name: getattr(parsed, name) for name in _SECONDS},
    )


if __name__ == "__main__":
    sys.exit(main())
