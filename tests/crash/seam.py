"""Orders for the seam between a process and its disk and clock: what fails, how often, and which time it is.

    seam = Seam(folder / "seam")
    process = subprocess.Popen(..., env={**os.environ, **seam.environment()})
    with seam.full(folder / "spool", after_bytes=1 << 20) as rule:
        ...                       # from here on it is full, in every process that has the environment
    assert rule.hits              # and now it is not any more

The library is built with the system's C compiler, once for each version of its source; seam.c says what it reaches.
Rules hold for a file, for everything below a folder, or for a pattern with `*` (of the whole path), and if wanted only
for processes with `program` in their command line. A test may change them at any time. Draws come from the rule's seed
and the number of the call, so a schedule repeats as far as the processes' calls do.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from enum import IntEnum, IntFlag
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from struct import Struct
from types import TracebackType

import pytest

_SOURCE = Path(__file__).with_name("seam.c")
_MAGIC = 0x314D41455359554F
_RULES = 64
_RULE_BYTES = 1024
_OPERATIONS_AT = 8
_RULE = Struct("<IIIiQQQQqqQQ96s848s")
_CALLS_AT, _HITS_AT = 64, 72
_NO_LIMIT = (1 << 64) - 1


class Operation(IntFlag):
    """What a rule is about; the numbers are seam.c's."""

    CREATE = 1
    """Opening a file that does not exist yet."""
    OPEN_READ = 2
    OPEN_WRITE = 4
    READ = 8
    WRITE = 16
    SYNC = 32
    ALLOCATE = 64
    TRUNCATE = 128
    RENAME = 256
    LINK = 512
    UNLINK = 1024
    MKDIR = 2048
    SPACE = 4096
    """How much room statvfs() and statfs() say there is."""
    TYPE = 8192
    """Which file system statfs() says it is."""
    CLOCK = 16384


class _Kind(IntEnum):
    FAIL = 0
    SHORT = 1
    SLOW = 2
    ANSWER = 3


CHANGES = (
    Operation.CREATE
    | Operation.OPEN_WRITE
    | Operation.WRITE
    | Operation.ALLOCATE
    | Operation.TRUNCATE
    | Operation.RENAME
    | Operation.LINK
    | Operation.UNLINK
    | Operation.MKDIR
)
"""Whatever a read-only file system refuses."""

FILE_SYSTEMS = {
    "nfs": 0x6969,
    "cifs": 0xFF534D42,
    "smb2": 0xFE534D42,
    "fuse": 0x65735546,
    "lustre": 0x0BD00BD0,
    "gpfs": 0x47504653,
    "beegfs": 0x19830326,
    "ceph": 0x00C36400,
    "afs": 0x5346414F,
    "9p": 0x01021997,
    "tmpfs": 0x01021994,
    "ext4": 0xEF53,
}
"""`f_type` of statfs(2)."""


@lru_cache(maxsize=1)
def library() -> Path:
    """The built library; skips the test where there is no Linux or no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("the seam needs Linux and a C compiler")
    name = sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"buoy-test-seam-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{name}.so"
    if not target.exists():
        # Several test processes may build at once: each builds its own, and the rename lets one of them win.
        built = folder / f"{name}.{os.getpid()}.tmp"
        options = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *options, "-o", built, _SOURCE, "-ldl"], check=True)
        built.replace(target)
    return target


class Rule:
    """One order. It holds until `end()` or the end of its `with` block; the counts stay readable after that."""

    def __init__(self, seam: Seam, slot: int) -> None:
        self._seam = seam
        self._slot = slot
        self._ended: tuple[int, int] | None = None

    def __enter__(self) -> Rule:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def hits(self) -> int:
        """Calls that failed, were cut short, were delayed or got the rule's answer."""
        return self._ended[0] if self._ended else self._seam.long_at(self._slot, _HITS_AT)

    @property
    def calls(self) -> int:
        """Calls that the rule looked at."""
        return self._ended[1] if self._ended else self._seam.long_at(self._slot, _CALLS_AT)

    def end(self) -> None:
        """From now on the calls go through again. May be called twice."""
        if self._ended is None:
            self._ended = (self.hits, self.calls)
            self._seam.free(self._slot)


class Seam:
    """The orders of a group of processes, in a file at `control` that they map at their start.

    It belongs to one process and thread: the test's.
    """

    def __init__(self, control: Path) -> None:
        self.control = control
        size = _RULE_BYTES * (_RULES + 1)
        control.write_bytes(_MAGIC.to_bytes(8, "little").ljust(size, b"\0"))
        with control.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self._operations: dict[int, Operation] = {}
        self._next = 0

    def environment(self) -> dict[str, str]:
        """To be merged into the environment of the processes, which keep it for their children."""
        return {"LD_PRELOAD": str(library()), "BUOY_TEST_SEAM": str(self.control)}

    def fail(
        self,
        path: Path | str,
        operations: Operation,
        error: int,
        *,
        probability: float = 1.0,
        after_bytes: int = 0,
        skip: int = 0,
        limit: int = _NO_LIMIT,
        program: str = "",
        seed: int = 0,
    ) -> Rule:
        """Lets calls fail with `error`, an errno.

        Args:
            path: A file, a folder, or a pattern with `*`; symbolic links in it are resolved now.
            operations: Which calls.
            error: What they fail with.
            probability: How likely a call is to fail.
            after_bytes: Writes and reservations pass until they are so many bytes together; the last write is short.
            skip: So many calls pass first.
            limit: So many fail at most.
            program: Only processes whose command line has this in it.
            seed: Where the draws come from.
        """
        return self._add(
            _Kind.FAIL,
            operations,
            path,
            error=error,
            probability=probability,
            bytes_left=after_bytes,
            skip=skip,
            limit=limit,
            program=program,
            seed=seed,
        )

    def full(
        self,
        path: Path | str,
        *,
        after_bytes: int = 0,
        error: int = errno.ENOSPC,
        inodes: bool = False,
        program: str = "",
    ) -> Rule:
        """A full disk: writes and reservations fail once `after_bytes` are used up, and statvfs() shows what is left.

        Names can still be made unless `inodes` are gone too, as on a real disk. Use `error=errno.EDQUOT` for a quota.
        """
        names = Operation.CREATE | Operation.MKDIR | Operation.LINK if inodes else Operation(0)
        operations = Operation.WRITE | Operation.ALLOCATE | Operation.SPACE | names
        return self.fail(path, operations, error, after_bytes=after_bytes, program=program)

    def read_only(self, path: Path | str, *, program: str = "") -> Rule:
        """A file system that was mounted again, read-only: files open for writing fail too."""
        return self.fail(path, CHANGES, errno.EROFS, program=program)

    def short_writes(
        self, path: Path | str, *, probability: float = 1.0, program: str = "", seed: int = 0
    ) -> Rule:
        """Writes take fewer bytes than they are given, at least one."""
        return self._add(
            _Kind.SHORT, Operation.WRITE, path, probability=probability, program=program, seed=seed
        )

    def slow(
        self,
        path: Path | str,
        operations: Operation,
        delay_s: float,
        *,
        probability: float = 1.0,
        program: str = "",
        seed: int = 0,
    ) -> Rule:
        """Calls wait before they are made."""
        return self._add(
            _Kind.SLOW,
            operations,
            path,
            value=round(delay_s * 1e6),
            probability=probability,
            program=program,
            seed=seed,
        )

    def clock(self, offset_s: float, *, program: str = "") -> Rule:
        """Moves the wall clock, forth or back. Several such rules for a process add up."""
        return self._add(_Kind.ANSWER, Operation.CLOCK, "", value=round(offset_s * 1e9), program=program)

    def filesystem(self, path: Path | str, name: str, *, program: str = "") -> Rule:
        """Lets statfs() give the type of another file system: a name of FILE_SYSTEMS.

        A caller by ctypes must look the function up in the process (`CDLL(None)`), not in a library by name.
        """
        return self._add(_Kind.ANSWER, Operation.TYPE, path, value=FILE_SYSTEMS[name], program=program)

    def clear(self) -> None:
        """Ends every rule."""
        for slot in list(self._operations):
            self.free(slot)

    # -- for Rule ---------------------------------------------------------------------------------------------

    def long_at(self, slot: int, offset: int) -> int:
        begin = _RULE_BYTES * (slot + 1) + offset
        return int.from_bytes(self._map[begin : begin + 8], "little")

    def free(self, slot: int) -> None:
        self._map[_RULE_BYTES * (slot + 1) : _RULE_BYTES * (slot + 1) + 4] = bytes(4)
        self._operations.pop(slot, None)
        self._publish_operations()

    # -- the file ---------------------------------------------------------------------------------------------

    def _add(
        self,
        kind: _Kind,
        operations: Operation,
        path: Path | str,
        *,
        error: int = 0,
        probability: float = 1.0,
        bytes_left: int = 0,
        skip: int = 0,
        limit: int = _NO_LIMIT,
        program: str = "",
        seed: int = 0,
        value: int = 0,
    ) -> Rule:
        slot = self._free_slot()
        place = os.path.realpath(path).encode() if path else b""
        assert len(place) < 848, "seam.c has no room for so long a path"
        assert len(program.encode()) < 96, "seam.c has no room for so long a program"
        threshold = round(probability * (1 << 32))
        begin = _RULE_BYTES * (slot + 1)
        rule = _RULE.pack(
            0,
            operations,
            kind,
            error,
            threshold,
            seed & _NO_LIMIT,
            skip,
            limit,
            bytes_left,
            value,
            0,
            0,
            program.encode(),
            place,
        )
        self._map[begin : begin + _RULE_BYTES] = rule
        self._map[begin : begin + 4] = (1).to_bytes(4, "little")
        self._operations[slot] = operations
        self._publish_operations()
        return Rule(self, slot)

    def _free_slot(self) -> int:
        """Slots are taken in turn: a process may still be reading the one that was given back last."""
        for _ in range(_RULES):
            slot, self._next = self._next, (self._next + 1) % _RULES
            if slot not in self._operations:
                return slot
        raise AssertionError(f"there are {_RULES} rules already")

    def _publish_operations(self) -> None:
        together = Operation(0)
        for operations in self._operations.values():
            together |= operations
        self._map[_OPERATIONS_AT : _OPERATIONS_AT + 4] = int(together).to_bytes(4, "little")
