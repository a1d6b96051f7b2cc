"""Uploads that must be refused: each says why with a 4xx, and nothing at all has changed afterwards."""

from __future__ import annotations

import secrets
import struct
import zlib
from collections.abc import Callable

import httpx
import pytest
import zstandard
from buoy_core import join_records
from buoy_core.block import KIND_DATA, KIND_TABLES, build_block
from buoy_core.format import BLOCK_HEADER, ZERO_ID
from buoy_proto import v1

from tests.server.processes import ServerProcess
from tests.server.streams import Stream


def restamp(block: bytes, **changes: int | bytes) -> bytes:
    """A block whose header says something else, with the right checksum."""
    names = (
        "magic", "version", "kind", "codec", "reserved", "raw_size", "stored_size", "first_seq", "records", "reserved2",
        "stream_id", "writer_id", "spool_begin", "spool_end", "time_us", "payload_crc",
    )  # fmt: skip
    fields = dict(zip(names, BLOCK_HEADER.unpack_from(block), strict=True)) | changes
    head = BLOCK_HEADER.pack(*fields.values())
    return head + struct.pack("<I", zlib.crc32(head)) + block[96:]


def flip(block: bytes, position: int) -> bytes:
    return block[:position] + bytes([block[position] ^ 1]) + block[position + 1 :]


def bomb(stream: Stream, promised: int) -> bytes:
    """A small payload that unpacks to 64 MiB; its frame or header promises another size."""
    stored = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(64 << 20))
    block = build_block(
        KIND_DATA,
        b"\0" * 1000,
        first_seq=stream.seq,
        records=1,
        stream_id=stream.stream_id,
        writer_id=ZERO_ID,
        time_us=1,
    )
    whole = block[:96] + stored
    return restamp(
        whole, codec=1, raw_size=promised, stored_size=len(stored), records=1, payload_crc=zlib.crc32(stored)
    )


def unsized_bomb(stream: Stream) -> bytes:
    """A frame that does not promise any size."""
    compressor = zstandard.ZstdCompressor(write_content_size=False)
    stored = compressor.compress(bytes(16 << 20))
    block = build_block(
        KIND_DATA,
        b"\0" * 1000,
        first_seq=stream.seq,
        records=1,
        stream_id=stream.stream_id,
        writer_id=ZERO_ID,
        time_us=1,
    )
    return restamp(
        block[:96] + stored, codec=1, raw_size=1000, stored_size=len(stored), payload_crc=zlib.crc32(stored)
    )


def payload_block(stream: Stream, payload: bytes, records: int = 1) -> bytes:
    return build_block(
        KIND_DATA,
        payload,
        first_seq=stream.seq,
        records=records,
        stream_id=stream.stream_id,
        writer_id=ZERO_ID,
        time_us=1,
    )


def good(stream: Stream) -> bytes:
    return stream.block([v1.Record(event=v1.Event(code="x", text="fine"))], ZERO_ID)


def unnamed_key(stream: Stream) -> bytes:
    return stream.block([v1.Record(row=v1.Row(step=1, slots=[14], values=[1.0]))], ZERO_ID)


def renamed_key(stream: Stream) -> bytes:
    records = [v1.Record(key=v1.KeyDef(id=0, name=name)) for name in ("a", "b")]
    return stream.block(records, ZERO_ID)


Maker = Callable[[Stream], bytes]

CASES: dict[str, tuple[Maker, int, str]] = {
    "empty": (lambda _: b"", 400, "empty_body"),
    "text": (lambda _: b'{"next_seq": 0}', 400, "corrupt_block"),
    "header cut off": (lambda stream: good(stream)[:50], 400, "corrupt_block"),
    "payload cut off": (lambda stream: good(stream)[:-1], 400, "corrupt_block"),
    "second block cut off": (lambda stream: good(stream) + good(stream)[:60], 400, "corrupt_block"),
    "rubbish after a block": (lambda stream: good(stream) + b"\0" * 200, 400, "corrupt_block"),
    "header damaged": (lambda stream: flip(good(stream), 20), 400, "corrupt_block"),
    "payload damaged": (lambda stream: flip(good(stream), 100), 400, "corrupt_block"),
    "newer version": (lambda stream: restamp(good(stream), version=2), 400, "unsupported_version"),
    "unknown kind": (lambda stream: restamp(good(stream), kind=9), 400, "corrupt_block"),
    "unknown codec": (lambda stream: restamp(good(stream), codec=7), 400, "corrupt_block"),
    "another stream": (
        lambda stream: restamp(good(stream), stream_id=secrets.token_bytes(16)),
        400,
        "mislabelled_block",
    ),
    "good, then another stream": (
        lambda stream: good(stream) + restamp(good(stream), stream_id=secrets.token_bytes(16)),
        400,
        "mislabelled_block",
    ),
    "wrong count": (lambda stream: restamp(good(stream), records=2), 400, "mislabelled_block"),
    "count of none": (lambda stream: restamp(good(stream), records=0), 400, "mislabelled_block"),
    "sequences beyond 2^63": (
        lambda stream: restamp(good(stream), first_seq=(1 << 63) - 1),
        400,
        "corrupt_block",
    ),
    "raw size too large": (
        lambda stream: restamp(good(stream), raw_size=(64 << 20) + 17),
        400,
        "corrupt_block",
    ),
    "raw size a lie": (lambda stream: restamp(good(stream), raw_size=5000), 400, "corrupt_block"),
    "bomb with a small promise": (lambda stream: bomb(stream, 1000), 400, "corrupt_block"),
    "bomb without a promise": (unsized_bomb, 400, "corrupt_block"),
    "bomb of zeros": (lambda stream: bomb(stream, 64 << 20), 400, "corrupt_block"),
    "many bombs": (lambda stream: bomb(stream, 64 << 20) * 3, 400, "corrupt_block"),
    "records cut off": (lambda stream: payload_block(stream, b"\x7f\x0a\x02"), 400, "corrupt_block"),
    "no protobuf": (
        lambda stream: payload_block(stream, join_records([b"\x42\xff\xff\xff\xff"])),
        400,
        "corrupt_block",
    ),
    "a broken row": (
        lambda stream: payload_block(stream, join_records([b"\x0a\x02\x1a\x7f"])),
        400,
        "corrupt_block",
    ),
    "slots without values": (
        lambda stream: payload_block(
            stream, join_records([v1.Record(row=v1.Row(slots=[2])).SerializeToString()])
        ),
        400,
        "corrupt_block",
    ),
    "a key never named": (unnamed_key, 400, "unknown_key"),
    "a key with two names": (renamed_key, 400, "bad_record"),
    "a gap in the sequences": (
        lambda stream: restamp(good(stream), first_seq=stream.seq + 1),
        409,
        "sequence_gap",
    ),
    "a gap after a good block": (
        lambda stream: good(stream) + restamp(good(stream), first_seq=stream.seq + 5),
        409,
        "sequence_gap",
    ),
}


def state_of(client: httpx.Client, stream: Stream) -> list[object]:
    """Everything that a client can see of a stream's project."""
    path = f"/api/v1/p/local:{stream.info.project}"
    run = client.get(f"{path}/runs/{stream.info.run_id}").json()
    # The server notes a second later when it last heard of a machine and its processes, whatever they had to say.
    del run["machines"]
    for writer in run["writers"]:
        del writer["seen_us"]
    return [
        client.get(stream.position_path).json(),
        run,
        client.get(f"{path}/keys").json(),
        client.get(f"{path}/runs/{stream.info.run_id}/history").json(),
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_bad_body_changes_nothing(server: ServerProcess, name: str) -> None:
    make, status, code = CASES[name]
    stream = Stream(project=f"bodies-{secrets.token_hex(4)}")
    stream.writer().log([(1, {"loss": 0.5})])
    assert server.client.post(stream.path, content=b"".join(stream.blocks)).status_code == 200
    before = state_of(server.client, stream)

    answer = server.client.post(stream.path, content=make(stream))

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["detail"].endswith(".")
    if status == 409:
        assert problem["next_seq"] == stream.seq
    assert state_of(server.client, stream) == before
    # And the stream goes on as if nothing had been.
    assert server.client.post(stream.path, content=good(stream)).json() == {"next_seq": stream.seq + 1}


def test_unpacked_too_much_at_once(server: ServerProcess) -> None:
    # Sound blocks: one string each. They are refused together and taken one by one.
    stream = Stream(project="too-much")
    event = v1.Record(event=v1.Event(code="x", text="x" * (60 << 20)))
    blocks = [*stream.blocks, *(stream.add([event], ZERO_ID) for _ in range(3))]
    answer = server.client.post(stream.path, content=b"".join(blocks))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert server.client.get(stream.position_path).json() == {"next_seq": 0}
    for block in blocks[:2]:
        assert server.client.post(stream.path, content=block).status_code == 200


@pytest.mark.parametrize("announced", [True, False])
def test_body_too_large(server: ServerProcess, announced: bool) -> None:
    stream = Stream()
    size = (64 << 20) + (2 << 20)
    content = bytes(size) if announced else (bytes(1 << 20) for _ in range(size >> 20))
    try:
        answer = server.client.post(stream.path, content=content)
    except httpx.TransportError:
        # The server may answer and close before it has been sent everything.
        return
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_memory_stays_bounded_under_bombs(server: ServerProcess) -> None:
    import psutil

    stream = Stream(project="bombs")
    server.client.post(stream.path, content=b"".join(stream.blocks))
    body = bomb(stream, 64 << 20) * 200
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    assert server.client.post(stream.path, content=body).status_code in (400, 413)
    assert process.memory_info().rss < before + (400 << 20)


@pytest.mark.parametrize("stream_id", ["abc", "G" * 32, "A" * 32, "0" * 31, "0" * 33])
def test_stream_ids(server: ServerProcess, stream_id: str) -> None:
    assert server.client.get(f"/api/v1/streams/{stream_id}").json()["code"] == "bad_stream_id"


def test_an_unknown_stream_starts_at_zero(server: ServerProcess) -> None:
    stream = Stream()
    assert server.client.get(stream.position_path).json() == {"next_seq": 0}


def test_a_stream_must_begin_with_its_start(server: ServerProcess) -> None:
    stream = Stream()
    stream.seq = 0
    answer = server.client.post(stream.path, content=good(stream))
    assert (answer.status_code, answer.json()["code"]) == (400, "no_stream_start")
    other = Stream()
    foreign = restamp(other.blocks[0], stream_id=stream.stream_id)
    answer = server.client.post(stream.path, content=foreign)
    assert (answer.status_code, answer.json()["code"]) == (400, "mislabelled_block")


def test_tables_alone_change_nothing_that_is_known(server: ServerProcess) -> None:
    stream = Stream(project="tables")
    writer = stream.writer()
    writer.log([(1, {"loss": 0.5})])
    server.client.post(stream.path, content=b"".join(stream.blocks))
    before = state_of(server.client, stream)
    tables = stream.tables(writer)
    assert server.client.post(stream.path, content=tables * 3).json() == {"next_seq": stream.seq}
    assert state_of(server.client, stream) == before


def test_tables_of_a_stream_that_is_not_there(server: ServerProcess) -> None:
    stream = Stream()
    writer = stream.writer()
    stream.seq = 0
    block = restamp(stream.tables(writer), kind=KIND_TABLES)
    assert server.client.post(stream.path, content=block).json() == {"next_seq": 0}


def test_lost_blocks_are_told_and_what_follows_is_kept(server: ServerProcess) -> None:
    stream = Stream(project="gaps")
    writer = stream.writer()
    writer.log([(1, {"loss": 0.5})])
    lost = writer.log([(2, {"loss": 0.25, "acc": 0.9}), (3, {"acc": 0.91})])
    stream.blocks.remove(lost)
    stream.seq -= 3
    stream.add_gap(3, "The disk lost them.")
    # The lost block named "acc", so this row's key is not known; its value must not be lost too.
    writer.log([(4, {"acc": 0.95, "loss": 0.2})])
    tables = stream.tables(writer)
    after = writer.log([(5, {"acc": 0.96})])
    body = b"".join(stream.blocks[:-1]) + tables + after
    assert server.client.post(stream.path, content=body).json() == {"next_seq": stream.seq}
    run = server.client.get("/api/v1/p/local:gaps/runs/run1").json()
    assert run["gaps"] == [{"first_seq": 4, "records": 3, "text": "The disk lost them."}]
    rows = server.client.get("/api/v1/p/local:gaps/runs/run1/history").json()["rows"]
    assert [row["_step"] for row in rows] == [1, 4, 5]
    assert rows[1]["loss"] == 0.2
    assert rows[2]["acc"] == 0.96
    assert 0.95 in rows[1].values()
