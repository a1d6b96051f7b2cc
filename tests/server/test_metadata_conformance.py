"""One suite for every database that may hold the metadata."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from buoy_core.format import ZERO_ID
from buoy_proto import v1
from buoy_server.errors import StartError
from buoy_server.ingest.pipeline import Ingest
from buoy_server.metadata.engine import Metadata, open_metadata
from buoy_server.metadata.migrations import known, migrate
from buoy_server.metadata.schema import METADATA, PROJECTS, RUNS, STREAMS
from buoy_server.metrics.reader import MetricsReader
from buoy_server.metrics.store import MetricsStore
from buoy_server.query.catalogue import find_project, list_keys, list_projects
from buoy_server.query.history import HistoryQuery, HistoryRequest
from buoy_server.query.run_page import describe_run
from buoy_server.query.runs import RunsQuery, RunsRequest
from buoy_server.query.summaries import Summaries
from buoy_server.services import Services
from sqlalchemy import func, inspect, select, text

from tests.server.streams import Stream

# No run here logs the same steps twice, so nobody asks for points.
SUMMARIES = Summaries(None)  # type: ignore[arg-type]


def send(ingest: Ingest, stream: Stream) -> None:
    assert ingest.append(stream.stream_id.hex(), b"".join(stream.blocks)) == stream.seq


def test_the_migrations_make_the_tables_that_the_code_knows(metadata: Metadata) -> None:
    found = inspect(metadata.engine)
    assert set(found.get_table_names()) == {*METADATA.tables, "schema_version"}
    for name, table in METADATA.tables.items():
        columns = {column["name"]: column for column in found.get_columns(name)}
        assert set(columns) == set(table.columns.keys()), name
        for column in table.columns:
            if column.name == "id":
                continue  # SQLite says that its row id may be null.
            assert columns[column.name]["nullable"] == bool(column.nullable), (name, column.name)


def test_opening_again_changes_nothing(url: str) -> None:
    first = open_metadata(url)
    first.close()
    second = open_metadata(url)
    assert second.epoch == first.epoch
    migrate(second.engine, url)
    with second.read() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalars().all() == [
            len(known())
        ]
    second.close()


def test_a_newer_schema_is_left_alone(url: str) -> None:
    first = open_metadata(url)
    with first.write() as connection:
        connection.execute(text("UPDATE schema_version SET version = 999"))
    first.close()
    with pytest.raises(StartError, match="newer"):
        open_metadata(url)


def test_replicas_that_start_together(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_metadata(url), range(4 if url.startswith("postgresql") else 1)))
    assert len({metadata.epoch for metadata in opened}) == 1
    for metadata in opened:
        metadata.close()


def test_a_failed_transaction_leaves_nothing(metadata: Metadata) -> None:
    def fail() -> None:
        with metadata.write() as connection:
            row = {"entity": "e", "name": "n", "created_us": 1, "activity_us": 1, "rev": 0}
            connection.execute(PROJECTS.insert().values(row))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with metadata.read() as connection:
        assert connection.execute(select(func.count()).select_from(PROJECTS)).scalar_one() == 0


def everything(metadata: Metadata, project: str, run: str) -> dict[str, Any]:
    with metadata.read() as connection:
        found = find_project(connection, project)
        return {
            "projects": list_projects(connection),
            "run": describe_run(connection, SUMMARIES, found, run),
            "keys": list_keys(connection, found, None, None, -1),
            "runs": RunsQuery(metadata, SUMMARIES).answer(
                project, RunsRequest(columns=["name", "config.lr", "summary.loss"]), 0
            ),
        }


def test_a_whole_run(metadata: Metadata, ingest: Ingest, services: Services) -> None:
    stream = Stream("r1", project="p", name="n\0ul")
    writer = stream.writer(metadata={"program": "x\0y"})
    writer.config({"lr": 0.1, "text": "a\0b\ud800", "big": 1 << 100})
    long_key = "k" * 4096
    other_long_key = "k" * 4095 + "j"
    writer.log([(step, {"loss": 1.0 / (step + 1), long_key: step, "s\0": "t\0"}) for step in range(50)])
    writer.log([(50, {"loss": float("nan"), other_long_key: 1e308}), (51, {other_long_key: 1e308})])
    writer.log([(52, {other_long_key: float("inf")}), (53, {"loss": 0.25, other_long_key: 1e308})])
    writer.summary({long_key: {"a": 1}, "x": None})
    stream.add(
        [v1.Record(metric=v1.MetricDef(name=long_key, summary=["max"], goal=v1.GOAL_MAXIMIZE))], writer.id
    )
    stream.add([v1.Record(event=v1.Event(code="c\0", text="t\0", json="no json \0"))], writer.id)
    stream.add_gap(5, "lost\0")
    writer.end()
    send(ingest, stream)
    found = everything(metadata, "local:p", "r1")
    run = found["run"]
    assert run["state"] == "finished"
    assert run["config"] == {"lr": 0.1, "text": "a\0b\ud800", "big": {"$int": str(1 << 100)}}
    assert run["summary"]["loss"] == 0.25
    assert run["summary"][long_key] == {"a": 1}
    assert run["summary"][other_long_key] == 1e308
    assert run["gaps"] == [{"first_seq": stream.seq - 6, "records": 5, "text": "lost\\0"}]
    assert {key["key"]: key["n"] for key in found["keys"]} == {
        "loss": 52, long_key: 50, other_long_key: 4, "s\\0": 50,
    }  # fmt: skip
    assert found["runs"]["columns"] == {"name": ["n\\0ul"], "config.lr": [0.1], "summary.loss": [0.25]}
    assert found["projects"][0]["runs"] == 1
    history = HistoryQuery(metadata, MetricsReader(services.engine))
    found = history.page("local:p", "r1", HistoryRequest(keys=["s\\0"]))
    rows = found.page.rows()
    assert (len(rows), rows[0]["s\\0"], found.cursor) == (50, "t\0", None)


def test_numbers_at_the_ends_of_their_types(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    writer = stream.writer()
    writer.log([(-(1 << 63), {"a": -1.7976931348623157e308}), ((1 << 63) - 2, {"a": 1.7976931348623157e308})])
    for _ in range(3):
        writer.log([(0, {"a": 1.7976931348623157e308})])
    stream.add(
        [
            v1.Record(event=v1.Event(time_unix_us=(1 << 64) - 1)),
            v1.Record(
                writer_end=v1.WriterEnd(
                    writer_id=writer.id,
                    exit_code=-(1 << 31),
                    time_unix_us=(1 << 64) - 1,
                    records_dropped=(1 << 64) - 1,
                )
            ),
        ],
        writer.id,
    )
    send(ingest, stream)
    run = everything(metadata, "local:p", "r")["run"]
    assert run["summary"]["a"] == 1.7976931348623157e308
    assert run["writers"][0]["records_dropped"] == (1 << 63) - 1


def test_the_count_of_dropped_records_moves_while_the_writer_lives(
    metadata: Metadata, ingest: Ingest
) -> None:
    """Weeks may lie between a full disk and the end of its run, which alone had the count before."""
    stream = Stream("r", project="p")
    writer = stream.writer()

    def shown(records: list[v1.Record], writer_id: bytes) -> tuple[str, int]:
        stream.add(records, writer_id)
        send(ingest, stream)
        run = everything(metadata, "local:p", "r")["run"]
        return run["state"], run["writers"][0]["records_dropped"]

    def drops(writer_id: bytes, dropped: int) -> list[v1.Record]:
        return [v1.Record(writer_drops=v1.WriterDrops(writer_id=writer_id, records_dropped=dropped))]

    assert shown(drops(writer.id, 7), ZERO_ID) == ("running", 7)
    # A daemon that has restarted says it again; one that is behind changes nothing.
    assert shown(drops(writer.id, 7), ZERO_ID) == ("running", 7)
    assert shown(drops(writer.id, 3), ZERO_ID) == ("running", 7)
    assert shown(drops(bytes(range(16)), 99), ZERO_ID) == ("running", 7)
    end = v1.WriterEnd(writer_id=writer.id, state=v1.RUN_STATE_FINISHED, records_dropped=9)
    assert shown([v1.Record(writer_end=end)], writer.id) == ("finished", 9)


def test_many_keys_at_once(metadata: Metadata, ingest: Ingest) -> None:
    stream = Stream("r", project="p")
    writer = stream.writer()
    writer.log([(0, {f"key{number}": float(number) for number in range(10_000)})])
    writer.log([(1, {f"key{number}": 1.0 for number in range(10_000)})])
    send(ingest, stream)
    with metadata.read() as connection:
        keys = list_keys(connection, find_project(connection, "local:p"), None, None, -1)
    assert len(keys) == 10_000
    assert {key["n"] for key in keys} == {2}


def test_streams_of_one_project_at_once(metadata: Metadata, ingest: Ingest) -> None:
    streams = [Stream(f"r{number % 3}", project="p") for number in range(9)]
    for stream in streams:
        writer = stream.writer()
        for step in range(5):
            writer.log([(step, {"loss": 1.0, f"own{step}": 2.0})])

    def run(stream: Stream) -> None:
        for block in stream.blocks:
            ingest.append(stream.stream_id.hex(), block)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, streams))
    with metadata.read() as connection:
        project = find_project(connection, "local:p")
        keys = {key["key"]: key for key in list_keys(connection, project, None, None, -1)}
        assert connection.execute(select(func.count()).select_from(RUNS)).scalar_one() == 3
        positions = connection.execute(select(STREAMS.c.next_seq)).scalars().all()
    assert keys["loss"]["n"] == 45
    assert sorted(positions) == sorted(stream.seq for stream in streams)


def test_a_stream_that_another_server_moved(metadata: Metadata, services: Services) -> None:
    if not metadata.shared:
        pytest.skip("only a shared database can have two servers")
    store = MetricsStore(services.engine)
    one, two = Ingest(metadata, store, lambda *_: None), Ingest(metadata, store, lambda *_: None)
    stream = Stream("r", project="p")
    writer = stream.writer()
    stream_id = stream.stream_id.hex()
    for block in stream.blocks:
        one.append(stream_id, block)
    for step in range(10):
        (one, two)[step % 2].append(stream_id, writer.log([(step, {"loss": 1.0})]))
    with metadata.read() as connection:
        keys = list_keys(connection, find_project(connection, "local:p"), None, None, -1)
    assert keys[0]["n"] == 10
