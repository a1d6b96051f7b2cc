"""Lists of runs as CSV, and what columns there are to choose from."""

from __future__ import annotations

import csv
import io
import math
import secrets
from typing import Any

import pytest
from buoy_server.deletion.marks import delete_run
from buoy_server.metrics.reader import MetricsReader
from buoy_server.query.runs import LIMIT_MAX, RunsQuery, RunsRequest
from buoy_server.query.summaries import Summaries
from buoy_server.services import Services
from buoy_server.web.run_file import cell_text
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from tests.server.processes import ServerProcess
from tests.server.streams import Stream

NOW_US = datasets.START_US + 10**12
HOSTILE = '=HYPERLINK("http://x","y")'


def run(project: str, run_id: str, config: dict[str, Any], **more: Any) -> Stream:
    stream = Stream(run_id, project=project, **more)
    stream.writer().config(config)
    return stream


@pytest.fixture(scope="module")
def project(server: ServerProcess) -> str:
    name = f"file-{secrets.token_hex(4)}"
    one = run(name, "one", {"lr": 0.1, "same": 3, "opt": {"name": "adam"}, "nan": math.nan}, name=HOSTILE)
    one.info.tags.extend(["-x", 'a,"b"'])
    one.writer().log([(0, {"loss": math.nan, "acc": -0.5})])
    two = run(name, "two", {"lr": 0.2, "same": 3, "opt": {"name": "adam", "beta": 0.9}, "nan": math.nan})
    two.info.notes = "two\nlines"
    two.writer().log([(0, {"loss": 1e-300})])
    gone = run(name, "gone", {"lr": 0.3, "same": 4, "only here": 1})
    for stream in (one, two, gone):
        server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    server.client.delete(f"/api/v1/p/local:{name}/runs/gone").raise_for_status()
    return f"local:{name}"


def rows_of(server: ServerProcess, project: str, **body: Any) -> list[list[str]]:
    answer = server.client.post(f"/api/v1/p/{project}/runs:csv", json=body)
    answer.raise_for_status()
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.text, newline="")))


def test_what_matches_in_its_order(server: ServerProcess, project: str) -> None:
    columns = ["name", "tags", "config.lr", "summary.loss", "min(acc)", "notes", "config.opt", "exit_code"]
    found = rows_of(server, project, columns=columns, sort=[{"key": "config.lr"}])
    assert found == [
        ["id", *columns],
        ["one", f"'{HOSTILE}", '["-x", "a,\\"b\\""]', "0.1", "NaN", "-0.5", "", '{"name": "adam"}', ""],
        ["two", "two", "[]", "0.2", "1e-300", "", "two\nlines", '{"name": "adam", "beta": 0.9}', ""],
    ]
    assert [row[0] for row in rows_of(server, project, filter="lr>0.1", columns=[])] == ["id", "two"]


def test_a_wrong_filter_is_a_problem_and_no_file(server: ServerProcess, project: str) -> None:
    answer = server.client.post(f"/api/v1/p/{project}/runs:csv", json={"filter": "lr<"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filter")


@given(st.text(max_size=8))
def test_no_text_is_a_formula(text: str) -> None:
    """Whoever can name a run must not be able to run something in the spreadsheet of who opens the file."""
    cell = cell_text(text)
    assert cell[:1] not in set("=+-@\t\r")
    assert cell in (text, f"'{text}")


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (True, "true"), (-3, "-3"), (1 << 70, str(1 << 70)), (0.1, "0.1"), (-math.inf, "-Infinity"),
     (math.nan, "NaN"), ([1, math.nan], '[1, {"$float": "nan"}]'), ("+1", "'+1"), ("@x", "'@x"), ("a=b", "a=b")],
)  # fmt: skip
def test_cells(value: object, cell: str) -> None:
    assert cell_text(value) == cell


def test_columns_that_differ_and_those_that_are_used(server: ServerProcess, project: str) -> None:
    path = f"/api/v1/p/{project}/runs:columns"
    answer = server.client.get(path)
    found = answer.json()
    assert {item["key"]: (item["runs"], item["differs"]) for item in found["config"]} == {
        "lr": (2, True), "same": (2, False), "opt.name": (2, False), "opt.beta": (1, True), "nan": (2, False),
    }  # fmt: skip
    assert {item["key"]: item["series"] for item in found["summary"]} == {"acc": 1, "loss": 2}
    again = server.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.fixture
def lists(services: Services) -> RunsQuery:
    return RunsQuery(services.metadata, Summaries(MetricsReader(services.engine)))


def test_more_rows_than_one_batch_while_runs_go(services: Services, lists: RunsQuery) -> None:
    """The order is settled when the file begins; a run that is deleted meanwhile is left out, no other is."""
    datasets.write(services.metadata, None, "many", datasets.shape_of("w4", 2 * LIMIT_MAX + 7))
    request = RunsRequest(columns=["name", "config.seed", "val/loss"], sort=[("config.seed", True)])
    batches = lists.batches("local:many", request, NOW_US)
    first = next(batches)
    assert [row["config.seed"] for row in first] == list(range(2 * LIMIT_MAX + 6, LIMIT_MAX + 6, -1))
    delete_run(services.metadata, "local:many", "r000005", "", NOW_US)
    rest = [row["id"] for batch in batches for row in batch]
    assert rest == [f"r{number:06}" for number in range(LIMIT_MAX + 6, -1, -1) if number != 5]
    assert first[0]["name"] == f"quiet-tide-{2 * LIMIT_MAX + 6}"
