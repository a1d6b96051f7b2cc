"""The runs of a project, fetched page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from buoy.api.http import Http
from buoy.api.names import filters_of, project_path, sort_of
from buoy.api.run import COLUMNS, Run
from buoy.errors import UsageError

_PAGE_MAX = 1000


class Runs(Sequence[Run]):
    """A sequence that asks the server for what is looked at, once.

    All pages are of one order, that of the first: runs that begin or change meanwhile move nothing.
    """

    def __init__(
        self,
        http: Http,
        entity: str,
        project: str,
        filters: str | Mapping[str, object] | None,
        *,
        order: str,
        per_page: int,
    ) -> None:
        if not 1 <= per_page <= _PAGE_MAX:
            raise UsageError(f"per_page must be between 1 and {_PAGE_MAX}, not {per_page}")
        self._http = http
        self.entity = entity
        self.project = project
        self._query: dict[str, object] = {
            "filter": filters if isinstance(filters, str) else filters_of(filters) if filters else None,
            "sort": sort_of(order),
            "columns": list(COLUMNS),
            "limit": per_page,
        }
        self._per_page = per_page
        self._pages: dict[int, list[Run]] = {}
        self._total: int | None = None

    def __len__(self) -> int:
        if self._total is None:
            self._page(0)
        return self._total or 0

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | list[Run]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        number, offset = divmod(position, self._per_page)
        page = self._page(number) if position >= 0 else []
        if offset >= len(page):
            raise IndexError(f"there are {len(self)} runs")
        return page[offset]

    def __repr__(self) -> str:
        return f"<{len(self)} runs of {self.entity}/{self.project}>"

    def _page(self, number: int) -> list[Run]:
        if number not in self._pages:
            body = {**self._query, "offset": number * self._per_page}
            answer = self._http.post(project_path(self.entity, self.project) + "/runs:query", body)
            # A server that no longer knows the order says so by another revision; the pages go on in that.
            self._query["at_rev"] = answer["rev"]
            if self._total is None:
                self._total = answer["total"]
            self._pages[number] = self._rows(answer)
        return self._pages[number]

    def _rows(self, answer: dict[str, Any]) -> list[Run]:
        columns = answer["columns"]
        return [
            Run(
                self._http,
                self.entity,
                self.project,
                run_id,
                {name: values[row] for name, values in columns.items()},
            )
            for row, run_id in enumerate(answer["ids"])
        ]
