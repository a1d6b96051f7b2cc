"""The writer's rules: steps, commits, limits, threads, forks, re-entrance, what it remembers."""

from __future__ import annotations

import gc
import math
import os
import signal
import stat
import sys
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from buoy_core.errors import ClosedWriter, CoreError, ForkedWriter
from buoy_proto import v1

from tests.core.core_cases import TIME_US, WRITER_ID, Spool, chunks, columns


def rows_of(spool: Spool) -> list[tuple[int, list[float]]]:
    """Step and values of each row."""
    records = (v1.Record.FromString(record) for record in spool.core.split_records(spool.payload()))
    return [(record.row.step, list(record.row.values)) for record in records if record.HasField("row")]


STEPS: list[tuple[list[tuple[Any, Any]], list[int], int]] = [
    ([(None, None), (None, None)], [0, 1], 2),
    ([(None, False), (None, False), (None, None)], [0, 0, 0], 1),
    ([(None, True)], [0], 1),
    ([(5, None), (None, None)], [5, 5], 6),
    ([(5, None), (7, None), (7, None)], [5, 7, 7], 7),
    ([(5, True), (None, None)], [5, 6], 7),
    ([(5, None), (3, None), (None, None)], [5, 3, 5], 6),
    ([(5, None), (3, True)], [5, 3], 5),
    ([(-4, None)], [-4], 0),
    ([(0, None), (None, None)], [0, 0], 1),
    (
        [((1 << 63) - 2, True), (None, None), (None, None)],
        [(1 << 63) - 2, (1 << 63) - 1, (1 << 63) - 1],
        (1 << 63) - 1,
    ),
    ([(-(1 << 63), None)], [-(1 << 63)], 0),
]


@pytest.mark.parametrize(("made", "expected", "step_after"), STEPS)
def test_steps(spool: Spool, made: list[tuple[Any, Any]], expected: list[int], step_after: int) -> None:
    for number, (step, commit) in enumerate(made):
        spool.writer.log({"n": number}, step=step, commit=commit)
    assert rows_of(spool) == [(step, [number]) for number, step in enumerate(expected)]
    assert spool.writer.step == step_after


def test_an_empty_row_advances_and_writes_nothing(spool: Spool) -> None:
    spool.writer.log({})
    spool.writer.log({}, step=4)
    spool.writer.log({}, commit=False)
    assert spool.writer.step == 4
    assert spool.writer.committed == 0


def test_int_like_steps_and_others(spool: Spool) -> None:
    import numpy as np

    for step in (np.int64(3), np.array(4), True):
        spool.writer.log({"a": 1}, step=step)
    assert [step for step, _ in rows_of(spool)] == [3, 4, 1]
    for wrong in (1.0, "1", [1], np.float32(2)):
        with pytest.raises(TypeError, match="step must be an int"):
            spool.writer.log({"a": 1}, step=wrong)
    for large in ((1 << 63) - 1, -(1 << 63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            spool.writer.log({"a": 1}, step=large)
    assert len(rows_of(spool)) == 3


def test_the_step_can_be_set_for_a_resume(spool: Spool) -> None:
    spool.writer.step = 40
    spool.writer.log({"a": 1})
    assert spool.writer.step == 41
    assert rows_of(spool) == [(40, [1.0])]


def test_the_clock_is_that_of_the_wall(spool: Spool) -> None:
    import time

    spool.writer.fixed_time_us = 0
    before = time.time_ns() // 1000
    spool.writer.log({"a": 1})
    after = time.time_ns() // 1000
    assert before <= columns(spool.core.decode_rows(spool.payload()))[0][3] <= after


def test_files_belong_to_the_user_only(spool: Spool) -> None:
    spool.writer.log({"a": 1})
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.directory.iterdir()} == {0o600}


def test_a_folder_is_for_one_writer(spool: Spool) -> None:
    with pytest.raises(CoreError, match="already holds a spool"):
        spool.core.Writer(str(spool.directory), writer_id=WRITER_ID)
    for options in ({"writer_id": b"short"}, {"writer_id": WRITER_ID, "segment_bytes": 4096}):
        with pytest.raises(ValueError, match="has"):
            spool.core.Writer(str(spool.directory) + "2", **options)


def test_ten_thousand_keys_in_one_call(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=16384)
    data = {f"group/{i}": i * 0.5 for i in range(10_000)}
    spool.writer.log(data)
    spool.writer.log(data)
    assert len(spool.points()) == 20_000
    assert spool.points()[10_000:] == [(key, 1, value) for key, value in data.items()]
    assert spool.writer.last_values() == data


@pytest.mark.parametrize("count", [255, 256, 257])
def test_around_the_size_of_the_scratch(spool: Spool, count: int) -> None:
    data: dict[str, Any] = {f"k{i}": float(i) for i in range(count)}
    for _ in range(3):
        spool.writer.log(data)
    assert [value for _, _, value in spool.points()] == list(data.values()) * 3


def test_a_row_larger_than_a_segment(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192)
    spool.writer.log({"a": 1})
    spool.writer.log({"text": "x" * 1_000_000})
    spool.writer.log({"a": 2})
    assert spool.points() == [("a", 0, 1), ("text", 1, "x" * 1_000_000), ("a", 2, 2)]
    # The definition stays in the first segment, and the last row goes into a segment of the usual size.
    assert [path.stat().st_size == 8192 for path in spool.segments()] == [True, False, True]


def test_a_row_larger_than_a_record_can_be(spool: Spool) -> None:
    text = "x" * (33 << 20)
    with pytest.raises(ValueError, match="at most 67108864"):
        spool.writer.log({"a": text, "b": text})
    assert spool.writer.step == 0
    assert spool.writer.committed == 0
    spool.writer.log({"a": text})
    assert len(spool.payload()) > len(text)


def test_append_takes_whole_records(spool: Spool) -> None:
    record = v1.Record(event=v1.Event(code="test")).SerializeToString()
    assert spool.writer.append(record) is True
    spool.writer.log({"a": 1})
    assert spool.core.split_records(spool.payload())[0] == record
    for wrong in (b"", bytes((64 << 20) + 1)):
        with pytest.raises(ValueError, match="record"):
            spool.writer.append(wrong)


def test_after_close(spool: Spool) -> None:
    spool.writer.log({"a": 1})
    committed = spool.writer.committed
    reader = spool.core.SpoolReader(str(spool.directory))
    reader.set_control(3)
    for _ in range(2):
        spool.writer.close()
    assert spool.writer.closed
    for use in (
        lambda: spool.writer.log({"a": 1}),
        lambda: spool.writer.append(b"x"),
        lambda: spool.writer.log({}),
    ):
        with pytest.raises(ClosedWriter):
            use()
    assert (spool.writer.committed, spool.writer.control, spool.writer.dropped) == (committed, 3, 0)
    assert spool.writer.daemon_seen_ns > 0
    assert spool.writer.last_values() == {"a": 1}
    assert spool.points() == [("a", 0, 1)]


def test_a_conversion_that_closes_the_writer(spool: Spool) -> None:
    class Closer:
        dtype = "float"
        shape = ()

        def item(self) -> float:
            spool.writer.close()
            return 1.0

    with pytest.raises(ClosedWriter):
        spool.writer.log({"a": Closer()})


def test_a_conversion_that_logs(spool: Spool) -> None:
    class Logger:
        dtype = "float"
        shape = ()

        def item(self) -> float:
            spool.writer.log({"inner": 1.0})
            return 2.0

    spool.writer.log({"outer": Logger(), "other": 3.0})
    assert spool.points() == [("inner", 0, 1.0), ("outer", 1, 2.0), ("other", 1, 3.0)]


def test_finalisers_and_signal_handlers_that_log(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=8192)
    logged = Counter[str]()

    class Loud:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            spool.writer.log({f"finaliser/{logged['finaliser'] % 50}": 1})
            logged["finaliser"] += 1

    def on_signal(*_: Any) -> None:
        spool.writer.log({f"signal/{logged['signal'] % 50}": 1, "list": [1]})
        logged["signal"] += 1

    previous = signal.signal(signal.SIGALRM, on_signal)
    threshold = gc.get_threshold()
    gc.set_threshold(20)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(3000):
            Loud()
            spool.writer.log({f"main/{number % 200}": number, "text": "x", "list": [number]})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        gc.set_threshold(*threshold)
    gc.collect()
    found = Counter(key.partition("/")[0] for key, _, _ in spool.points())
    assert found["main"] == 3000
    assert logged["finaliser"] > 100
    assert logged["signal"] > 5
    assert found["finaliser"] == logged["finaliser"]
    assert found["signal"] == logged["signal"]
    assert (
        len({step for key, step, _ in spool.points()}) == found["main"] + found["finaliser"] + found["signal"]
    )


def test_sixteen_threads_at_once(core: ModuleType, tmp_path: Path) -> None:
    spool = Spool(core, tmp_path / "spool", segment_bytes=16384)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    count = 400

    def work(number: int) -> None:
        for turn in range(count):
            spool.writer.log({f"thread{number}": turn, "shared": number, f"new{number}/{turn % 40}": [turn]})
            spool.writer.append(v1.Record(event=v1.Event(code=f"{number}/{turn}")).SerializeToString())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    points = spool.points()
    for number in range(16):
        assert [value for key, _, value in points if key == f"thread{number}"] == list(range(count))
    assert sorted({step for _, step, _ in points}) == list(range(16 * count))
    records = [v1.Record.FromString(record) for record in spool.core.split_records(spool.payload())]
    assert sum(record.HasField("event") for record in records) == 16 * count
    definitions = [record.key for record in records if record.HasField("key")]
    assert sorted(each.id for each in definitions) == list(range(len(definitions)))
    assert len({each.name for each in definitions}) == len(definitions) == 16 + 1 + 16 * 40


def test_a_forked_child_is_told(spool: Spool) -> None:
    spool.writer.log({"a": 1})
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            try:
                spool.writer.log({"a": 2})
            except ForkedWriter:
                child = Spool(spool.core, spool.directory.with_name("child"))
                child.writer.log({"child": 1})
                spool.writer.close()
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    spool.writer.log({"a": 3})
    reader = spool.core.SpoolReader(str(spool.directory))
    assert sum(chunk.records for chunk in chunks(reader)) == 3
    assert not reader.sealed
    child = spool.core.SpoolReader(str(spool.directory.with_name("child")))
    assert child.pid == pid
    assert sum(chunk.records for chunk in chunks(child)) == 2


def test_statistics(spool: Spool) -> None:
    values = [3, 1, 2, 5]
    for value in values:
        spool.writer.log(
            {"int": value, "float": float(value), "mixed": value if value > 1 else 1.0, "text": "x"}
        )
    found = spool.writer.statistics("int")
    assert (found.n, found.first, found.last, found.minimum, found.maximum, found.mean) == (
        4,
        3,
        5,
        1,
        5,
        2.75,
    )
    assert {type(found.first), type(found.minimum)} == {int}
    assert type(spool.writer.statistics("float").minimum) is float
    assert type(spool.writer.statistics("mixed").maximum) is float
    assert spool.writer.statistics("text") is None
    assert spool.writer.statistics("unknown") is None


def test_what_is_not_finite_hides_nothing_that_is(spool: Spool) -> None:
    for value in (1.0, math.nan, -5.0, math.inf, 7.0, -math.inf):
        spool.writer.log({"a": value})
    found = spool.writer.statistics("a")
    assert (found.n, found.minimum, found.maximum, found.mean) == (6, -5.0, 7.0, 1.0)
    assert (found.first, found.last) == (1.0, -math.inf)
    for value in (math.inf, math.nan):
        spool.writer.log({"b": value})
    found = spool.writer.statistics("b")
    assert (found.n, found.first) == (2, math.inf)
    assert all(map(math.isnan, (found.minimum, found.maximum, found.mean, found.last)))


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 127, 128, 129, 1000, 5000])
def test_the_history_is_spread_evenly(spool: Spool, count: int) -> None:
    for number in range(count):
        spool.writer.log({"a": number})
    points = spool.writer.history("a")
    assert len(points) <= 64
    if count:
        assert points[0] == 0
        assert points[-1] == count - 1
        gaps = {b - a for a, b in pairwise(points[:-1])}
        assert len(gaps) <= 1
        assert len(points) >= min(count, 32)


def test_values_are_remembered_as_they_were_logged(spool: Spool) -> None:
    items = [1, 2]
    spool.writer.log({"a": items, "b": 1})
    items.append(3)
    spool.writer.log({"b": "text"})
    spool.writer.log({"b": 2.5})
    assert spool.writer.last_values() == {"a": [1, 2], "b": 2.5}


def test_row_times_are_the_fixed_ones(spool: Spool) -> None:
    spool.writer.log({"a": 1})
    assert columns(spool.core.decode_rows(spool.payload()))[0][3] == TIME_US
