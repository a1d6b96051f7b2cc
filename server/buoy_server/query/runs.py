"""Lists runs: filter, sort, group, cut, and only the asked columns, column by column.

The project's table says which runs, in which order; what is shown of them comes from SQL, exactly.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from buoy_server.errors import Malformed
from buoy_server.filters import parser
from buoy_server.filters.mongo import from_object
from buoy_server.filters.names import column_of, own_column
from buoy_server.filters.nodes import BadFilter, Key, Node, as_json, keys_of
from buoy_server.filters.readings import moves
from buoy_server.metadata.engine import Metadata
from buoy_server.query.catalogue import find_project
from buoy_server.query.known_columns import config_columns, summary_columns
from buoy_server.query.shown import alive, shown
from buoy_server.query.summaries import Summaries
from buoy_server.table.column import Column
from buoy_server.table.groups import Groups, group_rows, key_values
from buoy_server.table.masks import Masks
from buoy_server.table.order import sort_rows
from buoy_server.table.project_table import ProjectTable
from buoy_server.table.tables import BYTES_MAX, Tables
from buoy_server.table.vocabulary import TableVocabulary

LIMIT_MAX = 1000
KEYS_MAX = 16
"""How many keys may sort, and how many may group."""

COLUMNS_MAX = 500
COUNT = "n"
"""Sorts groups by how many runs they have."""

DEFAULT_COLUMNS = (
    "name", "state", "created_us", "started_us", "ended_us", "heartbeat_us", "tags", "notes", "group", "job_type",
    "host", "attempts", "rev",
)  # fmt: skip


@dataclass(frozen=True)
class RunsRequest:
    """What a list of runs shows.

    Attributes:
        filter: A line of the filter language, a Mongo-like object, or None for all.
        sort: (key, descending), the first decides. None: the newest first, or groups by their keys.
        columns: Keys.
        group: Keys; with any there are groups in place of runs.
        offset: Runs or groups passed over.
        limit: Runs or groups returned at most.
        at_rev: Revision of an earlier answer to the same question, whose order is wanted again.
    """

    filter: object = None
    sort: Sequence[tuple[str, bool]] | None = None
    columns: Sequence[str] = DEFAULT_COLUMNS
    group: Sequence[str] = ()
    offset: int = 0
    limit: int = 100
    at_rev: int | None = None


def tree_of(given: object) -> Node:
    """The tree of a filter in either form.

    Raises:
        BadFilter: It cannot be read.
    """
    if isinstance(given, str):
        return parser.parse(given)
    return from_object({} if given is None else given)


class RunsQuery:
    """Answers lists of runs. Thread-safe.

    Args:
        metadata: The database.
        summaries: Knows what was logged.
        bytes_max: What the tables in memory may take together.
    """

    def __init__(self, metadata: Metadata, summaries: Summaries, bytes_max: int = BYTES_MAX) -> None:
        self._metadata = metadata
        self._summaries = summaries
        self.tables = Tables(metadata, summaries, bytes_max)

    def answer(self, path: str, request: RunsRequest, now_us: int) -> dict[str, object]:
        """The matching runs, or groups of them; docs/api.md has the members. Values are Python's.

        Raises:
            Missing: There is no such project.
            Malformed: The filter or a column cannot be used.
        """
        _check(request)
        tree = tree_of(request.filter)
        with self._metadata.read() as connection:
            project = find_project(connection, path)
        with self.tables.at_present(project.id) as (table, connection):
            question = _Question(table, connection, now_us)
            columns = [(name, question.column(name)) for name in request.columns]
            rows, rev = question.rows(tree, request)
            if request.group:
                return {"rev": rev, "total": len(rows)} | question.groups(rows, request, columns)
            page = rows[request.offset : request.offset + request.limit]
            ids = [int(key) for key in table.ids[page]]
            names = [name for _, (name, _) in columns]
            cells = shown(connection, self._summaries, ids, names)
            return {
                "rev": rev,
                "total": len(rows),
                "ids": [row["id"] for row in cells],
                "columns": {given: [row[name] for row in cells] for given, (name, _) in columns},
            }

    def batches(self, path: str, request: RunsRequest, now_us: int) -> Iterator[list[dict[str, object]]]:
        """All matching runs, whatever the limit, some at a time: their ids and the asked columns as they were given.

        Which runs, and in which order, is settled by the call; values are those of the moment at which each batch is
        read, in a transaction of its own, so that a slow reader holds nothing. Runs deleted meanwhile are left out.

        Raises:
            Missing: There is no such project.
            Malformed: The filter or a column cannot be used.
        """
        _check(request)
        tree = tree_of(request.filter)
        with self._metadata.read() as connection:
            project = find_project(connection, path)
        with self.tables.at_present(project.id) as (table, connection):
            question = _Question(table, connection, now_us)
            columns = [(given, question.column(given)[0]) for given in request.columns]
            rows, _ = question.rows(tree, request)
            keys = table.ids[rows].tolist()
        return self._read_batches(keys, columns)

    def _read_batches(
        self, keys: Sequence[int], columns: Sequence[tuple[str, str]]
    ) -> Iterator[list[dict[str, object]]]:
        names = list(dict.fromkeys(name for _, name in columns))
        for begin in range(0, len(keys), LIMIT_MAX):
            with self._metadata.read() as connection:
                there = alive(connection, keys[begin : begin + LIMIT_MAX])
                cells = shown(connection, self._summaries, there, names)
            yield [{"id": row["id"]} | {given: row[name] for given, name in columns} for row in cells]

    def known_columns(self, path: str) -> dict[str, object]:
        """What a list may show beside the run's own columns: paths of configs, and keys of summaries.

        Raises:
            Missing: There is no such project.
        """
        with self._metadata.read() as connection:
            project = find_project(connection, path)
        with self.tables.at_present(project.id) as (table, connection):
            logged = summary_columns(connection, project.id)
            return {"rev": table.rev, "config": config_columns(table, connection), "summary": logged}


def _check(request: RunsRequest) -> None:
    if not 0 <= request.limit <= LIMIT_MAX or request.offset < 0:
        raise Malformed("bad_limit", f"limit is from 0 to {LIMIT_MAX}, offset not negative.")
    if (
        len(request.sort or ()) > KEYS_MAX
        or len(request.group) > KEYS_MAX
        or len(request.columns) > COLUMNS_MAX
    ):
        raise Malformed(
            "bad_limit", f"At most {KEYS_MAX} keys sort or group, and {COLUMNS_MAX} columns are shown."
        )


class _Question:
    """One question to a table, in one transaction."""

    def __init__(self, table: ProjectTable, connection: Connection, now_us: int) -> None:
        self.table = table
        self.connection = connection
        self.now_us = now_us
        self.words = TableVocabulary(table, connection)

    def resolve(self, key: Key) -> tuple[str, Column]:
        """The column that a key of a filter means."""
        name = column_of(key, self.words)
        return name, self.table.column(self.connection, name)

    def column(self, given: str) -> tuple[str, Column | None]:
        """The canonical name of a key of a list. The column itself is read only if it has to order something."""
        key = parser.parse_key(given)
        try:
            return column_of(key or Key(given), self.words), None
        except BadFilter as error:
            raise Malformed("bad_column", error.detail.replace("filter", "column")) from None

    def loaded(self, given: str) -> Column:
        """The column of a key that orders or groups."""
        return self.table.column(self.connection, self.column(given)[0])

    def rows(self, tree: Node, request: RunsRequest) -> tuple[NDArray[np.intp], int]:
        """The matching rows, in order unless they are to be grouped, and the revision of that order."""
        sort = [] if request.group else [("created_us", True)] if request.sort is None else request.sort
        question: Hashable = (json.dumps(as_json(tree)), tuple(sort), tuple(request.group))
        if request.at_rev is not None:
            kept = self.table.orders.get(question, request.at_rev)
            if kept is not None:
                return kept[self.table.alive[kept]], request.at_rev
        keys = [(self.loaded(key), descending) for key, descending in sort]
        if request.at_rev is None and not moves(tree):
            kept = self.table.orders.get(question, self.table.rev)
            if kept is not None:
                return kept, self.table.rev
        chosen = Masks(len(self.table), self.resolve, self.now_us).of(tree) & self.table.alive
        if not any(own_column(key.name) in ("archived", "archived_us") for key in keys_of(tree)):
            chosen &= self.table.column(self.connection, "archived").number == 0
        rows = np.flatnonzero(chosen)
        # Groups too take rows in the order of ids, so that replicas add up in the same order.
        rows = sort_rows(rows, keys, self.table.ids)
        self.table.orders.put(question, self.table.rev, rows)
        return rows, self.table.rev

    def groups(
        self, rows: NDArray[np.intp], request: RunsRequest, columns: Sequence[tuple[str, tuple[str, Any]]]
    ) -> dict[str, object]:
        """Groups in order: their keys, how many runs, and statistics of each asked column."""
        keys = [self.loaded(key) for key in request.group]
        groups = group_rows(rows, keys)
        order = self._order(groups, request, keys)
        page = groups.chosen(order[request.offset : request.offset + request.limit])
        found: dict[str, object] = {}
        for given, (name, _) in columns:
            said = page.statistics(self.table.column(self.connection, name))
            found[given] = {
                "n": said.n.tolist(),
                **{
                    kind: [value if n else None for value, n in zip(values.tolist(), said.n.tolist(), strict=True)]
                    for kind, values in (
                        ("mean", said.mean), ("std", said.std), ("min", said.minimum), ("max", said.maximum),
                    )
                },
            }  # fmt: skip
        values = {
            given: key_values(column, page.firsts) for given, column in zip(request.group, keys, strict=True)
        }
        return {
            "ids": [],
            "columns": {},
            "groups": {
                "total": len(groups.begins), "keys": values, "runs": page.counts.tolist(), "columns": found,
            },
        }  # fmt: skip

    def _order(self, groups: Groups, request: RunsRequest, keys: Sequence[Column]) -> NDArray[np.intp]:
        """Places of the groups in the asked order: by their keys, by the number of runs, by the mean of a column."""
        asked: list[tuple[Column, bool]] = []
        for name, descending in request.sort or [(key, False) for key in request.group]:
            column = Column(len(groups.begins))
            if name == COUNT:
                column.fill(None, groups.counts.tolist())
            elif name in request.group:
                own = keys[list(request.group).index(name)]
                column.fill(None, [own.value(row) for row in groups.firsts.tolist()])
            else:
                said = groups.statistics(self.loaded(name))
                column.fill_numbers(np.arange(column.rows), said.mean, said.n == 0)
            asked.append((column, descending))
        places = np.arange(len(groups.begins), dtype=np.intp)
        return sort_rows(places, asked, places.astype(np.int64))
