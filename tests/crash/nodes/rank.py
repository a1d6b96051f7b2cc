"""One rank of a job on simulated nodes: `python -m tests.crash.nodes.rank '{"journal": PATH, "base": N, ...}'`.

It finds its place and its run as under torchrun, logs from step `base` on until it has logged `steps` of them or the
stop file says so, and keeps a journal that outlives it.
"""

from __future__ import annotations

import bisect
import json
import mmap
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

import buoy

from tests.crash.chaos.trainer import Stop

JOURNAL_BYTES = 4096
_COUNTS = Struct("<QQQ")
_ID_AT, _ID_BYTES = 64, 64


def value(rank: int, step: int) -> float:
    """What a rank logs at a step."""
    return rank + 1.0 / (step + 1)


@dataclass(frozen=True)
class Account:
    """What a rank has written down: calls of log() that have returned, those accepted, whether it has finished."""

    returned: int
    accepted: int
    finished: bool
    run_id: str


def read_account(path: Path) -> Account:
    """Nothing at all of a rank that died before it could say anything."""
    data = path.read_bytes() if path.exists() else b""
    data = data.ljust(JOURNAL_BYTES, b"\0")
    returned, accepted, finished = _COUNTS.unpack_from(data)
    return Account(
        returned, accepted, bool(finished), data[_ID_AT : _ID_AT + _ID_BYTES].rstrip(b"\0").decode()
    )


class Journal:
    """A mapped file."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(JOURNAL_BYTES))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), JOURNAL_BYTES)

    def joined(self, run_id: str) -> None:
        self._map[_ID_AT : _ID_AT + len(run_id)] = run_id.encode()

    def note(self, returned: int, accepted: int, *, finished: bool = False) -> None:
        _COUNTS.pack_into(self._map, 0, returned, accepted, finished)


class Acknowledged:
    """Counts the calls whose rows a daemon elsewhere has acknowledged: until then they are only here."""

    def __init__(self, run: buoy.Run) -> None:
        self._run = run
        self._ends: list[int] = []

    def count(self) -> int:
        """After each call."""
        self._ends.append(self._run._recorder.committed)  # type: ignore[attr-defined]
        forwarder = self._run._forwarder
        return bisect.bisect_right(self._ends, forwarder._acknowledged) if forwarder is not None else 0


def main() -> None:
    options = json.loads(sys.argv[1])
    journal, stop, base = Journal(Path(options["journal"])), Stop(options["stop"]), options["base"]
    run = buoy.init(project="nodes", ranks="all", settings={"transport": options["transport"]})
    journal.joined(run.id)
    acknowledged = Acknowledged(run) if options["private"] else None
    logged = 0
    while logged < options["steps"] and not stop:
        run.log({"loss": value(run.rank, base + logged)}, step=base + logged)
        logged += 1
        journal.note(logged, logged if acknowledged is None else acknowledged.count())
        time.sleep(options["pause_s"])
    run.finish()
    handed_over = acknowledged is None or run._forwarder is None or run._forwarder._done.is_set()
    journal.note(
        logged, logged if handed_over else acknowledged.count() if acknowledged else 0, finished=True
    )


if __name__ == "__main__":
    main()
