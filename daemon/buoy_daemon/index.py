"""Which streams this machine has, and where: what a restarted daemon needs before it looks at any log.

    STATE_DIR/streams/<stream id>.json      a stream that is open or not yet uploaded
    STATE_DIR/streams/<stream id>.position, .tables   see shadow.py
    STATE_DIR/streams/recorded/               see folders/recorded.py
    STATE_DIR/streams/done/<run hash>.json  the last finished stream of a run: its attempt, and whose spools it took
    STATE_DIR/streams/done/<run hash>/<stream id>.json      the run's finished streams before that one

An entry is written before its log exists, and everything after that is idempotent. Positions are not kept in it: the
log knows which offsets it holds, and the server knows which sequence it expects.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from buoy_core import faults
from buoy_proto import v1
from google.protobuf.message import DecodeError

from buoy_daemon.files import read_json, write_json
from buoy_daemon.folders.policy import KEEP_DAYS, KEEP_GB
from buoy_daemon.shadow import Shadow

log = logging.getLogger(__name__)

RunKey = tuple[str, str, str]
"""Entity, project, run id."""


@dataclass
class WriterEntry:
    """One writer of a stream; an empty `spool_dir` means that it writes over gRPC."""

    spool_dir: str
    host: str = ""
    rank: int = 0
    pid: int = 0
    process_start: int = 0
    state: int = v1.RUN_STATE_RUNNING
    unseen_at: int = 0
    """Where it was given up without being seen to end: its spool is kept, in case it goes on from this offset."""
    ended_at: int = 0
    """How far the log holds a gRPC writer that has ended: its own spool may turn up later, with more."""
    forked: bool = False
    """It belongs to a process that another writer's has forked."""
    parent: str = ""
    """The id of that other writer; empty in entries of older daemons."""
    local_rank: int = 0
    last_step: int | None = None
    last_row_us: int = 0
    """Of the newest row that was read, for whoever asks after the end; as of the last time the entry was saved."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> WriterEntry:
        """Reads an entry back; what a newer daemon has added is left out."""
        known = cls.__dataclass_fields__.keys()
        return _checked(cls(**{name: value for name, value in data.items() if name in known}))


@dataclass
class StreamEntry:
    """A run's records on this machine in one attempt."""

    stream_id: bytes
    run: v1.RunInfo
    attempt: int
    run_dir: str
    base_url: str
    telemetry: bool
    created_us: int
    host: str
    writers: dict[bytes, WriterEntry] = field(default_factory=dict)
    system_keys: list[str] = field(default_factory=list)
    closed: bool = False
    final_seq: int = 0
    launch: bytes = b""
    """16 bytes that all streams of the attempt share, on every machine; empty in entries of older daemons."""
    keep_days: float = KEEP_DAYS
    keep_gb: float = KEEP_GB
    branch: bytes = b""
    """Serialised v1.Branch; empty = none."""

    @property
    def key(self) -> RunKey:
        """The run this is a stream of."""
        return run_key(self.run)

    def to_json(self) -> dict[str, Any]:
        """The entry as it is written down."""
        return {
            "stream_id": self.stream_id.hex(),
            "run_id": self.run.run_id,
            "run": self.run.SerializeToString().hex(),
            "attempt": self.attempt,
            "run_dir": self.run_dir,
            "base_url": self.base_url,
            "telemetry": self.telemetry,
            "created_us": self.created_us,
            "host": self.host,
            "writers": {writer_id.hex(): vars(entry) for writer_id, entry in self.writers.items()},
            "system_keys": self.system_keys,
            "closed": self.closed,
            "final_seq": self.final_seq,
            "launch": self.launch.hex(),
            "branch": self.branch.hex(),
            "keep_days": self.keep_days,
            "keep_gb": self.keep_gb,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StreamEntry:
        """Reads an entry back; KeyError, TypeError, AttributeError or ValueError if it is not one."""
        writers = {
            bytes.fromhex(name): WriterEntry.from_json(entry) for name, entry in data["writers"].items()
        }
        entry = cls(
            stream_id=bytes.fromhex(data["stream_id"]),
            run=v1.RunInfo.FromString(bytes.fromhex(data["run"])),
            attempt=data["attempt"],
            run_dir=data["run_dir"],
            base_url=data["base_url"],
            telemetry=data["telemetry"],
            created_us=data["created_us"],
            host=data["host"],
            writers=writers,
            system_keys=data["system_keys"],
            closed=data["closed"],
            final_seq=data["final_seq"],
            launch=bytes.fromhex(data.get("launch", "")),
            branch=bytes.fromhex(data.get("branch", "")),
            keep_days=float(data.get("keep_days", KEEP_DAYS)),
            keep_gb=float(data.get("keep_gb", KEEP_GB)),
        )
        if len(entry.stream_id) != 16 or any(len(writer_id) != 16 for writer_id in writers):
            raise ValueError("an id has 16 bytes")
        return _checked(entry)


_KINDS: dict[object, type] = {"str": str, "int": int, "bool": bool, "list[str]": list}

_Entry = TypeVar("_Entry", WriterEntry, StreamEntry)


def _checked(entry: _Entry) -> _Entry:
    """`entry`; TypeError if a field is of another type than it should be: nobody would know until it is used."""
    for each in fields(entry):
        kind, value = _KINDS.get(each.type), getattr(entry, each.name)
        if kind is not None and type(value) is not kind:
            raise TypeError(f"{each.name} is {value!r}")
    return entry


class Index:
    """The folder of entries. Used by the tail thread only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done = folder / "done"
        self._done.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> list[StreamEntry]:
        """All streams that still need something; an unreadable entry is set aside and reported."""
        entries = []
        for path in sorted(self._folder.glob("*.json")):
            entry = _read(path)
            if entry is not None:
                entries.append(entry)
            else:
                log.error(
                    "the index entry %s is damaged; kept as .damaged, its run folder is untouched", path
                )
                path.rename(path.with_suffix(".damaged"))
        return entries

    def save(self, entry: StreamEntry) -> None:
        """Writes an entry down, durably. Raises OSError with the old one in place."""
        write_json(self._path(entry), entry.to_json(), durable=True, fault="index")

    def discard(self, entry: StreamEntry) -> None:
        """Takes back an entry of which it is not known whether it was saved."""
        with contextlib.suppress(OSError):
            self._path(entry).unlink(missing_ok=True)

    def finish(self, entry: StreamEntry) -> None:
        """Moves the entry of a stream that needs nothing more to where only its run's next attempt looks."""
        self.shadow(entry).remove()
        faults.point("done.before_rename")
        self._path(entry).replace(self._done_place(entry))
        faults.point("done.after_rename")

    def _done_place(self, entry: StreamEntry) -> Path:
        """Where the entry goes; that of an earlier attempt has made way for it then."""
        place = self._done_path(entry.key)
        last = self.last_done(entry.key)
        if last is None or last.stream_id == entry.stream_id:
            return place
        others = place.with_suffix("")
        others.mkdir(mode=0o700, exist_ok=True)
        if last.attempt > entry.attempt:
            return others / f"{entry.stream_id.hex()}.json"
        place.replace(others / f"{last.stream_id.hex()}.json")
        return place

    def shadow(self, entry: StreamEntry) -> Shadow:
        """What the stream's log said last."""
        return Shadow(self._folder, entry.stream_id)

    def last_done(self, key: RunKey) -> StreamEntry | None:
        """The run's last finished stream on this machine."""
        path = self._done_path(key)
        return _read(path) if path.exists() else None

    def done_with(self, key: RunKey, writer_id: bytes) -> StreamEntry | None:
        """The finished stream of a run on this machine that has taken a writer's records."""
        last = self.last_done(key)
        if last is None or writer_id in last.writers:
            return last
        others = (_read(path) for path in self._done_path(key).with_suffix("").glob("*.json"))
        return next((entry for entry in others if entry is not None and writer_id in entry.writers), None)

    def recently_done(self, age_s: float) -> list[StreamEntry]:
        """The streams finished in the last `age_s` seconds: their clients may still ask about them."""
        newer = time.time() - age_s
        paths = [path for path in self._done.glob("*.json") if path.stat().st_mtime >= newer]
        return [entry for path in paths if (entry := _read(path)) is not None]

    def _path(self, entry: StreamEntry) -> Path:
        return self._folder / f"{entry.stream_id.hex()}.json"

    def _done_path(self, key: RunKey) -> Path:
        digest = hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()
        return self._done / f"{digest[:32]}.json"


def is_family(start: v1.WriterStart, entry: StreamEntry) -> bool:
    """Whether a process that has forked this writer's, was forked by it, or by the same one, writes a stream.

    They are one launch, whichever of them the daemon meets first.
    """
    mine = {start.writer_id.hex(), start.parent_writer.hex()} - {""}
    return any(mine & {writer_id.hex(), writer.parent} for writer_id, writer in entry.writers.items())


def run_key(run: v1.RunInfo) -> RunKey:
    """What makes two writers log into the same run."""
    return (run.entity, run.project, run.run_id)


def _read(path: Path) -> StreamEntry | None:
    try:
        return StreamEntry.from_json(read_json(path) or {})
    except (KeyError, TypeError, AttributeError, ValueError, DecodeError):
        return None
