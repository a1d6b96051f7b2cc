"""Troubled ranks in the database: marks, events, replicas, restarts; on every database that may hold the metadata."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from buoy_proto import v1
from buoy_server.ingest.pipeline import Ingest
from buoy_server.liveness.backlogs import Backlog, note_backlogs
from buoy_server.liveness.signs import mark_missing, note_signs
from buoy_server.liveness.stops import Wish, request_stop
from buoy_server.liveness.watch import Limits, Seen, Watch
from buoy_server.liveness.watch_text import ranges, read_watch, write_watch
from buoy_server.liveness.watched import Place, find_watched, judge_all, load_roster
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import STREAMS, WATCHES
from buoy_server.query.catalogue import find_project
from buoy_server.query.run_page import describe_run
from buoy_server.query.summaries import Summaries
from sqlalchemy import select, update

from tests.server.streams import START_US, Stream, Writer

S = 1_000_000
NOW = START_US + 86_400 * S
LIMITS = Limits(stopped_after_us=12 * S, unheard_us=20 * S)

# No run here logs the same steps twice, so nobody asks for points.
SUMMARIES = Summaries(None)  # type: ignore[arg-type]


class Job:
    """A run of several ranks, a second at a time."""

    def __init__(self, metadata: Metadata, ingest: Ingest, ranks: int = 4, run_id: str = "r") -> None:
        self.metadata = metadata
        self.ingest = ingest
        self.run_id = run_id
        self.now = NOW
        ingest.clock_us = lambda: self.now
        self.stream = Stream(run_id, project="p", host="node7")
        self.writers = [self.stream.writer(rank, world_size=ranks) for rank in range(ranks)]
        self.steps = [0] * ranks
        self.send()

    def send(self) -> None:
        self.ingest.append(self.stream.stream_id.hex(), b"".join(self.stream.blocks))
        self.stream.blocks.clear()

    def go(self, seconds: int, ranks: list[int], *, judges: int = 1) -> None:
        """The ranks log a step each second; the server judges."""
        for _ in range(seconds):
            self.now += S
            for rank in ranks:
                self.log(self.writers[rank], rank)
            if ranks:
                self.send()
            note_signs(self.metadata, set(), {self.stream.stream_id.hex()}, self.now)
            for _ in range(judges):
                judge_all(self.metadata, LIMITS, self.now)

    def log(self, writer: Writer, rank: int) -> None:
        self.steps[rank] += 1
        step = self.steps[rank]
        rows = writer.row(step, {"loss": 1.0}, time_us=self.now)
        self.stream.add(rows, writer.id)

    @property
    def run(self) -> dict[str, Any]:
        with self.metadata.read() as connection:
            return describe_run(connection, SUMMARIES, find_project(connection, "local:p"), self.run_id)

    def marks(self) -> list[str | None]:
        return [writer["mark"] for writer in self.run["writers"]]

    def codes(self) -> list[str]:
        return [event["code"] for event in self.run["events"]]


def test_a_rank_stops_and_logs_again(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    job.go(8, [0, 1, 2, 3])
    assert (job.marks(), job.codes()) == ([None] * 4, [])
    job.go(15, [0, 1, 3])
    assert job.marks() == [None, None, "stopped", None]
    writer = job.run["writers"][2]
    assert (writer["last_step"], writer["logged_us"]) == (8, NOW + 8 * S)
    assert writer["seen_us"] == job.now
    (event,) = job.run["events"]
    assert (event["code"], event["level"]) == ("rank_stopped", "warn")
    assert event["text"].startswith("Rank 2 on node7 (process 1002) has logged nothing for 1")
    assert (event["details"]["ranks"], event["details"]["hosts"]) == ([2], ["node7"])
    assert event["time_us"] - writer["logged_us"] <= 16 * S
    job.go(2, [0, 1, 2, 3])
    assert (job.marks(), job.codes()) == ([None] * 4, ["rank_stopped", "rank_back"])
    assert job.run["events"][-1]["text"] == "Rank 2 on node7 (process 1002) logs again."


def test_it_is_told_once_by_many_replicas_and_after_restarts(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    job.go(8, [0, 1, 2, 3])
    for _ in range(20):
        job.go(1, [0, 1, 3], judges=0)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: judge_all(metadata, LIMITS, job.now), range(4)))
    assert (job.marks(), job.codes()) == ([None, None, "stopped", None], ["rank_stopped"])


def test_a_rank_dies_while_others_live(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    job.go(5, [0, 1, 2, 3])
    job.writers[1].end(v1.RUN_STATE_FAILED, 1)
    job.writers[3].end(v1.RUN_STATE_FINISHED)
    job.send()
    job.go(6, [0, 2])
    assert job.marks() == [None, "dead", None, None]
    (event,) = job.run["events"]
    assert (event["code"], event["level"]) == ("rank_died", "error")
    assert (
        event["text"] == "Rank 1 on node7 (process 1001) has failed (exit code 1) while 2 other ranks go on."
    )
    for rank in (0, 2):
        job.writers[rank].end()
    job.send()
    job.go(20, [])
    assert (job.marks(), job.codes()) == ([None, "dead", None, None], ["rank_died"])


def test_another_process_takes_a_dead_ranks_place(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    job.go(5, [0, 1, 2, 3])
    job.writers[1].end(v1.RUN_STATE_CRASHED)
    job.send()
    job.go(6, [0, 2, 3])
    job.stream.start_us += 100 * S
    job.writers[1] = job.stream.writer(1, world_size=4)
    job.go(2, [0, 1, 2, 3])
    assert job.codes() == ["rank_died", "rank_back"]
    assert [(item["rank"], item["state"], item["mark"]) for item in job.run["writers"]] == [
        (0, "running", None), (1, "crashed", None), (1, "running", None), (2, "running", None),
        (3, "running", None),
    ]  # fmt: skip
    assert job.run["events"][-1]["text"].endswith("runs again, as another process.")


def test_many_ranks_at_once_are_one_event(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest, ranks=12)
    job.go(20, list(range(12)))
    job.go(15, [0, 1, 2, 3, 4, 5, 8])
    (event,) = job.run["events"]
    assert event["details"]["ranks"] == [6, 7, 9, 10, 11]
    assert event["text"].startswith("5 of 12 ranks on node7 (6-7, 9-11) have logged nothing for 1")


def test_a_slow_rank(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    for _ in range(25):
        job.go(3, [0, 1, 2])
        job.go(1, [0, 1, 2, 3])
    assert (job.marks(), job.codes()) == ([None, None, None, "lagging"], ["rank_lagging"])
    text = job.run["events"][0]["text"]
    assert text.startswith("Rank 3 on node7 (process 1003) falls behind the others: at step ")


def test_a_backlog_shrinks_with_what_arrives(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest, ranks=2)
    job.go(3, [0, 1])
    mine, stream = job.writers[0], job.stream
    waiting = Backlog(stream.seq + 10, {mine.id.hex(): 700, "ff" * 16: 9})
    note_backlogs(metadata, {stream.stream_id.hex(): waiting, "ee" * 16: Backlog(5, {})})
    assert [item["backlog_bytes"] for item in job.run["writers"]] == [700, 0]
    assert [item["backlog_records"] for item in job.run["machines"]] == [10]
    rows = mine.row(100, {"loss": 1.0}, time_us=job.now)
    stream.blocks.append(stream.block(rows, mine.id, spool_begin=0, spool_end=500))
    stream.seq += len(rows)
    job.send()
    assert [item["backlog_bytes"] for item in job.run["writers"]] == [200, 0]
    assert [item["backlog_records"] for item in job.run["machines"]] == [9]
    # Nobody says that its ranks are silent: what they log is on its way.
    job.go(40, [])
    assert (job.marks(), job.codes()) == ([None, None], [])
    mine.end()
    job.send()
    assert [item["backlog_bytes"] for item in job.run["writers"]] == [0, 0]


def test_a_missing_machine_is_told_of_once_as_a_machine(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    other = Stream("r", project="p", host="node8")
    writers = [other.writer(rank, world_size=6) for rank in (4, 5)]
    for writer in writers:
        writer.log([(1, {"loss": 1.0})])
    ingest.append(other.stream_id.hex(), b"".join(other.blocks))
    note_signs(metadata, set(), {other.stream_id.hex()}, job.now)
    job.go(10, [0, 1, 2, 3])
    with metadata.read() as connection:
        (row,) = connection.execute(select(WATCHES.c.run, WATCHES.c.attempt)).all()
        assert len(load_roster(connection, Place(*row)).ranks) == 6
    streams = metadata_streams(metadata)
    assert mark_missing(metadata, streams["node8"], job.now, job.now) is not None
    job.go(8, [0, 1, 2, 3])
    assert job.marks() == [None, None, None, None, "lost", "lost"]
    assert job.codes() == ["machine_missing"]


def metadata_streams(metadata: Metadata) -> dict[str, int]:
    with metadata.read() as connection:
        return {row.host: row.id for row in connection.execute(select(STREAMS.c.host, STREAMS.c.id))}


def test_ranks_that_end_after_a_stop_are_not_told_of(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    job.go(5, [0, 1, 2, 3])
    request_stop(metadata, "local:p", "r", Wish("cli", ""), job.now)
    for rank in range(3):
        job.writers[rank].end(v1.RUN_STATE_KILLED, 130)
        job.send()
        job.go(6, [3])
    assert (job.marks(), job.codes()) == ([None] * 4, ["stop_requested"])


def test_who_is_watched(metadata: Metadata, ingest: Ingest) -> None:
    """A run of one process costs nothing, nor do attempts that are over."""
    single = Stream("single", project="p")
    single.writer()
    over = Stream("over", project="p")
    for writer in [over.writer(rank, world_size=2) for rank in range(2)]:
        writer.end()
    both = [Stream("both", project="p", attempt=attempt) for attempt in (1, 2)]
    for stream in both:
        stream.writer(0, world_size=2)
        stream.writer(1, world_size=2)
    for stream in (single, over, *both):
        ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))
    with metadata.read() as connection:
        (place,) = find_watched(connection)
    assert place.attempt == 2
    judge_all(metadata, LIMITS, NOW)
    with metadata.read() as connection:
        assert len(connection.execute(select(WATCHES)).all()) == 1


def test_a_watch_of_another_version_begins_anew(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest)
    job.go(8, [0, 1, 2, 3])
    for state in ("", "{}", "[1,2,3,[[0]]]", "null", '[1,2,3,[[0,"w",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]]]'):
        with metadata.write() as connection:
            connection.execute(update(WATCHES).values(state=state))
        assert job.marks() == [None] * 4
        job.go(1, [0, 1, 2, 3])
    job.go(20, [0, 1, 3])
    assert job.codes() in ([], ["rank_stopped"])


def test_a_watch_survives_being_written_down() -> None:
    watch = Watch(1, 2, 3, {0: Seen("w", 1, 2, base=(3, 4), mark="dead"), 7: Seen("x")})
    assert read_watch(write_watch(watch)) == watch


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3], "3"),
        ([0, 1, 2, 7], "0-2, 7"),
        (list(range(0, 40, 2)), f"{', '.join(map(str, range(0, 24, 2)))}, 8 more"),
    ],
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text


def test_a_thousand_ranks_are_judged_in_little_time(metadata: Metadata, ingest: Ingest) -> None:
    job = Job(metadata, ingest, ranks=1024)
    job.go(3, list(range(1024)))
    job.now += S
    begin, begin_cpu = time.perf_counter(), time.process_time()
    judge_all(metadata, LIMITS, job.now)
    took_s, cpu_s = time.perf_counter() - begin, time.process_time() - begin_cpu
    with metadata.read() as connection:
        (state,) = connection.execute(select(WATCHES.c.state)).scalars()
    print(
        f"1,024 ranks: judged in {took_s * 1000:.0f} ms, {cpu_s * 1000:.0f} of CPU, {len(state) / 1024:.0f} KiB kept"
    )
    assert len(json.loads(state)[3]) == 1024
    # Of the machine's time the test says nothing: it may have other things to do.
    assert cpu_s < 1.0
