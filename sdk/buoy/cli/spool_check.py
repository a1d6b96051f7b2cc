"""What `buoy doctor` says of spools: those that wait for a daemon, and those that no daemon can assign to a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from buoy_core import SpoolReader, boot_id, pid_namespace, process_identity, split_records
from buoy_core.errors import CoreError
from buoy_core.state import spool_root
from buoy_proto import v1
from google.protobuf.message import DecodeError

Finding = tuple[bool, str]

_WRITER_ID = re.compile(r"[0-9a-f]{32}\Z")


def check_spools(state: Path, known: frozenset[bytes], *, daemon_runs: bool) -> Iterator[Finding]:
    """A finding for each spool that needs attention, and one for the others.

    Args:
        state: the state folder.
        known: the writers that the daemon's index has.
        daemon_runs: whether one is there to read them.
    """
    live = 0
    for folder in _folders(state):
        trouble = _trouble(folder, known, daemon_runs=daemon_runs)
        if trouble:
            yield False, f"spool: {trouble}"
        live += not trouble
    yield True, f"spools: {live} in use"


def _folders(state: Path) -> Iterator[Path]:
    for root in (spool_root(state), *sorted((state / "outbox").glob("*"))):
        if root.is_dir():
            yield from sorted(path for path in root.iterdir() if path.is_dir())


def _trouble(folder: Path, known: frozenset[bytes], *, daemon_runs: bool) -> str:
    """What is wrong with a spool, and what to do; empty if nothing is."""
    if folder.suffix == ".damaged":
        return f"{folder} could not be read and was set aside; its run says what is lost. Delete it when you like"
    if not _WRITER_ID.match(folder.name):
        return ""
    try:
        return _trouble_in(folder, known, daemon_runs=daemon_runs)
    except FileNotFoundError:
        # A writer that is just being made, or one that died then; nothing was logged in either case.
        return ""
    except (OSError, CoreError, ValueError) as error:
        return f"{folder} cannot be read: {error}. Nothing is deleted; move it away to be rid of this line"


def _trouble_in(folder: Path, known: frozenset[bytes], *, daemon_runs: bool) -> str:
    reader = SpoolReader(str(folder))
    try:
        run = _run_of(reader)
        if bytes.fromhex(folder.name) not in known and not run and reader.committed:
            return (
                f"{folder} does not say which run it belongs to, and the daemon's index does not know it; "
                "it is left alone. Nobody reads it: move it away when you have no use for it"
            )
        if daemon_runs or not _is_dead(reader):
            return ""
        size_bytes = sum(path.stat().st_size for path in folder.glob("*.seg"))
        whose = f" of run {run}" if run else ""
        return (
            f"{folder}{whose} ({size_bytes / 2**20:.1f} MiB) was left by a process that is gone, and no daemon runs: "
            "nothing is lost; `buoy sync`, `buoy daemon start` or the next run takes it on"
        )
    finally:
        reader.close()


def _run_of(reader: SpoolReader) -> str:
    """The run that the first record names; empty if that record is not there any more, or is another."""
    if reader.offset:
        return ""
    chunk = reader.read(1)
    try:
        record = v1.Record.FromString(split_records(chunk.payload)[0]) if chunk else v1.Record()
    except DecodeError:
        return ""
    if record.WhichOneof("kind") != "writer_start":
        return ""
    run = record.writer_start.run
    return f"{run.entity or 'local'}/{run.project}/{run.run_id}"


def _is_dead(reader: SpoolReader) -> bool:
    """Whether the writer's process is known to be gone; one in another table of processes may live."""
    if reader.foreign_boot:
        return boot_id() != bytes(16)
    if reader.pid_namespace not in (0, pid_namespace()):
        return False
    return process_identity(reader.pid)[1] != reader.process_start
