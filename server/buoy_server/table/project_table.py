"""The table of one project: its rows, the columns in memory, and how both follow the database.

A row belongs to a run for as long as the table lives; new runs get new rows at the end. `refresh` comes before every
question, in the same transaction.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from buoy_server.filters.names import COLUMNS
from buoy_server.jsonvalues import untag
from buoy_server.metadata.schema import PROJECTS, RUNS, SERIES
from buoy_server.query.summaries import Summaries
from buoy_server.table import base
from buoy_server.table.column import GONE, Column
from buoy_server.table.configs import CELL_BYTES, Cells, leaves, parse_config, value_at, walk
from buoy_server.table.fetching import fetch
from buoy_server.table.metrics import MetricColumns, find_metric, put_carefully, set_by_hand, shown
from buoy_server.table.orders import Orders

_SCAN_ROWS = 5000
_CAREFUL_MAX = 2000
"""Runs that are brought up to date one by one in a metric's columns; with more of them the columns are made anew."""


class ProjectTable:
    """See the module. Whoever uses it holds `lock`.

    Args:
        project: id in SQL.
        summaries: knows what counts of what was logged.
        config_bytes_max: what the columns of all configs may take; beyond that only those asked for are kept.
    """

    def __init__(self, project: int, summaries: Summaries, config_bytes_max: int) -> None:
        self.project = project
        self.lock = threading.Lock()
        self.rev = -1
        self._summaries = summaries
        self._config_bytes_max = config_bytes_max
        self._forget([])

    def __len__(self) -> int:
        return len(self._places)

    @property
    def ids(self) -> NDArray[np.int64]:
        """SQL's id of each row's run."""
        return self._ids[: len(self)]

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Rows whose run is not deleted. One that comes back has its row again."""
        return self._alive[: len(self)]

    @property
    def size_bytes(self) -> int:
        """Memory that the columns take, about."""
        columns = sum(column.size_bytes for column in self._columns.values())
        return columns + self.orders.size_bytes + 200 * len(self)

    def refresh(self, connection: Connection) -> None:
        """Brings the table to the database's revision."""
        rev = int(
            connection.execute(select(PROJECTS.c.rev).where(PROJECTS.c.id == self.project)).scalar_one()
        )
        if rev == self.rev:
            return
        records = base.fetch_base(connection, self.project, max(0, self.rev))
        if self.rev < 0 or rev < self.rev or len(records) > max(_CAREFUL_MAX, len(self)):
            if self.rev >= 0:
                records = base.fetch_base(connection, self.project, 0)
            self._forget(records)
        else:
            self._follow(connection, records)
        self.rev = rev

    def column(self, connection: Connection, name: str) -> Column:
        """The column of a canonical name (see `filters.names.column_of`), read from SQL if it is not there yet."""
        self._uses += 1
        if name not in self._columns:
            kind, _, rest = name.partition(".")
            if name in COLUMNS:
                raise AssertionError(f"{name} is always there")
            if kind == "config":
                self._load_config(connection, rest)
            elif kind == "summary":
                self._load_summary(connection, rest)
            else:
                self._load_metric(connection, name.partition("(")[2][:-1])
        self._used[name] = self._uses
        return self._columns[name]

    def config_paths(self, connection: Connection) -> dict[str, int]:
        """All paths of configs, with the number of runs that have them."""
        if self._config_counts is None:
            self._scan(connection, ())
        assert self._config_counts is not None
        return self._config_counts

    def kept_config(self, path: str) -> Column | None:
        """The column of a path of configs if it is in memory; nothing is read for it."""
        return self._columns.get(f"config.{path}")

    def is_config_node(self, connection: Connection, path: str) -> bool:
        """Whether a path leads to an object in any config."""
        self.config_paths(connection)
        return path in self._config_nodes

    def drop_least_used(self) -> bool:
        """Gives the memory of one key's columns back; False if only the run's own are left."""
        spare = [name for name in self._columns if name not in COLUMNS]
        if not spare:
            return False
        name = min(spare, key=lambda name: self._used.get(name, 0))
        self._drop(name)
        return True

    def rows_of(self, keys: Iterable[int]) -> NDArray[np.intp]:
        """The rows of runs by SQL's ids; unknown ones are left out."""
        return np.array([self._places[key] for key in keys if key in self._places], np.intp)

    # How rows follow the database

    def _forget(self, records: Sequence[base.Record]) -> None:
        """Begins anew."""
        records = [record for record in records if not base.is_deleted(record)]
        self.orders = Orders()
        self._places = {base.key_of(record): row for row, record in enumerate(records)}
        self._ids = np.array(list(self._places), np.int64)
        self._alive = np.ones(len(records), np.bool_)
        self._columns = base.base_columns(records)
        self._metrics: dict[str, MetricColumns] = {}
        self._used: dict[str, int] = {}
        self._uses = 0
        self._config_counts: dict[str, int] | None = None
        self._config_nodes: set[str] = set()
        self._config_complete = False

    def _follow(self, connection: Connection, records: Sequence[base.Record]) -> None:
        """Takes changed runs over."""
        changed = []
        for record in records:
            key = base.key_of(record)
            if key not in self._places:
                if base.is_deleted(record):
                    continue
                self._add_row(key)
            row = self._places[key]
            self._alive[row] = not base.is_deleted(record)
            base.put_base(self._columns, row, record)
            changed.append(key)
        if self._config_counts is not None:
            self._follow_configs(connection, changed)
        touched = self._with_forks({base.run_id_of(record) for record in records}, changed)
        if self._metrics and len(touched) > _CAREFUL_MAX:
            for name in list(self._metrics):
                self._drop(f"summary.{name}")
        put_carefully(connection, self._summaries, self._metrics, self._places, touched)
        # Values inside summaries are rare; they are read anew when asked for.
        for name in [name for name in self._columns if name in self._inner]:
            self._drop(name)

    def _add_row(self, key: int) -> None:
        row = len(self._places)
        if row == len(self._ids):
            room = max(64, row * 3 // 2)
            self._ids, self._alive = np.resize(self._ids, room), np.resize(self._alive, room)
        self._ids[row] = key
        self._places[key] = row
        for column in self._columns.values():
            column.grow(row + 1)

    def _with_forks(self, changed_ids: set[str], changed: Sequence[int]) -> list[int]:
        """Those that changed and the forks of them, whose curves begin with theirs."""
        parents = self._columns["parent"]
        forks: dict[str, list[int]] = defaultdict(list)
        if len(parents.texts) > ("" in parents.texts):
            named = np.array([text != "" for text in parents.texts])[parents.code]
            for row in np.flatnonzero(named).tolist():
                forks[str(parents.value(row))].append(row)
        found, wave = dict.fromkeys(changed), list(changed_ids)
        while wave and forks:
            rows = [row for run_id in wave for row in forks.pop(run_id, ())]
            found |= dict.fromkeys(self.ids[rows].tolist())
            wave = [str(self._columns["id"].value(row)) for row in rows]
        return [key for key in found if self._alive[self._places[key]]]

    # Configs

    def _load_config(self, connection: Connection, path: str) -> None:
        if self._config_counts is None or (not self._config_complete and (path in self._config_counts)):
            self._scan(connection, (path,))
        if path in self._config_nodes:
            self._scan_exactly(connection, path)
        self._columns.setdefault(f"config.{path}", Column(len(self)))

    def _scan(self, connection: Connection, asked: Iterable[str]) -> None:
        cells = Cells(len(self), self._config_bytes_max, asked)
        if self._config_counts is not None:
            cells.leave_out()
        for row, text in self._config_texts(connection):
            cells.add(row, parse_config(text))
        for path, column in cells.columns():
            # What is a value here and an object there is read exactly once it is asked for.
            if path not in cells.nodes:
                self._columns[f"config.{path}"] = column
        self._config_counts, self._config_nodes = cells.counts, cells.nodes
        self._config_complete = cells.complete

    def _scan_exactly(self, connection: Connection, path: str) -> None:
        """A path that is an object in some configs."""
        column = Column(len(self))
        for row, text in self._config_texts(connection):
            column.put(row, value_at(parse_config(text), path))
        self._columns[f"config.{path}"] = column

    def _config_texts(self, connection: Connection) -> Iterable[tuple[int, str]]:
        after = 0
        while True:
            chosen = select(RUNS.c.id, RUNS.c.config).where(RUNS.c.project == self.project, RUNS.c.id > after)
            found = fetch(connection, chosen.order_by(RUNS.c.id).limit(_SCAN_ROWS))
            yield from ((self._places[key], text) for key, text in found if key in self._places)
            if len(found) < _SCAN_ROWS:
                return
            after = found[-1][0]

    def _follow_configs(self, connection: Connection, changed: Sequence[int]) -> None:
        assert self._config_counts is not None
        loaded = {name[7:]: column for name, column in self._columns.items() if name.startswith("config.")}
        for begin in range(0, len(changed), 500):
            part = changed[begin : begin + 500]
            for key, text in fetch(connection, select(RUNS.c.id, RUNS.c.config).where(RUNS.c.id.in_(part))):
                row, config = self._places[key], parse_config(text)
                present = dict(leaves(config, self._config_nodes))
                for path, column in loaded.items():
                    # One that is not a leaf may still be an object on the way to one.
                    value = present.get(path, GONE)
                    exact = value is GONE and path in self._config_nodes
                    column.put(row, value_at(config, path) if exact else value)
                for path in present.keys() - loaded.keys():
                    self._config_counts[path] = self._config_counts.get(path, 0) + 1
                    if path in self._config_nodes:
                        continue
                    if self._config_complete and self._has_room_for_config(len(loaded)):
                        loaded[path] = self._columns[f"config.{path}"] = Column(len(self))
                        loaded[path].put(row, present[path])
                    else:
                        self._config_complete = False

    def _has_room_for_config(self, paths: int) -> bool:
        return (paths + 1) * max(1, len(self)) * CELL_BYTES <= self._config_bytes_max

    # Metrics

    def _load_metric(self, connection: Connection, name: str) -> None:
        metric = MetricColumns(name, len(self))
        key = find_metric(connection, self.project, name)
        parent = self._columns["parent"]
        own = np.array([text == "" for text in parent.texts] or [True], np.bool_)[parent.code]
        plain = (self._columns["attempts"].number <= 1) & own
        careful = set(np.flatnonzero(~own).tolist())
        if key is not None:
            careful.update(metric.load(connection, self.project, key, self.ids, plain).tolist())
        by_hand = set_by_hand(connection, self.project, name)
        careful.update(self.rows_of(by_hand).tolist())
        runs = [int(self.ids[row]) for row in sorted(careful) if self._alive[row]]
        put_carefully(connection, self._summaries, {name: metric}, self._places, runs)
        self._metrics[name] = metric
        self._columns |= metric.columns

    def _load_summary(self, connection: Connection, path: str) -> None:
        """A key; or, if nothing has that name, a value inside one of a shorter name."""
        if find_metric(connection, self.project, path) is None and "." in path:
            parts = path.split(".")
            for end in range(len(parts) - 1, 0, -1):
                if self._load_inside(connection, ".".join(parts[:end]), path):
                    return
            if not set_by_hand(connection, self.project, path):
                # Nothing yet; the next change of any run may bring it in either form.
                self._columns[f"summary.{path}"] = Column(len(self))
                return
        self._load_metric(connection, path)

    def _load_inside(self, connection: Connection, name: str, path: str) -> bool:
        key = find_metric(connection, self.project, name)
        runs = set(set_by_hand(connection, self.project, name))
        runs |= set(set_by_hand(connection, self.project, path))
        if key is not None:
            chosen = select(SERIES.c.run).where(SERIES.c.key == key).distinct()
            runs |= {int(row[0]) for row in fetch(connection, chosen)}
        known = [run for run in runs if run in self._places]
        if not known:
            return False
        column = Column(len(self))
        for run, _, summary in self._summaries.facts(connection, known, [name, path]):
            column.put(self._places[run], shown(untag(walk(summary, path))))
        self._columns[f"summary.{path}"] = column
        return True

    @property
    def _inner(self) -> set[str]:
        known = {name for metric in self._metrics.values() for name in metric.columns}
        return {name for name in self._columns if name.startswith("summary.") and name not in known}

    def _drop(self, name: str) -> None:
        """Forgets a column and those that come with it."""
        metric = next((metric for metric in self._metrics.values() if name in metric.columns), None)
        for each in metric.columns if metric else (name,):
            self._columns.pop(each, None)
        if metric:
            del self._metrics[metric.name]
        elif name.startswith("config."):
            self._config_complete = False
