"""Does to this process what Ctrl-C does, for a writer that has been told to stop.

Called from `log()`, once a writer and request, so it may take its time.
"""

from __future__ import annotations

import _thread
import signal
import threading

MESSAGE = "buoy: the run was asked to stop"


def interrupt() -> None:
    """Interrupts the main thread, whichever thread calls.

    Where a handler of Python's is installed for SIGINT it runs, be it the default one, a framework's or the user's:
    what saves a checkpoint at Ctrl-C does so here. A process started with `&` or `nohup` ignores SIGINT and has no
    handler; it gets the exception that the default handler would raise.

    Raises:
        KeyboardInterrupt: there is no handler, and this is the main thread.
    """
    main = threading.main_thread().ident
    here = main == threading.get_ident()
    if callable(signal.getsignal(signal.SIGINT)):
        if here or main is None:
            _thread.interrupt_main()
        else:
            # A real signal, because the main thread may wait for something: for this thread, say.
            signal.pthread_kill(main, signal.SIGINT)
    elif here:
        raise KeyboardInterrupt(MESSAGE)
    elif main is not None:
        _raise_in(main)


def _raise_in(thread: int) -> None:
    """Raises KeyboardInterrupt in another thread as soon as it runs Python code again."""
    import ctypes  # noqa: PLC0415 - hardly ever needed

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
