"""Hypothesis strategies for uploads whose blocks are sound and whose records are odd, damaged or contradictory."""

from __future__ import annotations

import json

from buoy_core import join_records, split_records
from buoy_core.block import KIND_DATA, KIND_GAP, KIND_TABLES, build_block
from buoy_core.format import ZERO_ID
from buoy_proto import v1
from hypothesis import strategies as st

from tests.fuzz.inputs import mutated
from tests.fuzz.seeds import WRITER_ID, every_record
from tests.fuzz.targets import TARGETS

U32, U64 = (1 << 32) - 1, (1 << 64) - 1

_u32 = st.sampled_from((0, 1, 2, 7, 1 << 24, (1 << 31) - 1, 1 << 31, U32))
_u64 = st.sampled_from((0, 1, 1_700_000_000_000_000, 1 << 53, (1 << 63) - 1, 1 << 63, U64))
_i64 = st.sampled_from((0, 1, -1, 5, 1 << 53, -(1 << 63), (1 << 63) - 1))
_numbers = st.sampled_from(
    (0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7e308, -1.7e308)
)
_texts = st.one_of(
    st.sampled_from(
        ("", "a", "a/b", "..", "\0", " ", "a:b", "é" * 300, "*", "loss*", "{}", "%00", "$in", "_step")
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
_json = st.one_of(
    st.sampled_from(
        ("", "{", "NaN", "1e999", "[" * 300 + "]" * 300, "9" * 5000, '{"$float": "x"}', '"\\ud800\\u0000"')
    ),
    st.recursive(st.none() | st.booleans() | st.floats() | _texts, lambda x: st.lists(x, max_size=3)).map(
        json.dumps
    ),
)
_ids = st.sampled_from((WRITER_ID, ZERO_ID, b"", b"x" * 16, WRITER_ID * 2))


def _build(message: type, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A message with some of the fields."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: message(**given))


_run = _build(
    v1.RunInfo,
    entity=_texts,
    project=_texts,
    run_id=_texts,
    name=_texts,
    group=_texts,
    tags=st.lists(_texts, max_size=3),
)
_entries = st.lists(_build(v1.Entry, key=_texts, json=_json), max_size=3)
_removed = st.lists(_texts, max_size=2)
_value = st.one_of(
    *(
        _build(v1.Value, key_id=st.integers(0, 2), **{name: kind})
        for name, kind in (
            ("text", _texts),
            ("flag", st.booleans()),
            ("integer", _i64),
            ("big_integer", st.binary(max_size=20)),
            ("none", st.booleans()),
            ("json", _json),
            ("wtf8", st.just(b"\xed\xa0\x80") | st.binary(max_size=4)),
        )
    )
)


@st.composite
def _row(draw: st.DrawFn) -> object:
    values = draw(st.lists(_numbers, max_size=4))
    slots = [draw(st.integers(0, 5)) for _ in values]
    return v1.Row(
        step=draw(_i64),
        time_unix_us=draw(_u64),
        slots=slots,
        values=values,
        others=draw(st.lists(_value, max_size=3)),
    )


_KINDS: dict[str, st.SearchStrategy[object]] = {
    "row": _row(),
    "system": _row(),
    "key": _build(v1.KeyDef, id=st.integers(0, 3), name=_texts),
    "stream_start": _build(v1.StreamStart, run=_run, attempt=_u32, host=_texts, time_unix_us=_u64, machine_id=_texts),
    "writer_start": _build(
        v1.WriterStart, writer_id=_ids, run=_run, rank=_u32, local_rank=_u32, world_size=_u32, pid=_u32, host=_texts,
        time_unix_us=_u64, metadata_json=_json, parent_writer=_ids,
    ),
    "writer_end": _build(
        v1.WriterEnd, writer_id=_ids, state=st.integers(0, 9), exit_code=st.sampled_from((0, -1, 1 << 30)),
        time_unix_us=_u64, records_dropped=_u64,
    ),
    "config": _build(v1.ConfigUpdate, set=_entries, removed=_removed),
    "summary": _build(v1.SummaryUpdate, set=_entries, removed=_removed),
    "metric": _build(
        v1.MetricDef, name=_texts, step_metric=_texts, summary=st.lists(_texts | st.just("min"), max_size=2),
        goal=st.integers(0, 4), hidden=st.booleans(), overwrite=st.booleans(),
    ),
    "event": _build(v1.Event, code=_texts, text=_texts, json=_json, level=st.integers(0, 9), time_unix_us=_u64),
}  # fmt: skip

_record = st.one_of(
    *(
        _build(v1.Record, **{name: kind}).map(lambda record: record.SerializeToString())
        for name, kind in _KINDS.items()
    ),  # type: ignore[attr-defined]
    st.sampled_from(every_record()),
    st.binary(min_size=1, max_size=20),
)


def records() -> st.SearchStrategy[bytes]:
    """Records of all kinds, odd ones and bytes that are none."""
    return _record.filter(bool)


@st.composite
def uploads(draw: st.DrawFn, stream_id: bytes) -> bytes:
    """One to five blocks of a stream that begins as streams do."""
    start = v1.StreamStart(stream_id=stream_id, run=draw(_run), attempt=draw(_u32))
    start.run.run_id = start.run.run_id or "r"
    writer, key, *_ = every_record()[1:]
    blocks, seq = [], 0
    for number in range(draw(st.integers(1, 5))):
        writer_id = ZERO_ID if not number else draw(st.sampled_from((WRITER_ID, WRITER_ID, ZERO_ID)))
        records = [item for item in draw(st.lists(_record, min_size=1, max_size=6)) if item]
        if not number:
            records = [v1.Record(stream_start=start).SerializeToString(), *records]
        elif number == 1:
            records = [writer, key, *records]
        payload = join_records(records)
        if draw(st.integers(0, 9)) == 0:
            payload = draw(mutated(TARGETS["payload"]))
        kind = draw(st.sampled_from((KIND_DATA,) * 6 + (KIND_TABLES, KIND_GAP))) if number else KIND_DATA
        count = len(records) if kind != KIND_GAP else draw(st.integers(0, 9))
        first_seq = seq + draw(st.sampled_from((0,) * 8 + (-1, 1))) if seq else 0
        block = build_block(
            kind, payload, first_seq=first_seq, records=_count(payload, count), stream_id=stream_id,
            writer_id=writer_id, time_us=draw(_u64),
        )  # fmt: skip
        blocks.append(block)
        seq = first_seq + (count if kind != KIND_TABLES else 0)
    return b"".join(blocks)


def _count(payload: bytes, count: int) -> int:
    """What the header says; right if the payload can be read."""
    try:
        return len(split_records(payload))
    except ValueError:
        return count
