"""A run, as the training process sees it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from buoy_core.errors import CoreError, ForkedWriter

from buoy.clock import steady_s
from buoy.errors import UsageError
from buoy.settings import Settings, check_tags
from buoy.tracking import inheritance, session
from buoy.tracking import metric as metrics
from buoy.tracking.config import Config
from buoy.tracking.delivery import checked_wait
from buoy.tracking.ending import finish_run
from buoy.tracking.exits import exit_code_of
from buoy.tracking.recorder import Recorder, SpoolRecorder, Start
from buoy.tracking.resume import NEW, Resumption
from buoy.tracking.summary import Summary
from buoy.tracking.trouble import watch

if TYPE_CHECKING:
    from buoy.forwarder import Forwarder
    from buoy.tracking.messages import Messages

Log = Callable[[Mapping[str, Any], "int | None", "bool | None"], None]


class Run:
    """What `init()` returns. Use it in a `with` block, or call `finish()`, or just let the program end.

    Safe to use from several threads. A forked child may go on using it, and so may a process that gets it by pickle:
    each becomes a further writer of the same run with the first thing it records. How the run ends is for the process
    that began it to say. `init()` in such a process starts a run of its own.

    Attributes:
        settings: what holds for this run.
    """

    def __init__(
        self,
        start: Start,
        settings: Settings,
        recorder: Recorder,
        messages: Messages,
        config: Config,
        *,
        resumption: Resumption = NEW,
    ) -> None:
        self.settings = settings
        self._resumption = resumption
        self._start = start
        self._recorder = recorder
        self._messages = messages
        self._log: Log = recorder.log
        self._pid = os.getpid()
        self._origin = inheritance.this_process()
        self._token = secrets.token_bytes(16)
        self._family = getattr(recorder, "writer_id", b"")
        self._started = time.time()
        self._finished = False
        self._began_s = steady_s()
        self._took_s = 0.0
        # For each open `with`: whether its exit ends the run. A nested init() only joins.
        self._blocks: list[bool] = []
        self._joins = 0
        self._url = ""
        self._metrics = metrics.Metrics()
        self._synchroniser: metrics.Synchroniser | None = None
        self._summary = Summary(recorder, self._metrics, self._publish_summary)
        if resumption.past is not None and resumption.branch is None:
            self._summary.inherit(resumption.past.summary)
        self._config = config
        self._forwarder: Forwarder | None = None
        self._server_answers = False
        self._is_guest = False
        self._exit_code = 0
        self._watch()
        config.persist(self._publish_config)

    # ------------------------------------------------------------------ recording

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Records a row of metrics; returns when it is safe from the death of any process.

        Args:
            data: names and values; nested dicts become names joined by dots. It is not changed.
            step: the row the values belong to; the current one by default. A smaller step is recorded too.
            commit: whether the row is complete, so that the next call starts another; by default if no step is given.

        Raises:
            TypeError: `data` is not a mapping, or a key or value has a type that cannot be recorded.
            ValueError: the row is larger than 64 MiB.
            UsageError: the run is finished.
        """
        # This frame is all that the SDK adds to the writer; a `try` costs nothing until something goes wrong.
        try:
            self._log(data, step, commit)
        except (CoreError, OSError) as error:
            self._rescue(error, data, step, commit)

    def _rescue(
        self, error: Exception, data: Mapping[str, Any], step: int | None, commit: bool | None
    ) -> None:
        try:
            # The second: another thread has made the writer since this one met the parent's.
            if self._is_elsewhere() or isinstance(error, ForkedWriter):
                inheritance.adopt(self)
                self._log(data, step, commit)
                return
        except (CoreError, OSError) as again:
            error = again
        self._messages.warn_once("log", f"rows cannot be recorded: {error}; training goes on")

    def define_metric(  # noqa: PLR0917  the field's signature
        self,
        name: str,
        step_metric: str | metrics.Metric | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> metrics.Metric:
        """Says how a metric is to be shown.

        Args:
            name: the metric, or the beginning of several names followed by `*`.
            step_metric: the metric on its x axis.
            step_sync: whether a row without the step metric gets its last value; True if there is a step metric.
            hidden: no chart of its own.
            summary: what the summary shows, separated by commas: min, max, mean, best, last, first, copy, none.
            goal: minimize or maximize, for `best`.
            overwrite: forget what an earlier call said instead of adding to it.

        Raises:
            UsageError: an argument is not allowed, or the run is finished.
        """
        given = metrics.checked(name, step_metric, step_sync, hidden, summary, goal)
        self._check_alive("define_metric")
        self._guarded(lambda: self._recorder.metric(given, overwrite=bool(overwrite)))
        defined = self._metrics.define(given, overwrite=bool(overwrite))
        self._synchronise()
        return defined

    def _synchronise(self) -> None:
        """Looks at each row from now on, if any metric asks for it."""
        if self._synchroniser is not None:
            self._synchroniser.forget_plan()
        elif self._metrics.any_synchronised:
            self._synchroniser = metrics.Synchroniser(self._metrics, self._recorder.last_values)
            self._log = self._log_synchronised

    def _log_synchronised(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        if self._synchroniser is not None and isinstance(data, Mapping):
            data = self._synchroniser.fill(data)
        self._recorder.log(data, step, commit)

    def finish(
        self, exit_code: int | None = None, quiet: bool | None = None, wait: str | None = None
    ) -> None:
        """Ends the run; returns when its data is safe. Trouble is told, not raised.

        Ctrl-C ends the wait: the data is on this machine then, and the daemon goes on with it.

        Args:
            exit_code: 0 or None: finished; else failed.
            quiet: no progress and no summary on the terminal.
            wait: "disk": the daemon has the data on disk, and uploads the rest by itself. "upload": the server has
                everything; if it takes nothing for `finish_patience` seconds, a message says where the data is. By
                default the setting `finish_wait`.

        Raises:
            UsageError: `wait` is something else.
        """
        finish_run(self, exit_code, quiet, checked_wait(wait))

    def __enter__(self) -> Run:
        joined = self._joins > 0
        self._joins -= joined
        self._blocks.append(not joined)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ends = self._blocks.pop() if self._blocks else True
        if ends:
            finish_run(self, exit_code_of(error), None)

    # ------------------------------------------------------------------ what it is

    @property
    def id(self) -> str:
        """Unique in its project."""
        return self._start.run_id

    @property
    def name(self) -> str:
        """For people; may be changed."""
        return self._start.name

    @name.setter
    def name(self, value: str) -> None:
        self._change("name", _text("name", value))

    @property
    def notes(self) -> str:
        """Free text; may be changed."""
        return self._start.notes

    @notes.setter
    def notes(self, value: str) -> None:
        self._change("notes", _text("notes", value))

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels; may be changed, and `run.tags += ("more",)` works."""
        return self._start.tags

    @tags.setter
    def tags(self, value: object) -> None:
        try:
            self._change("tags", check_tags(value))
        except ValueError as error:
            self._messages.warn(f"tags stay as they are: they {error}")

    @property
    def entity(self) -> str:
        """Owner of the project."""
        return self._start.entity

    @property
    def project(self) -> str:
        """The project."""
        return self._start.project

    @property
    def group(self) -> str:
        """Runs that belong together."""
        return self._start.group

    @property
    def job_type(self) -> str:
        """What kind of work this is: train, eval, and so on."""
        return self._start.job_type

    @property
    def rank(self) -> int:
        """This process's place in its distributed job; 0 when there is one process."""
        return self._start.rank.rank

    @property
    def path(self) -> str:
        """`entity/project/id`, as `Api().run()` takes it."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def dir(self) -> str:
        """Folder of the local copy; empty if there is none."""
        return self._start.run_dir

    @property
    def url(self) -> str | None:
        """The run's page; None if the run does not go to a server."""
        return self._url or None

    @property
    def project_url(self) -> str | None:
        """The project's page; None if the run does not go to a server."""
        return self._url.rpartition("/runs/")[0] or None

    @property
    def start_time(self) -> float:
        """When it began, Unix seconds."""
        return self._started

    @property
    def starting_step(self) -> int:
        """The first step of this process: 0, or where a resumed or forked run goes on."""
        return self._resumption.starting_step

    @property
    def step(self) -> int:
        """The step that the next row gets."""
        return self._recorder.step

    @property
    def resumed(self) -> bool:
        """Whether this goes on with a run that was there before."""
        return self.attempt > 1

    @property
    def attempt(self) -> int:
        """Which attempt at the run this is, counted from 1, as far as this process knows."""
        past = self._resumption.past if self._resumption.resumed else None
        return max(self._start.attempt, 1, past.attempts + 1 if past is not None else 1)

    @property
    def offline(self) -> bool:
        """Whether the data stays on this machine."""
        return self.settings.mode == "offline"

    @property
    def disabled(self) -> bool:
        """Whether nothing is recorded at all."""
        return self.settings.mode == "disabled"

    @property
    def config(self) -> Config:
        """The configuration; assigning a dict adds to it."""
        return self._config

    @config.setter
    def config(self, value: object) -> None:
        if value is not self._config:
            self._config.update(value, allow_val_change=True)

    @property
    def config_static(self) -> dict[str, Any]:
        """A copy of the configuration."""
        return self._config.as_dict()

    @property
    def summary(self) -> Summary:
        """One value for each key; assigning a dict adds to it."""
        return self._summary

    @summary.setter
    def summary(self, value: Mapping[str, Any]) -> None:
        if value is not self._summary:
            self._summary.update(value)

    def __repr__(self) -> str:
        return f"<buoy run {self.path} {self.name!r}{' finished' if self._finished else ''}>"

    def __deepcopy__(self, memo: object) -> Run:
        # Frameworks copy their configuration, with the run in it.
        return self

    def __copy__(self) -> Run:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return Run._from_ticket, (inheritance.ticket_of(self),)

    @classmethod
    def _from_ticket(cls, ticket: inheritance.Ticket) -> Run:
        """The run that was pickled: the very object where it is known, else one that joins at its first record."""
        if (known := session.find(ticket["token"])) is not None:
            return known
        config = Config(allow_val_change=ticket["config_changes"])
        config.inherit(ticket["config"])
        run = cls(*inheritance.parts_of(ticket), config)
        inheritance.restore(run, ticket)
        return run

    # ------------------------------------------------------------------ inside

    def _change(self, name: str, value: Any) -> None:
        self._check_alive(name)
        self._start = self._start._replace(**{name: value})
        self._guarded(lambda: self._recorder.update(**{name: value}))

    def _publish_config(self, values: dict[str, object], removed: list[str]) -> None:
        self._check_alive("config")
        self._guarded(lambda: self._recorder.config(values, removed))

    def _publish_summary(self, values: dict[str, object], removed: list[str]) -> None:
        self._check_alive("summary")
        self._guarded(lambda: self._recorder.summary(values, removed))

    def _guarded(self, record: Callable[[], None]) -> None:
        """Records something other than a row; trouble of ours is told, not raised."""
        try:
            if self._is_elsewhere():
                inheritance.adopt(self)
            record()
        except (CoreError, OSError, ValueError) as error:
            self._messages.warn_once(
                "record", f"a change of the run cannot be recorded: {error}; training goes on"
            )

    def _check_alive(self, what: str) -> None:
        if self._finished:
            raise UsageError(
                f"run {self.id} is finished; {what} needs a run that is not: call buoy.init() for a new one"
            )

    def _log_after_finish(self, *_: object) -> None:
        self._check_alive("log()")

    def _is_elsewhere(self) -> bool:
        """Whether this process has no writer of its own yet: forked, or the run came by pickle."""
        return os.getpid() != self._pid

    def _is_guest_here(self) -> bool:
        """Whether another process has begun the run."""
        return self._is_guest or self._is_elsewhere()

    def _close(self) -> None:
        """Takes nothing any more."""
        self._finished = True
        self._took_s = steady_s() - self._began_s
        self._log = self._log_after_finish
        session.forget(self)

    def _watch(self) -> None:
        if isinstance(self._recorder, SpoolRecorder):
            watch(self._recorder, self._messages, lambda: self.dir)

    def _use(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._watch()
        self._summary.rebind(recorder)
        if not self._finished:
            self._log = recorder.log if self._synchroniser is None else self._log_synchronised


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"run.{name} must be a string, not {type(value).__name__}")
    return value
