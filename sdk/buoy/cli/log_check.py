"""What `buoy doctor` says of local logs: every block is read, and damage is named with file, offset and loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from buoy_core.errors import CoreError
from buoy_core.format import KIND_GAP
from buoy_core.wal import Damage, WalReader

from buoy.errors import UsageError
from buoy.local import gap_text, run_folders

Finding = tuple[bool, str]


@dataclass
class InHand:
    """What the daemon's index says of a stream: a log that the server may not have yet."""

    run_dir: Path
    final_seq: int
    """Where its log ends, if all its writers have ended; else 0."""
    writers: frozenset[bytes]


def in_hand(state: Path) -> list[InHand]:
    """The streams in the daemon's index, as far as it can be read."""
    found = []
    for path in sorted((state / "streams").glob("*.json")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            writers = frozenset(bytes.fromhex(name) for name in entry["writers"])
            final_seq = int(entry["final_seq"]) if entry["closed"] else 0
            found.append(InHand(Path(entry["run_dir"]), final_seq, writers))
        except (OSError, ValueError, KeyError, TypeError):
            # The daemon sets a damaged entry aside and says so.
            continue
    return found


def logs_to_check(paths: tuple[Path, ...], runs: Path, streams: list[InHand]) -> dict[Path, int]:
    """Run folders, each with the sequence that its log is known to reach, 0 if that is unknown.

    Args:
        paths: run folders, or folders of run folders; if there are none, `runs` and what the daemon has in hand.
        runs: where run folders are (BUOY_DIR).
        streams: what the daemon has in hand.

    Raises:
        UsageError: there is no run in one of the paths.
    """
    folders: list[Path] = []
    for path in paths or (runs,):
        found = [path] if (path / "wal").is_dir() else run_folders(path)
        if not found and paths:
            raise UsageError(f"{path} is no run folder, and there is none in it")
        folders += found
    known = {stream.run_dir.resolve(): stream.final_seq for stream in streams}
    chosen = [folder.resolve() for folder in folders] + ([] if paths else list(known))
    return {folder: known.get(folder, 0) for folder in dict.fromkeys(chosen)}


def check_logs(folders: dict[Path, int]) -> Iterator[Finding]:
    """A finding for each loss in these logs, and one for all that are sound."""
    sound = 0
    for folder, final_seq in folders.items():
        losses = list(_losses(folder, final_seq))
        yield from ((False, f"log: {text}") for text in losses)
        sound += not losses
    yield True, f"logs: {sound} of {len(folders)} are sound"


def _losses(folder: Path, final_seq: int) -> Iterator[str]:
    if not (folder / "wal").is_dir():
        yield f"{folder / 'wal'} is gone, though its run is not uploaded yet"
        return
    reached = 0
    try:
        for item in WalReader(str(folder / "wal")).blocks():
            if isinstance(item, Damage):
                yield str(item)
                continue
            reached = item.header.next_seq
            payload = item.payload()
            if item.header.kind == KIND_GAP:
                yield f"{item.path}: {gap_text(item.header.records, payload)}"
    except (OSError, CoreError) as error:
        yield str(error)
        return
    if reached < final_seq:
        yield f"{folder / 'wal'} ends early; {final_seq - reached} records lost"
