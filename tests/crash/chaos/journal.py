"""What a lane of a trainer has seen accepted, in a mapped file that outlives its process.

A lane is one thread of one process of one attempt of a run. Its rows are computed from its name and the number of the
call, so a counter and the calls that were dropped are all there is to note:

    0     calls of log() that have returned
    8     records dropped by the process's writer, as last seen
    16    how many stretches follow
    24    the lane's end: 0 none, 1 it has left on its own
    32    whether its process had a spool at the last call: without one, nobody else can know what was dropped
    64    JSON about the lane, up to 2048
    2048  stretches of calls that are not surely there: first, end, why (each u64)

A stretch is noted before the counter moves. So when the process dies, everything below the counter is judged, and of
the call at the counter nobody knows.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from zlib import crc32

_SIZE = 1 << 17
_ABOUT_AT, _STRETCHES_AT = 64, 2048
_LONG = Struct("<Q")
_STRETCH = Struct("<QQQ")

DROPPED, UNSURE = 1, 2
"""Why a call is in a stretch: its row was counted as dropped, or it was another thread's that was."""


@dataclass(frozen=True)
class Lane:
    """Whose rows these are and what they are like.

    Attributes:
        run_id: The run.
        attempt: Which try at the run, by the harness's own count.
        name: Unique in the whole storm; begins all its keys.
        step_base: Step of its first row; -1 if the writer counts the steps.
        keys: Numbers in a row beside `n`.
        texts: Whether a text is logged too.
        transport: spool or grpc.
        threads: How many lanes share the process's writer.
    """

    run_id: str
    attempt: int
    name: str
    step_base: int
    keys: int
    texts: bool
    transport: str
    threads: int

    def row(self, n: int) -> dict[str, object]:
        """What the n-th call logs."""
        salt = crc32(self.name.encode()) / 2**33
        row: dict[str, object] = {f"{self.name}/n": n}
        row |= {f"{self.name}/x{key}": n * (key + 1) + salt for key in range(self.keys)}
        if self.texts:
            row[f"{self.name}/text"] = f"{self.name} says {n}"
        return row


class Journal:
    """The lane's own side. The file is complete at once, so that a full disk cannot hurt it."""

    def __init__(self, folder: Path, lane: Lane, pid: int) -> None:
        path = folder / f"{lane.name}.journal"
        path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
        about = json.dumps({**lane.__dict__, "pid": pid}).encode()
        self._map[_ABOUT_AT : _ABOUT_AT + len(about)] = about
        self._last: tuple[int, int, int] | None = None
        self._stretches = 0

    def returned(self, n: int, dropped: int, why: int, *, has_spool: bool) -> None:
        """The n-th call has returned; `why` is 0 if its row was accepted."""
        if why:
            self._note(n, why)
        _LONG.pack_into(self._map, 32, has_spool)
        _LONG.pack_into(self._map, 8, dropped)
        _LONG.pack_into(self._map, 0, n + 1)

    def left(self) -> None:
        """The lane ends on its own."""
        _LONG.pack_into(self._map, 24, 1)

    def _note(self, n: int, why: int) -> None:
        if self._last is not None and self._last[1:] == (n, why):
            self._last = (self._last[0], n + 1, why)
        else:
            self._last = (n, n + 1, why)
            self._stretches += 1
        at = _STRETCHES_AT + (self._stretches - 1) * _STRETCH.size
        _STRETCH.pack_into(self._map, at, *self._last)
        _LONG.pack_into(self._map, 16, self._stretches)


@dataclass(frozen=True)
class Account:
    """A journal as the judge reads it."""

    lane: Lane
    pid: int
    calls: int
    writer_dropped: int
    left: bool
    has_spool: bool
    dropped: frozenset[int]
    unsure: frozenset[int]

    @property
    def accepted(self) -> frozenset[int]:
        """Calls that must be on the server."""
        return frozenset(range(self.calls)) - self.dropped - self.unsure

    @property
    def possible(self) -> frozenset[int]:
        """Calls that may be on the server too: those that nobody can judge."""
        return self.unsure | ({self.calls} if not self.left else frozenset())


def read_account(path: Path) -> Account | None:
    """None if the lane died before it could say who it is: then it has logged nothing."""
    data = path.read_bytes()
    about_text = data[_ABOUT_AT:_STRETCHES_AT].rstrip(b"\0")
    if len(data) < _SIZE or not about_text:
        return None
    about = json.loads(about_text)
    pid = about.pop("pid")
    calls, dropped, stretches, left, spool = (_LONG.unpack_from(data, at)[0] for at in (0, 8, 16, 24, 32))
    judged: dict[int, set[int]] = {DROPPED: set(), UNSURE: set()}
    for number in range(stretches):
        first, end, why = _STRETCH.unpack_from(data, _STRETCHES_AT + number * _STRETCH.size)
        judged[why] |= set(range(first, end))
    return Account(
        Lane(**about),
        pid,
        calls,
        dropped,
        left=bool(left),
        has_spool=bool(spool),
        dropped=frozenset(judged[DROPPED]),
        unsure=frozenset(judged[UNSURE]),
    )
