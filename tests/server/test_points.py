"""Points as files: every value as it was logged, however many batches it takes, in each of the forms."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from buoy_server.query.point_batches import Batch, PointBatches, PointsRequest
from buoy_server.query.smoothing import Smoothing
from buoy_server.services import Services

from tests.server.processes import ServerProcess
from tests.server.streams import START_US, Stream
from tests.server.test_series import noisy, project, send

BATCH = 64


@pytest.fixture
def batches(services: Services) -> PointBatches:
    """Small ones, so that a series takes many."""
    return PointBatches(services.metadata, services.points._reader, BATCH)


def joined(found: Iterator[Batch]) -> dict[tuple[str, str, int], dict[str, list[Any]]]:
    whole: dict[tuple[str, str, int], dict[str, list[Any]]] = {}
    for batch in found:
        assert 0 < len(batch) <= BATCH
        mine = whole.setdefault((batch.run, batch.key, batch.rank), {})
        for name, column in batch.columns.items():
            mine.setdefault(name, []).extend(column.tolist())
    return whole


def test_every_point_once_and_in_order(services: Services, batches: PointBatches) -> None:
    """Also of a run that went back, and of exactly one batch."""
    name = project()
    values = noisy(500)
    one = Stream("r", project=name)
    one.writer().log([(step, {"loss": values[step]}) for step in range(400)])
    two = Stream("r", project=name, attempt=2)
    two.writer().log([(step, {"loss": values[step]}) for step in range(300, 500)])
    full = Stream("full", project=name)
    full.writer().log([(step, {"loss": float(step)}) for step in range(2 * BATCH)])
    send(services, one, two, full)
    found = joined(batches.read(f"local:{name}", PointsRequest(["loss", "none"], ["full", "r", "none"])))
    assert list(found) == [("full", "loss", 0), ("r", "loss", 0)]
    assert found["r", "loss", 0]["step"] == list(range(500))
    assert found["r", "loss", 0]["time_us"] == [START_US + 1000 * step for step in range(500)]
    np.testing.assert_array_equal(found["r", "loss", 0]["value"], values)
    assert found["full", "loss", 0]["step"] == list(range(2 * BATCH))


def test_a_range_is_smoothed_as_the_whole_is(services: Services, batches: PointBatches) -> None:
    stream = Stream("r", project=project())
    values = [math.sin(step / 9) for step in range(500)]
    stream.writer().log([(step, {"loss": values[step]}) for step in range(500)])
    send(services, stream)
    request = PointsRequest(["loss"], ["r"], (123, 321), smoothing=Smoothing("ema", 0.9))
    found = joined(batches.read(f"local:{stream.info.project}", request))["r", "loss", 0]
    assert found["step"] == list(range(123, 322))
    expected = Smoothing("ema", 0.9).whole(np.arange(500.0), np.array(values))
    np.testing.assert_array_equal(found["smooth"], expected[123:322])


@pytest.fixture(scope="module")
def logged(server: ServerProcess) -> Stream:
    stream = Stream("r,1", project="points")
    rows = [(step, {"loss": [0.1, math.nan, math.inf, 1e-300][step % 4]}) for step in range(40)]
    for rank in (0, 3):
        stream.writer(rank, world_size=4).log(rows)
    server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    return stream


def fetched(server: ServerProcess, **more: Any) -> Any:
    body = {"keys": ["loss"], "runs": ["r,1"]} | more
    answer = server.client.post("/api/v1/p/local:points/series:points", json=body)
    answer.raise_for_status()
    return answer


EXPECTED = [[0.1, math.nan, math.inf, 1e-300][step % 4] for step in range(40)]


def test_as_csv(server: ServerProcess, logged: Stream) -> None:
    answer = fetched(server)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["run"] for row in rows] == [logged.info.run_id] * 80
    assert [int(row["rank"]) for row in rows] == [0] * 40 + [3] * 40
    np.testing.assert_array_equal([float(row["value"]) for row in rows[:40]], EXPECTED)


@pytest.mark.usefixtures("logged")
def test_as_parquet(server: ServerProcess) -> None:
    table = pq.read_table(io.BytesIO(fetched(server, format="parquet", ranks="max").content))
    assert table.column_names == ["run", "key", "rank", "step", "time_us", "value"]
    assert table["rank"].null_count == 40
    assert table["step"].to_pylist() == list(range(40))
    np.testing.assert_array_equal(table["value"].to_numpy(), EXPECTED)


@pytest.mark.usefixtures("logged")
def test_as_json(server: ServerProcess) -> None:
    answer = fetched(server, format="json", ranks=[3], range=[1, 3], smooth={"kind": "ema", "s": 0.5})
    (part,) = json.loads(answer.text)["parts"]
    assert part["value"] == ["NaN", "Infinity", 1e-300]
    assert (part["rank"], part["step"], part["smooth"][:2]) == (3, [1, 2, 3], ["NaN", "Infinity"])


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_nothing_is_a_whole_file_too(server: ServerProcess, form: str) -> None:
    answer = fetched(server, format=form, keys=["no such key"])
    if form == "parquet":
        assert pq.read_table(io.BytesIO(answer.content)).num_rows == 0
    elif form == "json":
        assert json.loads(answer.text) == {"parts": []}
    else:
        assert len(answer.text.splitlines()) == 1


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    "more",
    [
        {"format": "xls"}, {"range": [1]}, {"range": ["a", 2]}, {"keys": "loss"}, {"ranks": "band"},
        {"smooth": {"kind": "running", "s": 5}}, {"ranks": "mean", "system": True},
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(server: ServerProcess, more: dict[str, Any]) -> None:
    body = {"keys": ["loss"], "runs": ["r,1"]} | more
    answer = server.client.post("/api/v1/p/local:points/series:points", json=body)
    assert (answer.status_code, answer.json()["type"] != "") == (400, True)


def test_an_unknown_project_is_told_before_the_file_begins(server: ServerProcess) -> None:
    body = {"keys": ["loss"], "runs": ["r"]}
    assert server.client.post("/api/v1/p/local:nowhere/series:points", json=body).status_code == 404
