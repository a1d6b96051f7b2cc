"""Brings a run into being: its folder, its spool, its first records, then a word to the daemon.

The order is the point. The spool comes first, so that nothing depends on anybody else; then the daemon, on a connection
that is closed before user code runs; the server never.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

from buoy_core.errors import CoreError
from buoy_core.placement import leftovers
from buoy_core.state import place_state_dir, state_dir

from buoy import ids
from buoy.daemon_link import Starter
from buoy.errors import CommError, UsageError
from buoy.ranks import Rank
from buoy.settings import DEFAULT_ENTITY, Settings
from buoy.tracking.announcement import send_over_grpc, tell_daemon
from buoy.tracking.config import Config
from buoy.tracking.late import LateRecorder
from buoy.tracking.messages import Messages
from buoy.tracking.reach import is_local, listens
from buoy.tracking.recorder import NoRecorder, SpoolRecorder, Start, spool_parent
from buoy.tracking.resume import NEW, Resumption, project_of
from buoy.tracking.run import Run
from buoy.tracking.trouble import kept_again, not_yet


def start_run(
    settings: Settings,
    run_id: str,
    rank: Rank,
    config: Config,
    messages: Messages,
    *,
    owner: bool,
    launch: bytes = b"",
    resumption: Resumption = NEW,
) -> Run:
    """Starts recording.

    Args:
        settings: everything the run was told.
        run_id: its id.
        rank: the process's place in its job.
        config: the first configuration.
        messages: where to say what happens.
        owner: whether this process makes the run's folder; the other ranks of a job use the one that is there.
        launch: what all processes of this launch share.
        resumption: what the run goes on from.

    Raises:
        UsageError: there is no folder to keep the run in.
    """
    start = _start(settings, run_id, rank)
    if settings.mode == "disabled":
        return _unrecorded(start, settings, config, messages)
    state, starter = _summon(messages)
    folder = run_folder(settings, run_id, messages, make=owner)
    start = _resumed(start, settings, resumption)._replace(run_dir=str(folder), launch=launch)
    try:
        if state is None:
            raise OSError("there is no state folder")
        recorder = SpoolRecorder(start, spool_parent(settings.transport, state))
    except (CoreError, OSError) as error:
        messages.warn_once("full", not_yet(error))
        if starter is not None:
            starter.release()
        return _late(start, settings, config, messages, resumption)
    recorder.writer.step = resumption.starting_step
    run = Run(start, settings, recorder, messages, config, resumption=resumption)
    run._url = page_url(settings, start)
    if settings.transport == "grpc":
        send_over_grpc(run, recorder, state, starter)
    else:
        tell_daemon(run, recorder, state, starter)
    _say_start(run)
    return run


def _late(
    start: Start, settings: Settings, config: Config, messages: Messages, resumption: Resumption
) -> Run:
    """A run that records as soon as there is room for it."""

    def make(dropped: int) -> SpoolRecorder:
        # What has been changed since then is in the run's present start.
        return SpoolRecorder(run._start, spool_parent(settings.transport, state_dir()), dropped=dropped)

    def arrived(recorder: SpoolRecorder) -> None:
        run._family = recorder.writer_id
        run._use(recorder)
        messages.warn_once("kept again", kept_again(recorder.dropped))
        # In a thread, because this is a call of log(), and a daemon may have to be started. At the interpreter's end
        # there are no new threads; finish() announces the spool as well.
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=announce, args=(recorder,), name="buoy-announce", daemon=True).start()

    def announce(recorder: SpoolRecorder) -> None:
        if settings.transport == "grpc":
            send_over_grpc(run, recorder, state_dir(), None)
        else:
            tell_daemon(run, recorder, state_dir(), None)

    late = LateRecorder(make, arrived, resumption.starting_step)
    run = Run(start, settings, late, messages, config, resumption=resumption)
    run._url = page_url(settings, start)
    return run


def silent_run(settings: Settings, run_id: str, rank: Rank, config: Config, messages: Messages) -> Run:
    """A run for a rank that has no part in it: everything works and nothing is kept."""
    return _unrecorded(_start(settings, run_id, rank), settings, config, messages)


def _start(settings: Settings, run_id: str, rank: Rank) -> Start:
    disabled = settings.mode == "disabled"
    return Start(
        entity=settings.entity or DEFAULT_ENTITY,
        project="dummy" if disabled else project_of(settings),
        run_id=run_id,
        name=settings.run_name or ids.name_of(run_id),
        notes=settings.run_notes or "",
        tags=settings.run_tags,
        group=settings.run_group or "",
        job_type=settings.run_job_type or "",
        run_dir="",
        base_url="" if settings.mode == "offline" else settings.base_url,
        rank=rank,
        telemetry=settings.telemetry,
        spool_bytes_max=settings.spool_bytes_max,
        free_bytes_min=settings.free_bytes_min,
        keep_days=settings.keep_days,
        keep_gb=settings.keep_gb,
    )


def _resumed(start: Start, settings: Settings, resumption: Resumption) -> Start:
    """What the run is called and said to be goes on too, where the user has not said otherwise."""
    branch = resumption.branch.SerializeToString() if resumption.branch is not None else b""
    past = resumption.past
    if past is None or not resumption.resumed:
        return start._replace(branch=branch)
    return start._replace(
        branch=branch,
        after_us=past.attempt_us,
        name=settings.run_name or past.name or start.name,
        notes=start.notes or past.notes,
        tags=start.tags or past.tags,
        group=start.group or past.group,
        job_type=start.job_type or past.job_type,
    )


def _unrecorded(start: Start, settings: Settings, config: Config, messages: Messages) -> Run:
    return Run(start, settings, NoRecorder(), messages, config)


def _summon(messages: Messages) -> tuple[Path | None, Starter | None]:
    """The state folder, and a daemon on its way: it starts while this process goes on importing."""
    try:
        placement = place_state_dir()
    except OSError as error:
        messages.warn(
            f"the state folder cannot be made: {error}; set BUOY_STATE_DIR to a folder on a local disk"
        )
        return None, None
    # Said when it is new to this machine, or when somebody has asked for another place.
    if placement.notice and (placement.made or "BUOY_STATE_DIR" in os.environ):
        messages.warn_once("state", placement.notice)
    state = placement.folder
    starter = Starter(state)
    try:
        starter.begin()
        for other in leftovers(placement.wanted, state):
            Starter(other).begin()
    except (CommError, OSError) as error:
        messages.warn_once("daemon", str(error))
    return state, starter


def run_folder(settings: Settings, run_id: str, messages: Messages, *, make: bool) -> Path:
    """The folder of the run's local copy; in the temporary folder if it cannot be where it should.

    Raises:
        UsageError: it cannot be made there either.
    """
    stamp = time.strftime("%Y%m%d_%H%M%S")
    name = f"run-{stamp}-{quote(run_id, safe=' +=@()[]{}')}"
    parent = Path(settings.dir).expanduser().absolute()
    if not make:
        return parent / name
    try:
        return _new_folder(parent, name)
    except OSError as error:
        reason = error
    try:
        folder = _new_folder(Path(tempfile.gettempdir()) / f"buoy-{os.getuid()}", name)
    except OSError as error:
        if reason.errno in (errno.ENOSPC, errno.EDQUOT):
            # The daemon makes it when there is room; until then the records wait in the spool.
            return parent / name
        raise UsageError(f"no folder for the run: {parent}: {reason}; and {error}") from None
    messages.warn(f"{parent} cannot be written ({reason.strerror or reason}); the run is kept in {folder}")
    return folder


def _new_folder(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1000):
        folder = parent / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{parent / name} and a thousand more")


def page_url(settings: Settings, start: Start) -> str:
    """The run's page, made without asking; empty for a run that goes nowhere."""
    if settings.mode == "offline":
        return ""
    parts = (quote(part, safe="") for part in (start.entity, start.project))
    return f"{settings.base_url}/{'/'.join(parts)}/runs/{quote(start.run_id, safe='')}"


def _say_start(run: Run) -> None:
    if run.rank and run.settings.ranks is not None:
        return
    if run._resumption.past is not None:
        run._messages.say(_where_from(run))
    who = f"run {run.name}" if run.name == run.id else f"run {run.name} ({run.id})"
    if run.offline:
        run._messages.say(f"{who} is kept in {run.dir} (offline); `buoy show {run.dir}` reads it")
    elif run._server_answers or listens(run.settings.base_url):
        run._messages.say(f"{who}: {run.url}")
    elif is_local(run.settings.base_url):
        run._messages.say(
            f"{who} is kept in {run.dir}; no server answers at {run.settings.base_url}: "
            "start `buoy server` whenever you like, and it appears there"
        )
    else:
        run._messages.say(f"{who}: {run.url} (kept in {run.dir} until the server has it)")


def _where_from(run: Run) -> str:
    if not run._resumption.resumed:
        return f"run {run.name} begins with the steps of {run.settings.fork_from}"
    return f"run {run.name} goes on at step {run.starting_step} (attempt {run.attempt})"
