"""Binary frames: golden files that the dashboard's tests read too, and an independent reader of the layout.

`python -m tests.server.test_frames` writes the golden files of a new version.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buoy_server.metrics.selection import REDUCED
from buoy_server.query.known_series import Extent
from buoy_server.query.panel import PanelAnswer, SeriesAnswer
from buoy_server.web.frames import encode_frame, encode_stream
from buoy_server.web.panel_answer import render

from tests.server.processes import ServerProcess
from tests.server.streams import Stream

GOLDEN = Path(__file__).parent.parent / "golden"
EPOCH = 0x000F_1234_5678_9ABC
NAN = float("nan")


def buckets(first: int, idx: list[int], /, **columns: list[float]) -> SeriesAnswer:
    arrays = {
        name: np.array(values, dtype=np.uint64 if name in COUNTS else np.float64)
        for name, values in columns.items()
    }
    extent = Extent(10**12, -4.0, 4095.5, 4095.5, 0.1, 1_700_000_000_123_456)
    return SeriesAnswer(
        "run-é", "train/loss", 3, "buckets", rev=2**53, gen=2, extent=extent, first_bucket=first,
        idx=np.array(idx, np.uint32), columns=arrays,
    )  # fmt: skip


COUNTS = {"n", "segment", "low", "high", "ranks", "bad", "bad_rank"}
BITS = {
    0: "n", 1: "min", 2: "max", 3: "last", 4: "mean", 5: "first", 6: "sumsq", 7: "smooth", 8: "segment",
    9: "std", 10: "se",
    24: "low", 25: "high", 26: "ranks", 27: "bad", 28: "bad_rank",
}  # fmt: skip


def band(first: int, idx: list[int], /, attempt: int = 0, **columns: list[float]) -> SeriesAnswer:
    answer = buckets(first, idx, **columns)
    answer.rank, answer.attempt = REDUCED, attempt
    return answer


def raw(x: list[float], y: list[float]) -> SeriesAnswer:
    extent = Extent(len(x), x[0], x[-1], x[-1], y[-1], 1_700_000_000_000_000)
    return SeriesAnswer(
        "r", "k", 0, "raw", rev=5, extent=extent, columns={"x": np.array(x), "y": np.array(y)}
    )


def shapes() -> list[SeriesAnswer]:
    """One of each that is neither plain buckets nor plain points."""
    smooth = buckets(8, [0, 1], n=[2, 2], first=[0.5, 1.5], sumsq=[2.5, 4.5], smooth=[0.75, 1.25])
    smooth.sealed, smooth.tail, smooth.state = True, True, (12.5, 20.0)
    # Indices that could be taken for dense ones, but for the pieces that they are in.
    pieces = buckets(0, [1, 0, 2], n=[1, 1, 1], last=[1.0, 2.0, 3.0], segment=[0, 1, 1])
    pieces.count = 7
    few = raw([3.0, 4.0, 1.0], [0.5, NAN, -0.5])
    few.columns |= {"smooth": np.array([0.5, NAN, 0.25]), "segment": np.array([0, 0, 1], np.uint32)}
    few.tail = True
    group = buckets(2, [0, 3], n=[3, 1], mean=[0.1, 0.2], std=[0.01, 0.0], se=[0.005, 0.0], min=[0.0, 0.2])
    group.kind, group.run, group.rank, group.count = "group", '["adam",0.1]', REDUCED, 3
    field = SeriesAnswer("", "", REDUCED, "density", rev=9, first_bucket=-1, count=1200, y_range=(-2.5, 4.0))
    field.grid, field.extent = np.array([[0, 1, 65535], [1200, 2, 0]], np.uint16), group.extent
    return [smooth, pieces, few, group, field, SeriesAnswer("bad_filter", "The filter is odd.", 0, "error")]


CASES: dict[str, list[PanelAnswer]] = {
    "shapes": [PanelAnswer(3, 5, 44, shapes())],
    "empty": [],
    "buckets": [
        PanelAnswer(
            7,
            -3,
            42,
            [
                # Dense and exact in float32; then with holes and only exact in float64; odd lengths need padding.
                buckets(
                    -2,
                    [0, 1, 2],
                    n=[1, 2, 3],
                    min=[0.5, -1.5, NAN],
                    max=[1.5, 2.0, NAN],
                    last=[1.0, NAN, float("inf")],
                ),
                buckets(
                    5, [0, 4, 9], n=[1, 1, 1], min=[0.1, 0.2, 0.3], max=[0.1, 0.2, 0.3], last=[0.1, 0.2, 0.3]
                ),
                buckets(1 << 40, [0], last=[0.25], mean=[0.25]),
                buckets(0, [0, 1], min=[1.0, 2.0], max=[3.0, 4.0], mean=[2.1, 3.1]),
            ],
        )
    ],
    "bands": [
        PanelAnswer(
            2,
            4,
            43,
            [
                band(
                    0,
                    [0, 2, 3],
                    n=[64, 32, 1],
                    min=[0.25, 0.5, NAN],
                    max=[0.75, 0.5, NAN],
                    mean=[0.5, 0.5, NAN],
                    low=[63, 0, 0],
                    high=[7, 0, 0],
                    ranks=[64, 32, 0],
                    bad=[0, 0, 1],
                    bad_rank=[0, 0, 5],
                ),
                band(
                    9, [0], attempt=2, n=[3], min=[0.1], max=[0.3], mean=[0.2], low=[1], high=[0], ranks=[2]
                ),
            ],
        )
    ],
    "raw": [
        PanelAnswer(1, 0, 9, [raw([0.0, 1.0, 3.0], [0.1, NAN, float("-inf")]), raw([1e300], [-0.0])]),
        PanelAnswer(
            4294967295,
            63,
            9,
            [
                SeriesAnswer("r", "k", 0, "absent"),
                SeriesAnswer("r", "other", 1, "unchanged", rev=8, gen=1),
            ],
        ),
    ],
}


def expectation(answers: list[PanelAnswer]) -> dict[str, Any]:
    """The same answers as JSON, as the JSON API has them."""
    return {"epoch": EPOCH, "panels": [render(answer) for answer in answers]}


@pytest.mark.parametrize("name", CASES)
def test_golden_files(name: str) -> None:
    data = b"".join(encode_stream(CASES[name], EPOCH))
    golden = (GOLDEN / f"frames_{name}.bin").read_bytes()
    assert data == golden, "the format of a release must not change; a new one needs a new version"
    assert expectation(CASES[name]) == json.loads((GOLDEN / f"frames_{name}.json").read_text())


def read_frames(data: bytes) -> list[dict[str, Any]]:
    """Reads by the layout in docs, with nothing of the writer's code."""
    frames, at = [], 0
    while True:
        magic, version, flags = struct.unpack_from("<4sHH", data, at)
        assert (magic, version) == (b"BUOY", 1)
        if flags & 0x8000:
            assert at + 64 == len(data)
            return frames
        panel, count, exponent, directory, strings, payload, length = struct.unpack_from(
            "<IIiIIII", data, at + 8
        )
        rev, epoch = struct.unpack_from("<QQ", data, at + 40)
        assert directory % 8 == strings % 8 == payload % 8 == length % 8 == 0
        entries = [
            read_entry(data, at + directory + 128 * number, at + strings, at + payload)
            for number in range(count)
        ]
        frames.append({"id": panel, "exp": exponent, "rev": rev, "epoch": epoch, "series": entries})
        at += payload + length


def read_entry(data: bytes, at: int, strings: int, payload: int) -> dict[str, Any]:
    def text(offset: int) -> str:
        start = strings + offset
        size = struct.unpack_from("<I", data, start)[0]
        return data[start + 4 : start + 4 + size].decode()

    run, key, kind, dtype, flags, columns, gen, rev, first, rows, mask, offset, rank = struct.unpack_from(
        "<IIBBBBiQqIIII", data, at
    )
    base, last_x, last_y, last_t, total, x_min, x_max = struct.unpack_from("<ddddQdd", data, at + 48)
    found: dict[str, Any] = {
        "run": text(run),
        "key": text(key),
        "kind": kind,
        "rank": rank,
        "gen": gen,
        "rev": rev,
    }
    attempt, carried, smooth_s, smooth_d = struct.unpack_from("<IIdd", data, at + 104)
    found |= {"attempt": attempt, "count": carried, "state": (smooth_s, smooth_d), "flags": flags}
    found |= {"last": (last_x, last_y, last_t), "n_total": total, "x": (x_min, x_max), "dtype": dtype}
    position = payload + offset

    def take(type_: str, count: int = rows) -> list[float]:
        nonlocal position
        assert position % 8 == 0
        values = np.frombuffer(data, type_, count, position)
        position += (values.nbytes + 7) // 8 * 8
        return (values.astype(float) + (base if "f" in type_ else 0)).tolist()

    if kind == 2:
        found["columns"] = {"x": take("<f8"), "y": take("<f8")}
        more = [name for bit, name in BITS.items() if mask >> bit & 1]
        found["columns"] |= {name: take("<u4" if name in COUNTS else "<f8") for name in more}
    if kind == 6:
        found["grid"] = np.array(take("<u2", rows * mask)).reshape(rows, mask)
        found["first"] = first
    if kind in (1, 5):
        idx = list(map(float, range(rows))) if mask >> 31 else take("<u4")
        found["buckets"] = [first + int(index) for index in idx]
        names = [name for bit, name in BITS.items() if mask >> bit & 1]
        assert len(names) == columns
        found["columns"] = {
            name: take("<u4" if name in COUNTS else "<f8" if dtype else "<f4") for name in names
        }
    return found


@pytest.mark.parametrize("name", CASES)
def test_what_was_written_can_be_read(name: str) -> None:
    frames = read_frames(b"".join(encode_stream(CASES[name], EPOCH)))
    assert len(frames) == len(CASES[name])
    for frame, answer in zip(frames, CASES[name], strict=True):
        assert (frame["id"], frame["exp"], frame["rev"], frame["epoch"]) == (
            answer.id, answer.exponent, answer.rev, EPOCH,
        )  # fmt: skip
        for entry, series in zip(frame["series"], answer.series, strict=True):
            assert (entry["run"], entry["key"], entry["rank"]) == (series.run, series.key, series.rank)
            assert (entry["rev"], entry["gen"]) == (series.rev, series.gen)
            assert entry["flags"] == series.sealed + 2 * series.tail
            assert entry["count"] == series.count
            assert entry["state"] == (series.state if series.grid is None else series.y_range)
            if series.grid is not None:
                assert np.array_equal(entry["grid"], series.grid)
                assert entry["first"] == series.first_bucket
            if series.kind in ("buckets", "group"):
                assert entry["buckets"] == (series.first_bucket + series.idx.astype(int)).tolist()
            for column, values in series.columns.items():
                expected = values.astype(float)
                if column in ("mean", "smooth") and entry["dtype"] == 0:
                    assert np.allclose(entry["columns"][column], expected, rtol=1e-6, equal_nan=True)
                else:
                    assert np.array_equal(entry["columns"][column], expected, equal_nan=True)


def test_values_are_narrow_only_if_that_loses_nothing() -> None:
    dtypes = [
        entry["dtype"] for entry in read_frames(b"".join(encode_stream(CASES["buckets"], EPOCH)))[0]["series"]
    ]
    assert dtypes == [0, 1, 1, 0]


def test_what_the_other_side_writes_can_be_read() -> None:
    """By the dashboard's own encoder, in its tests."""
    frames = read_frames((GOLDEN / "written_by_typescript.bin").read_bytes())
    expected = json.loads((GOLDEN / "written_by_typescript.json").read_text())
    assert len(frames) == len(expected)
    for frame, told in zip(frames, expected, strict=True):
        assert {"id": frame["id"], "exp": frame["exp"]} == {"id": told["id"], "exp": told["exp"]}
        for entry, series in zip(frame["series"], told["series"], strict=True):
            for name, value in series.items():
                found = entry[name].tolist() if name == "grid" else entry[name]
                assert found == (tuple(value) if name in ("state", "last") else value), name


@pytest.mark.parametrize("value", [1e300, 1e-300, 16777217.0, 0.1])
def test_numbers_that_float32_cannot_hold(value: float) -> None:
    series = buckets(0, [0, 1], last=[value, 1.0])
    data = encode_frame(PanelAnswer(1, 0, 1, [series]), EPOCH)
    entry = read_entry(data, 64, 64 + 128, struct.unpack_from("<I", data, 28)[0])
    assert entry["columns"]["last"] == [value, 1.0]


def test_the_server_answers_in_frames(server: ServerProcess) -> None:
    stream = Stream("r", project="frames")
    writer = stream.writer()
    writer.log([(step, {"loss": step / 4, "acc": 0.1 * step}) for step in range(1000)])
    server.client.post(stream.path, content=b"".join(stream.blocks)).raise_for_status()
    panels = [
        {"id": number, "keys": ["loss", "acc"], "runs": {"ids": ["r"]}, "px": pixels}
        for number, pixels in ((3, 100), (2, 1000))
    ]
    path = "/api/v1/p/local:frames/series:query"
    accept = {"Accept": "application/vnd.buoy.frames; v=1"}
    answer = server.client.post(path, json={"panels": panels}, headers=accept)
    assert answer.headers["content-type"].startswith("application/vnd.buoy.frames")
    frames = read_frames(answer.content)
    plain = server.client.post(path, json={"panels": panels}).json()
    assert [frame["id"] for frame in frames] == [3, 2]
    for frame, panel in zip(frames, plain["panels"], strict=True):
        assert (frame["exp"], frame["rev"], frame["epoch"]) == (panel["exp"], plain["rev"], plain["epoch"])
        for entry, series in zip(frame["series"], panel["series"], strict=True):
            assert (entry["key"], entry["n_total"]) == (series["key"], series["n_total"])
            for name, values in entry["columns"].items():
                assert values == pytest.approx(series[name], rel=1e-6)


def write_golden() -> None:
    for name, answers in CASES.items():
        (GOLDEN / f"frames_{name}.bin").write_bytes(b"".join(encode_stream(answers, EPOCH)))
        (GOLDEN / f"frames_{name}.json").write_text(json.dumps(expectation(answers), indent=1) + "\n")


if __name__ == "__main__":
    write_golden()
