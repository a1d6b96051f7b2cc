"""Orders rows by several keys."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from buoy_server.filters.readings import float_of
from buoy_server.jsonvalues import tag
from buoy_server.table.column import ABSENT, FLAG, NULL, NUMBER, OTHER, TEXT, Column

_LAST = 9


def sort_rows(
    rows: NDArray[np.intp], keys: Sequence[tuple[Column, bool]], ids: NDArray[np.int64]
) -> NDArray[np.intp]:
    """The rows in order.

    Numbers come before texts, texts before lists and objects; descending the other way round. What is absent, null or
    NaN comes last either way. Rows that are equal by all keys are in the order of their ids.

    Args:
        rows: which.
        keys: (column, descending), the first decides.
        ids: of all rows of the table.
    """
    arrays: list[NDArray[np.generic]] = [ids[rows]]
    for column, descending in reversed(keys):
        value, rank = _keys(column, rows, descending=descending)
        arrays.append(value)
        if len(rank) and (rank != rank[0]).any():
            arrays.append(rank)
    return rows[np.lexsort(arrays)]


def _keys(
    column: Column, rows: NDArray[np.intp], *, descending: bool
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Two numbers for each row that order it: a value, and before that a class."""
    kind, code = column.kind[rows], column.code[rows]
    value = column.number[rows].copy()
    rank = np.zeros(len(rows), np.int8)
    if (is_text := kind == TEXT).any():
        rank[is_text] = 1
        value[is_text] = column.text_ranks()[code[is_text]]
    if (is_other := kind == OTHER).any():
        ranks, values = _other_ranks(column.others)
        rank[is_other], value[is_other] = ranks[code[is_other]], values[code[is_other]]
    missing = (kind == ABSENT) | (kind == NULL) | np.isnan(value) & ((kind == NUMBER) | (kind == FLAG))
    value[missing] = 0.0
    if descending:
        value, rank = -value, -rank
    rank[missing] = _LAST
    return value, rank


def _other_ranks(others: Sequence[object]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Integers beyond 2^53 among the numbers, the rest by its JSON."""
    is_integer = np.array([isinstance(value, int) for value in others], np.bool_)
    spelled = ["" if isinstance(value, int) else json.dumps(tag(value)) for value in others]
    places = {text: place for place, text in enumerate(sorted(set(spelled)))}
    values = [
        float_of(value) if isinstance(value, int) else float(places[text])
        for value, text in zip(others, spelled, strict=True)
    ]
    return np.where(is_integer, 0, 2).astype(np.int8), np.array(values, np.float64)
