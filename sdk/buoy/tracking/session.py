"""Which runs this process has, and which one the global forms mean."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

from buoy.errors import Error

if TYPE_CHECKING:
    from buoy.tracking.run import Run

_live: list[Run] = []
"""Runs that are not finished, the oldest first."""
_active: Run | None = None
_by_token: dict[bytes, ReferenceType[Run]] = {}
"""Every run that this process has had, or inherited."""


def active() -> Run | None:
    """The run that `buoy.log()` and the like mean, if any."""
    return _active


def require_active(what: str) -> Run:
    """The active run.

    Raises:
        Error: there is none.
    """
    if _active is None:
        raise Error(f"You must call buoy.init() before buoy.{what}")
    return _active


def live() -> tuple[Run, ...]:
    """Runs that are not finished, the oldest first."""
    return tuple(_live)


def add(run: Run, *, make_active: bool) -> None:
    """Takes note of a run that has begun."""
    global _active
    _live.append(run)
    note(run)
    if make_active:
        _active = run


def note(run: Run) -> None:
    """Has a run be found again by its token."""
    _by_token[run._token] = ref(run)


def find(token: bytes) -> Run | None:
    """The run of a token, if there is still any use for it."""
    return _by_token.get(token, lambda: None)()


def knew(token: bytes) -> bool:
    """Whether this process has had the run of a token."""
    return token in _by_token


def forget(run: Run) -> None:
    """Takes note of a run that is over."""
    global _active
    if run in _live:
        _live.remove(run)
    if _active is run:
        _active = None


def finish_all(exit_code: int) -> None:
    """Ends every run, as the process ends."""
    for run in reversed(live()):
        run.finish(exit_code)


def abandon_all(exit_code: int) -> None:
    """Ends every run without a word to anybody, for signal handlers."""
    from buoy.tracking.ending import abandon  # noqa: PLC0415  a cycle otherwise

    for run in reversed(live()):
        abandon(run, exit_code)
