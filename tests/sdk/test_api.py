"""`buoy.Api()` against a real server, with runs that came there through the daemon."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import buoy
import pytest
from buoy.api import Api
from buoy.cli import main
from buoy.errors import AuthenticationError, CommError, UsageError
from click.testing import CliRunner

from tests.sdk.servers import Server, arrived


def test_a_run_as_it_was_recorded(online: Server) -> None:
    with buoy.init(
        project="whole", name="one", notes="why", tags=["b", "a"], group="g", job_type="eval",
        config={"lr": 0.1, "nested": {"a": [1, None]}, "nan": math.nan, "big": 2**60},
    ) as run:  # fmt: skip
        run.define_metric("acc", summary="max,mean")
        for step in range(100):
            run.log({"loss": 1 / (step + 1), "acc": step, "deep": {"er": step}})
        run.summary["final"] = math.inf
    found = arrived(run.path)
    assert (found.id, found.name, found.entity, found.project) == (run.id, "one", "local", "whole")
    assert (found.notes, sorted(found.tags), found.group, found.job_type) == ("why", ["a", "b"], "g", "eval")
    assert found.config["lr"] == 0.1
    assert found.config["nested"] == {"a": [1, None]}
    assert found.config["big"] == 2**60
    assert math.isnan(found.config["nan"])
    assert found.summary["loss"] == 0.01
    assert found.summary["acc"] == {"max": 99, "mean": 49.5}
    assert found.summary["deep.er"] == found.summary["deep"]["er"] == 99
    assert found.summary["final"] == math.inf
    assert found.exit_code == 0
    assert found.metadata["cpu_count"] == os.cpu_count()
    assert found.url == run.url
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z", found.created_at)
    rows = list(found.scan_history())
    assert [row["_step"] for row in rows] == list(range(100))
    assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(100)]
    for path in (f"whole/{run.id}", run.id, run.url.removeprefix(online.url)):
        assert Api().run(path).id == run.id
    project = next(project for project in Api().projects() if project.name == "whole")
    assert (project.path, project.runs) == ("local/whole", 1)


@pytest.mark.usefixtures("online")
def test_scan_history() -> None:
    with buoy.init(project="scan") as run:
        for step in range(250):
            run.log({"a": step, "b": -step} if step % 2 else {"a": step})
    found = arrived(run.path)
    assert [row["a"] for row in found.scan_history(page_size=7)] == list(range(250))
    assert [row["a"] for row in found.scan_history(keys=["a", "b"], page_size=50)] == list(range(1, 250, 2))
    assert [row["a"] for row in found.scan_history(min_step=10, max_step=13)] == [10, 11, 12]
    assert set(next(found.scan_history(keys=["b"]))) >= {"b", "_step"}


@pytest.mark.usefixtures("online")
def test_history_is_reduced_and_always_the_same() -> None:
    with buoy.init(project="reduce") as run:
        for step in range(5000):
            run.log({"a": step * 2} if step % 1000 else {"a": step * 2, "rare": step})
    found = arrived(run.path)
    table = found.history(samples=100)
    again = found.history(samples=100)
    assert table.equals(again)
    dense = table.dropna(subset=["a"])
    assert 40 <= len(dense) <= 100
    # Each value was logged at the step it stands at.
    assert (dense["a"] == dense["_step"] * 2).all()
    assert list(table.dropna(subset=["rare"])["rare"]) == [0, 1000, 2000, 3000, 4000]
    short = found.history(samples=5000, keys=["a"], pandas=False)
    assert [row["a"] for row in short] == [step * 2 for step in range(5000)]
    few = found.history(samples=7, keys=["a"], pandas=False)
    assert 3 <= len(few) <= 7
    assert few[-1] == short[-1]
    assert all(row in short for row in few)
    assert len(found.history(samples=3, keys=["rare"], pandas=False)) in (2, 3)
    by_time = found.history(samples=50, keys=["a"], x_axis="_runtime", pandas=False)
    assert [row["_runtime"] for row in by_time] == sorted(row["_runtime"] for row in by_time)
    assert {"rare", "a"} <= set(found.history(keys=["a"], x_axis="rare").columns)
    with pytest.raises(UsageError):
        found.history(samples=0)


@pytest.mark.usefixtures("online")
def test_runs_by_filter_and_order() -> None:
    ids = []
    for number in range(5):
        with buoy.init(
            project="many", config={"lr": number}, tags=["odd"] if number % 2 else ["even"]
        ) as run:
            run.log({"loss": -number})
        ids.append(run.id)
    for run_id in ids:
        arrived(f"many/{run_id}")
    api = Api()
    runs = api.runs("many", per_page=2)
    assert len(runs) == 5
    assert [run.id for run in runs] == ids
    assert [run.id for run in runs[1:3]] == ids[1:3]
    assert runs[-1].id == ids[-1]
    with pytest.raises(IndexError):
        _ = runs[5]
    assert [run.id for run in api.runs("local/many", order="-config.lr.value")] == ids[::-1]
    assert [run.id for run in api.runs("many", order="+summary_metrics.loss")] == ids[::-1]
    found = api.runs("many", {"config.lr.value": {"$gte": 1}, "tags": {"$in": ["even"]}})
    assert [run.config["lr"] for run in found] == [2, 4]
    assert len(api.runs("many", {"$or": [{"state": "failed"}, {"created_at": {"$lt": "2020-01-01"}}]})) == 0
    assert len(api.runs("many", {"created_at": {"$gt": "2020-01-01"}})) == 5
    with pytest.raises(CommError, match="400"):
        len(api.runs("many", {"state": {"$near": 1}}))
    assert [run.id for run in api.runs("many", "lr>=1 tag:even")] == [ids[2], ids[4]]
    assert [run.id for run in api.runs("many", "min(loss)<-3", order="-lr")] == [ids[4]]
    assert [run.id for run in api.runs("many", order="-tags,-config.lr", per_page=2)][:3] == [
        ids[3],
        ids[1],
        ids[4],
    ]
    with pytest.raises(CommError, match="did you mean") as refusal:
        len(api.runs("many", "lr>1 los<3"))
    assert (refusal.value.code, refusal.value.details["column"]) == ("unknown_key", 6)
    listed = CliRunner().invoke(main, ["runs", "many", "--filter", "lr>2", "--sort", "+lr", "--json"])
    assert [json.loads(line)["id"] for line in listed.output.splitlines()] == ids[3:]
    pointed = CliRunner().invoke(main, ["runs", "many", "--filter", "lr>2 state:runing"])
    assert pointed.exit_code == 1
    assert "state is one of running" in pointed.output
    assert pointed.output.splitlines()[-2:] == ["lr>2 state:runing", "           ^^^^^^"]
    everywhere = CliRunner().invoke(main, ["runs", "--filter", "id in (" + ", ".join(ids) + ")"])
    assert all(run_id in everywhere.output for run_id in ids), everywhere.output


@pytest.mark.usefixtures("online")
def test_a_run_is_changed_from_a_script() -> None:
    with buoy.init(project="edited", name="first", tags=["a"], config={"lr": 0.1}) as run:
        run.log({"loss": 1})
    found = arrived(run.path)
    found.name, found.notes = "second", "why"
    found.tags.append("b")
    found.config["reviewed"] = True
    found.update()
    again = Api().run(run.path)
    assert (again.name, again.notes, again.tags) == ("second", "why", ["a", "b"])
    assert again.config == {"lr": 0.1, "reviewed": True}
    # A run of a list knows little; what is set on it stays when the rest is fetched.
    (listed,) = Api().runs("edited")
    listed.tags = ["c"]
    listed.group = "g"
    assert listed.config["lr"] == 0.1
    listed.update()
    assert (Api().run(run.path).tags, Api().run(run.path).group) == (["c"], "g")
    listed.archive()
    assert len(Api().runs("edited")) == 0
    assert [run.archived for run in Api().runs("edited", "archived:true")] == [True]
    listed.unarchive()
    assert len(Api().runs("edited")) == 1
    del found.config["lr"]
    with pytest.raises(UsageError, match="lr"):
        found.update()
    listed.name = ""
    with pytest.raises(CommError, match="name is empty"):
        listed.update()


@pytest.mark.usefixtures("online")
def test_troubles_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommError, match="404"):
        Api().run("nobody/nothing/here")
    with pytest.raises(UsageError):
        Api().run("a/b/c/d")
    with pytest.raises(AuthenticationError, match=r"buoy\.login"):
        Api(api_key="wrong").projects()
    with pytest.raises(UsageError, match="unknown override"):
        Api({"wings": "2"})
    monkeypatch.setenv("BUOY_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(CommError, match="buoy server"):
        Api().projects()


def test_login(online: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BUOY_API_KEY")
    with pytest.raises(AuthenticationError):
        Api().projects()
    assert buoy.login() is False
    with pytest.raises(AuthenticationError):
        buoy.login(key="wrong")
    assert not (tmp_path / "state" / "credentials.json").exists()
    assert buoy.login(key=online.token) is True
    assert (tmp_path / "state" / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert Api().projects() is not None
    assert buoy.login() is True


@pytest.mark.usefixtures("online")
def test_start_and_end_lines_know_the_server(capfd: pytest.CaptureFixture[str]) -> None:
    with buoy.init(project="said") as run:
        run.log({"a": 1})
    arrived(run.path)
    start, *_, end = capfd.readouterr().err.splitlines()
    assert start.endswith(str(run.url))
    assert str(run.url) in end


@pytest.mark.usefixtures("online")
def test_commands() -> None:
    with buoy.init(project="cli", name="listed") as run:
        for step in range(3):
            run.log({"loss": step})
    arrived(run.path)
    runner = CliRunner()
    listed = runner.invoke(main, ["runs", "cli"])
    assert listed.exit_code == 0, listed.output
    assert run.path in listed.output
    assert "listed" in listed.output
    assert run.path in runner.invoke(main, ["runs"]).output
    (Path(run.dir) / "wal").rename(Path(run.dir) / "hidden")
    shown = runner.invoke(main, ["show", run.path, "--format", "csv"])
    assert shown.exit_code == 0, shown.output
    assert [line.split(",")[0] for line in shown.output.splitlines()] == ["_step", "0", "1", "2"]
    assert runner.invoke(main, ["doctor"]).output.count("ok ") >= 4
