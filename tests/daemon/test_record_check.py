"""What comes over gRPC is anybody's bytes: a record that no server could read is refused where it comes in.

It used to be taken and acknowledged. The server answered 400 to the block that it had become, again and again, and
everything behind it waited for ever, other processes' records as well.
"""

from __future__ import annotations

import grpc
import pytest
from buoy_core import frame_records, join_records
from buoy_core.block import KIND_DATA, build_block
from buoy_core.format import ZERO_ID
from buoy_daemon.errors import BadRecord
from buoy_daemon.record_check import KEY_IDS_MAX, OBJECTS_MAX, RecordCheck
from buoy_proto import v1
from buoy_server.ingest.body import read_body
from buoy_server.ingest.prepare import prepare
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.ingest_server import values_of
from tests.daemon.processes import wait_until, writer_start
from tests.fuzz.uploads import records

WRITER = b"writer of a test"
QUICK = ("--sync-interval-s", "0.1")


def record(**kind: object) -> bytes:
    return v1.Record(**kind).SerializeToString()


def start(**fields: object) -> bytes:
    return record(writer_start=v1.WriterStart(**{"writer_id": WRITER, **fields}))


def key(key_id: int, name: str) -> bytes:
    return record(key=v1.KeyDef(id=key_id, name=name))


def row(key_id: int, value: float = 0.5) -> bytes:
    return record(row=v1.Row(slots=[key_id << 1], values=[value]))


def text(key_id: int) -> bytes:
    return record(row=v1.Row(others=[v1.Value(key_id=key_id, text="x")]))


# Each by hand, as another program's mistake would have it, with what the client is told.
BAD = {
    "a row cut off": (b"\x0a\x05\x08", "a field of 5 bytes is cut off"),
    "a slot without a value": (b"\x0a\x03\x1a\x01\x00", "1 slots and 0 values|more slots than values"),
    "values that are no doubles": (b"\x0a\x09\x1a\x01\x00\x22\x04abcd", "no doubles|more slots than values"),
    "two rows": (row(0) * 2, "two rows"),
    "a text as a row": (b"\x08\x01", "wire type|Error parsing|no record"),
    "no text in a text": (b"\x0a\x06\x2a\x04\x08\x00\x12\x05", "cut off"),
    "JSON that is none": (record(row=v1.Row(others=[v1.Value(key_id=0, json="{")])), "cannot be read"),
    "a message cut off": (b"\x22\x05\x0a", "is no record|cut off"),
    "a key that was not named": (row(1), "uses key 1"),
    "a text whose key was not named": (text(9), "uses key 9"),
    "a key without a name": (key(1, ""), "has not 1 to 4096 bytes"),
    "a key with a long name": (key(1, "é" * 2049), "has not 1 to 4096 bytes"),
    "a key with another name": (key(0, "other"), "is named 'value' already"),
    "a key far away": (key(KEY_IDS_MAX, "k"), "not below"),
    "another writer's end": (record(writer_end=v1.WriterEnd(writer_id=b"x" * 16)), "another writer's"),
    "another writer's start": (start(writer_id=b"x" * 16), "another writer's"),
    "a rank beyond all": (start(rank=1 << 31), "too large for rank"),
    "a stream's start": (record(stream_start=v1.StreamStart(stream_id=WRITER)), "for the daemon to write"),
    "a kind that is not first": (b"\xf8\x01\x00" + key(1, "k"), "is not its first field"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "told"), BAD.values(), ids=BAD)
def test_a_bad_record_is_named_and_nothing_is_taken(bad: bytes, told: str) -> None:
    check = RecordCheck(WRITER, b"", begun=False)
    check.take(join_records([start(), key(0, "value"), row(0)]))
    with pytest.raises(BadRecord, match=told) as caught:
        check.take(join_records([row(0), key(5, "new"), bad, row(0)]))
    assert caught.value.index == 2
    # The key that came before it is not named either: what is refused is sent again, corrected.
    with pytest.raises(BadRecord, match="uses key 5"):
        check.take(join_records([row(5)]))
    check.take(join_records([key(5, "other than before"), row(5), row(0)]))


def test_the_first_record_says_who_writes() -> None:
    for first in ([row(0)], [key(0, "k"), start()], [record(event=v1.Event(text="x"))]):
        with pytest.raises(BadRecord, match="first record is its WriterStart"):
            RecordCheck(WRITER, b"", begun=False).take(join_records(first))


def test_keys_that_the_log_holds_are_known() -> None:
    tables = join_records([start(), key(0, "value")])
    check = RecordCheck(WRITER, tables, begun=True)
    check.take(join_records([row(0), key(1, "b"), row(1)]))
    with pytest.raises(BadRecord, match="uses key 2"):
        check.take(join_records([row(2)]))
    # The tables of a writer that was given up meanwhile are not at hand: what cannot be known is no mistake.
    RecordCheck(WRITER, b"", begun=True).take(join_records([row(0)]))
    RecordCheck(WRITER, join_records([key(1, "b")]), begun=True).take(join_records([row(0), row(1)]))


def test_more_objects_than_a_server_takes_at_once() -> None:
    check = RecordCheck(WRITER, join_records([start()]), begun=True)
    event = record(event=v1.Event())
    with pytest.raises(BadRecord, match="send fewer at once"):
        check.take(join_records([event] * (OBJECTS_MAX + 1)))
    check.take(join_records([event] * 1000))


def accepted(check: RecordCheck, payload: bytes) -> bool:
    try:
        check.take(payload)
    except BadRecord:
        return False
    return True


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A record with some bytes of it replaced."""
    data = draw(records())
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + draw(st.binary(min_size=1, max_size=2)) + data[at + draw(st.integers(0, 2)) :]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(records() | damaged(), min_size=1, max_size=4), max_size=5))
def test_what_is_accepted_no_server_refuses(messages: list[list[bytes]]) -> None:
    stream_id = b"stream of a test"
    opening = record(stream_start=v1.StreamStart(stream_id=stream_id, run=v1.RunInfo(run_id="r")))
    block = {"stream_id": stream_id, "time_us": 0}
    check = RecordCheck(WRITER, b"", begun=False)
    first = join_records([start(), key(0, "a"), key(1, "b")])
    body = build_block(KIND_DATA, join_records([opening]), first_seq=0, records=1, writer_id=ZERO_ID, **block)
    seq = 1
    for number, payload in enumerate([first, *(join_records(message) for message in messages)]):
        if not accepted(check, payload):
            assert number > 0
            continue
        count = 3 if number == 0 else len(messages[number - 1])
        body += build_block(KIND_DATA, payload, first_seq=seq, records=count, writer_id=WRITER, **block)
        seq += count
    assert prepare(read_body(stream_id, body), None) is not None


def test_a_client_that_sends_nonsense_holds_up_nobody(tmp_path, start_daemon, server) -> None:
    daemon = start_daemon(*QUICK)
    writer = writer_start(tmp_path / "run", server.base_url)
    daemon.client.open(writer)
    good = frame_records([record(writer_start=writer), key(0, "value"), row(0, 1.0)])
    bad = frame_records([row(0, 2.0), b"\x0a\x05\x08"])

    def requests():
        yield v1.AppendRequest(writer_id=writer.writer_id)
        yield v1.AppendRequest(begin_offset=0, frames=good)
        yield v1.AppendRequest(begin_offset=len(good), frames=bad)

    with pytest.raises(grpc.RpcError) as caught:
        list(daemon.client.append(requests()))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "record 1" in caught.value.details()
    assert f"offset {len(good)}" in caught.value.details()
    # What came before it is kept, and the corrected message goes on there.
    corrected = frame_records([row(0, 2.0), row(0, 3.0)])

    def again():
        yield v1.AppendRequest(writer_id=writer.writer_id)
        yield v1.AppendRequest(begin_offset=len(good), frames=corrected)

    answers = [answer.logged_offset for answer in daemon.client.append(again())]
    assert answers == [len(good), len(good + corrected)]
    wait_until(lambda: len(values_of(server.only_stream(), writer.writer_id)) == 3, "three rows")
    assert values_of(server.only_stream(), writer.writer_id) == [1.0, 2.0, 3.0]
