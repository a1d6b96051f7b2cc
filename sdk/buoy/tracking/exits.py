"""How the process ends, so that the run can say so.

    normal end, `with` block     finished         SystemExit(n), uncaught exception    failed
    SIGTERM, Ctrl-C              killed           SIGKILL                              the daemon sees it: crashed

Every hook calls the one it replaced. A SIGTERM handler is only put where there is none.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType, TracebackType

from buoy.tracking import ending, exit_code, session

_installed = False
_exit_code = 0


class _Masks(threading.local):
    before: set[int | signal.Signals]


_masks = _Masks()


def exit_code_of(error: BaseException | None) -> int:
    """The exit code of a process that this exception ends."""
    if error is None:
        return 0
    if isinstance(error, KeyboardInterrupt):
        return ending.KILLED_BY_INTERRUPT
    if isinstance(error, SystemExit):
        return exit_code.code_of(error.code)
    if isinstance(error, GeneratorExit):
        return 0
    return 1


def install() -> None:
    """Watches for the end of the process, from the first run on."""
    global _installed
    if _installed:
        return
    _installed = True
    atexit.register(_at_exit)
    _watch_exceptions()
    exit_code.watch(_note)
    _watch_terminate()
    _watch_multiprocessing()


def _at_exit() -> None:
    session.finish_all(_exit_code)


def _note(code: int) -> None:
    global _exit_code
    _exit_code = code


def _watch_exceptions() -> None:
    earlier = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _note(exit_code_of(error))
        earlier(kind, error, trace)

    sys.excepthook = hook


def _watch_terminate() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_terminate)
        os.register_at_fork(
            before=_hold_terminate, after_in_parent=_let_terminate, after_in_child=_let_terminate
        )


def _hold_terminate() -> None:
    # Python forgets a signal that reaches a child in its first moments, before its handlers can run; with the default
    # action, which our handler replaced, it would have died. So the kernel keeps the signal until the child is ready.
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_terminate() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _on_terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    # No connection from within a handler: the spool is sealed, and the daemon takes it from there.
    session.abandon_all(ending.KILLED_BY_TERM)
    # Die of the signal after all, so that whoever sent it sees the exit status it expects.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def install_in_child() -> None:
    """Watches for the end of a forked child: `multiprocessing` has thrown the finalizers of the parent away."""
    _watch_multiprocessing()


def _watch_multiprocessing() -> None:
    """A child of `multiprocessing` leaves by `os._exit()`: no atexit there, but finalizers of its own."""
    finalizers = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if finalizers is not None and process is not None and process.parent_process() is not None:
        finalizers.Finalize(None, _at_child_exit, exitpriority=100)


def _at_child_exit() -> None:
    # It runs in a `finally` block, with the exception that ends the child on its way.
    session.finish_all(exit_code_of(sys.exc_info()[1]))
