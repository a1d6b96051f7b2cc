"""What is fed with foreign bytes, and what must hold for any bytes whatever.

A target takes bytes, gives them to every reader of that format, and fails if one raises what it does not document, if
the twin and the compiled core disagree, if a reader does not come to an end, or if what was good is gone. Property
tests, the coverage-guided campaign and the sanitizer run share them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import buoy_core.python as twin
from buoy import errors as sdk_errors
from buoy.local import LocalRun, find_folder
from buoy.settings import from_environment, from_file
from buoy_core import compiled, state
from buoy_core.block import open_block, parse_header, split_blocks
from buoy_core.compiled import frame_records
from buoy_core.errors import CoreError, CorruptBlock, CorruptFrame, TooManyObjects, UnsupportedVersion
from buoy_core.format import (
    BLOCK_RAW_BYTES_MAX,
    SPOOL_MAGIC,
    WAL_MAGIC,
    spool_segment_name,
    wal_segment_name,
)
from buoy_core.machine import boot_id
from buoy_core.wal import Block, Damage, WalReader, WalWriter
from buoy_core.wal_recovery import recover
from buoy_daemon.files import read_json
from buoy_daemon.index import Index, StreamEntry
from buoy_daemon.shadow import Shadow
from buoy_server.errors import Refused
from buoy_server.ingest.body import read_body
from buoy_server.ingest.prepare import prepare
from buoy_server.ingest.streams import Owner, StreamState

from tests.fuzz import checksums, seeds

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files cost no disk: a sync takes longer than everything else here."""

STEPS_MAX = 2000
"""More reads than any input of a fuzzer can justify: a reader that needs them does not end."""


@dataclass(frozen=True)
class Target:
    """A format and its readers.

    Attributes:
        run: Takes any bytes; raises only if something is wrong with the readers.
        seeds: Valid inputs.
        repair: Puts checksums right.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    repair: Callable[[bytes], bytes] = bytes


Errors = type[Exception] | tuple[type[Exception], ...]


def outcome(function: Callable[..., Any], *arguments: Any, raises: Errors, **named: Any) -> Any:
    """What a reader gives, or the name of the documented error that it raises."""
    try:
        return function(*arguments, **named)
    except raises as error:
        # A UnicodeDecodeError is a ValueError; which of the two may differ.
        return ValueError.__name__ if isinstance(error, ValueError) else type(error).__name__


def agree(name: str, *arguments: Any, raises: Errors, **named: Any) -> Any:
    """Asks the twin and the compiled core the same; both must say the same."""
    ours = outcome(getattr(compiled, name), *arguments, raises=raises, **named)
    theirs = outcome(getattr(twin, name), *arguments, raises=raises, **named)
    # By their text: NaN is not equal to itself.
    assert repr(ours) == repr(theirs), f"{name}: compiled {ours!r}, twin {theirs!r}"
    return ours


def run_frames(data: bytes) -> None:
    """Frames as the `Append` call brings them."""
    chunk = agree("parse_frames", data, 5, raises=(CorruptFrame, ValueError))
    if not isinstance(chunk, str):
        assert chunk.frames == data
        assert len(compiled.split_records(chunk.payload)) == chunk.records
        assert frame_records(compiled.split_records(chunk.payload)) == data
        run_payload(chunk.payload)


def run_payload(data: bytes) -> None:
    """The records of a block."""
    records = agree("split_records", data, raises=ValueError)
    agree("table_records", data, raises=ValueError)
    count = agree("count_records", data, raises=ValueError)
    assert count == (records if isinstance(records, str) else len(records))
    agree("definitions", data, raises=ValueError)
    agree("last_row", data, raises=ValueError)
    agree("definitions", data, raises=(ValueError, TooManyObjects), objects_max=1)
    for system in (False, True):
        rows = agree("decode_rows", data, raises=ValueError, system=system)
        if not isinstance(rows, str):
            assert len(rows.value) == 8 * rows.n
            assert not isinstance(records, str)
            # Which of two faults is met first may differ, so this is asked of sound payloads only.
            agree("decode_rows", data, raises=TooManyObjects, system=system, objects_max=1)


def run_block(data: bytes) -> None:
    """One block, and a body of blocks."""
    header = outcome(parse_header, data, raises=(CorruptBlock, UnsupportedVersion))
    opened = outcome(open_block, data, raises=(CorruptBlock, UnsupportedVersion))
    if not isinstance(opened, str):
        assert not isinstance(header, str)
        assert len(opened[1]) == opened[0].raw_size <= BLOCK_RAW_BYTES_MAX
    with contextlib.suppress(CorruptBlock, UnsupportedVersion):
        size = sum(len(block) for _, block in split_blocks(data))
        assert size == len(data)


def run_body(data: bytes) -> None:
    """An upload, up to where it would be stored."""
    owner = Owner(1, seeds.STREAM_ID.hex(), 1, 1, 1, "e:p", "r")
    known = StreamState(owner, next_seq=3, ranks={}, names={seeds.WRITER_ID.hex(): {0: "loss"}})
    with contextlib.suppress(Refused):
        blocks = read_body(seeds.STREAM_ID, data)
        for stream in (None, known):
            with contextlib.suppress(Refused):
                prepare(blocks, stream)


def run_spool(data: bytes) -> None:
    """A writer's folder, by both readers, as if written before and after the last start of the machine."""
    with _folder(data, SPOOL_MAGIC, spool_segment_name) as folder:
        for boot in (boot_id(), bytes(16), data[56:72]):
            if len(boot) == 16:
                ours = _read_spool(compiled.SpoolReader, folder, boot)
                theirs = _read_spool(twin.SpoolReader, folder, boot)
                assert ours == theirs
        with contextlib.suppress(CoreError, FileNotFoundError):
            reader = compiled.SpoolReader(str(folder), 0)
            reader.set_control(1)
            reader.release(reader.committed)
            reader.close()


def _read_spool(reader_type: Any, folder: Path, boot: bytes) -> list[object]:
    """Everything that a daemon would learn of a spool."""
    expected = (CorruptFrame, UnsupportedVersion, FileNotFoundError)
    reader = outcome(reader_type, str(folder), 0, boot, raises=expected)
    if isinstance(reader, str):
        return [reader]
    found: list[object] = [
        reader.writer_id,
        reader.pid,
        reader.foreign_boot,
        reader.committed,
        reader.dropped,
    ]
    for step in range(STEPS_MAX):
        assert step < STEPS_MAX - 1, "the reader does not come to an end"
        before = reader.offset
        chunk = outcome(reader.read, 1 << 16, raises=(CorruptFrame, UnsupportedVersion))
        found.append(chunk)
        if chunk is None or chunk == "UnsupportedVersion":
            break
        if isinstance(chunk, str):
            lost = outcome(reader.skip_damage, raises=UnsupportedVersion)
            found.append(lost)
            if not lost or isinstance(lost, str):
                break
        assert reader.offset > before
    found += [reader.offset, reader.sealed]
    reader.close()
    reader.close()
    return [repr(item) for item in found]


def run_log(data: bytes) -> None:
    """A log's folder: read, recovered, taken up again, appended to, and recovered once more."""
    with _folder(data, WAL_MAGIC, wal_segment_name) as folder:
        before = outcome(_read_log, folder, raises=UnsupportedVersion)
        if isinstance(before, str):
            return
        try:
            state_before = recover(str(folder))
            writer = WalWriter(str(folder))
        except (FileNotFoundError, CoreError):
            assert outcome(_read_log, folder, raises=UnsupportedVersion) == before
            return
        assert writer.next_seq >= state_before.next_seq
        for item in before:
            if isinstance(item, Block):
                assert item.header.next_seq <= writer.next_seq
        writer.append_records([b"\x12\x02\x08\x01"], time_us=7)
        writer.close()
        after = _read_log(folder)
        # Tables may be repeated in a segment that was begun; data are neither lost nor doubled.
        assert _data(after)[:-1] == _data(before)
        again = WalWriter(str(folder))
        # Of segments before the last only the headers are believed, so a damaged block may count more by then.
        assert again.next_seq >= writer.next_seq
        again.close()


def _read_log(folder: Path) -> list[Block | Damage]:
    found = list(islice(WalReader(str(folder)).blocks(), STEPS_MAX))
    assert len(found) < STEPS_MAX, "the reader does not come to an end"
    for item in found:
        if isinstance(item, Block):
            outcome(item.payload, raises=CorruptBlock)
    return found


def _data(items: list[Block | Damage]) -> list[bytes]:
    return [item.data for item in items if isinstance(item, Block) and item.header.kind != 2]


def run_local(data: bytes) -> None:
    """The same log as the command line reads it."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        wal = Path(name) / "wal"
        wal.mkdir()
        _fill(wal, data, WAL_MAGIC, wal_segment_name)
        with contextlib.suppress(UnsupportedVersion):
            run = LocalRun(Path(name))
            list(run.rows())
            assert isinstance(run.state, str)


def run_state(data: bytes) -> None:
    """Small files: entries of the index, credentials, run.json, ack.json."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        for path in ("credentials.json", "run.json", "streams/0.json", "r/run.json", "r/wal/x"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        assert isinstance(state.read_api_key(folder, "http://127.0.0.1:8765"), str | None)
        assert isinstance(read_json(folder / "run.json"), dict | None)
        for entry in Index(folder / "streams").load():
            assert StreamEntry.from_json(entry.to_json()) == entry
        find_folder("r", folder)


def run_shadow(data: bytes) -> None:
    """The two files that stand in for a deleted log; what is read of them can be written back."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        for suffix in ("position", "tables"):
            (folder / f"{seeds.STREAM_ID.hex()}.{suffix}").write_bytes(data)
        shadow = Shadow(folder, seeds.STREAM_ID)
        position, tables = shadow.position(), list(shadow.tables())
        shadow.note_position(*position)
        shadow.set_tables({})
        for writer_id, records in tables:
            shadow.add_tables(writer_id, records)
        assert (shadow.position(), list(shadow.tables())) == (position, tables)


def run_settings(data: bytes) -> None:
    """A settings file and the environment."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path = Path(name) / "buoy.ini"
        path.write_bytes(data)
        warnings: list[str] = []
        from_file(path, warnings.append)
        text = data.decode("utf-8", "surrogateescape").replace("\0", "")
        for variable in ("BUOY_RANKS", "BUOY_FINISH_TIMEOUT", "BUOY_BASE_URL", "BUOY_RUN_ID", "BUOY_TAGS"):
            with contextlib.suppress(sdk_errors.UsageError):
                from_environment({variable: text})


@contextlib.contextmanager
def _folder(data: bytes, magic: bytes, name_of: Callable[[int], str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        _fill(Path(name), data, magic, name_of)
        yield Path(name)


def _fill(folder: Path, data: bytes, magic: bytes, name_of: Callable[[int], str]) -> None:
    """The files that `data` is the content of, one after the other."""
    for index, part in enumerate(checksums.split_at(data, magic)):
        (folder / name_of(index)).write_bytes(part)


def _settings_seeds() -> list[bytes]:
    return [
        b"[buoy]\nproject = p\nrun_tags = a, b\nranks = 0,8\nfinish_timeout = 3\nquiet = yes\n",
        b"0,8",
        b"1e3",
    ]


TARGETS: dict[str, Target] = {
    "frames": Target(run_frames, seeds.frames, checksums.repair_frames),
    "payload": Target(run_payload, seeds.payloads),
    "block": Target(run_block, seeds.bodies, checksums.repair_blocks),
    "body": Target(run_body, seeds.bodies, checksums.repair_blocks),
    "spool": Target(run_spool, seeds.spools, checksums.repair_spool),
    "log": Target(run_log, seeds.logs, checksums.repair_log),
    "local": Target(run_local, seeds.logs, checksums.repair_log),
    "state": Target(run_state, seeds.state_files),
    "shadow": Target(run_shadow, seeds.shadows, checksums.repair_position),
    "settings": Target(run_settings, _settings_seeds),
}
