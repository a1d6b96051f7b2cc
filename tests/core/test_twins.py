"""The compiled core and its plain twin write the same bytes and read the same values; protobuf agrees with both."""

from __future__ import annotations

import random
import tempfile
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import buoy_core.compiled
import buoy_core.python
import pytest
from buoy_core import Rows
from buoy_core._compiled.frames import checksum
from buoy_proto import v1
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.core_cases import EDGE_VALUES, Spool, calls, columns, plain_values, same

Call = tuple[Mapping[str, Any], int | None, bool | None]
CORES = (buoy_core.compiled, buoy_core.python)


def write(core: Any, directory: Path, made: list[Call], **options: Any) -> tuple[Spool, list[bytes]]:
    spool = Spool(core, directory, **options)
    for data, step, commit in made:
        spool.writer.log(data, step=step, commit=commit)
    return spool, [segment.read_bytes()[4096:] for segment in spool.segments()]


@given(st.lists(calls, max_size=12), st.sampled_from([4096 + 100, 8192, 1 << 20]))
@settings(max_examples=150, deadline=None)
def test_same_calls_same_bytes(made: list[Call], segment_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spools = [
            write(core, Path(folder) / core.__name__, made, segment_bytes=segment_bytes) for core in CORES
        ]
        (compiled, compiled_bytes), (twin, twin_bytes) = spools
        assert compiled_bytes == twin_bytes
        assert compiled.writer.step == twin.writer.step
        assert compiled.writer.committed == twin.writer.committed
        # Each reads what the other wrote.
        assert buoy_core.python.SpoolReader(str(compiled.directory)).committed == twin.writer.committed
        for a, b in zip(
            compiled.writer.last_values().items(), twin.writer.last_values().items(), strict=True
        ):
            assert a[0] == b[0]
            assert same(a[1], b[1])
        for key in compiled.writer.last_values():
            assert repr(compiled.writer.statistics(key)) == repr(twin.writer.statistics(key))
            assert repr(compiled.writer.history(key)) == repr(twin.writer.history(key))


@given(st.lists(st.lists(plain_values, max_size=5), min_size=2, max_size=6), st.integers(0, 1 << 62))
@settings(max_examples=150, deadline=None)
def test_known_keys_take_the_fast_way_to_the_same_bytes(table: list[list[object]], time_us: int) -> None:
    names = ["loss", "naïve ☃", "\ud800", "n" * 200, "k4"]
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for core in CORES:
            spool = Spool(core, Path(folder) / core.__name__)
            spool.writer.fixed_time_us = time_us or 1
            spool.writer.log(dict.fromkeys([f"filler{i}" for i in range(70)] + names, 0.5))
            for values in table:
                spool.writer.log(dict(zip(names, values, strict=False)))
            written.append(spool.payload())
        assert written[0] == written[1]


@given(st.lists(calls, max_size=8))
@settings(max_examples=60, deadline=None)
def test_the_official_runtime_reads_every_record(made: list[Call]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool, _ = write(buoy_core.compiled, Path(folder) / "spool", made)
        payload = spool.payload()
    rows = buoy_core.compiled.decode_rows(payload)
    points = iter(columns(rows))
    others = iter(rows.others)
    for index, record in enumerate(buoy_core.compiled.split_records(payload)):
        message = v1.Record.FromString(record)
        # Canonical bytes: ascending fields, no defaults, packed.
        assert message.SerializeToString(deterministic=True) == record
        if message.WhichOneof("kind") != "row":
            continue
        row = message.row
        for slot, value in zip(row.slots, row.values, strict=True):
            point = next(points)
            assert point[:4] == (index, slot >> 1, row.step, row.time_unix_us)
            assert same(point[4], value)
            assert point[5] == slot & 1
        for other in row.others:
            kind = other.WhichOneof("kind")
            if kind in ("flag", "integer", "big_integer"):
                assert next(points)[:4] == (index, other.key_id, row.step, row.time_unix_us)
            if kind != "flag":
                found = next(others)
                assert found[:4] == (index, row.step, row.time_unix_us, other.key_id)
                if kind in ("integer", "text"):
                    assert found[4] == getattr(other, kind)
    assert next(points, None) is None
    assert next(others, None) is None


def mutations(payload: bytes, seed: int, count: int) -> list[bytes]:
    """Payloads that are a little broken."""
    dice = random.Random(seed)
    broken = []
    for _ in range(count):
        data = bytearray(payload)
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.randrange(len(data))
            match dice.randrange(4):
                case 0:
                    data[at] ^= 1 << dice.randrange(8)
                case 1:
                    data[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    del data[at : at + dice.choice((1, 2, 8))]
                case _:
                    data[at:at] = dice.randbytes(dice.choice((1, 2, 8)))
            data = data or bytearray(b"\0")
        broken.append(bytes(data))
    return broken


def outcome(function: Any, *arguments: Any, **options: Any) -> Any:
    try:
        result = function(*arguments, **options)
    except ValueError:
        return ValueError
    return columns(result) + [repr(other) for other in result.others] if hasattr(result, "kind") else result


@pytest.mark.parametrize("seed", range(8))
def test_both_decoders_agree_on_broken_payloads(tmp_path: Path, seed: int) -> None:
    spool = Spool(buoy_core.python, tmp_path / "spool")
    spool.writer.log(
        {"a": 1.5, "b": 2, "c": True, "d": "text", "e": None, "f": 2**70, "g": [1, 2], "h": 2**60}, step=-3
    )
    spool.writer.log({"a": 0.0})
    payload = spool.payload() + buoy_core.python.join_records([b"\x1a\x04\x1a\x01\x00\x22"[:6] + b"\x00"])
    for broken in [payload, b"", *mutations(payload, seed, 1500)]:
        for name in ("decode_rows", "definitions", "last_row", "split_records", "table_records"):
            results = [repr(outcome(getattr(core, name), broken)) for core in CORES]
            assert results[0] == results[1], (name, broken.hex())
        results = [repr(outcome(core.decode_rows, broken, system=True)) for core in CORES]
        assert results[0] == results[1], broken.hex()


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused_or_decoded_alike(data: bytes) -> None:
    results = [repr(outcome(core.decode_rows, data)) for core in CORES]
    assert results[0] == results[1]
    row = b"\x0a" + bytes((len(data) & 0x7F,)) + data[:127]
    results = [repr(outcome(core.decode_rows, core.join_records([row]))) for core in CORES]
    assert results[0] == results[1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6))), st.lists(st.integers(0, 7), max_size=6))
@settings(max_examples=200, deadline=None)
def test_the_first_key_without_a_name(used: list[tuple[int, int]], named: list[int]) -> None:
    index, key_id = (
        bytearray(array("I", column).tobytes()) for column in (zip(*used, strict=True) if used else ([], []))
    )
    rows = Rows(len(used), index, key_id, bytearray(), bytearray(), bytearray(), bytearray(), [])
    wanted = [key >= len(named) or named[key] > position for position, key in used]
    for core in CORES:
        assert core.first_unnamed(rows, array("I", named)) == (wanted.index(True) if True in wanted else -1)


def test_unpacked_and_scattered_fields_are_read_as_protobuf_reads_them() -> None:
    """Other encoders may write repeated fields one by one, and fields in any order."""
    slot, value = b"\x18\x03", b"\x21" + bytes(8)
    row = value + slot + b"\x22\x08" + bytes(8) + b"\x1a\x01\x04" + b"\x08\x05"
    record = b"\x0a" + bytes((len(row),)) + row
    message = v1.Record.FromString(record)
    for core in CORES:
        decoded = core.decode_rows(core.join_records([record]))
        assert columns(decoded) == [(0, 1, -3, 0, 0.0, 1), (0, 2, -3, 0, 0.0, 0)]
        assert list(message.row.slots) == [3, 4]


@given(st.binary(max_size=2000), st.integers(0, 64))
@settings(max_examples=200, deadline=None)
def test_checksums_are_those_of_zlib(data: bytes, offset: int) -> None:
    import zlib

    assert checksum(memoryview(data)[offset:]) == zlib.crc32(data[offset:])


def test_edge_values_in_both(tmp_path: Path) -> None:
    made: list[Call] = [({f"key{i}": value}, None, None) for i, value in enumerate(EDGE_VALUES)]
    (_, compiled), (_, twin) = (write(core, tmp_path / core.__name__, made * 2) for core in CORES)
    assert compiled == twin


def test_the_last_row_is_found_among_other_records() -> None:
    rows = [v1.Record(row=v1.Row(step=step, time_unix_us=10 + step)) for step in (5, 900, -3)]
    others = [v1.Record(key=v1.KeyDef(id=1, name="a")), v1.Record(system=v1.Row(step=7, time_unix_us=7))]
    for core in CORES:
        assert core.last_row(b"") is None
        assert core.last_row(core.join_records([item.SerializeToString() for item in others])) is None
        mixed = [rows[0], others[0], rows[1], rows[2], others[1]]
        assert core.last_row(core.join_records([item.SerializeToString() for item in mixed])) == (-3, 7)
