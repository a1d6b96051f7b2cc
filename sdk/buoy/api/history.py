"""The exact history of a run, as the server pages it: column by column, because that is a fifth of the work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from buoy_core.rank_reduction import REDUCTIONS

from buoy.api.http import Http
from buoy.errors import CommError, UsageError

LIMIT_MAX = 100_000
"""Rows in one request at most."""

_PASSING = {0, 429, 502, 503, 504}
"""No answer, or busy."""

_PAUSES_S = (0.5, 2.0, 8.0, 20.0, 30.0)

Ranks = int | str | None
"""A rank, "all", one of the reductions, or None: the lowest rank that has a key speaks for it."""


def check_ranks(ranks: Ranks) -> Ranks:
    """`ranks` if it can be used.

    Raises:
        UsageError: it cannot.
    """
    if isinstance(ranks, int) and not isinstance(ranks, bool) and ranks >= 0:
        return ranks
    if ranks is None or ranks == "all" or ranks in REDUCTIONS:
        return ranks
    raise UsageError(f"ranks must be a number, 'all', or one of {', '.join(REDUCTIONS)}, not {ranks!r}")


def pages(http: Http, address: str, **query: object) -> Iterator[dict[str, Any]]:
    """Pages in the order of the steps; the next one is fetched while one is used.

    Args:
        http: the server.
        address: the run's.
        query: the route's parameters, without those of paging.
    """
    query = {"limit": LIMIT_MAX, **query}

    def fetch(cursor: str | None) -> dict[str, Any]:
        for pause_s in _PAUSES_S if cursor is not None else ():
            try:
                return _page(http, address, cursor, query)
            except CommError as error:
                if error.status not in _PASSING:
                    raise
                # An hour's work is not thrown away because the server is started again.
                time.sleep(pause_s)
        return _page(http, address, cursor, query)

    with ThreadPoolExecutor(1, "buoy-history") as ahead:
        coming = ahead.submit(fetch, None)
        while True:
            page = coming.result()
            if page["cursor"] is not None:
                coming = ahead.submit(fetch, page["cursor"])
            yield page
            if page["cursor"] is None:
                return


def _page(http: Http, address: str, cursor: str | None, query: dict[str, object]) -> dict[str, Any]:
    answer: dict[str, Any] = http.get(f"{address}/history", layout="columns", cursor=cursor, **query)
    return answer


def rows(page: dict[str, Any], keys: Sequence[str], *, steps: bool) -> list[dict[str, Any]]:
    """The rows of a page that have all of `keys`, in the names of the field's API.

    Args:
        page: as it came.
        keys: which; empty for all rows.
        steps: rows have `_step`; those of system metrics do not.
    """
    found: list[dict[str, Any]] = [{} for _ in range(page["rows"])]
    for key, column in page["columns"].items():
        for place, value in zip(column.get("at", range(len(found))), column["values"], strict=True):
            found[place][key] = value
    nothing = [None] * len(found)
    places = page.get("rank", nothing), page.get("node", nothing)
    for row, step, time_us, rank, node in zip(found, page["step"], page["time_us"], *places, strict=True):
        if steps:
            row["_step"] = step
        if rank is not None:
            row["_rank"] = rank
        if node is not None:
            row["_node"] = node
        row["_timestamp"] = time_us / 1e6
        row["_runtime"] = (time_us - page["started_us"]) / 1e6
    return [row for row in found if all(key in row for key in keys)] if keys else found
