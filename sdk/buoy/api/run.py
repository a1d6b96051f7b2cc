"""A run on the server."""

from __future__ import annotations

import copy
import getpass
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from buoy.api import series
from buoy.api.history import LIMIT_MAX, Ranks, check_ranks, pages
from buoy.api.history import rows as rows_of
from buoy.api.http import Http
from buoy.api.names import project_path
from buoy.errors import UsageError

COLUMNS = ("name", "state", "created_us", "tags", "notes", "group", "job_type")
"""What a list of runs brings along."""

_EDITABLE = ("name", "notes", "tags", "group", "job_type", "archived", "config")

_WHO_MAX = 200


class Values(dict[str, Any]):
    """Flat keys that can also be read as a tree: `values["a.b"]` and `values["a"]["b"]`."""

    def __missing__(self, key: str) -> Any:
        prefix = f"{key}."
        below = Values(
            (name[len(prefix) :], value) for name, value in self.items() if name.startswith(prefix)
        )
        if not below:
            raise KeyError(key)
        return below


class Run:
    """A run on the server, as it was when it was loaded; `load(force=True)` brings it up to date.

    What is set here is on the server after `update()`.

    Attributes:
        entity: owner of the project.
        project: the project.
        id: unique in the project.
    """

    def __init__(
        self, http: Http, entity: str, project: str, run_id: str, known: Mapping[str, Any] | None = None
    ) -> None:
        self._http = http
        self.entity = entity
        self.project = project
        self.id = run_id
        self._loaded = False
        self._take(known or {})

    def load(self, force: bool = False) -> Run:
        """Fetches everything about the run that is not history."""
        if force or not self._loaded:
            mine = {} if force else self._changed()
            self._take(self._http.get(self._address))
            self._known |= mine
            self._loaded = True
        return self

    def _take(self, known: Mapping[str, Any]) -> None:
        """What the server says, and a copy that tells later what was changed here."""
        self._known = dict(known)
        self._before = copy.deepcopy({name: known[name] for name in _EDITABLE if name in known})

    def _changed(self) -> dict[str, Any]:
        """What was changed here and is not on the server."""
        return {
            name: self._known[name]
            for name in _EDITABLE
            if name in self._known and (name not in self._before or self._known[name] != self._before[name])
        }

    def update(self) -> Run:
        """Sends what was changed here: name, notes, tags, group, job_type, archived, and values of the config.

            run.name, run.notes = "baseline", "warm-up doubled"
            run.tags.append("paper")
            run.config["reviewed"] = True
            run.update()

        Of two changes of a field the later one counts, also beside what the run's own processes say.

        Raises:
            UsageError: a key of the config was removed; keys can be set only.
            CommError: there is no such run, a value cannot be used, or the server cannot be reached.
        """
        changes = self._changed()
        if "config" in changes:
            before = self._before.get("config", {})
            if gone := before.keys() - changes["config"].keys():
                raise UsageError(f"update: config[{sorted(gone)[0]!r}] cannot be removed, only set")
            changes["config"] = {
                key: value
                for key, value in changes["config"].items()
                if key not in before or before[key] != value
            }
        if changes:
            self._take(self._http.patch(self._address, changes))
            self._loaded = True
        return self

    def archive(self) -> Run:
        """Leaves the run out of lists that do not ask for archived runs; `unarchive()` brings it back."""
        self._known["archived"] = True
        return self.update()

    def unarchive(self) -> Run:
        """Shows the run in lists again."""
        self._known["archived"] = False
        return self.update()

    @property
    def archived(self) -> bool:
        """Whether lists leave the run out."""
        return bool(self._get("archived"))

    @property
    def _address(self) -> str:
        return f"{project_path(self.entity, self.project)}/runs/{quote(self.id, safe='')}"

    def _get(self, name: str) -> Any:
        if name not in self._known:
            self.load()
        return self._known.get(name)

    def listed(self, name: str, default: Any) -> Any:
        """What the list that the run came from says of it; asks nobody."""
        return self._known.get(name, default)

    @property
    def name(self) -> str:
        """For people."""
        return self._get("name") or self.id

    @name.setter
    def name(self, value: str) -> None:
        self._known["name"] = value

    display_name = name

    @property
    def state(self) -> str:
        """running, finished, failed, killed or crashed."""
        return str(self._get("state"))

    @property
    def exit_code(self) -> int | None:
        """Of the process; None while it runs."""
        return self.load()._known.get("exit_code")

    @property
    def tags(self) -> list[str]:
        """Labels; a list that can be changed, for `update()` to send."""
        if self._get("tags") is None:
            self._known["tags"] = []
        return self._known["tags"]  # type: ignore[no-any-return]

    @tags.setter
    def tags(self, value: Sequence[str]) -> None:
        self._known["tags"] = list(value)

    @property
    def notes(self) -> str:
        """Free text."""
        return self._get("notes") or ""

    @notes.setter
    def notes(self, value: str) -> None:
        self._known["notes"] = value

    @property
    def group(self) -> str:
        """Runs that belong together."""
        return self._get("group") or ""

    @group.setter
    def group(self, value: str) -> None:
        self._known["group"] = value

    @property
    def job_type(self) -> str:
        """train, eval, and so on."""
        return self._get("job_type") or ""

    @job_type.setter
    def job_type(self, value: str) -> None:
        self._known["job_type"] = value

    @property
    def created_at(self) -> str:
        """When it began, ISO 8601 in UTC."""
        created = datetime.fromtimestamp(self._get("created_us") / 1e6, timezone.utc)
        return created.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def config(self) -> dict[str, Any]:
        """The configuration; values that are set here are for `update()` to send."""
        return self.load()._known["config"]  # type: ignore[no-any-return]

    @property
    def summary(self) -> Values:
        """The latest value of each key, or what `define_metric()` asked for."""
        return Values(self.load()._known["summary"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Program, machine and the like."""
        return self.load()._known.get("metadata") or {}

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """The run's page."""
        parts = (quote(part, safe="") for part in (self.entity, self.project))
        return f"{self._http.base_url}/{'/'.join(parts)}/runs/{quote(self.id, safe='')}"

    def stop(self) -> None:
        """Asks the run to stop, wherever it runs: its processes are interrupted as by Ctrl-C, within two seconds.

        Returns when the request is noted; it reaches a machine that is out of reach when that is back. What runs is
        the present attempt; a later resume is not stopped.

        Raises:
            CommError: there is no such run, it has ended (code `run_not_running`), or the server cannot be reached.
        """
        self.request_stop("api")

    def request_stop(self, via: str) -> None:
        """As `stop`; `via` says on the run's page how the request came."""
        self._http.post(f"{self._address}/stop", {"via": via, "by": _who()})
        self._loaded = False

    def delete(self, delete_artifacts: bool = False) -> None:
        """Hides the run everywhere. It can be restored for a while, by default a week; then its data is removed.

        What its forks have from it stays theirs. What its processes still send is stored, and hidden too.

        Args:
            delete_artifacts: there are none that could be deleted.

        Raises:
            CommError: there is no such run, or the server cannot be reached.
        """
        if delete_artifacts:
            raise UsageError("delete: this version of buoy has no artifacts; leave delete_artifacts out")
        self._http.delete(self._address, by=_who())
        self._loaded = False

    def restore(self) -> Run:
        """Brings the run back after `delete()`, with what has arrived meanwhile.

        Raises:
            CommError: there is no such run any more, or the server cannot be reached.
        """
        self._http.post(f"{self._address}/restore?{urlencode({'by': _who()})}", {})
        return self.load(force=True)

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
        ranks: Ranks = None,
    ) -> Iterator[dict[str, Any]]:
        """Every row, exactly as logged, in the order of the steps.

        Args:
            keys: only these, and only rows that have all of them.
            page_size: rows in one request.
            min_step: the first step.
            max_step: the step after the last.
            ranks: by default the lowest rank that has a key speaks for it. A number: this rank alone. "all": a row for
                each, with `_rank`. "mean", "min", "max", "sum", "std", "count", "argmin" or "argmax": each key over all
                ranks that have a number at the step; the last two name the rank that is lowest or highest.
        """
        check_ranks(ranks)
        if page_size < 1:
            raise UsageError(f"page_size must be at least 1, not {page_size}")
        # The server wants an inclusive end.
        query = {"min_step": min_step, "max_step": None if max_step is None else max_step - 1, "rank": ranks}
        limit = min(page_size, LIMIT_MAX)
        if not keys:
            for page in pages(self._http, self._address, limit=limit, **query):
                yield from rows_of(page, (), steps=True)
            return
        # The server knows which of the keys is the rarest, and passes over what does not have it.
        cursor = None
        while True:
            answer = self._http.get(f"{self._address}/history", key=keys, limit=limit, cursor=cursor, **query)
            yield from answer["rows"]
            cursor = answer["cursor"]
            if cursor is None:
                return

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
        *,
        ranks: Ranks = None,
    ) -> Any:
        """The course of each metric in at most `samples` points; the same rows whenever it is called.

        Short series come exactly as they were logged. Of longer ones, one row stands for a range of steps that is
        a power of two wide, and holds the last value logged in it.

        Args:
            samples: how many points of a metric are wanted at most.
            keys: which metrics; by default all that are numbers.
            x_axis: `_step`, `_runtime` (seconds since the start), `_timestamp` (Unix seconds), or a metric.
            pandas: return a DataFrame if pandas is installed, else a list of dicts.
            stream: "default", or "system" for the machine's metrics.
            ranks: which ranks, or how they become one; see `scan_history`. Ranks are reduced step by step, before
                anything is thinned out.
        """
        check_ranks(ranks)
        rows = series.rows(
            self, self._http, samples=samples, keys=keys, x_axis=x_axis, stream=stream, ranks=ranks
        )
        if pandas:
            try:
                from pandas import DataFrame  # noqa: PLC0415  only who has it pays for it
            except ImportError:
                return rows
            return DataFrame(rows)
        return rows

    def details(self) -> dict[str, Any]:
        """Everything that the server says of the run, its history aside."""
        return self.load()._known

    def keys(self, *, system: bool = False) -> list[dict[str, Any]]:
        """The keys of the run: name, kind, ranks, number of values; those of the machine if asked."""
        answer = self._http.get(f"{project_path(self.entity, self.project)}/keys", run=self.id)
        return [entry for entry in answer["keys"] if (entry["kind"] == "system") == system]

    def pages(self, **query: object) -> Iterator[dict[str, Any]]:
        """The history as the server pages it, column by column; `query` are the route's parameters."""
        return pages(self._http, self._address, **query)

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self._known.get('state', 'not loaded')})>"


def _who() -> str:
    """Who asks, for the run's page; keys do not tell people apart."""
    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):
        name = f"uid {os.getuid()}"
    return f"{name}@{platform.node()}"[:_WHO_MAX]
