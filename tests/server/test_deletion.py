"""Deleted runs: hidden everywhere, brought back whole, removed for good but for what their forks need."""

from __future__ import annotations

import random
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from buoy_proto import v1
from buoy_server.deletion.marks import delete_run, list_deleted, restore_run
from buoy_server.deletion.removal import sweep
from buoy_server.errors import Missing
from buoy_server.ingest.pipeline import Ingest
from buoy_server.metadata.engine import Metadata
from buoy_server.metadata.schema import RUNS, SERIES, STREAMS
from buoy_server.metrics.remover import MetricsRemover
from buoy_server.query.catalogue import find_project, list_keys, list_projects
from buoy_server.query.history import HistoryRequest
from buoy_server.query.lineage import Attempt, lineage, needs
from buoy_server.query.panel import PanelRequest
from buoy_server.query.run_page import describe_run
from buoy_server.query.runs import RunsRequest
from buoy_server.services import Services
from sqlalchemy import func, select

from tests.server.processes import ServerProcess
from tests.server.streams import START_US, Stream
from tests.server.test_lineage import (
    SECOND_US,
    Told,
    ToldRun,
    curve,
    history,
    invent,
    send,
    shown,
    streams_of,
)

DAY_US = 86_400 * SECOND_US
Points = set[tuple[int, int]]
"""(ordinal of an attempt, step)."""


def now_us() -> int:
    return time.time_ns() // 1000


def a_project() -> str:
    return f"deleted-{secrets.token_hex(4)}"


def delete(services: Services, project: str, run: str) -> None:
    delete_run(services.metadata, f"local:{project}", run, "mina", now_us())


def restore(services: Services, project: str, run: str) -> None:
    restore_run(services.metadata, f"local:{project}", run, "mina", now_us())


def row_of(metadata: Metadata, run: str, project: str) -> int:
    with metadata.read() as connection:
        found = find_project(connection, f"local:{project}")
        chosen = select(RUNS.c.id).where(RUNS.c.project == found.id, RUNS.c.run_id == run)
        return int(connection.execute(chosen).scalar_one())


def points_of(services: Services, row: int) -> Points:
    """What the engine itself has of a run, below every reader's care; attempts as people count them."""
    sql = "SELECT DISTINCT attempt, step FROM {} WHERE run = {{run:UInt64}}"
    found: set[tuple[int, int]] = set()
    for table in ("points", "texts"):
        with services.engine.client() as client:
            found |= {
                (int(attempt), int(step))
                for attempt, step in client.query(sql.format(table), parameters={"run": row}).result_rows
            }
    return found


def remove(services: Services, metadata: Metadata | None = None, *, at_us: int | None = None) -> None:
    """Sweeps at a moment until the engine has removed all of it, as a server does in time."""
    metadata, remover = metadata or services.metadata, MetricsRemover(services.engine)
    at_us = at_us or now_us() + 8 * DAY_US
    deadline = time.monotonic() + 60
    while True:
        sweep(metadata, remover, at_us - 7 * DAY_US, at_us)
        with metadata.read() as connection:
            left = connection.execute(
                select(func.count())
                .select_from(RUNS)
                .where(RUNS.c.removed_us.is_not(None), RUNS.c.leftover > 0)
            ).scalar_one()
        if not left:
            return
        assert time.monotonic() < deadline, "the engine does not remove what it was told to"
        time.sleep(0.05)


def see(services: Services, project: str) -> dict[str, Any]:
    """Everything that names a run of the project, or comes from one."""
    path = f"local:{project}"
    with services.metadata.read() as connection:
        found = find_project(connection, path)
        counted = [item for item in list_projects(connection) if item["id"] == path]
        keys = [(key["key"], key["runs"]) for key in list_keys(connection, found, None, None, -1)]
        deleted = [item["id"] for item in list_deleted(connection, found, DAY_US)]
    runs = services.runs.answer(path, RunsRequest(columns=("summary.loss",)), 0)
    panel = PanelRequest(1, ["loss"], ["a", "b"], pixels=100)
    series = services.series.answer(path, panel).series
    return {
        "runs": sorted(runs["ids"]),  # type: ignore[arg-type]
        "counted": counted[0]["runs"],
        "keys": sorted(keys),
        "series": [(item.run, item.kind) for item in series],
        "deleted": deleted,
    }


def missing(services: Services, project: str, run: str) -> str:
    """The code with which everything about one run is refused."""
    path = f"local:{project}"
    with pytest.raises(Missing) as of_history:
        services.history.page(path, run, HistoryRequest())
    with services.metadata.read() as connection, pytest.raises(Missing) as of_page:
        describe_run(connection, services.summaries, find_project(connection, path), run)
    assert of_history.value.code == of_page.value.code
    return of_page.value.code


def test_a_deleted_run_is_hidden_and_comes_back_whole(services: Services) -> None:
    project = a_project()
    for name, key in (("a", "loss"), ("b", "loss")):
        stream = Stream(name, project=project)
        writer = stream.writer()
        writer.log([(step, {key: float(step), f"only/{name}": "x"}) for step in range(5)])
        writer.log([(0, {f"cpu.{name}": 1.0})], system=True)
        send(services, stream)
    before = see(services, project)
    assert before["runs"] == ["a", "b"]
    delete(services, project, "a")
    assert see(services, project) == {
        "runs": ["b"],
        "counted": 1,
        "keys": [("cpu.b", 1), ("loss", 1), ("only/b", 1)],
        "series": [("a", "absent"), ("b", "raw")],
        "deleted": ["a"],
    }
    assert missing(services, project, "a") == "run_deleted"
    restore(services, project, "a")
    assert see(services, project) == before
    with services.metadata.read() as connection:
        run = describe_run(connection, services.summaries, find_project(connection, f"local:{project}"), "a")
    assert [(event["code"], event["text"]) for event in run["events"]] == [  # type: ignore[attr-defined]
        ("run_deleted", "Deleted by mina."), ("run_restored", "Restored by mina."),
    ]  # fmt: skip


def test_deleting_and_restoring_again_changes_nothing(services: Services) -> None:
    project = a_project()
    send(services, *streams_of(ToldRun("a", [Told(START_US, [(0, 1.0)])]), project))
    path = f"local:{project}"
    first, changed = delete_run(services.metadata, path, "a", "", 1000)
    assert first == 1000
    assert changed is not None
    assert delete_run(services.metadata, path, "a", "", 2000) == (1000, None)
    assert restore_run(services.metadata, path, "a", "", 3000) is not None
    assert restore_run(services.metadata, path, "a", "", 4000) is None
    with pytest.raises(Missing):
        delete_run(services.metadata, path, "nothing", "", 1)


def test_what_arrives_for_a_deleted_run_is_kept_and_told_to_nobody(services: Services) -> None:
    project = a_project()
    told: list[int] = []
    ingest = Ingest(services.metadata, services.ingest.metrics, lambda _owner, _rev, bits: told.append(bits))
    stream = Stream("a", project=project)
    writer = stream.writer()
    writer.log([(0, {"loss": 1.0})])
    ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))
    delete(services, project, "a")
    later = writer.log([(1, {"loss": 2.0})])
    assert not ingest.is_deleted(stream.stream_id.hex())
    assert ingest.append(stream.stream_id.hex(), later) == stream.seq
    assert ingest.is_deleted(stream.stream_id.hex())
    again = Stream("a", project=project, start_us=START_US + SECOND_US)
    again.writer().log([(2, {"loss": 3.0})])
    assert ingest.append(again.stream_id.hex(), b"".join(again.blocks)) == again.seq
    assert [bool(bits) for bits in told] == [True, False, False]
    assert missing(services, project, "a") == "run_deleted"
    restore(services, project, "a")
    assert shown(services, project, "a") == {0: 1.0, 1: 2.0, 2: 3.0}


# Removal


def visible(run: ToldRun, until_us: int | None = None) -> dict[int, tuple[str, int]]:
    """For each step of a run's curve which run's attempt it comes from."""
    found: dict[int, tuple[str, int]] = {}
    if run.parent is not None:
        parent, step, attempt_us = run.parent
        found = {at: source for at, source in visible(parent, attempt_us or None).items() if at <= step}
    for number, attempt in enumerate(run.attempts, 1):
        if until_us is not None and attempt.start_us > until_us:
            break
        starts = [step for step, _ in attempt.points]
        if attempt.rewind is not None:
            starts.append(attempt.rewind + 1)
        if starts:
            found = {at: source for at, source in found.items() if at < min(starts)}
        found.update({at: (run.name, number) for at, _ in attempt.points})
    return found


def needed_points(run: str, others: list[ToldRun]) -> Points:
    """What of a run is on the curve of any other."""
    return {
        (number, step)
        for other in others
        for step, (name, number) in visible(other).items()
        if name == run and other.name != run
    }


def all_points(run: ToldRun) -> Points:
    return {(number, step) for number, told in enumerate(run.attempts, 1) for step, _ in told.points}


@pytest.mark.parametrize("seed", range(4))
def test_forks_keep_what_they_have_from_removed_runs_and_nothing_else_stays(
    services: Services, seed: int
) -> None:
    """Runs of a family are deleted and removed in any order; the others never notice, and what nobody needs is gone."""
    rng = random.Random(2000 + seed)
    project, family = a_project(), invent(rng)
    while len(family) < 3:
        family = invent(rng)
    send(services, *(stream for run in family for stream in streams_of(run, project)))
    rows = {run.name: row_of(services.metadata, run.name, project) for run in family}
    numbers = {
        run.name: sorted({attempt for attempt, _ in points_of(services, rows[run.name])}) for run in family
    }
    living = list(family)
    for gone in rng.sample(family, len(family)):
        delete(services, project, gone.name)
        if rng.random() < 0.3:
            assert history_of_all(services, project, [run for run in living if run is not gone])
            restore(services, project, gone.name)
            delete(services, project, gone.name)
        remove(services)
        living.remove(gone)
        assert history_of_all(services, project, living)
        for run in family:
            logged = [number for number, told in enumerate(run.attempts, 1) if told.points]
            ordinals = dict(zip(numbers[run.name], logged, strict=True))
            left = {(ordinals[attempt], step) for attempt, step in points_of(services, rows[run.name])}
            expected = all_points(run) if run in living else needed_points(run.name, living)
            assert left == expected, (run.name, [other.name for other in living])
    with services.metadata.read() as connection:
        chosen = select(func.count()).select_from(SERIES).where(SERIES.c.run.in_(rows.values()))
        assert connection.execute(chosen).scalar_one() == 0


def history_of_all(services: Services, project: str, runs: list[ToldRun]) -> bool:
    """Whether the curves of some runs are what they must be."""
    for run in runs:
        assert shown(services, project, run.name) == curve(run), run.name
        assert history(services, project, run.name, 1000) == curve(run), run.name
    with services.metadata.read() as connection:
        found = find_project(connection, f"local:{project}")
        keys = {key["key"] for key in list_keys(connection, found, None, None, -1)}
    assert keys == ({"loss", "word"} if any(curve(run) for run in runs) else set())
    return True


def test_needs_of_an_attempt_are_those_of_the_fork_that_has_most() -> None:
    attempts = {1: [Attempt(1, 0, 10), Attempt(2, 5, 20)], 2: [Attempt(1, 9, 30)], 3: [Attempt(1, 3, 15)]}
    from buoy_server.query.lineage import Parent

    parents = {2: Parent(1, 7, 0), 3: Parent(1, 2, 10)}
    inherited = [item for fork in (2, 3) for item in lineage(fork, attempts, parents).inherited]
    assert needs(inherited, attempts) == {1: {1: 5, 2: 8}}
    assert needs([item for item in inherited if item.run == 3], attempts) == {1: {1: 3}}


def test_the_id_of_a_removed_run_is_free_again(services: Services) -> None:
    """Its streams are known all the same: a machine that wakes up late has its say, and nothing of it is kept."""
    project = a_project()
    old = Stream("a", project=project)
    writer = old.writer()
    writer.log([(step, {"loss": 1.0}) for step in range(5)])
    send(services, old)
    row = row_of(services.metadata, "a", project)
    delete(services, project, "a")
    remove(services)
    assert missing(services, project, "a") == "no_such_run"
    assert points_of(services, row) == set()
    new = Stream("a", project=project, start_us=START_US + DAY_US)
    new.writer().log([(0, {"loss": 7.0})])
    send(services, new)
    # Two late uploads: this server knows the stream by heart from before, then it knows better.
    for step in (5, 6):
        late = writer.log([(step, {"loss": 9.0, f"late{step}": 1.0})])
        assert services.ingest.append(old.stream_id.hex(), late) == old.seq
        assert services.ingest.position(old.stream_id.hex()) == old.seq
    assert shown(services, project, "a") == {0: 7.0}
    remove(services)
    assert points_of(services, row) == set()
    with services.metadata.read() as connection:
        found = find_project(connection, f"local:{project}")
        assert [key["key"] for key in list_keys(connection, found, None, None, -1)] == ["loss"]
        run: Any = describe_run(connection, services.summaries, found, "a")
    assert len(run["attempts"]) == 1


def test_a_fork_says_where_it_comes_from_after_its_parent_is_removed(services: Services) -> None:
    project = a_project()
    parent = ToldRun("parent", [Told(START_US, [(step, 1.0) for step in range(10)])])
    fork = ToldRun("fork", [Told(START_US + SECOND_US, [(5, 2.0)])], (parent, 4, 0))
    send(services, *streams_of(parent, project), *streams_of(fork, project))
    delete(services, project, "parent")
    remove(services)
    # Another run under the old id has nothing to do with it.
    other = ToldRun("parent", [Told(START_US + 9 * SECOND_US, [(step, 5.0) for step in range(3)])])
    send(services, *streams_of(other, project))
    assert shown(services, project, "fork") == curve(fork)
    with services.metadata.read() as connection:
        found = describe_run(
            connection, services.summaries, find_project(connection, f"local:{project}"), "fork"
        )
    assert found["fork"] == {"run": "parent", "step": 4}


def test_nothing_is_removed_while_it_can_be_restored_or_while_something_arrives(services: Services) -> None:
    project = a_project()
    send(services, *streams_of(ToldRun("a", [Told(START_US, [(0, 1.0)])]), project))
    row = row_of(services.metadata, "a", project)
    delete(services, project, "a")
    remove(services, at_us=now_us() + 7 * DAY_US - 60 * SECOND_US)
    restore(services, project, "a")
    assert shown(services, project, "a") == {0: 1.0}
    delete(services, project, "a")
    later = now_us() + 5 * DAY_US
    with services.metadata.write() as connection:
        connection.execute(STREAMS.update().where(STREAMS.c.run == row).values(seen_us=later))
    remove(services, at_us=now_us() + 8 * DAY_US)
    assert points_of(services, row)
    remove(services, at_us=later + 7 * DAY_US + 1)
    assert not points_of(services, row)


def test_on_every_database_and_by_several_replicas_at_once(
    services: Services, metadata: Metadata, ingest: Ingest
) -> None:
    project, rng = a_project(), random.Random(5)
    family = invent(rng)
    for run in family:
        for stream in streams_of(run, project):
            ingest.append(stream.stream_id.hex(), b"".join(stream.blocks))
    rows = [row_of(metadata, run.name, project) for run in family]
    for run in family:
        assert delete_run(metadata, f"local:{project}", run.name, "", now_us())[1] is not None
    with metadata.read() as connection:
        found = find_project(connection, f"local:{project}")
        assert len(list_deleted(connection, found, DAY_US)) == len(family)
    with ThreadPoolExecutor(3) as replicas:
        for done in [replicas.submit(remove, services, metadata) for _ in range(3)]:
            done.result()
    assert [points_of(services, row) for row in rows] == [set() for _ in rows]
    with metadata.read() as connection:
        assert list_deleted(connection, find_project(connection, f"local:{project}"), DAY_US) == []
    again = Stream(family[0].name, project=project)
    again.writer().log([(0, {"loss": 1.0})])
    assert ingest.append(again.stream_id.hex(), b"".join(again.blocks)) == again.seq


# Over HTTP


def post(server: ServerProcess, stream: Stream) -> dict[str, Any]:
    answer = server.client.post(stream.path, content=b"".join(stream.blocks))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_routes(server: ServerProcess) -> None:
    project = a_project()
    path = f"/api/v1/p/local:{project}"
    stream = Stream("a", project=project, name="swift-current-91")
    stream.writer().log([(0, {"loss": 1.0})])
    assert post(server, stream) == {"next_seq": stream.seq}
    assert server.client.delete(f"{path}/runs/nothing").json()["code"] == "no_such_run"
    assert server.client.delete(f"{path}/runs/a", params={"by": "x" * 201}).status_code == 400
    deletion = server.client.delete(f"{path}/runs/a", params={"by": "mina"}).json()
    assert deletion["removed_us"] == deletion["deleted_us"] + 7 * DAY_US
    assert server.client.delete(f"{path}/runs/a").json() == deletion
    gone = server.client.get(f"{path}/runs/a")
    assert (gone.status_code, gone.json()["code"]) == (404, "run_deleted")
    assert gone.json()["deleted_us"] == deletion["deleted_us"]
    assert server.client.post(f"{path}/runs/a/stop").json()["code"] == "run_deleted"
    (listed,) = server.client.get(f"{path}/runs:deleted").json()["runs"]
    assert (listed["id"], listed["name"]) == ("a", "swift-current-91")
    assert {name: listed[name] for name in ("deleted_us", "removed_us")} == {
        name: deletion[name] for name in ("deleted_us", "removed_us")
    }
    assert post(server, stream) == {"next_seq": stream.seq}
    more = Stream("a", project=project, start_us=START_US + SECOND_US)
    assert post(server, more) == {"next_seq": more.seq, "deleted": True}
    restored = server.client.post(f"{path}/runs/a/restore").json()
    assert restored == {"run": "a", "deleted_us": None, "removed_us": None}
    assert server.client.get(f"{path}/runs/a").json()["name"] == "swift-current-91"
    assert server.client.get(f"{path}/runs:deleted").json()["runs"] == []


def test_a_fork_that_arrives_after_its_deleted_parent_has_its_steps(services: Services) -> None:
    project = a_project()
    parent = ToldRun("parent", [Told(START_US, [(step, 1.0) for step in range(10)])])
    fork = ToldRun("fork", [Told(START_US + SECOND_US, [(5, 2.0)])], (parent, 4, 0))
    send(services, *streams_of(parent, project))
    delete(services, project, "parent")
    send(services, *streams_of(fork, project))
    assert shown(services, project, "fork") == curve(fork)
    branch = v1.Branch(run_id="parent", step=2)
    late = Stream("late", project=project, start_us=START_US + 2 * SECOND_US, branch=branch)
    remove(services)
    send(services, late)
    assert shown(services, project, "late") == {}
