"""The history of a run: complete, exact, in pages."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from buoy_core.rank_reduction import REDUCTIONS, reduce_ranks
from buoy_server.query import history as history_module
from buoy_server.query.history import HistoryRequest
from buoy_server.services import Services

from tests.server.processes import ServerProcess
from tests.server.streams import START_US, Stream


def send(server: ServerProcess, *streams: Stream) -> None:
    for stream in streams:
        server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()


def project() -> str:
    return f"history-{secrets.token_hex(4)}"


def history(server: ServerProcess, source: Stream, **query: Any) -> dict[str, Any]:
    path = f"/api/v1/p/local:{source.info.project}/runs/{source.info.run_id}/history"
    found: dict[str, Any] = server.client.get(path, params=query).json()
    return found


def test_history_is_complete_and_exact(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    writer = stream.writer()
    values = {
        "f": 0.1,
        "i": 3,
        "b": False,
        "s": "tëxt \x00 \u2028",
        "n": None,
        "big": -(1 << 62),
        "l": [1, {"a": "x"}],
    }
    writer.log([(4, values), (5, {"f": float("nan")}), (6, {"f": float("-inf")})])
    writer.log([(4, {"f": 0.2})])
    send(server, stream)
    rows = history(server, stream)["rows"]
    assert [row["_step"] for row in rows] == [4, 5, 6]
    assert rows[0] | {"_timestamp": 0, "_runtime": 0} == {
        **values, "f": 0.2, "big": {"$int": str(-(1 << 62))}, "_step": 4, "_timestamp": 0, "_runtime": 0,
    }  # fmt: skip
    assert isinstance(rows[0]["i"], int)
    assert rows[0]["_timestamp"] == (START_US + 4000) / 1e6
    assert rows[0]["_runtime"] == 0.004
    assert (rows[1]["f"], rows[2]["f"]) == ({"$float": "nan"}, {"$float": "-inf"})


def test_pages_of_history(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    writer = stream.writer()
    writer.log([(step, {"a": step} | ({"rare": step} if step % 50 == 0 else {})) for step in range(1000)])
    writer.log([(step, {"other": step}) for step in range(2000, 2100, 3)])
    writer.log([(step, {"word": "x"}) for step in range(3000, 3005)])
    send(server, stream)

    def steps(**query: Any) -> list[int]:
        found, cursor, pages = [], None, 0
        while True:
            page = history(server, stream, **query | ({"cursor": cursor} if cursor else {}))
            assert len(page["rows"]) <= query.get("limit", 1000)
            found += [row["_step"] for row in page["rows"]]
            cursor, pages = page["cursor"], pages + 1
            assert pages < 200
            if cursor is None:
                return found

    every = [*range(1000), *range(2000, 2100, 3), *range(3000, 3005)]
    for limit in (1, 37, 1000, 10_000):
        if limit > 1:
            assert steps(limit=limit) == every
        assert steps(limit=limit, keys="rare") == list(range(0, 1000, 50))
        assert steps(limit=limit, key=["rare", "a"]) == list(range(0, 1000, 50))
    assert steps(keys="a,other") == []
    assert steps(keys="a,missing") == []
    assert steps(keys="word", limit=2) == list(range(3000, 3005))
    assert steps(min_step=990, max_step=2006) == [*range(990, 1000), 2000, 2003, 2006]
    assert steps(min_step=5, max_step=4) == []
    assert history(server, stream, limit=0)["code"] == "bad_limit"
    assert history(server, stream, cursor="x")["code"] == "bad_cursor"


def test_history_over_attempts(server: ServerProcess) -> None:
    name = project()
    first, second = Stream("r", project=name), Stream("r", project=name, attempt=2)
    first.writer().log([(step, {"a": 1, "t": "one"}) for step in range(100)])
    second.writer().log([(step, {"a": 2, "t": "two"}) for step in range(50, 70)])
    send(server, first, second)
    found = []
    cursor = None
    while True:
        page = history(server, first, limit=9, **({"cursor": cursor} if cursor else {}))
        found += [(row["_step"], row["a"], row["t"]) for row in page["rows"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == [(step, 1, "one") for step in range(50)] + [(step, 2, "two") for step in range(50, 70)]


def test_history_of_ranks_and_of_the_system(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    writers = [stream.writer(rank, world_size=2) for rank in (0, 1)]
    for writer in writers:
        writer.log([(step, {"loss": writer.rank, f"only{writer.rank}": 1}) for step in range(3)])
    samples = [
        record
        for second in range(3)
        for record in writers[0].row(0, {"cpu": second}, system=True, time_us=START_US + second * 10**6)
    ]
    stream.add(samples, writers[0].id)
    send(server, stream)
    lowest = history(server, stream)["rows"]
    assert [(row["_step"], row["loss"], row["only1"]) for row in lowest] == [
        (step, 0, 1) for step in range(3)
    ]
    every = history(server, stream, rank="all")["rows"]
    assert [(row["_step"], row["_rank"], row["loss"]) for row in every] == [
        (step, rank, rank) for step in range(3) for rank in (0, 1)
    ]
    system = history(server, stream, stream="system")["rows"]
    assert [(row["_runtime"], row["cpu"]) for row in system] == [(0.0, 0), (1.0, 1), (2.0, 2)]
    assert "_step" not in system[0]
    assert {row["_node"] for row in system} == {"host1"}
    assert history(server, stream, stream="system", layout="columns", rank="all")["node"] == ["host1"] * 3
    assert "node" not in history(server, stream, layout="columns", rank="all")
    assert "node" not in history(server, stream, stream="system", layout="columns", rank="mean")


def pages(server: ServerProcess, source: Stream, **query: Any) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = history(server, source, **query | ({"cursor": cursor} if cursor else {}))
        assert "code" not in page, page
        yield page
        cursor = page["cursor"]
        if cursor is None:
            return


def unfolded(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns as rows with the names that rows have."""
    rows: list[dict[str, Any]] = [{"_step": step} for step in page["step"]]
    for name in {"rank", "attempt"} & set(page):
        for row, value in zip(rows, page[name], strict=True):
            row[f"_{name}"] = value
    for row, time_us in zip(rows, page["time_us"], strict=True):
        row["_timestamp"] = time_us / 1e6
        row["_runtime"] = (time_us - page["started_us"]) / 1e6
    for key, column in page["columns"].items():
        assert ("at" in column) == (len(column["values"]) < page["rows"])
        for place, value in zip(column.get("at", range(page["rows"])), column["values"], strict=True):
            rows[place][key] = value
    assert sum(len(column["values"]) for column in page["columns"].values()) == page["points"]
    return rows


def test_columns_say_what_rows_say(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    for rank in (0, 1):
        values = [{"loss": step / 7, "n": step, "ok": step % 3 == 0} for step in range(500)]
        values[9] |= {"text": "x", "none": None, "list": [1, None], "big": 1 << 62}
        values[10] |= {"loss": float("nan"), "n": 0.5, "text": 3}
        stream.writer(rank, world_size=2).log(list(enumerate(values)))
    send(server, stream)
    for ranks in ("lowest", "all", "0", "1", "2"):
        by_row = [row for page in pages(server, stream, rank=ranks, limit=90) for row in page["rows"]]
        by_column = []
        for page in pages(server, stream, rank=ranks, limit=70, layout="columns"):
            assert "rank" in page or ranks == "lowest"
            by_column += unfolded(page)
        for row in by_column:
            assert row.pop("_attempt") == 1
        assert by_column == by_row
        assert len(by_row) == {"all": 1000, "2": 0}.get(ranks, 500)
    some = unfolded(history(server, stream, layout="columns", key=["text", "big"], rank="0"))
    assert [row["_step"] for row in some] == [9, 10]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_history_over_ranks(server: ServerProcess, reduction: str) -> None:
    """Each step's numbers become one; ranks that have none, and what is no number, do not count."""
    stream = Stream("r", project=project())
    ranks: list[dict[int, dict[str, Any]]] = []
    for rank in range(3):
        rows = {
            step: {"loss": math.sin(step * 31 + rank), "n": step + rank}
            for step in range(200)
            if step % 5 or rank
        }
        rows[7] |= {"loss": float("nan")} if rank == 1 else {"word": "x"}
        rows[8] |= {"big": 1 << (62 - rank), "flag": rank == 2}
        rows[9] |= {"mixed": "x" if rank == 0 else 2.5}
        ranks.append(rows)
        stream.writer(rank, world_size=3).log(list(rows.items()))
    send(server, stream)
    expected: dict[int, dict[str, Any]] = {}
    for step in range(200):
        for key in ("loss", "n", "big", "flag", "mixed"):
            values = {
                rank: rows[step][key]
                for rank, rows in enumerate(ranks)
                if key in rows.get(step, {}) and not isinstance(rows[step][key], str)
            }
            if values:
                found = reduce_ranks(reduction, list(values), list(values.values()))
                expected.setdefault(step, {})[key] = tagged(found)
    rows = [row for page in pages(server, stream, rank=reduction, limit=33) for row in page["rows"]]
    for row in rows:
        assert "_rank" not in row
        del row["_timestamp"], row["_runtime"]
    assert {row.pop("_step"): row for row in rows} == expected


def tagged(value: float) -> object:
    if isinstance(value, int):
        return value if abs(value) <= 1 << 53 else {"$int": str(value)}
    return {"$float": "nan"} if math.isnan(value) else value


def test_superseded_steps_can_be_shown(server: ServerProcess) -> None:
    name = project()
    first, second = Stream("r", project=name), Stream("r", project=name, attempt=2)
    first.writer().log([(step, {"a": 1}) for step in range(100)])
    second.writer().log([(step, {"a": 2}) for step in range(50, 70)])
    send(server, first, second)
    rows = [row for page in pages(server, first, attempts="all", limit=30) for row in page["rows"]]
    found = [(row["_step"], row["_attempt"], row["a"]) for row in rows]
    assert found == sorted([(step, 1, 1) for step in range(100)] + [(step, 2, 2) for step in range(50, 70)])


def test_of_a_text_and_a_number_the_later_one_counts(server: ServerProcess) -> None:
    """Texts and numbers are in different tables. The text used to win, whichever was logged last."""
    stream = Stream("r", project=project())
    writer = stream.writer()
    writer.log([(1, {"a": "first", "b": 1})])
    writer.log([(1, {"a": 2, "b": "second"})])
    send(server, stream)
    row = history(server, stream)["rows"][0]
    assert (row["a"], row["b"]) == (2, "second")


def test_pages_are_bounded_however_keys_are_spread(services: Services, monkeypatch: Any) -> None:
    """One key fills the first half, another the second, and nothing the middle: the page was bounded by one of them."""
    monkeypatch.setattr(history_module, "POINTS_MAX", 1000)
    stream = Stream("r", project=project())
    writer = stream.writer()
    keys = [f"k{number}" for number in range(10)]
    gap = 1 << 60
    writer.log([(step, dict.fromkeys(keys, step)) for step in range(900)])
    writer.log([(gap + step, {"late": step}) for step in range(5000)])
    writer.log([(2 * gap, dict.fromkeys([f"wide{number}" for number in range(1200)], 1.5))])
    services.ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))
    seen, asked, cursor = [], 0, None
    while True:
        request = HistoryRequest(limit=100_000, complete=False, cursor=cursor)
        found = services.history.page(f"local:{stream.info.project}", "r", request)
        # A step is never torn, however many values it has.
        assert found.page.points <= 1000 or len(found.page.step) == 1
        seen += found.page.step
        asked, cursor = asked + 1, found.cursor
        if cursor is None:
            break
    assert seen == [*range(900), *range(gap, gap + 5000), 2 * gap]
    assert asked < 60
    rare = HistoryRequest(keys=["wide0"], limit=10)
    assert services.history.page(f"local:{stream.info.project}", "r", rare).page.step == [2 * gap]


def test_what_cannot_be_asked(server: ServerProcess) -> None:
    stream = Stream("r", project=project())
    stream.writer().log([(1, {"a": 1})])
    send(server, stream)
    for query in (
        {"rank": "-1"}, {"rank": "median"}, {"layout": "x"}, {"attempts": "1"}, {"stream": "x"},
        {"min_step": str(1 << 63)},
    ):  # fmt: skip
        assert history(server, stream, **query)["code"] == "bad_parameter"
    for query in ({"min_step": str((1 << 63) - 1)}, {"max_step": str(-1 << 63)}, {"rank": "9999999999"}):
        assert history(server, stream, **query) == {"rows": [], "cursor": None}
    assert len(history(server, stream, min_step=str(-1 << 63), max_step=str((1 << 63) - 1))["rows"]) == 1
