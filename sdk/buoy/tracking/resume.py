"""Where a run goes on: from its own last step, from a step of its own that the user names, or from another run's.

`init()` asks only if it has to: for `resume`, `resume_from` and `fork_from`, and when a scheduler says that it has
started the job again. It asks the server and the run's local folders, and goes by whichever knows more.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from buoy_core.holder import is_running
from buoy_core.state import read_api_key, state_dir
from buoy_proto import v1

from buoy.api.http import Http
from buoy.daemon_link import connect
from buoy.errors import CommError, UsageError
from buoy.ids import default_project
from buoy.past import Past, past_in_folders, past_on_server
from buoy.settings import DEFAULT_ENTITY, Settings, check_run_id

RESUME_FILE = "resume.json"
"""In the folder of the run folders: the run that resume="auto" goes on with."""

_SETTLE_S = 5.0
_MOMENT = re.compile(r"(?P<run>[^?]+)\?_step=(?P<step>\d+)")


class Moment(NamedTuple):
    """A step of a run."""

    run_id: str
    step: int


class Resumption(NamedTuple):
    """How a run begins.

    Attributes:
        past: what it goes on from; None for a run that is new, or begins anew.
        starting_step: its first step.
        branch: what the server has to know of where it comes from.
        resumed: whether the run was there before.
    """

    past: Past | None = None
    starting_step: int = 0
    branch: v1.Branch | None = None
    resumed: bool = False


NEW = Resumption()


def project_of(settings: Settings) -> str:
    """The run's project: the given one, else the one of the folder that the program runs in."""
    try:
        return settings.project or default_project(Path.cwd())
    except OSError:
        return default_project(Path("/"))


def parse_moment(argument: str, value: object) -> Moment:
    """A step of a run, written as `RUN_ID?_step=N`.

    Raises:
        UsageError: it is written in another way.
    """
    matched = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        raise UsageError(
            f'init: {argument} is written "RUN_ID?_step=N", with a step from 0 up, not {value!r}'
        )
    try:
        return Moment(check_run_id(matched["run"]), int(matched["step"]))
    except ValueError as error:
        raise UsageError(f"init: the run id in {argument} {error}") from None


def settle_arguments(settings: Settings) -> None:
    """Checks what was asked for together, and fills in the run id that follows from it.

    Raises:
        UsageError: the arguments contradict each other.
    """
    asked = [name for name in ("resume", "resume_from", "fork_from") if getattr(settings, name) is not None]
    if settings.resume == "never" and len(asked) > 1:
        asked.remove("resume")
    if len(asked) > 1:
        raise UsageError(f"init: give {' or '.join(asked)}, not both: each says where the run goes on")
    if settings.resume_from is not None:
        moment = parse_moment("resume_from", settings.resume_from)
        if settings.run_id not in (None, moment.run_id):
            raise UsageError(
                f"init: resume_from goes on with run {moment.run_id}, and id is {settings.run_id}; leave the id out"
            )
        settings.run_id = moment.run_id
    if settings.fork_from is not None:
        moment = parse_moment("fork_from", settings.fork_from)
        if settings.run_id == moment.run_id:
            raise UsageError(
                "init: a fork needs an id of its own; to go on with the same run from an earlier step say resume_from"
            )
    if settings.resume == "auto" and settings.run_id is None:
        settings.run_id = _remembered(settings)


def find_resumption(
    settings: Settings, run_id: str, *, launch: bytes, restarted: bool, warn: Callable[[str], None]
) -> Resumption:
    """Looks up what the run goes on from, if it has to.

    Args:
        settings: everything the run was told; `settle_arguments` has seen them.
        run_id: its id.
        launch: of this process's job; other ranks of it may have begun already.
        restarted: whether a scheduler has started the job again.
        warn: is told what could not be found out.

    Raises:
        UsageError: `resume` forbids what was found, or a step cannot be gone on from.
    """
    sources = _Sources(settings, launch)
    if settings.fork_from is not None:
        return _fork(sources, parse_moment("fork_from", settings.fork_from), warn)
    if settings.resume_from is not None:
        return _rewind(sources, parse_moment("resume_from", settings.resume_from), warn)
    if settings.resume is None and not restarted:
        return NEW
    sources.wait_for_daemon(run_id)
    past = sources.find(run_id)
    if sources.deleted:
        told = sources.told_deleted(run_id)
        if settings.resume is not None:
            raise UsageError(f"init: {told}")
        # A scheduler has started the job again, and nobody is there to choose.
        warn(told)
    if settings.resume == "never":
        if past is not None:
            raise UsageError(
                f'init: run {run_id} exists, and resume="never" forbids to go on with it; '
                'choose another id, or say resume="allow"'
            )
        return NEW
    if past is None:
        if settings.resume == "must":
            raise UsageError(f'init: resume="must", but {sources.nothing_found(run_id)}')
        if sources.trouble:
            warn(
                f"{sources.trouble}. No trace of run {run_id} is on this machine either, so it begins at step 0; "
                "if the server has steps of it, those from the first step logged now on are superseded"
            )
        return NEW
    starting_step = 0 if past.last_step is None else past.last_step + 1
    return Resumption(past, starting_step, None, resumed=True)


def _fork(sources: _Sources, moment: Moment, warn: Callable[[str], None]) -> Resumption:
    past = _past_of(sources, "fork_from", moment, warn)
    branch = v1.Branch(
        run_id=moment.run_id, step=moment.step, attempt_unix_us=past.attempt_us if past is not None else 0
    )
    return Resumption(past, moment.step + 1, branch)


def _rewind(sources: _Sources, moment: Moment, warn: Callable[[str], None]) -> Resumption:
    past = _past_of(sources, "resume_from", moment, warn)
    branch = v1.Branch(run_id=moment.run_id, step=moment.step)
    return Resumption(past, moment.step + 1, branch, resumed=True)


def _past_of(sources: _Sources, argument: str, moment: Moment, warn: Callable[[str], None]) -> Past | None:
    sources.wait_for_daemon(moment.run_id)
    past = sources.find(moment.run_id)
    if sources.deleted:
        raise UsageError(f"init: {argument}: {sources.told_deleted(moment.run_id)}")
    if past is None and not sources.trouble:
        raise UsageError(f"init: {argument}: {sources.nothing_found(moment.run_id)}")
    if past is None:
        warn(
            f"{argument}: {sources.trouble}; whether run {moment.run_id} has step {moment.step} is not known yet"
        )
    elif moment.step > (-1 if past.last_step is None else past.last_step):
        raise UsageError(
            f"init: {argument} names step {moment.step}, but the last step of run {moment.run_id} is {past.last_step}"
        )
    return past


class _Sources:
    """The places that may know of a run."""

    def __init__(self, settings: Settings, launch: bytes) -> None:
        self._settings = settings
        self._launch = launch
        self._entity = settings.entity or DEFAULT_ENTITY
        self._project = project_of(settings)
        self._parent = Path(settings.dir).expanduser().absolute()
        self.trouble = ""
        """Why the server could not be asked; empty if it was, or there is none to ask."""
        self.deleted = False
        """The server has the run, and somebody has deleted it."""

    def find(self, run_id: str) -> Past | None:
        """What server and folders know together."""
        local = past_in_folders(self._parent, self._entity, self._project, run_id, launch=self._launch)
        if self._settings.mode == "offline":
            return local
        try:
            key = self._settings.api_key or read_api_key(state_dir(), self._settings.base_url) or ""
            http = Http(self._settings.base_url, key, self._settings.start_timeout)
            remote = past_on_server(http, self._entity, self._project, run_id, launch=self._launch)
        except (CommError, OSError) as error:
            self.deleted = isinstance(error, CommError) and error.code == "run_deleted"
            self.trouble = "" if self.deleted else str(error)
            return local
        return local if remote is None else remote.joined(local)

    def wait_for_daemon(self, run_id: str) -> None:
        """Lets the daemon read what a killed process of the run has left in its spool, which may be the last steps."""
        deadline = time.monotonic() + _SETTLE_S
        try:
            with connect(state_dir(), self._settings.start_timeout) as link:
                while time.monotonic() < deadline:
                    if not any(self._is_behind(run, run_id) for run in link.status().runs):
                        return
                    time.sleep(0.05)
        except (CommError, OSError):
            # Without a daemon the folders have to do.
            return

    def _is_behind(self, run: v1.RunStatus, run_id: str) -> bool:
        names = run.run.entity, run.run.project, run.run.run_id
        if names != (self._entity, self._project, run_id):
            return False
        running = [writer for writer in run.writers if writer.state == v1.RUN_STATE_RUNNING]
        return any(not is_running(writer.pid) for writer in running)

    def told_deleted(self, run_id: str) -> str:
        """Says what became of the run, and what to do."""
        path = f"{self._entity}/{self._project}/{run_id}"
        return (
            f"run {run_id} is deleted at {self._settings.base_url}: whatever is logged to it is stored there and stays "
            f"hidden. Bring it back with `buoy restore {path}`, or choose another id"
        )

    def nothing_found(self, run_id: str) -> str:
        """Says where was looked."""
        where = f"there is no run {run_id} of project {self._project} in {self._parent}"
        if self._settings.mode == "offline":
            return where
        if self.trouble:
            return f"{where}, and {self.trouble}"
        return f"{where} or at {self._settings.base_url}; check id, project and entity"


def remember(settings: Settings, run_id: str) -> None:
    """Writes down which run resume="auto" goes on with, should this process not get to its end."""
    folder = Path(settings.dir).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{RESUME_FILE}.{os.getpid()}"
    about = {"run_id": run_id, "project": project_of(settings), "entity": settings.entity}
    temporary.write_text(json.dumps(about), encoding="utf-8")
    temporary.replace(folder / RESUME_FILE)


def forget(settings: Settings, run_id: str) -> None:
    """The run has come to a good end: the next one is a new one."""
    if _remembered(settings) == run_id:
        (Path(settings.dir).expanduser().absolute() / RESUME_FILE).unlink(missing_ok=True)


def _remembered(settings: Settings) -> str | None:
    path = Path(settings.dir).expanduser().absolute() / RESUME_FILE
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if (about["project"], about["entity"]) == (project_of(settings), settings.entity):
            return check_run_id(about["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
