"""The machine loses its power while runs are logged; a daemon finds what the disk has kept of logs and spools."""

from __future__ import annotations

import random
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from buoy_core import SpoolReader, Writer, wal
from buoy_core.state import spool_root
from buoy_core.wal import WalWriter
from buoy_daemon.index import Index, StreamEntry, WriterEntry
from buoy_proto import v1

from tests.core.power_cut import Disk, Image, spool_image
from tests.daemon.ingest_server import IngestServer, values_of
from tests.daemon.processes import WriterProcess, wait_until

QUICK = ("--sync-interval-s", "0.1")
SEGMENT_BYTES = 24 << 10
LOSSES = {"spool_damaged", "spool_missing"}


@dataclass
class Run:
    """A run before its power cut: real spool, real log, and what of both may be left."""

    run_id: str
    stream_id: bytes
    writer_id: bytes
    log_left: Image
    spool_left: Image
    synced: int
    logged: int


def live(folder: Path, run_id: str, disk: Disk, chance: random.Random) -> Run:
    """Logs 0, 1, 2, ... until the power fails, in the middle of anything."""
    stream_id, writer_id = secrets.token_bytes(16), secrets.token_bytes(16)
    info = v1.RunInfo(entity="local", project="p", run_id=run_id)
    writer = Writer(str(folder / "spool"), writer_id=writer_id, segment_bytes=SEGMENT_BYTES)
    start = v1.WriterStart(writer_id=writer_id, run=info, pid=1, run_dir=str(folder / "run"))
    writer.append(v1.Record(writer_start=start).SerializeToString())
    log = WalWriter(str(folder / "run" / "wal"), stream_id, segment_bytes=30_000)
    begin = v1.StreamStart(stream_id=stream_id, run=info, attempt=1, machine_id="m", host="h", time_unix_us=1)
    log.append_records([v1.Record(stream_start=begin).SerializeToString()], time_us=1)
    reader = SpoolReader(str(folder / "spool"))
    moments: dict[str, list[bytes]] = {}
    rows = synced = 0
    for _ in range(chance.randint(4, 14)):
        for _ in range(chance.randint(1, 15)):
            writer.log({"value": rows, "pad": secrets.token_hex(chance.randint(10, 400))})
            rows += 1
            for segment in (folder / "spool").glob("*.seg"):
                moments.setdefault(segment.name, []).append(segment.read_bytes())
        logged = rows
        while (chunk := reader.read(3000)) is not None:
            log.append(chunk, writer_id, time_us=1)
        if chance.random() < 0.2:
            log.sync()
            synced = logged
    return Run(
        run_id=run_id,
        stream_id=stream_id,
        writer_id=writer_id,
        log_left=chance.choice(list(disk.images(chance, most=16))),
        spool_left={name: spool_image(versions[-20:], chance) for name, versions in moments.items()},
        synced=synced,
        logged=rows,
    )


def put_down(run: Run, state_dir: Path, folder: Path, base_url: str) -> Path:
    """The run as the restarted machine has it: its log, its spool, and its entry in the index."""
    spool = spool_root(state_dir) / run.writer_id.hex()
    for target, image in ((folder / "wal", run.log_left), (spool, run.spool_left)):
        target.mkdir(parents=True)
        for path, data in image.items():
            (target / Path(path).name).write_bytes(data)
    entry = StreamEntry(
        stream_id=run.stream_id,
        run=v1.RunInfo(entity="local", project="p", run_id=run.run_id),
        attempt=1,
        run_dir=str(folder),
        base_url=base_url,
        telemetry=False,
        created_us=1,
        host="h",
        writers={run.writer_id: WriterEntry(str(spool), pid=2**22 + 1, process_start=1)},
    )
    Index(state_dir / "streams").save(entry)
    return spool


@pytest.mark.slow
def test_what_was_synced_is_there_and_what_follows_is_a_prefix(
    state_dir: Path, tmp_path: Path, start_daemon, server: IngestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    runs = []
    for number in range(24):
        disk = Disk()
        with monkeypatch.context() as patch:
            patch.setattr(wal, "os", disk)
            runs.append(live(tmp_path / f"before-{number}", f"r{number}", disk, chance))
    for run in runs:
        put_down(run, state_dir, tmp_path / run.run_id, server.base_url)
    daemon = start_daemon(*QUICK)
    wait_until(lambda: not list((state_dir / "streams").glob("*.json")), "all streams are complete", 90)
    shown = {}
    for run in runs:
        stream = server.streams[run.stream_id]
        assert stream.writer_ends() == {run.writer_id: v1.RUN_STATE_CRASHED}
        assert not stream.gaps
        values = values_of(stream, run.writer_id)
        reported = [r.event.code for _, r in stream.messages() if r.WhichOneof("kind") == "event"]
        print(run.run_id, f"synced {run.synced}, shown {len(values)}, logged {run.logged}", reported)
        assert values[: run.synced] == [float(number) for number in range(run.synced)]
        assert values == sorted(set(values))
        assert values == [float(number) for number in range(len(values))] or set(reported) & LOSSES
        assert len(values) <= run.logged
        shown[run.run_id] = values
    assert "Traceback" not in daemon.log()
    assert sum(map(len, shown.values())) > sum(run.synced for run in runs)


def test_a_spool_that_cannot_be_read_ends_its_run(
    state_dir: Path, tmp_path: Path, start_daemon, server: IngestServer
) -> None:
    """The header of its only segment never reached the disk. The run must not count as running for ever."""
    daemon = start_daemon(*QUICK)
    writer = WriterProcess(state_dir, tmp_path / "run", server.base_url, count=500, end="hold")
    writer.announce(daemon.client)
    writer.wait_logged()
    wait_until(
        lambda: server.streams and len(values_of(server.only_stream(), writer.writer_id)) == 500, "rows"
    )
    daemon.kill()
    writer.process.send_signal(signal.SIGKILL)
    writer.wait()
    with (writer.folder / "00000000.seg").open("r+b") as file:
        file.write(bytes(4096))
    second = start_daemon(*QUICK)
    wait_until(lambda: server.only_stream().writer_ends(), "the writer's end")
    stream = server.only_stream()
    assert stream.writer_ends() == {writer.writer_id: v1.RUN_STATE_CRASHED}
    (event,) = [record.event for _, record in stream.messages() if record.WhichOneof("kind") == "event"]
    kept = writer.folder.with_suffix(".damaged")
    assert event.code == "spool_damaged"
    assert str(kept) in event.text
    wait_until(kept.exists, "the folder is kept")
    assert not writer.folder.exists()
    assert len(values_of(stream, writer.writer_id)) == 500
    assert second.log().count("cannot be read") == 1


def test_a_machine_id_that_never_reached_the_disk_is_made_again(state_dir: Path, start_daemon) -> None:
    (state_dir / "machine-id").write_text("")
    start_daemon()
    assert len((state_dir / "machine-id").read_text()) == 32
