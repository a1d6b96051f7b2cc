"""`buoy export`: every value exactly as logged, the same from the server and from the run's folder."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import buoy
import duckdb
import pandas as pd
import pytest
from buoy.api import Api
from buoy.cli import main
from buoy_core.rank_reduction import reduce_ranks
from click.testing import CliRunner, Result
from pyarrow import parquet

from tests.sdk.servers import Server, arrived
from tests.sdk.training import Script, ended_run, wait_for

SECONDS = 100

ROWS: list[tuple[int, dict[str, Any]]] = [
    (0, {"loss": 0.1, "mixed": 1, "number": 1, "flag": True, "word": 'a,"b"\n\r\'', "list": [1, None, "x"]}),
    (1, {"loss": math.nan, "mixed": "1", "number": 2.5, "flag": False, "word": "", "huge": 1 << 70}),
    (2, {"loss": math.inf, "mixed": None, "number": 3, "word": "ü\u2028\x00", "list": []}),
    (3, {"loss": -math.inf, "mixed": True, "wide": 1 << 62, "half": "\ud83d"}),
    (4, {"loss": -0.0, "number": 1 << 40, "wide": -(1 << 62), "maybe": None, "huge": 7}),
    (5, {"loss": 5e-324, "big": 1 << 62, "maybe": 2.0, "only.none": None}),
    (6, {"loss": 1.7976931348623157e308, "big": 0.5, "_step": "mine", "a,b": 1}),
]
LATER: list[tuple[int, dict[str, Any]]] = [(9, {"loss": 1, "late": 1.0}), (8, {"loss": 2}), (9, {"loss": 3})]
"""Out of order, and a step twice."""

EXPECTED = dict(ROWS) | {8: {"loss": 2}, 9: {"loss": 3, "late": 1.0}}


def export(*arguments: str) -> Result:
    found = CliRunner().invoke(main, ["export", *arguments])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def exported(path: str, to: Path, *options: str) -> Path:
    """The file of a single run that was exported to `to`."""
    found = export(path, "-o", str(to), *options)
    assert found.exit_code == 0, found.output
    return to


@pytest.fixture
def odd_run(online: Server) -> buoy.Run:  # noqa: ARG001
    """A run with one of everything, on the server and in its folder."""
    config = {"lr": 0.1, "nested": {"a": [1, None]}, "nan": math.nan, "big": 1 << 70}
    with buoy.init(project="odd", name="one", config=config, notes="why", tags=["b", "a"]) as run:
        run.define_metric("number", summary="min,max,mean")
        for step, values in (*ROWS, *LATER):
            run.log(values, step=step)
        run.summary["final"] = math.inf
    arrived(run.path)
    return run


def same(one: object, other: object) -> bool:
    """Equal to the last bit, and of the same type."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


def logged(row: dict[str, Any]) -> dict[str, Any]:
    own = ("_run", "_step", "_attempt", "_rank", "_timestamp", "_runtime")
    return {("_step" if key == "logged._step" else key): row[key] for key in row if key not in own}


def test_json_lines_are_exactly_what_was_logged(odd_run: buoy.Run, tmp_path: Path) -> None:
    for number, path in enumerate((odd_run.path, odd_run.dir)):
        file = exported(path, tmp_path / f"{number}.jsonl")
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert [row["_step"] for row in rows] == list(EXPECTED)
        assert all((row["_run"], row["_attempt"], row["_rank"]) == (odd_run.id, 1, 0) for row in rows)
        assert all(row["_timestamp"] > 1.6e9 and 0 <= row["_runtime"] < SECONDS for row in rows)
        for row in rows:
            assert same(logged(row), EXPECTED[row["_step"]]), row


def test_samples_name_their_machine(online: Server, tmp_path: Path) -> None:  # noqa: ARG001
    with buoy.init(project="machines") as run:
        run.log({"loss": 1.0})
        wait_for(lambda: has_samples(run.path), "a sample", 60)
    arrived(run.path)
    for number, path in enumerate((run.path, run.dir)):
        for more in ((), ("--keys", "memory_percent")):
            out = tmp_path / f"{number}{len(more)}"
            found = export(path, "-o", str(out), "--format", "jsonl", "--system", *more)
            assert found.exit_code == 0, found.output
            lines = (out / f"system/local/machines/{run.id}.jsonl").read_text().splitlines()
            assert {json.loads(line)["_node"] for line in lines} == {socket.gethostname()}
    rows = Api().run(run.path).history(stream="system", ranks="all", pandas=False)
    assert {row["_node"] for row in rows} == {socket.gethostname()}


def has_samples(path: str) -> bool:
    try:
        return any(key["key"] == "memory_percent" for key in Api().run(path).keys(system=True))
    except buoy.CommError:
        return False


@pytest.mark.parametrize("style", ["parquet", "csv", "jsonl"])
def test_server_and_folder_give_the_same(odd_run: buoy.Run, tmp_path: Path, style: str) -> None:
    for name, path in (("server", odd_run.path), ("folder", odd_run.dir)):
        found = export(path, "-o", str(tmp_path / name), "--format", style, "--system")
        assert found.exit_code == 0, found.output
        assert "key '_step' has the name of a column of ours" in found.stderr
    files = sorted(
        path.relative_to(tmp_path / "server") for path in (tmp_path / "server").rglob(f"*.{style}")
    )
    run = f"local/odd/{odd_run.id}.{style}"
    assert [str(path) for path in files] == [f"history/{run}", f"runs.{style}", f"system/{run}"]
    for file in files:
        one, other = (tmp_path / name / file for name in ("server", "folder"))
        if style != "parquet":
            assert one.read_text() == other.read_text()
        else:
            assert parquet.read_schema(one).equals(
                parquet.read_schema(other), check_metadata="runs" in file.name
            )
            # NaN is not equal to itself, but its text is.
            assert str(parquet.read_table(one).to_pylist()) == str(parquet.read_table(other).to_pylist())
    assert not list(tmp_path.rglob("*.part"))


def test_parquet_columns_have_one_type(odd_run: buoy.Run, tmp_path: Path) -> None:
    file = exported(odd_run.path, tmp_path / "run.parquet")
    table = parquet.read_table(file)
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "_run": "string", "_step": "int64", "_attempt": "int64", "_rank": "int64", "_timestamp": "double",
        "_runtime": "double", "loss": "double", "mixed": "string", "number": "double", "flag": "bool",
        "word": "string", "list": "string", "huge": "string", "wide": "int64", "half": "string", "maybe": "double",
        "only.none": "string", "big": "string", "logged._step": "string", "a,b": "int64",
        "late": "double", "_none": "list<element: string>",
    }  # fmt: skip
    json_columns = {
        field.name for field in table.schema if (field.metadata or {}).get(b"buoy.type") == b"json"
    }
    assert json_columns == {"mixed", "list", "huge", "half", "big"}
    for row in table.to_pylist():
        found = {}
        for key, value in logged(row).items():
            if key != "_none" and value is not None:
                found[key] = json.loads(value) if key in json_columns else value
        found |= dict.fromkeys(row["_none"] or ())
        # Ints among floats come back as floats of the same value.
        expected = {
            key: float(value) if key in {"loss", "number"} else value
            for key, value in EXPECTED[row["_step"]].items()
        }
        assert same(found, expected)
    about = json.loads(table.schema.metadata[b"buoy"])
    assert (about["name"], about["config"]["big"], about["summary"]["number"]) == (
        "one", 1 << 70, {"min": 1, "max": 1 << 40, "mean": (1 + 2.5 + 3 + (1 << 40)) / 4},
    )  # fmt: skip


def test_duckdb_and_pandas_read_it(odd_run: buoy.Run, tmp_path: Path) -> None:
    assert export(odd_run.path, "-o", str(tmp_path)).exit_code == 0
    query = "SELECT _step, loss FROM read_parquet(?, union_by_name = true) WHERE loss > 1 ORDER BY _step"
    pattern = str(tmp_path / "history/**/*.parquet")
    assert duckdb.execute(query, [pattern]).fetchall() == [
        (1, pytest.approx(math.nan, nan_ok=True)), (2, math.inf), (6, 1.7976931348623157e308), (8, 2.0), (9, 3.0),
    ]  # fmt: skip
    joined = duckdb.execute(
        "SELECT name, config->>'lr', json_extract(mixed, '$') FROM read_parquet(?) JOIN read_parquet(?) ON _run = id "
        "WHERE _step = 1",
        [pattern, str(tmp_path / "runs.parquet")],
    ).fetchall()
    assert joined == [("one", "0.1", '"1"')]
    frame = pd.read_parquet(tmp_path / f"history/local/odd/{odd_run.id}.parquet")
    assert frame["flag"].dropna().tolist() == [True, False]
    assert frame["loss"].iloc[5] == 5e-324
    runs = pd.read_parquet(tmp_path / "runs.parquet")
    assert (runs["state"][0], list(runs["tags"][0]), runs["exit_code"][0]) == ("finished", ["b", "a"], 0)
    assert runs["created"][0].year >= 2024
    assert json.loads(runs["summary"][0])["final"] == math.inf


def test_csv_is_read_back(odd_run: buoy.Run, tmp_path: Path) -> None:
    frame = pd.read_csv(exported(odd_run.path, tmp_path / "run.csv"))
    values = [EXPECTED[step]["loss"] for step in frame["_step"]]
    for one, other in zip(frame["loss"], values, strict=True):
        assert same(float(one), float(other)) or (math.isnan(one) and math.isnan(other))
    assert frame["word"].iloc[0] == ROWS[0][1]["word"]
    assert json.loads(frame["mixed"].iloc[1]) == "1"
    found = duckdb.execute("SELECT count(*), sum(number) FROM read_csv(?)", [str(tmp_path / "run.csv")])
    assert found.fetchall() == [(9, 1 + 2.5 + 3 + (1 << 40))]


def test_only_some_keys(odd_run: buoy.Run, tmp_path: Path) -> None:
    """Rows that have any of them. One that nobody has is worth an exit code."""
    for path in (odd_run.path, odd_run.dir):
        found = export(path, "-o", "-", "--keys", "wide,big", "--keys", "late")
        assert [json.loads(line)["_step"] for line in found.stdout.splitlines()] == [3, 4, 5, 6, 9]
        assert all("loss" not in json.loads(line) for line in found.stdout.splitlines())
    missing = export(odd_run.dir, "-o", str(tmp_path / "x.csv"), "--keys", "loss,lost")
    assert missing.exit_code == 1
    assert "no run has the key 'lost'" in missing.stderr


def test_keys_that_differ_by_case_alone(tmp_path: Path) -> None:
    """DuckDB's names have no case; to whoever reads with it the second column would look like the first."""
    with buoy.init(project="case", mode="offline") as run:
        run.log({"Loss": 1, "loss": 2})
    found = export(run.dir, "-o", str(tmp_path / "run.parquet"))
    assert "Loss, loss differ by case alone" in found.stderr
    assert parquet.read_table(tmp_path / "run.parquet")["loss"].to_pylist() == [2]
    query = "SELECT Loss, loss_1 FROM read_parquet(?)"
    assert duckdb.execute(query, [str(tmp_path / "run.parquet")]).fetchall() == [(1, 2)]


def test_a_project_is_all_its_runs(
    online: Server,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = []
    for number in range(3):
        with buoy.init(project="several", config={"lr": number}) as run:
            run.log({"loss": number} if number else {"loss": 0.5, "extra": "x"})
        runs.append(run)
    for run in runs:
        arrived(run.path)
    for name, paths in (("server", ["several"]), ("folder", [str(Path(runs[0].dir).parent)])):
        assert export(*paths, "-o", str(tmp_path / name)).exit_code == 0
        # An int column in one file and a float column in another: readers find the common type.
        found = duckdb.execute(
            "SELECT lr, loss FROM read_parquet(?, union_by_name = true) JOIN "
            "(SELECT id, CAST(config->>'lr' AS INT) AS lr FROM read_parquet(?)) ON _run = id ORDER BY lr",
            [str(tmp_path / name / "history/**/*.parquet"), str(tmp_path / name / "runs.parquet")],
        ).fetchall()
        assert found == [(0, 0.5), (1, 1.0), (2, 2.0)]
    # A folder of code that is called like its project is not a folder of runs.
    monkeypatch.chdir(tmp_path)
    Path("several").mkdir()
    assert len(export("several", "-o", "-").stdout.splitlines()) == 3
    once = export(f"several/{runs[0].id}", f"local/several/{runs[0].id}", "-o", "-")
    assert len(once.stdout.splitlines()) == 1
    one_file = export("local/several", "-o", str(tmp_path / "x.csv"))
    assert one_file.exit_code == 1
    assert "there are 3; name a folder" in one_file.output


RANKS = """
import buoy, os
run = buoy.init(project="ranked", id="ranked", ranks="all")
for step in range(40):
    if step % 4 != run.rank:
        run.log({"loss": (step * 7 + run.rank) % 5 / 3, "n": step * run.rank, "word": "x"}, step=step)
run.finish()
"""


def test_ranks_of_a_run(script: Script, online: Server, tmp_path: Path) -> None:  # noqa: ARG001
    size = 3
    processes = [
        script.start(
            RANKS, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), LOCAL_WORLD_SIZE=str(size)
        )
        for rank in range(size)
    ]
    for process in processes:
        assert process.wait(SECONDS) == 0, process.communicate()[1]
    wait_for(lambda: ended_run("finished").ranks == [0, 1, 2], "three ranks", SECONDS)
    folder = str(ended_run("finished").folder)
    wait_for(
        lambda: len({row["_rank"] for row in arrived("ranked/ranked").scan_history(ranks="all")}) == 3,
        "all",
    )

    def rows(*options: str) -> list[dict[str, Any]]:
        texts = [export(path, "-o", "-", *options).stdout for path in ("ranked/ranked", folder)]
        assert texts[0] == texts[1]
        return [json.loads(line) for line in texts[0].splitlines()]

    logged = {
        (step, rank): {"loss": (step * 7 + rank) % 5 / 3, "n": step * rank}
        for step in range(40)
        for rank in range(size)
        if step % 4 != rank
    }
    assert {(row["_step"], row["_rank"]): {"loss": row["loss"], "n": row["n"]} for row in rows()} == logged
    assert {row["_rank"] for row in rows("--ranks", "1")} == {1}
    for how in ("mean", "std", "max", "argmax", "sum", "count"):
        found = rows("--ranks", how)
        assert [row["_step"] for row in found] == list(range(40))
        for row in found:
            ranks = [rank for rank in range(size) if (row["_step"], rank) in logged]
            for key in ("loss", "n"):
                values = [logged[row["_step"], rank][key] for rank in ranks]
                assert same(row[key], reduce_ranks(how, ranks, values))
            assert not {"_rank", "word"} & set(row)
    api = arrived("ranked/ranked")
    assert [row["loss"] for row in api.scan_history(ranks="mean")] == [
        row["loss"] for row in rows("--ranks", "mean")
    ]
    assert [row["loss"] for row in api.scan_history(ranks=2)] == [
        values["loss"] for (_, rank), values in logged.items() if rank == 2
    ]
    reduced = api.history(keys=["loss"], ranks="max", pandas=False)
    assert [row["loss"] for row in reduced] == [row["loss"] for row in rows("--ranks", "max")]
    every = api.history(keys=["loss"], ranks="all", pandas=False)
    assert {(row["_step"], row["_rank"]): row["loss"] for row in every} == {
        place: values["loss"] for place, values in logged.items()
    }
    assert {row["loss"] for row in api.history(keys=["loss"], ranks=1, pandas=False)} == {
        values["loss"] for (_, rank), values in logged.items() if rank == 1
    }
    with pytest.raises(buoy.UsageError, match="median"):
        api.history(ranks="median")


def test_attempts_of_a_run(online: Server, tmp_path: Path) -> None:  # noqa: ARG001
    folders = []
    for attempt, steps in ((1, range(30)), (2, range(20, 25))):
        with buoy.init(project="again", id="again", resume="allow") as run:
            for step in steps:
                run.log({"a": attempt * 100 + step}, step=step)
        folders.append(run.dir)
    wait_for(lambda: arrived("again/again").summary.get("a") == 224, "both attempts", SECONDS)
    first = [(step, 1, 100 + step) for step in range(30)]
    second = [(step, 2, 200 + step) for step in range(20, 25)]
    for options, expected in (
        ((), first[:20] + second),
        (("--attempts", "all"), sorted(first + second)),
    ):
        for paths in (["again/again"], folders, folders[::-1]):
            lines = export(*paths, "-o", "-", *options).stdout.splitlines()
            rows = [json.loads(line) for line in lines]
            assert [(row["_step"], row["_attempt"], row["a"]) for row in rows] == expected
    # One folder is one attempt, and what superseded it is not there.
    assert len(export(folders[0], "-o", "-").stdout.splitlines()) == 30


def test_copies_torn_tails_and_damage(tmp_path: Path) -> None:
    with buoy.init(project="torn", mode="offline") as run:
        for step in range(2000):
            run.log({"a": step})
    copy = tmp_path / "elsewhere"
    shutil.copytree(run.dir, copy)
    (copy / "run.json").unlink(missing_ok=True)
    whole = export(run.dir, "-o", "-").stdout
    assert export(str(copy), "-o", "-").stdout == whole
    segment = copy / "wal" / "00000000.wal"
    data = segment.read_bytes()
    segment.write_bytes(data[:-3])
    torn = export(str(copy), "-o", "-")
    assert torn.exit_code == 0
    assert whole.startswith(torn.stdout)
    # In the payload of the first block, which others follow.
    segment.write_bytes(data[: 64 + 96 + 5] + b"\xff\x00" + data[64 + 96 + 7 :])
    damaged = export(str(copy), "-o", "-")
    assert damaged.exit_code == 0
    assert f"{segment} is damaged at byte 64" in damaged.stderr
    (tmp_path / "empty").mkdir()
    nothing = export(str(tmp_path / "empty"), "-o", "-")
    assert (nothing.exit_code, "is no run folder" in nothing.output) == (1, True)


def test_a_run_that_is_still_written(tmp_path: Path) -> None:
    run = buoy.init(project="live", mode="offline")
    run.log({"a": 0})

    def seen() -> int:
        found = export(run.dir, "-o", str(tmp_path / "live.parquet"))
        return parquet.read_table(tmp_path / "live.parquet").num_rows if found.exit_code == 0 else 0

    wait_for(lambda: seen() == 1, "the first row", SECONDS)
    run.log({"a": "text"})
    wait_for(lambda: seen() == 2, "the second row", SECONDS)
    assert parquet.read_table(tmp_path / "live.parquet")["a"].to_pylist() == ["0", '"text"']
    run.finish()


@pytest.fixture
def long_run() -> str:
    """The folder of a run of 1.6 million values."""
    with buoy.init(project="long", mode="offline", settings={"telemetry": False}) as run:
        row = {f"k{number}": 0.1 * number for number in range(16)}
        for step in range(100_000):
            row["k0"] = step
            run.log(row)
    return run.dir


@pytest.mark.slow
def test_interruption_leaves_no_half_file_and_memory_is_bounded(long_run: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "buoy", "export", long_run, "-o"]
    for number in (signal.SIGINT, signal.SIGKILL):
        target = tmp_path / "run.jsonl"
        target.write_text("what was there before\n")
        process = subprocess.Popen([*command, str(target)], stderr=subprocess.PIPE)
        wait_for(lambda: list(tmp_path.glob(".run.jsonl.*.part")), "the export has begun", SECONDS)
        process.send_signal(number)
        assert process.wait(SECONDS) != 0
        assert target.read_text() == "what was there before\n"
        parts = list(tmp_path.glob(".run.jsonl.*.part"))
        assert len(parts) == (1 if number == signal.SIGKILL else 0)
        for part in parts:
            part.unlink()
    short = exported_rss(tmp_path, long_run, "--keys", "k0", "--format", "csv")
    whole = exported_rss(tmp_path, long_run, "--format", "csv")
    # All values at once would be 1.6 million objects of 24 bytes, and as much again for lists and rows.
    assert whole - short < 40 << 20, (whole, short)


def exported_rss(tmp_path: Path, path: str, *options: str) -> int:
    """The largest memory of an export's process, in bytes."""
    code = (
        "import resource, sys\nfrom buoy.cli import main\n"
        "main(['export', *sys.argv[1:]], standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
    )
    to = str(tmp_path / "measured")
    command = [sys.executable, "-c", code, path, "-o", to, *options]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout)


def test_a_bar_on_a_terminal_and_nothing_elsewhere(tmp_path: Path) -> None:
    with buoy.init(project="bar", mode="offline") as run:
        for step in range(10):
            run.log({"a": step})
    command = [sys.executable, "-m", "buoy", "export", run.dir, "-o", str(tmp_path / "run.csv")]
    here, there = pty.openpty()
    with subprocess.Popen(
        command, stderr=there, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    ) as process:
        os.close(there)
        shown = b""
        # At its end a terminal is an error on Linux, not an empty answer.
        with contextlib.suppress(OSError):
            while more := os.read(here, 4096):
                shown += more
    os.close(here)
    assert process.returncode == 0
    assert b"10 values" in shown
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == f"buoy: 1 run exported to {tmp_path / 'run.csv'}\n"
    assert piped.stdout == ""


def test_mistakes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, said in (
        (["x", "-o", "-", "--format", "parquet"], "does not go to standard output"),
        (["x", "-o", "x.csv", "--format", "jsonl"], "name it .jsonl"),
        (["x", "-o", "x.csv", "--system"], "must be a folder"),
        (["x", "--ranks", "median"], "--ranks must be a number, 'all', or one of mean"),
        ([], "Missing argument"),
    ):
        found = export(*arguments)
        assert (found.exit_code, said in found.output) == (2, True), found.output
    unreachable = export("some/run", "-o", str(tmp_path / "out"))
    assert (unreachable.exit_code, "does not answer" in unreachable.output) == (1, True)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    without = export("some/run", "-o", str(tmp_path / "out"))
    assert (without.exit_code, "pip install 'buoy[export]'" in without.output) == (1, True)


def test_what_the_server_does_not_have(online: Server, tmp_path: Path) -> None:  # noqa: ARG001
    for path in ("nobody", "nobody/nothing", "local/nobody/nothing"):
        found = export(path, "-o", str(tmp_path / "out"))
        assert found.exit_code == 1
        assert "Traceback" not in found.output
        assert not list((tmp_path / "out").rglob("*.parquet"))
