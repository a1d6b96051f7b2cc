"""Which run folders this daemon has recorded, wherever they are: what housekeeping may look at, and nothing else.

    STATE_DIR/streams/recorded/<stream id>.json

An entry is written before the index lets a stream go, so that no folder is forgotten, and dropped when its folder is
gone. It is a claim about a folder, no proof: before anything is removed the folder and the server are asked.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from buoy_daemon.files import read_json, write_json
from buoy_daemon.index import RunKey, StreamEntry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedFolder:
    """A folder whose stream needs nothing more.

    Attributes:
        stream_id: 32 hex digits.
        run_dir: the folder.
        entity, project, run_id, name: of its run.
        base_url: the server that has said that it has everything; empty if none has.
        next_seq: how many records that are.
        done_us: when it said so, or when the run ended if it was offline; Unix microseconds.
        keep_days, keep_gb: what the run wants of housekeeping.
    """

    stream_id: str
    run_dir: str
    entity: str
    project: str
    run_id: str
    name: str
    base_url: str
    next_seq: int
    done_us: int
    keep_days: float
    keep_gb: float

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.run_dir)

    @property
    def key(self) -> RunKey:
        """Which run it belongs to."""
        return (self.entity, self.project, self.run_id)


class Recorded:
    """The folder of entries. For any thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()

    def note(self, entry: StreamEntry, next_seq: int, now_us: int) -> None:
        """A stream needs nothing more. Raises OSError with the entry as it was."""
        self._write(
            RecordedFolder(
                stream_id=entry.stream_id.hex(),
                run_dir=entry.run_dir,
                entity=entry.run.entity,
                project=entry.run.project,
                run_id=entry.run.run_id,
                name=entry.run.name,
                base_url=entry.base_url,
                next_seq=next_seq,
                done_us=now_us,
                keep_days=entry.keep_days,
                keep_gb=entry.keep_gb,
            )
        )

    def sent(self, stream_id: bytes, run_dir: str, base_url: str, now_us: int) -> None:
        """A server has said that it has all of a folder. Trouble is logged: then it is asked again later."""
        found = self.get(stream_id)
        if found is None or found.base_url or found.run_dir != run_dir:
            return
        try:
            self._write(replace(found, base_url=base_url, done_us=now_us))
        except OSError as error:
            log.warning("that %s is uploaded cannot be noted: %s", run_dir, error)

    def get(self, stream_id: bytes) -> RecordedFolder | None:
        """The entry of a stream."""
        return _read(self._path(stream_id.hex()))

    def all(self) -> list[RecordedFolder]:
        """Every entry that can be read."""
        return [entry for path in sorted(self._folder.glob("*.json")) if (entry := _read(path)) is not None]

    def drop(self, entry: RecordedFolder) -> None:
        """The folder is gone."""
        with self._lock:
            self._path(entry.stream_id).unlink(missing_ok=True)

    def _write(self, entry: RecordedFolder) -> None:
        with self._lock:
            write_json(self._path(entry.stream_id), asdict(entry), durable=True, fault="recorded")

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


_KINDS: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "float": (int, float)}


def _read(path: Path) -> RecordedFolder | None:
    data: dict[str, Any] | None = read_json(path)
    if data is None:
        return None
    try:
        entry = RecordedFolder(**{each.name: data[each.name] for each in fields(RecordedFolder)})
        for each in fields(RecordedFolder):
            if not isinstance(getattr(entry, each.name), _KINDS[str(each.type)]):
                raise TypeError(f"{each.name} is {getattr(entry, each.name)!r}")
        if len(bytes.fromhex(entry.stream_id)) != 16 or not entry.path.is_absolute() or "\0" in entry.run_dir:
            raise ValueError("it names no stream, or no folder")
    except (KeyError, TypeError, ValueError) as error:
        log.warning("%s is damaged (%s); its folder stays until somebody removes it", path, error)
        return None
    return entry
