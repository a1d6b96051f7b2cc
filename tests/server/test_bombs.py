"""Small uploads that unpack to a lot: refused, in memory that is bounded."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHILD = """
import resource, sys
from buoy_core.block import BLOCK_RAW_BYTES_MAX, build_block
from buoy_core.format import encode_varint
from buoy_server.errors import TooLarge
from buoy_server.ingest.body import read_body

def row(item):
    content = item * ((BLOCK_RAW_BYTES_MAX - 100) // len(item))
    record = b"\\x0a" + encode_varint(len(content)) + content
    return encode_varint(len(record)) + record, 1

def records(item):
    count = (BLOCK_RAW_BYTES_MAX - 100) // len(item)
    return item * count, count

payload, count = {
    "values": lambda: row(b"\\x2a\\x02\\x30\\x01"),
    "records": lambda: records(b"\\x01\\x42"),
}[sys.argv[1]]()
common = {"records": count, "stream_id": bytes(16), "writer_id": bytes(16), "time_us": 1}
body = build_block(1, payload, first_seq=0, **common)
assert len(body) < 100_000, len(body)
del payload
resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29))
try:
    read_body(bytes(16), body)
except TooLarge as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["values", "records"])
def test_a_bomb_is_refused_in_bounded_memory(kind: str) -> None:
    """Eight kilobytes became four gigabytes of objects, or a server without memory."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "more than 2000000 records and values" in done.stdout
