"""Parts of the daemon by themselves: bodies cut from a log, ends found in it, the index, keys."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

import pytest
from buoy_core import Chunk, join_records
from buoy_core.block import open_block, split_blocks
from buoy_core.format import KIND_DATA, KIND_GAP
from buoy_core.wal import WalReader, WalWriter
from buoy_daemon import records
from buoy_daemon.credentials import Credentials
from buoy_daemon.index import Index, StreamEntry, WriterEntry
from buoy_daemon.log_end import writer_end_in_log
from buoy_daemon.processes import is_alive
from buoy_daemon.uploader.batch import cut_batch
from buoy_proto import v1

STREAM, WRITER, OTHER = (bytes([number]) * 16 for number in (1, 2, 3))


def row(number, size=200):
    value = v1.Value(key_id=1, text=secrets.token_hex(size // 2))
    return v1.Record(row=v1.Row(step=number, others=[value])).SerializeToString()


def chunk(begin, items):
    payload = join_records(items)
    return Chunk(begin=begin, end=begin + len(payload), records=len(items), payload=payload)


@pytest.fixture
def wal(tmp_path):
    """Ten blocks of ten rows."""
    log = WalWriter(str(tmp_path / "wal"), STREAM)
    for number in range(10):
        part = chunk(log.offset_of(WRITER), [row(number * 10 + place) for place in range(10)])
        log.append(part, WRITER, time_us=number)
    yield log
    log.close()


def cut(wal, next_seq, *, end_seq=10**6, bytes_max=10**6, blocks_max=None):
    reader = WalReader(wal.directory)
    return cut_batch(reader, STREAM, next_seq, end_seq=end_seq, bytes_max=bytes_max, blocks_max=blocks_max)


def test_a_body_has_the_blocks_as_they_stand_in_the_log(wal):
    batch = cut(wal, 0)
    assert (batch.blocks, batch.end_seq) == (10, 100)
    assert batch.body == b"".join(block.data for block in WalReader(wal.directory).blocks())


def test_a_body_begins_with_the_block_that_holds_the_sequence(wal):
    batch = cut(wal, 34)
    assert next(split_blocks(batch.body))[0].first_seq == 30
    assert batch.end_seq == 100


@pytest.mark.parametrize(
    ("limits", "blocks"),
    [
        ({"blocks_max": 3}, 3),
        ({"bytes_max": 1}, 1),
        ({"bytes_max": 5000}, 3),
        ({"end_seq": 50}, 5),
        ({"end_seq": 59}, 5),
    ],
)
def test_a_body_keeps_its_limits(wal, limits, blocks):
    batch = cut(wal, 0, **limits)
    assert batch.blocks == blocks
    if "bytes_max" in limits and blocks > 1:
        assert len(batch.body) <= limits["bytes_max"]


def test_there_is_no_body_of_what_is_not_on_disk(wal):
    assert cut(wal, 0, end_seq=0) is None
    assert cut(wal, 100) is None


def test_one_reader_goes_on_where_it_was(wal):
    reader = WalReader(wal.directory)
    seen, next_seq = b"", 0
    while (
        batch := cut_batch(reader, STREAM, next_seq, end_seq=100, bytes_max=6000, blocks_max=None)
    ) is not None:
        seen += batch.body
        next_seq = batch.end_seq
    assert seen == b"".join(block.data for block in WalReader(wal.directory).blocks())


def test_a_damaged_block_is_replaced_by_a_gap_that_says_so(wal):
    victim = list(WalReader(wal.directory).blocks())[4]
    with Path(victim.path).open("r+b") as file:
        file.seek(victim.offset + 120)
        file.write(b"\0\0\0\0\0")
    batch = cut(wal, 0)
    headers = [header for header, _ in split_blocks(batch.body)]
    assert [header.kind for header in headers] == [KIND_DATA] * 4 + [KIND_GAP] + [KIND_DATA] * 5
    assert (headers[4].first_seq, headers[4].records) == (40, 10)
    gap = list(split_blocks(batch.body))[4][1]
    assert victim.path.encode() in open_block(gap)[1]
    assert cut(wal, 0).body == batch.body, "sent again, it has to be the same bytes"
    assert cut(wal, 45).body == cut(wal, 45).body


def test_a_flipped_byte_anywhere_in_a_block_leaves_a_body_that_a_server_takes(wal):
    blocks = list(WalReader(wal.directory).blocks())
    victim, good = blocks[4], [block.data for block in blocks[:4] + blocks[5:]]
    path = Path(victim.path)
    whole = path.read_bytes()
    for at in (*range(96), *range(96, victim.header.size_bytes, 7)):
        broken = bytearray(whole)
        broken[victim.offset + at] ^= 1 << at % 8
        path.write_bytes(broken)
        sent = list(split_blocks(cut(wal, 0).body))
        gap = sent.pop(4)[0]
        assert (gap.kind, gap.first_seq, gap.records) == (KIND_GAP, 40, 10)
        assert [bytes(data) for _, data in sent] == good


def ended(writer_id, state=v1.RUN_STATE_FINISHED, **fields):
    return v1.Record(writer_end=v1.WriterEnd(writer_id=writer_id, state=state, **fields)).SerializeToString()


FULL = {"exit_code": -(2**31), "time_unix_us": 2**64 - 1, "records_dropped": 2**64 - 1}


@pytest.mark.parametrize("fields", [{}, FULL])
def test_the_end_of_a_payload_is_found(fields):
    payload = join_records([row(1), ended(WRITER, **fields)])
    tail = payload[-records.WRITER_END_BYTES_MAX :]
    assert records.find_writer_end(tail, WRITER).state == v1.RUN_STATE_FINISHED
    assert records.find_writer_end(tail, OTHER) is None


def test_an_end_that_is_not_the_last_record_is_none():
    assert records.find_writer_end(join_records([ended(WRITER), row(1, 2)]), WRITER) is None
    assert records.find_writer_end(join_records([row(1)])[-96:], WRITER) is None
    assert records.find_writer_end(b"\x0a\x10" + WRITER, WRITER) is None
    assert records.find_writer_end(b"", WRITER) is None


def look_up(wal):
    return writer_end_in_log(wal.directory, WRITER, wal.next_seq, wal.offset_of(WRITER))


def test_an_end_is_found_in_the_log(wal):
    assert look_up(wal) is None
    wal.append(chunk(wal.offset_of(WRITER), [row(1), ended(WRITER, v1.RUN_STATE_FAILED)]), WRITER, time_us=1)
    for number in range(30):
        wal.append(chunk(number, [row(number) for _ in range(2000)]), OTHER, time_us=1)
    assert look_up(wal).state == v1.RUN_STATE_FAILED


def test_the_daemon_s_word_for_an_end_is_found_in_the_log(wal):
    wal.append_records([records.writer_crashed(OTHER, time_us=1, dropped=0)], time_us=1)
    assert look_up(wal) is None
    wal.append_records([records.writer_crashed(WRITER, time_us=1, dropped=3)], time_us=1)
    assert look_up(wal).state == v1.RUN_STATE_CRASHED


def entry():
    return StreamEntry(
        stream_id=STREAM,
        run=v1.RunInfo(entity="é", project="p/q", run_id="r 1", tags=["a"]),
        attempt=3,
        run_dir="/x",
        base_url="http://h",
        telemetry=True,
        created_us=5,
        host="h",
        writers={WRITER: WriterEntry("/spool", "h", 1, 2, 3), OTHER: WriterEntry("")},
        system_keys=["cpu"],
    )


def test_the_index_gives_back_what_it_was_given(tmp_path):
    index = Index(tmp_path / "streams")
    index.save(entry())
    assert index.load() == [entry()]
    assert index.last_done(entry().key) is None
    index.finish(entry())
    assert index.load() == []
    assert index.last_done(entry().key) == entry()
    assert index.recently_done(60) == [entry()]
    assert index.last_done(("é", "p", "q r 1")) is None


def test_keys_are_tried_in_order_and_kept_private(tmp_path, monkeypatch):
    monkeypatch.setenv("BUOY_API_KEY", "from-env")
    credentials = Credentials(tmp_path)
    assert credentials.keys("http://h:1") == ["from-env"]
    assert credentials.give("http://H:1/", "given")
    assert not credentials.give("http://h:1", "given")
    assert credentials.keys("http://h:1") == ["given", "from-env"]
    assert Credentials(tmp_path).keys("http://h:1") == ["from-env", "given"]
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600


def test_a_pid_that_was_taken_over_is_another_process():
    import os

    from buoy_core import process_identity

    pid, start = process_identity()
    assert is_alive(pid, start)
    assert not is_alive(pid, start + 1)
    assert is_alive(os.getpid(), 0)
    assert not is_alive(2**22 + 1, 0)
    child = os.fork()
    if child == 0:
        os._exit(0)
    start = process_identity(child)[1]
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child, start), "a zombie"
    assert not is_alive(child, 0)
    os.waitpid(child, 0)
