"""Helps to write filters: what a line means in a project, and what may come next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from buoy_server.filters.completion import fixed_keys, fixed_values, matching, spelled, wanted_at
from buoy_server.filters.names import column_of
from buoy_server.filters.nodes import BadFilter, as_json, keys_of
from buoy_server.filters.printer import print_filter
from buoy_server.metadata.engine import Metadata
from buoy_server.query.catalogue import find_project
from buoy_server.query.runs import tree_of
from buoy_server.table.column import OTHER, TEXT, Column
from buoy_server.table.tables import Tables
from buoy_server.table.vocabulary import TableVocabulary

PROPOSALS_MAX = 50


def explain(metadata: Metadata, tables: Tables, path: str, given: object) -> dict[str, object]:
    """A filter in either form as a line and as a tree, and which column each key means.

    Raises:
        Missing: There is no such project.
        BadFilter: It cannot be read, or a key is unknown.
    """
    tree = tree_of(given)
    with metadata.read() as connection:
        project = find_project(connection, path).id
    with tables.at_present(project) as (table, connection):
        words = TableVocabulary(table, connection)
        keys = [
            {
                "column": key.at.column,
                "length": key.at.length,
                "key": key.name,
                "means": column_of(key, words),
            }
            for key in keys_of(tree)
        ]
    return {"text": print_filter(tree), "tree": as_json(tree), "keys": keys}


def complete(metadata: Metadata, tables: Tables, path: str, line: str, place: int) -> dict[str, object]:
    """What may stand at a place of a line: keys with the number of runs that have them, or values of a key with
    theirs, the likeliest first. A number is null where it is not known.

    Raises:
        Missing: There is no such project.
    """
    wanted = wanted_at(line, place)
    with metadata.read() as connection:
        project = find_project(connection, path).id
    counts: dict[str, int | None] = {}
    spellings: dict[str, str] = {}
    with tables.at_present(project) as (table, connection):
        words = TableVocabulary(table, connection)
        if wanted.kind == "key":
            paths, metrics = table.config_paths(connection), words.metrics()
            fixed = fixed_keys()
            counts = {**dict.fromkeys(metrics), **paths, **dict.fromkeys(fixed)}
            spellings = {name: name if name in fixed else spelled(name) for name in counts}
        elif wanted.key is not None:
            try:
                column = column_of(wanted.key, words)
            except BadFilter:
                column = ""
            if column and (values := fixed_values(column)) is not None:
                counts = dict.fromkeys(values)
            elif column:
                counts = dict(_values(table.column(connection, column), table.alive))
            spellings = {text: text if fixed_values(column) else spelled(text) for text in counts}
    found = matching([(text, count or 0) for text, count in counts.items()], wanted.begun, PROPOSALS_MAX)
    return {
        "kind": wanted.kind,
        "column": wanted.column,
        "length": wanted.length,
        "items": [{"text": spellings[text], "runs": counts[text]} for text, _ in found],
    }


def _values(column: Column, alive: NDArray[np.bool_]) -> list[tuple[str, int]]:
    """The texts that runs have, in lists too, and how many runs have each."""
    is_text = (column.kind == TEXT) & alive
    counts: dict[str, int] = {}
    for code, count in zip(*np.unique(column.code[is_text], return_counts=True), strict=True):
        counts[column.texts[code]] = int(count)
    is_other = (column.kind == OTHER) & alive
    for code, count in zip(*np.unique(column.code[is_other], return_counts=True), strict=True):
        value = column.others[code]
        for text in {each for each in value if isinstance(each, str)} if isinstance(value, list) else ():
            counts[text] = counts.get(text, 0) + int(count)
    return list(counts.items())
