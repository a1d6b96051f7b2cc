"""`buoy doctor`: damage in logs, spools that wait or that nobody can assign, disks without room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from buoy.cli import main
from buoy.local import LocalRun
from buoy_core import Chunk, Writer, join_records
from buoy_core.state import spool_root, state_dir
from buoy_core.wal import WalReader, WalWriter
from buoy_proto import v1
from click.testing import CliRunner, Result

from tests.crash.seam import Seam

STREAM, WRITER = bytes(range(16)), bytes(range(16, 32))


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def looks(found: Result) -> list[str]:
    """The findings that need attention, without those about this machine and the missing server."""
    return [
        line
        for line in found.output.splitlines()
        if line.startswith("LOOK") and "core:" not in line and "server:" not in line
    ]


@pytest.fixture
def run_dir() -> Path:
    """A finished run of six blocks of ten rows, in BUOY_DIR."""
    folder = Path(os.environ["BUOY_DIR"]) / "run-20260101_000000-abc"
    log = WalWriter(str(folder / "wal"), STREAM)
    info = v1.RunInfo(entity="local", project="p", run_id="abc")
    begin = [
        v1.Record(stream_start=v1.StreamStart(stream_id=STREAM, run=info, attempt=1)),
        v1.Record(writer_start=v1.WriterStart(writer_id=WRITER, run=info)),
        v1.Record(key=v1.KeyDef(id=0, name="loss")),
    ]
    log.append_records([record.SerializeToString() for record in begin[:1]], time_us=1)
    offset = 0
    for number in range(6):
        rows = [
            v1.Record(row=v1.Row(step=step, slots=[0], values=[step / 7]))
            for step in range(number * 10, number * 10 + 10)
        ]
        records = [record.SerializeToString() for record in (begin[1:] if number == 0 else []) + rows]
        payload = join_records(records)
        log.append(Chunk(offset, offset + len(payload), len(records), payload, b""), WRITER, time_us=1)
        log.sync()
        offset += len(payload)
    log.close()
    return folder


def test_every_flipped_byte_of_a_block_is_named_and_costs_that_block(run_dir: Path) -> None:
    (path,) = (run_dir / "wal").glob("*.wal")
    whole = path.read_bytes()
    victim = list(WalReader(str(run_dir / "wal")).blocks())[3]
    steps = [row["_step"] for row in LocalRun(run_dir).rows()]
    assert steps == list(range(60))
    assert LocalRun(run_dir).trouble == []
    assert looks(doctor()) == []
    for at in range(victim.header.size_bytes):
        broken = bytearray(whole)
        broken[victim.offset + at] ^= 1 << at % 8
        path.write_bytes(broken)
        run = LocalRun(run_dir)
        assert [row["_step"] for row in run.rows()] == [*range(20), *range(30, 60)]
        (trouble,) = run.trouble
        assert trouble.startswith(f"{path} is damaged at byte {victim.offset}: ")
        assert trouble.endswith("; 10 records lost")
        if at % 16 == 0:
            found = doctor()
            assert found.exit_code == 1
            assert looks(found) == [f"LOOK  log: {trouble}"]
            assert doctor(str(run_dir)).exit_code == 1
    shown = CliRunner().invoke(main, ["show", str(run_dir)])
    assert trouble in shown.output


def test_given_paths_are_all_that_is_read(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / "run-1" / "wal").mkdir(parents=True)
    (run_dir / "wal" / "00000000.wal").write_bytes(b"nothing good")
    assert looks(doctor(str(tmp_path / "other"))) == []
    found = doctor(str(tmp_path / "nowhere"))
    assert found.exit_code == 1
    assert "no run folder" in found.output


def test_logs_that_the_daemon_has_in_hand_are_read_wherever_they_are(run_dir: Path, tmp_path: Path) -> None:
    elsewhere = run_dir.rename(tmp_path / "elsewhere")
    index = state_dir() / "streams"
    index.mkdir()
    entry = {"run_dir": str(elsewhere), "closed": True, "final_seq": 63, "writers": {WRITER.hex(): {}}}
    (index / f"{STREAM.hex()}.json").write_text(json.dumps(entry))
    assert looks(doctor()) == []
    (path,) = (elsewhere / "wal").glob("*.wal")
    path.write_bytes(path.read_bytes()[:-10])
    (line,) = looks(doctor())
    assert "ends early; 10 records lost" in line
    path.unlink()
    path.parent.rmdir()
    (line,) = looks(doctor())
    assert "is gone" in line


def test_a_spool_whose_process_is_gone_waits_for_a_daemon() -> None:
    folder = spool_root(state_dir()) / WRITER.hex()
    code = (
        "from buoy_core import Writer; from buoy_proto import v1; import os, sys\n"
        "writer = Writer(sys.argv[1], writer_id=bytes.fromhex(sys.argv[2]))\n"
        "start = v1.WriterStart(run=v1.RunInfo(project='p', run_id='orphan'))\n"
        "writer.append(v1.Record(writer_start=start).SerializeToString())\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder), WRITER.hex()], check=False)
    (line,) = looks(doctor())
    assert str(folder) in line
    assert "local/p/orphan" in line
    assert "no daemon runs" in line
    started = CliRunner().invoke(main, ["daemon", "start"])
    try:
        assert started.exit_code == 0, started.output
        assert [line for line in looks(doctor()) if "spool" in line] == []
    finally:
        CliRunner().invoke(main, ["daemon", "stop"])


def test_a_spool_that_belongs_to_no_run() -> None:
    folder = spool_root(state_dir()) / WRITER.hex()
    writer = Writer(str(folder), writer_id=WRITER)
    assert looks(doctor()) == []
    writer.log({"no": "start"})
    (line,) = looks(doctor())
    assert "does not say which run it belongs to" in line
    with (folder / "00000000.seg").open("r+b") as file:
        file.write(b"X")
    (line,) = looks(doctor())
    assert "cannot be read" in line
    folder.rename(folder.with_suffix(".damaged"))
    (line,) = looks(doctor())
    assert "set aside" in line


def test_a_disk_without_room(tmp_path: Path) -> None:
    """In a process of its own, whose disk is full by order."""
    seam = Seam(tmp_path / "seam")
    runs = Path(os.environ["BUOY_DIR"])
    runs.mkdir()
    command = [sys.executable, "-m", "buoy", "doctor"]
    with seam.full(runs):
        found = subprocess.run(
            command, env=os.environ | seam.environment(), capture_output=True, text=True, check=False
        )
    assert found.returncode == 1, found.stderr
    (line,) = [line for line in found.stdout.splitlines() if "run folders" in line]
    assert line.startswith("LOOK")
    assert "BUOY_DIR" in line
