"""`Api`: what is on the server, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from buoy_core.state import read_api_key, state_dir

from buoy.api.http import Http
from buoy.api.names import project_path
from buoy.api.run import Run
from buoy.api.runs import Runs
from buoy.errors import CommError, UsageError
from buoy.settings import DEFAULT_ENTITY, resolve
from buoy.tracking.messages import Messages

_OVERRIDES = ("base_url", "entity", "project")


class Project(NamedTuple):
    """A project on the server."""

    entity: str
    name: str
    runs: int
    live: int
    url: str

    @property
    def path(self) -> str:
        """`entity/project`."""
        return f"{self.entity}/{self.name}"


class Api:
    """Reads projects and runs from the server.

    Args:
        overrides: `entity`, `project`, `base_url` to use instead of the settings.
        timeout: seconds to wait for an answer; 20 by default.
        api_key: the key; by default that of `BUOY_API_KEY` or of `buoy.login()`.

    Raises:
        UsageError: an override is not allowed.
    """

    def __init__(
        self,
        overrides: Mapping[str, str] | None = None,
        timeout: float | None = None,
        api_key: str | None = None,
    ) -> None:
        if unknown := set(overrides or {}) - set(_OVERRIDES):
            raise UsageError(f"Api: unknown override {sorted(unknown)[0]!r}; known: {', '.join(_OVERRIDES)}")
        settings = resolve(overrides, {"api_key": api_key}, warn=Messages().warn)
        key = settings.api_key or read_api_key(state_dir(), settings.base_url) or ""
        self.entity = settings.entity or DEFAULT_ENTITY
        self._project = settings.project
        self._http = Http(settings.base_url, key, 20.0 if timeout is None else timeout)

    def projects(self, entity: str | None = None) -> list[Project]:
        """All projects, or those of one owner."""
        return [
            Project(
                entry["entity"],
                entry["name"],
                entry["runs"],
                entry["live"],
                f"{self._http.base_url}/{quote(entry['entity'], safe='')}/{quote(entry['name'], safe='')}",
            )
            for entry in self._http.get("/api/v1/projects")["projects"]
            if entity in {None, entry["entity"]}
        ]

    def runs(
        self,
        path: str | None = None,
        filters: str | Mapping[str, object] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
    ) -> Runs:
        """The runs of a project, fetched page by page as they are needed.

        Args:
            path: `entity/project` or `project`; by default the project of the settings.
            filters: a line such as `state:finished lr<0.1 min(val/loss)<0.2 -tag:debug` (docs/filters.md), or
                Mongo-like, for example `{"config.lr": {"$lt": 0.1}, "state": "finished"}`.
            order: a key after `+` or `-`, for example `-summary_metrics.loss` or `+min(val/loss)`; several with
                commas in between. Runs that lack a key come last.
            per_page: runs in one request, at most 1000.
        """
        entity, project = self._project_of(path)
        return Runs(self._http, entity, project, filters, order=order, per_page=per_page)

    def run(self, path: str) -> Run:
        """One run.

        Args:
            path: `entity/project/id`, `project/id`, or `id`; without a project anywhere, all of them are searched.

        Raises:
            CommError: there is no such run, or the server cannot be reached.
        """
        parts = path.strip("/").split("/")
        # The link of a run page has one word more.
        if len(parts) == 4 and parts[2] == "runs":
            del parts[2]
        if len(parts) > 3 or not all(parts):
            raise UsageError(f"a path is entity/project/id, project/id or id, not {path!r}")
        if len(parts) == 1 and self._project is None:
            return self._search(parts[0])
        entity, project = self._project_of("/".join(parts[:-1]) or None)
        return Run(self._http, entity, project, parts[-1]).load()

    def deleted_runs(self, path: str | None = None) -> list[Run]:
        """The deleted runs of a project that can be restored, the latest deleted first.

        They have an id, a name, a state and when they were created; nothing else can be asked of them.

        Args:
            path: `entity/project` or `project`; by default the project of the settings.
        """
        entity, project = self._project_of(path)
        answer = self._http.get(f"{project_path(entity, project)}/runs:deleted")
        return [Run(self._http, entity, project, entry["id"], entry) for entry in answer["runs"]]

    def restore(self, path: str) -> Run:
        """Brings a deleted run back.

        Args:
            path: `entity/project/id` or `project/id`, or `id` in the project of the settings.

        Raises:
            CommError: there is no such run, its data is removed, or the server cannot be reached.
        """
        parts = path.strip("/").split("/")
        if len(parts) > 3 or not all(parts):
            raise UsageError(f"a path is entity/project/id, project/id or id, not {path!r}")
        entity, project = self._project_of("/".join(parts[:-1]) or None)
        return Run(self._http, entity, project, parts[-1]).restore()

    def _search(self, run_id: str) -> Run:
        for project in self.projects():
            found = Runs(
                self._http, project.entity, project.name, {"id": run_id}, order="+created_at", per_page=1
            )
            if len(found):
                return found[0].load()
        raise CommError(f"there is no run {run_id} on {self._http.base_url}", status=404, code="not_found")

    def _project_of(self, path: str | None) -> tuple[str, str]:
        parts = path.strip("/").split("/") if path else []
        if len(parts) > 2 or not all(parts):
            raise UsageError(f"the path of a project is entity/project or project, not {path!r}")
        project = parts[-1] if parts else self._project or "uncategorized"
        return (parts[0] if len(parts) == 2 else self.entity), project
