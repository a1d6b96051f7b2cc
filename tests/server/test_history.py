"""The history of a run: complete, exact, in pages."""

from __future__ import annotations

import secrets
from typing import Any

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
