"""Learns the exit code of a process from the interpreter itself.

No hook is called for SystemExit, and many raise it without `sys.exit()`: `exit()`, `quit()`, plain `raise`. But when
one reaches the end of the program, the interpreter reads its `code`, with no Python code on the stack, and then exits
with that. Nothing else reads it so: whoever catches a SystemExit has a frame. So a descriptor in place of
`SystemExit.code`, which does what the one before did, knows the code of each process that a SystemExit ends, and of no
other.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

Note = Callable[[int], None]


def code_of(status: object) -> int:
    """The exit code that a SystemExit with this `code` stands for."""
    if status is None:
        return 0
    return status if isinstance(status, int) else 1


def watch(note: Note) -> None:
    """Has the exit code told before the interpreter shuts down; not told means that the program came to its end.

    Where the plain-Python core serves, and without a global lock, under which nobody may change a built-in type, only
    `sys.exit()` is known.
    """
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        _replace_sys_exit(note)
        return
    try:
        from buoy_core._compiled.builtin_type import put_descriptor  # noqa: PLC0415  not with every core
    except ImportError:
        _replace_sys_exit(note)
        return
    watched = _Code(note)
    watched.earlier = put_descriptor(SystemExit, "code", watched)
    if sys.version_info < (3, 12):
        # Until then sys.exit() leaves the mere status to the interpreter, which makes no SystemExit of it in the end.
        _replace_sys_exit(lambda _: None)


class _Code:
    """Stands in for `SystemExit.code`."""

    earlier: Any

    def __init__(self, note: Note) -> None:
        self._note = note

    def __get__(self, error: SystemExit | None, kind: type | None = None) -> Any:
        if error is None:
            return self
        status = self.earlier.__get__(error, kind)
        if _nobody_calls():
            self._note(code_of(status))
        return status

    def __set__(self, error: SystemExit, status: object) -> None:
        self.earlier.__set__(error, status)

    def __delete__(self, error: SystemExit) -> None:
        self.earlier.__delete__(error)


def _nobody_calls() -> bool:
    """Whether the caller was called by no Python code."""
    try:
        sys._getframe(2)
    except ValueError:
        return threading.current_thread() is threading.main_thread()
    return False


def _replace_sys_exit(note: Note) -> None:
    def leave(status: Any = None, /) -> NoReturn:
        # In another thread it only ends that thread.
        if threading.current_thread() is threading.main_thread():
            note(code_of(status))
        raise SystemExit(status)

    sys.exit = leave
