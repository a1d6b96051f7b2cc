"""Each record exactly once: sent twice, out of order, in overlapping batches, after the server died at any point."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from buoy_server.errors import Conflict
from buoy_server.query.catalogue import find_project
from buoy_server.query.history import HistoryRequest
from buoy_server.query.run_page import describe_run
from buoy_server.services import Services
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.processes import ServerProcess
from tests.server.streams import Stream

_numbers = iter(range(1 << 30))


def make_stream(blocks: int, rows: int, seed: int, project: str) -> tuple[Stream, list[dict[str, object]]]:
    """A stream of two ranks with numbers, texts and config, and the rows it must become."""
    chance = random.Random(seed)
    stream = Stream(f"run{next(_numbers)}", project=project)
    writers = [stream.writer(rank, world_size=2) for rank in (0, 1)]
    expected: list[dict[str, object]] = []
    steps = [0, 0]
    for _ in range(blocks):
        rank = chance.randrange(2)
        block = []
        for _ in range(chance.randint(1, rows)):
            values: dict[str, object] = {f"m{chance.randrange(4)}": chance.random(), "count": steps[rank]}
            if chance.random() < 0.3:
                values["note"] = f"at {steps[rank]}"
            block.append((steps[rank], values))
            expected.append({"_step": steps[rank], "_rank": rank, **values})
            steps[rank] += 1
        writers[rank].log(block)
        if chance.random() < 0.2:
            writers[rank].config({"seen": steps[rank]})
    return stream, sorted(expected, key=lambda row: (row["_step"], row["_rank"]))


def rows_of(pages: Iterable[list[dict[str, object]]]) -> list[dict[str, object]]:
    hidden = ("_timestamp", "_runtime")
    return [{key: value for key, value in row.items() if key not in hidden} for page in pages for row in page]


def stored(services: Services, stream: Stream) -> list[dict[str, object]]:
    """The whole history, in small pages."""
    pages, cursor = [], None
    while True:
        request = HistoryRequest(limit=7, cursor=cursor, ranks="all")
        found = services.history.page(f"local:{stream.info.project}", stream.info.run_id, request)
        own = zip(found.page.step, found.page.rank, found.page.rows(), strict=True)
        pages.append([{**row, "_step": step, "_rank": rank} for step, rank, row in own])
        cursor = found.cursor
        if cursor is None:
            return rows_of(pages)


def points_in_engine(services: Services, stream: Stream) -> list[int]:
    """How often each (key, rank, step) is in the tables themselves, below every reader's care."""
    with services.metadata.read() as connection:
        project = find_project(connection, f"local:{stream.info.project}")
        from buoy_server.query.catalogue import find_run

        run = find_run(connection, project, stream.info.run_id).id
    counts: list[int] = []
    for table in ("points", "texts"):
        with services.engine.client() as client:
            sql = f"SELECT count() FROM {table} WHERE run = {{run:UInt64}} GROUP BY key, rank, step, seq"
            counts += [row[0] for row in client.query(sql, parameters={"run": run}).result_rows]
    return counts


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 1 << 30))
def test_any_order_of_any_batches(services: Services, data: st.DataObject, seed: int) -> None:
    stream, expected = make_stream(blocks=6, rows=5, seed=seed, project="orders")
    total, position = len(stream.blocks), 0
    stream_id = stream.stream_id.hex()
    ends = _ends(stream)
    for _ in range(data.draw(st.integers(1, 8), label="batches")):
        begin = data.draw(st.integers(0, total - 1), label="begin")
        end = data.draw(st.integers(begin + 1, total), label="end")
        body = b"".join(stream.blocks[begin:end])
        if begin and ends[begin - 1] > position:
            with pytest.raises(Conflict) as refusal:
                services.ingest.append(stream_id, body)
            assert refusal.value.extra == {"next_seq": position}
        else:
            position = max(position, ends[end - 1])
            assert services.ingest.append(stream_id, body) == position
        assert services.ingest.position(stream_id) == position
    services.ingest.append(stream_id, b"".join(stream.blocks))
    assert stored(services, stream) == expected
    assert set(points_in_engine(services, stream)) == {1}
    assert _summary_counts(services, stream) == counts_of(expected)


def _ends(stream: Stream) -> list[int]:
    from buoy_core.block import parse_header

    return [parse_header(block).next_seq for block in stream.blocks]


def counts_of(expected: list[dict[str, object]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in expected:
        for key in row:
            if not key.startswith("_"):
                counts[key] = counts.get(key, 0) + 1
    return counts


def _summary_counts(services: Services, stream: Stream) -> dict[str, int]:
    """Points of each key as the catalogue counts them."""
    from buoy_server.query.catalogue import find_run, list_keys

    with services.metadata.read() as connection:
        project = find_project(connection, f"local:{stream.info.project}")
        run = find_run(connection, project, stream.info.run_id).id
        return {str(key["key"]): int(str(key["n"])) for key in list_keys(connection, project, run, None, -1)}


def test_blocks_cut_anew_after_a_failure_between_insert_and_commit(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The points of three blocks are in the engine, their position is not; then the client sends other batches.
    stream, expected = make_stream(blocks=8, rows=5, seed=5, project="recut")
    stream_id = stream.stream_id.hex()
    services.ingest.append(stream_id, b"".join(stream.blocks[:3]))

    def fail(*_: object) -> int:
        raise RuntimeError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr("buoy_server.ingest.pipeline.commit", fail)
        with pytest.raises(RuntimeError):
            services.ingest.append(stream_id, b"".join(stream.blocks[3:6]))
    assert services.ingest.position(stream_id) < stream.seq
    services.ingest.append(stream_id, b"".join(stream.blocks[:4]))
    services.ingest.append(stream_id, b"".join(stream.blocks[2:]))
    assert stored(services, stream) == expected
    assert set(points_in_engine(services, stream)) == {1}


def test_two_clients_send_the_same_stream_at_once(services: Services) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stream, expected = make_stream(blocks=30, rows=5, seed=9, project="twice")
    stream_id = stream.stream_id.hex()

    def send(_: int) -> None:
        for block in stream.blocks:
            services.ingest.append(stream_id, block)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    assert stored(services, stream) == expected
    assert set(points_in_engine(services, stream)) == {1}


def upload(server: ServerProcess, stream: Stream, chance: random.Random) -> None:
    """Sends like a daemon: from the server's position on, in batches of any size."""
    ends = _ends(stream)
    while True:
        position = server.client.get(stream.position_path).json()["next_seq"]
        if position >= stream.seq:
            return
        first = next(index for index, end in enumerate(ends) if end > position)
        first = max(0, first - chance.randrange(2))
        body = b"".join(stream.blocks[first : first + chance.randint(1, 4)])
        server.client.post(stream.path, content=body).raise_for_status()


def history_of(server: ServerProcess, stream: Stream) -> list[dict[str, object]]:
    """The whole history through the API."""
    path = f"/api/v1/p/local:{stream.info.project}/runs/{stream.info.run_id}/history"
    pages, cursor = [], None
    while True:
        query = {"rank": "all", "limit": "11"} | ({"cursor": cursor} if cursor else {})
        answer = server.client.get(path, params=query).json()
        pages.append(answer["rows"])
        cursor = answer["cursor"]
        if cursor is None:
            return rows_of(pages)


def test_the_points_of_a_whole_run_are_described(services: Services) -> None:
    stream, expected = make_stream(blocks=5, rows=5, seed=3, project="described")
    services.ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))
    with services.metadata.read() as connection:
        project = find_project(connection, "local:described")
        run = describe_run(connection, services.summaries, project, stream.info.run_id)
    last = {writer["rank"]: writer["last_step"] for writer in run["writers"]}  # type: ignore[attr-defined]
    assert last == {rank: max(row["_step"] for row in expected if row["_rank"] == rank) for rank in last}
