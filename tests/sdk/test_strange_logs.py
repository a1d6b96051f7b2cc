"""Local logs with records that cannot be read: what is good in them is shown. Each test went wrong once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from buoy.local import LocalRun
from buoy_core.wal import WalWriter
from buoy_proto import v1

WRITER, STREAM = bytes(range(16)), bytes(16)


def run(folder: Path, *records: v1.Record | bytes) -> LocalRun:
    log = WalWriter(str(folder / "wal"), STREAM)
    encoded = [item if isinstance(item, bytes) else item.SerializeToString() for item in records]
    log.append_records(encoded, WRITER, time_us=1)
    log.close()
    return LocalRun(folder)


def row(values: dict[int, float], others: list[Any] | None = None, **fields: Any) -> v1.Record:
    return v1.Record(
        row=v1.Row(slots=list(values), values=list(values.values()), others=others or [], **fields)
    )


KEY = v1.Record(key=v1.KeyDef(id=0, name="loss"))


def test_an_unreadable_record_costs_itself_only(tmp_path: Path) -> None:
    # `buoy show` ended with a DecodeError.
    found = run(tmp_path, KEY, b"\x12\x04\x12\x02\xff\xff", b"\x4a\x01\xff", row({0: 0.5}, step=3))
    assert [(item["_step"], item["loss"]) for item in found.rows()] == [(3, 0.5)]
    assert len(found.trouble) == 2
    assert all(str(tmp_path) in line for line in found.trouble)


def test_numbers_that_are_no_integers_though_marked_so(tmp_path: Path) -> None:
    # Infinity raised OverflowError.
    found = run(tmp_path, KEY, row({1: math.inf}, step=1), row({1: math.nan}, step=2), row({1: 3.0}, step=3))
    assert [item["loss"] for item in found.rows()][::2] == [math.inf, 3]
    assert not found.trouble


def test_a_mean_beyond_the_largest_double(tmp_path: Path) -> None:
    # Dividing the sum of such integers raised OverflowError.
    big = v1.Value(key_id=0, big_integer=(1 << 5000).to_bytes(700, "little"))
    found = run(tmp_path, KEY, v1.Record(metric=v1.MetricDef(name="loss", summary=["mean"])), row({}, [big]))
    assert math.isnan(found.summary["loss"]["mean"])


def test_summaries_of_a_later_version(tmp_path: Path) -> None:
    # An aggregate that this version does not know raised KeyError.
    definition = v1.Record(metric=v1.MetricDef(name="loss", summary=["median", "max"]))
    assert run(tmp_path, KEY, definition, row({0: 2.0})).summary == {"loss": {"max": 2.0}}


def test_metadata_and_config_that_are_no_objects(tmp_path: Path) -> None:
    deep = v1.Entry(key="deep", json="[" * 100_000)
    start = v1.WriterStart(writer_id=WRITER, metadata_json=json.dumps([1]))
    good = v1.Record(config=v1.ConfigUpdate(set=[v1.Entry(key="lr", json="0.1")]))
    bad = v1.Record(config=v1.ConfigUpdate(set=[deep]))
    found = run(tmp_path, v1.Record(writer_start=start), bad, good)
    assert (found.metadata, found.config) == ({}, {"lr": 0.1})
    assert len(found.trouble) == 1
