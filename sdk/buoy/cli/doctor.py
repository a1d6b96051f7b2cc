"""`buoy doctor`: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from buoy_core.state import DEFAULT_BASE_URL, log_path, place_state_dir, read_api_key, state_dir

from buoy._version import __version__
from buoy.daemon_link import DaemonLink, Starter
from buoy.errors import AuthenticationError, CommError
from buoy.settings import resolve

Finding = tuple[bool, str]

_ROOM_BYTES = 256 << 20


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def doctor(paths: tuple[Path, ...]) -> None:
    """Check the core, the folders, the daemon, the server, the spools and the logs of local runs.

    Every block of every log is read: those in BUOY_DIR and those that the daemon has in hand, or those of the
    run folders in PATHS. Exit code 1 if something needs attention.
    """
    sound = True
    for good, text in findings(paths):
        click.echo(f"{'ok  ' if good else 'LOOK'}  {text}")
        sound = sound and good
    if not sound:
        raise click.exceptions.Exit(1)


def findings(paths: tuple[Path, ...] = ()) -> Iterator[Finding]:
    """What was checked, and whether it is well."""
    yield (
        True,
        f"buoy {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    )
    for check in (_core, _folders, _runs, _daemon, _server):
        yield _safely(check)
    yield from _data(paths)


def _data(paths: tuple[Path, ...]) -> Iterator[Finding]:
    """Spools and logs."""
    from buoy.cli.log_check import check_logs, in_hand, logs_to_check  # noqa: PLC0415  loads protobuf
    from buoy.cli.spool_check import check_spools  # noqa: PLC0415

    state = state_dir()
    streams = in_hand(state)
    known = frozenset(writer for stream in streams for writer in stream.writers)
    yield from check_spools(state, known, daemon_runs=Starter(state).answers())
    yield from check_logs(logs_to_check(paths, _run_folders(), streams))


def _safely(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        return False, f"{check.__name__.strip('_')}: {type(error).__name__}: {error}"


def _core() -> Finding:
    import buoy_core  # noqa: PLC0415  it may fail, and that is a finding

    if buoy_core.implementation() == "compiled":
        return True, "core: compiled"
    reason = buoy_core.compiled_error() or "BUOY_CORE=python"
    return (
        False,
        f"core: plain Python, which is slower ({reason}); run `python core/build_core.py` or install a wheel",
    )


def _folders() -> Finding:
    placement = place_state_dir()
    state = placement.folder
    if placement.notice:
        return False, placement.notice
    return _room("state folder", state, "BUOY_STATE_DIR")


def _runs() -> Finding:
    return _room("run folders in", _run_folders(), "BUOY_DIR")


def _run_folders() -> Path:
    return Path(resolve(warn=click.echo).dir).expanduser()


def _room(what: str, folder: Path, variable: str) -> Finding:
    """Whether a folder, which need not exist yet, has room."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = os.statvfs(existing)
    free_bytes = free.f_bavail * free.f_frsize
    text = f"{what} {folder}, {free_bytes / 2**30:.1f} GiB free"
    if free_bytes > _ROOM_BYTES:
        return True, text
    return (
        False,
        f"{text}: when it is full, rows are dropped and counted; make room, or set {variable} to another disk",
    )


def _daemon() -> Finding:
    state = state_dir()
    if not Starter(state).answers():
        return True, "daemon: none runs; the next run starts one"
    try:
        with DaemonLink(state) as link:
            answer = link.status()
    except CommError as error:
        return False, f"daemon: {error}; see {log_path(state)}"
    troubles = [run.upload_error for run in answer.runs if run.upload_error]
    text = f"daemon {answer.version}, pid {answer.pid}, {len(answer.runs)} runs in hand"
    return not troubles, f"{text}: {troubles[0]}" if troubles else text


def _server() -> Finding:
    from buoy.api.http import Http  # noqa: PLC0415  only here

    settings = resolve(warn=click.echo)
    key = settings.api_key or read_api_key(state_dir(), settings.base_url) or ""
    try:
        count = len(Http(settings.base_url, key, 5.0).get("/api/v1/projects")["projects"])
    except AuthenticationError as error:
        return False, f"server: {error}"
    except CommError as error:
        # Nobody has to have a server on this machine.
        return settings.base_url == DEFAULT_BASE_URL, f"server: {error}"
    return True, f"server at {settings.base_url}: {count} projects"
