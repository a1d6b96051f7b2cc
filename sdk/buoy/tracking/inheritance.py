"""A run in another process than the one that began it: in a forked child, or wherever its pickle was loaded.

Such a process is a guest: a further writer of the run, with a spool of its own from its first record on. It names the
writer it branched off from, and its end says nothing about the run's. A process that records nothing leaves no trace.

A pickle may outlive the process that made it, in a checkpoint for instance. Then there is no run to be a guest of: who
logs begins the run's next attempt, as `init(id=...)` does.
"""

from __future__ import annotations

import os
import platform
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoy_core.errors import CoreError
from buoy_core.holder import is_running
from buoy_core.machine import boot_id, process_identity
from buoy_core.state import state_dir

from buoy.daemon_link import Starter
from buoy.errors import CommError
from buoy.ranks import Rank
from buoy.settings import Settings
from buoy.tracking import exits, session
from buoy.tracking.announcement import leave_to_courier, send_over_grpc, tell_daemon
from buoy.tracking.late import LateRecorder
from buoy.tracking.messages import Messages
from buoy.tracking.recorder import NoRecorder, SpoolRecorder, Start, UnopenedRecorder, spool_parent
from buoy.tracking.trouble import kept_again, not_yet

if TYPE_CHECKING:
    from buoy.tracking.run import Run

Ticket = dict[str, Any]
"""What a pickled run consists of; a dict, because another version of buoy may load it."""

Process = tuple[str, str, int, int]
"""Host, boot, pid and start time of a process."""

_adopting = threading.RLock()


def _renew_lock() -> None:
    # Another thread of the parent may have held it.
    global _adopting
    _adopting = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def this_process() -> Process:
    """Names this process beyond its number, which the system uses again."""
    return platform.node(), boot_id().hex(), *process_identity()


def ticket_of(run: Run) -> Ticket:
    """Everything another process needs to go on with a run; no key, because a pickle may end up anywhere."""
    return {
        "token": run._token,
        "origin": run._origin,
        "writer_id": getattr(run._recorder, "writer_id", b""),
        "family": run._family,
        "start": {**run._start._asdict(), "rank": tuple(run._start.rank)},
        "settings": {name: value for name, value in run.settings if name != "api_key"},
        "url": run._url,
        "started": run._started,
        "began_s": run._began_s,
        "step": run.step,
        "config": run.config.as_dict(),
        "config_changes": run.config.changeable,
        "metrics": [metric._asdict() for metric in run._metrics.all()],
        "finished": run._finished,
    }


def parts_of(ticket: Ticket) -> tuple[Start, Settings, NoRecorder, Messages]:
    """What a run is made of, from its ticket."""
    settings = Settings(
        **{name: value for name, value in ticket["settings"].items() if hasattr(Settings(), name)}
    )
    known = {name: value for name, value in ticket["start"].items() if name in Start._fields}
    start = Start(**{**known, "rank": Rank(*known["rank"])})
    recorder = UnopenedRecorder(ticket["writer_id"], ticket["step"]) if ticket["writer_id"] else NoRecorder()
    return start, settings, recorder, Messages(silent=settings.silent)


def restore(run: Run, ticket: Ticket) -> None:
    """Makes a run that was built from a ticket a guest of the process that pickled it."""
    over = ticket["finished"] or session.knew(ticket["token"])
    run._token, run._origin, run._family = ticket["token"], ticket["origin"], ticket["family"]
    run._started, run._url = ticket["started"], ticket["url"]
    # Another machine counts from another moment.
    run._began_s = min(ticket.get("began_s", run._began_s), run._began_s)
    run._pid = 0
    run._is_guest = True
    run._metrics.inherit(ticket["metrics"])
    run._synchronise()
    if over:
        run._close()
        session.note(run)
    else:
        session.add(run, make_active=session.active() is None)
        exits.install()


def adopt(run: Run) -> None:
    """Gives this process a writer of its own; the parent's must not be touched from here.

    While there is no room for its spool, it drops what it logs, and counts it.
    """
    with _adopting:
        if not run._is_elsewhere():
            return  # Another thread was faster.
        before = run._recorder
        if not isinstance(before, (SpoolRecorder, UnopenedRecorder)):
            run._pid = os.getpid()
            return
        run._start = _started_here(run, before)
        run._is_guest = bool(run._start.parent_writer)
        _open_here(run, before)
        # Last: other threads of this process wait for the lock as long as this says that there is nothing to log to.
        run._pid = os.getpid()
        exits.install_in_child()


def _open_here(run: Run, before: SpoolRecorder | UnopenedRecorder) -> None:
    def make(dropped: int) -> SpoolRecorder:
        parent = spool_parent(run.settings.transport, state_dir())
        recorder = SpoolRecorder(run._start, parent, dropped=dropped)
        recorder.log({}, before.step, False)
        return recorder

    def arrived(recorder: SpoolRecorder) -> None:
        run._use(recorder)
        if recorder.dropped:
            run._messages.warn_once("kept again", kept_again(recorder.dropped))
        _send(run, recorder, forked=isinstance(before, SpoolRecorder))

    try:
        arrived(make(0))
    except (CoreError, OSError) as error:
        run._messages.warn_once("full", not_yet(error))
        run._use(LateRecorder(make, arrived, before.step))


def _started_here(run: Run, before: SpoolRecorder | UnopenedRecorder) -> Start:
    if isinstance(before, SpoolRecorder):
        before.let_go()
    elif _has_ended(run._origin):
        run._origin = this_process()
        run._messages.say(
            f"the process that began run {run.name} has ended; this one begins its next attempt"
        )
        return run._start._replace(parent_writer=b"", attempt=0, launch=b"")
    return run._start._replace(parent_writer=before.writer_id)


def _has_ended(origin: Process) -> bool:
    """Whether a process is known to be gone; one on another machine never is."""
    host, boot, pid, started = origin
    if pid == os.getpid():
        return True  # This process has executed another program since.
    if (host, boot) != (platform.node(), boot_id().hex()):
        return False
    return process_identity(pid) != (pid, started) or not is_running(pid)


def _send(run: Run, recorder: SpoolRecorder, *, forked: bool) -> None:
    """Sees to it that somebody takes the new spool."""
    if run.settings.transport == "grpc" and forked:
        leave_to_courier(run, recorder)
    elif run.settings.transport == "grpc":
        send_over_grpc(run, recorder, state_dir(), None)
    elif forked:
        return  # The parent has seen to a daemon, and that one looks for new spools.
    elif not run._is_guest or run._origin[0] != platform.node():
        tell_daemon(run, recorder, state_dir(), None)
    else:
        _summon(state_dir())


def _summon(state: Path) -> None:
    """A daemon may have ended meanwhile; without one the spool waits for the next."""
    starter = Starter(state)
    try:
        starter.begin()
    except CommError:
        pass
    finally:
        starter.release()
