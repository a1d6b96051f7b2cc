"""`buoy doctor`: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator

import click
from buoy_core.state import DEFAULT_BASE_URL, log_path, place_state_dir, read_api_key, state_dir

from buoy._version import __version__
from buoy.daemon_link import DaemonLink, Starter
from buoy.errors import AuthenticationError, CommError

Finding = tuple[bool, str]


@click.command()
def doctor() -> None:
    """Check the core, the folders, the daemon and the server. Exit code 1 if something needs attention."""
    sound = True
    for good, text in findings():
        click.echo(f"{'ok  ' if good else 'LOOK'}  {text}")
        sound = sound and good
    if not sound:
        raise click.exceptions.Exit(1)


def findings() -> Iterator[Finding]:
    """What was checked, and whether it is well."""
    yield (
        True,
        f"buoy {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    )
    for check in (_core, _folders, _daemon, _server):
        yield _safely(check)


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
    free = os.statvfs(state)
    free_bytes = free.f_bavail * free.f_frsize
    text = f"state folder {state}, {free_bytes / 2**30:.1f} GiB free"
    return free_bytes > 1 << 28, text if free_bytes > 1 << 28 else f"{text}: too little for long runs"


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
    from buoy.settings import resolve  # noqa: PLC0415  only here

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
