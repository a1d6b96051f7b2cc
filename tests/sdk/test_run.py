"""A run from init() to finish(), with a real daemon; what counts is what its log says in the end."""

from __future__ import annotations

import math
import os
from pathlib import Path

import buoy
import pytest
from buoy.local import LocalRun, run_folders
from buoy.settings import Settings

from tests.sdk.training import Script, only_run


def test_everything_arrives() -> None:
    with buoy.init(
        project="digits",
        name="first",
        notes="why",
        tags=["a", "b", "a"],
        config={"lr": 0.1},
        group="g",
        job_type="train",
    ) as run:
        assert buoy.run is run
        run.define_metric("loss", summary="min", goal="minimize")
        for step in range(100):
            run.log({"loss": 1.0 - step / 100, "deep": {"text": f"{step}"}})
        run.config.epochs = 3
        run.config = {"lr": 0.2}
        run.summary["best"] = {"epoch": 7}
        run.tags += ("c",)
        run.notes = "because"
        run.name = "renamed"
    assert buoy.run is None
    local = only_run()
    assert local.state == "finished"
    assert (local.info.project, local.info.run_id, local.info.name) == ("digits", run.id, "renamed")
    assert (local.info.notes, list(local.info.tags)) == ("because", ["a", "b", "c"])
    assert (local.info.group, local.info.job_type) == ("g", "train")
    assert local.config == {"lr": 0.2, "epochs": 3}
    rows = list(local.rows())
    assert [row["_step"] for row in rows] == list(range(100))
    assert [row["loss"] for row in rows] == [1.0 - step / 100 for step in range(100)]
    assert [row["deep.text"] for row in rows] == [str(step) for step in range(100)]
    assert all(run.start_time <= row["_timestamp"] for row in rows)
    assert local.summary == {"loss": {"min": 1.0 - 99 / 100}, "deep.text": "99", "best.epoch": 7}
    assert Path(run.dir) == local.folder
    assert local.metadata["python"]


def test_attributes() -> None:
    run = buoy.init(entity="me", project="p", id="abc", settings={"run_group": "g"})
    assert (run.entity, run.project, run.id, run.group, run.path) == ("me", "p", "abc", "g", "me/p/abc")
    assert run.url == "http://127.0.0.1:9/me/p/runs/abc"
    assert run.project_url == "http://127.0.0.1:9/me/p"
    assert (run.step, run.starting_step, run.resumed, run.offline, run.disabled) == (
        0,
        0,
        False,
        False,
        False,
    )
    assert Path(run.dir).name.endswith("-abc")
    assert Path(run.dir).parent == Path(os.environ["BUOY_DIR"])
    run.log({"x": 1})
    assert run.step == 1
    run.log({"x": 2}, step=3)
    assert run.step == 3
    run.log({"x": 2})
    assert run.step == 4
    run.log({}, commit=True)
    assert run.step == 5


def test_a_smaller_step_is_recorded() -> None:
    with buoy.init() as run:
        run.log({"a": 1}, step=10)
        run.log({"a": 2}, step=5)
        run.log({"b": 3}, step=10)
    assert [(row["_step"], row.get("a"), row.get("b")) for row in only_run().rows()] == [
        (5, 2, None),
        (10, 1, 3),
    ]


def test_values_come_back_exactly() -> None:
    values = {
        "nan": math.nan,
        "inf": -math.inf,
        "big": 2**70,
        "bool": True,
        "none": None,
        "list": [1, "a"],
        "zero": -0.0,
    }
    with buoy.init() as run:
        run.log(values)
    row = next(only_run().rows())
    assert repr({key: row[key] for key in values}) == repr(values)


def test_mistakes_of_the_caller_raise() -> None:
    run = buoy.init()
    for bad in (10, {1: 2}, {"a": object()}):
        with pytest.raises(TypeError):
            run.log(bad)  # type: ignore[arg-type]
    data = {"a": {"b": 1}}
    run.log(data)
    assert data == {"a": {"b": 1}}
    with pytest.raises(ValueError, match="1 to 64"):
        buoy.init(reinit=True, tags=["x" * 65])
    run.tags = "no list"  # type: ignore[assignment]
    assert run.tags == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"project": "a/b"},
        {"id": "a:b"},
        {"mode": "sometimes"},
        {"resume": "must"},
        {"fork_from": "x"},
        {"reinit": "maybe"},
    ],
)
def test_arguments_that_are_not_allowed(arguments: dict[str, object]) -> None:
    with pytest.raises(buoy.UsageError):
        buoy.init(**arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="wings"):
        buoy.init(wings=2)
    assert buoy.run is None


def test_a_finished_run() -> None:
    run = buoy.init(config={"lr": 1})
    run.log({"a": 1})
    run.finish()
    run.finish()
    for use in (
        lambda: run.log({"a": 1}),
        lambda: run.define_metric("a"),
        lambda: run.config.update({"b": 1}),
        lambda: setattr(run, "name", "x"),
        lambda: setattr(run, "tags", ["x"]),
        lambda: setattr(run, "notes", "x"),
        lambda: setattr(run, "summary", {"x": 1}),
    ):
        with pytest.raises(buoy.UsageError, match="finished"):
            use()
    assert run.summary["a"] == 1
    assert run.config.lr == 1


def test_nested_init_joins_the_outer_run(capfd: pytest.CaptureFixture[str]) -> None:
    with buoy.init(project="outer", config={"a": 1}) as outer:
        outer.log({"x": 1}, step=5)
        with buoy.init(project="inner", config={"a": 2, "b": 3}) as inner:
            assert inner is outer
            inner.log({"y": 2}, commit=False)
        outer.log({"z": 3})
        assert outer.config.as_dict() == {"a": 1, "b": 3}
    assert "joins run" in capfd.readouterr().err
    assert buoy.run is None
    rows = [{key: row[key] for key in row if key in "xyz"} for row in only_run().rows()]
    assert rows == [{"x": 1, "y": 2, "z": 3}]


def test_a_with_inside_does_not_end_a_run_that_was_begun_without() -> None:
    outer = buoy.init()
    for _ in range(2):
        with buoy.init() as inner:
            assert inner is outer
    outer.log({"a": 1})
    outer.finish()
    assert only_run().state == "finished"


def test_reinit() -> None:
    first = buoy.init(id="one")
    assert buoy.init(reinit=False) is first
    second = buoy.init(id="two", reinit="finish_previous")
    with pytest.raises(buoy.UsageError, match="finished"):
        first.log({"a": 1})
    third = buoy.init(id="three", reinit="create_new")
    assert buoy.run is second
    with pytest.raises(buoy.UsageError, match="in use"):
        buoy.init(id="three", reinit="create_new")
    third.finish()
    assert buoy.run is second
    again = buoy.init(id="three", reinit="create_new")
    again.finish()


def test_runs_in_a_row() -> None:
    for number in range(3):
        buoy.init(project="p", config={"number": number})
        buoy.log({"a": number})
        buoy.finish()
    folders = sorted(Path(os.environ["BUOY_DIR"]).iterdir())
    assert sorted(LocalRun(folder).config["number"] for folder in folders) == [0, 1, 2]


def test_step_sync() -> None:
    with buoy.init() as run:
        run.define_metric("val/*", step_metric="epoch")
        run.log({"epoch": 3})
        run.log({"val/acc": 0.5})
    assert list(only_run().rows())[1]["epoch"] == 3


def test_disabled_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    with buoy.init(mode="disabled", config={"lr": 1}) as run:
        run.log({"a": 1})
        run.summary["b"] = {"c": 1}
        run.define_metric("a", summary="min", step_metric="b")
        run.log({"a": 1, "n": {"x": 2}}, step=5)
        run.name = "other"
        assert (run.project, run.url, run.step, run.config.lr, run.summary.b.c) == ("dummy", None, 5, 1, 1)
        assert (run.summary["n"]["x"], run.summary["n.x"]) == (2, 2)
        assert "a" in run.summary
        with pytest.raises(TypeError, match="takes a dict"):
            run.log([1])
    assert set(tmp_path.rglob("*")) == before
    with pytest.raises(buoy.UsageError):
        run.log({"a": 1})


def test_offline_has_no_page(capfd: pytest.CaptureFixture[str]) -> None:
    with buoy.init(mode="dryrun") as run:
        assert run.offline
        assert run.url is None
        run.log({"a": 1})
    assert "offline" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with buoy.init(dir=tmp_path / "file" / "runs") as run:
        run.log({"a": 1})
    assert "the run is kept in" in capfd.readouterr().err
    assert LocalRun(Path(run.dir)).summary == {"a": 1}


def test_what_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with buoy.init(name="loud") as run:
        for step in range(50):
            run.log({"loss": 50 - step, "_hidden": 1})
    said = capfd.readouterr()
    assert said.out == ""
    start, *metric, end = said.err.splitlines()
    assert "loud" in start
    assert "`buoy server`" in start
    assert len(metric) == 1
    assert metric[0].split()[0] == "loss"
    assert metric[0].split()[-1] == "1"
    assert "█" in metric[0]
    assert "run loud finished after" in end
    with buoy.init(settings=Settings(silent=True)) as run:
        run.log({"loss": 1})
    with buoy.init(settings={"quiet": True}) as run:
        run.log({"loss": 1})
    assert "loss" not in capfd.readouterr().err


def test_no_threads_are_left_while_training() -> None:
    import threading
    import time

    def tasks() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    # The first run leaves what gRPC keeps for good; a training has none of it in its way.
    before, python_before = tasks(), threading.active_count()
    run = buoy.init()
    end = time.monotonic() + 2
    while tasks() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert (tasks(), threading.active_count()) == (before, python_before)
    run.log({"a": 1})


def test_many_runs_leave_nothing_behind(script: Script) -> None:
    """200 runs in one process: descriptors, mappings and memory are the same after the first fifty and at the end."""
    code = """
import buoy, gc, os, psutil, time
def held():
    gc.collect()
    with open("/proc/self/maps") as file:
        maps = sum(1 for _ in file)
    return len(os.listdir("/proc/self/fd")), maps, psutil.Process().memory_info().rss // 1024
def settled(limit):
    # gRPC closes its sockets and ends its threads in the background.
    deadline = time.monotonic() + 30
    while (now := held())[0] > limit and time.monotonic() < deadline:
        time.sleep(0.05)
    return now
for number in range(200):
    with buoy.init(project="p", config={"lr": number}) as run:
        for step in range(100):
            run.log({"a": step, "b": step / 3})
    if number == 49:
        time.sleep(2)
        begin = held()
print(*begin, *settled(begin[0] + 2))
"""
    found = script.run(code, BUOY_SILENT="1")
    assert found.returncode == 0, found.stderr
    print(found.stdout)
    descriptors, maps, rss_kib, descriptors_end, maps_end, rss_kib_end = map(int, found.stdout.split())
    assert descriptors_end <= descriptors + 2
    assert maps_end <= maps + 10
    # A run that kept its first segment would have 150 MiB at the end, one that kept its key tables 3 MiB.
    assert rss_kib_end <= rss_kib + 2048
    assert len(run_folders(Path(os.environ["BUOY_DIR"]))) == 200
