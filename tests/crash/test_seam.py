"""The seam itself: what it promises, in processes like those it is for."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.seam import CHANGES, FILE_SYSTEMS, Operation, Seam

SUBJECT = """
import ctypes, json, mmap, os, sqlite3, sys, threading, time
names = {}
for line in sys.stdin:
    try:
        answer = eval(line, globals(), names)
    except OSError as error:
        answer = {"errno": error.errno}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
"""


class Subject:
    """A process under the seam that evaluates one expression after the other."""

    def __init__(self, seam: Seam) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SUBJECT],
            env={**os.environ, **seam.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, expression: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(expression, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> int:
        self._process.communicate(timeout=60)
        return self._process.returncode


def python(seam: Seam, script: str, *arguments: str) -> str:
    """What a whole script prints under the seam."""
    command = [sys.executable, "-c", script, *arguments]
    environment = {**os.environ, **seam.environment()}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture
def seam(tmp_path: Path) -> Seam:
    return Seam(tmp_path / "seam")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def subject(seam: Seam, disk: Path) -> Iterator[Subject]:
    subject = Subject(seam)
    subject(f"os.chdir({str(disk)!r})")
    yield subject
    assert subject.close() == 0


OPEN = "os.open('file', os.O_CREAT | os.O_RDWR, 0o600)"


def test_without_rules_everything_goes_through(subject: Subject, disk: Path) -> None:
    descriptor = subject(OPEN)
    assert subject(f"os.write({descriptor}, b'abc')") == 3
    assert subject(f"os.posix_fallocate({descriptor}, 0, 100)") is None
    assert (disk / "file").stat().st_size == 100
    assert abs(subject("time.time()") - time.time()) < 60


def test_a_full_disk_takes_what_fits_and_says_so(subject: Subject, seam: Seam, disk: Path) -> None:
    descriptor = subject(OPEN)
    with seam.full(disk, after_bytes=1 << 20) as rule:
        assert subject("(lambda s: s.f_bavail * s.f_frsize)(os.statvfs('.'))") == 1 << 20
        assert subject(f"os.posix_fallocate({descriptor}, 0, 1 << 21)") == {"errno": errno.ENOSPC}
        assert subject(f"os.pwrite({descriptor}, bytes((1 << 20) - 2), 0)") == (1 << 20) - 2
        assert subject(f"os.write({descriptor}, b'abc')") == 2
        assert subject(f"os.write({descriptor}, b'abc')") == {"errno": errno.ENOSPC}
        assert subject("os.statvfs('.').f_bavail") == 0
        assert subject("os.mkdir('folder')") is None, "a full disk has inodes left"
        assert rule.hits == 2
    assert subject(f"os.write({descriptor}, b'abc')") == 3
    assert subject("os.statvfs('.').f_bavail") > 0
    assert rule.hits == 2, "the counts outlive the rule"


def test_without_inodes_nothing_can_be_made(subject: Subject, seam: Seam, disk: Path) -> None:
    (disk / "old").write_bytes(b"")
    with seam.full(disk, inodes=True):
        assert subject("os.mkdir('folder')") == {"errno": errno.ENOSPC}
        assert subject("open('new', 'w')") == {"errno": errno.ENOSPC}
        assert subject("open('old', 'w').close()") is None
    assert not (disk / "new").exists()


def test_read_only_refuses_all_changes_and_no_reading(subject: Subject, seam: Seam, disk: Path) -> None:
    (disk / "old").write_bytes(b"content")
    with seam.read_only(disk):
        assert subject("open('old', 'rb').read().decode()") == "content"
        for change in [
            "open('old', 'ab')",
            "open('new', 'wb')",
            "os.rename('old', 'new')",
            "os.unlink('old')",
        ]:
            assert subject(change) == {"errno": errno.EROFS}, change


def test_only_the_named_calls_below_the_path_fail(subject: Subject, seam: Seam, disk: Path) -> None:
    descriptor = subject(OPEN)
    with seam.fail(disk / "file", Operation.SYNC, errno.EIO) as rule:
        assert subject(f"os.fsync({descriptor})") == {"errno": errno.EIO}
        assert subject(f"os.fdatasync({descriptor})") == {"errno": errno.EIO}
        assert subject(f"os.write({descriptor}, b'x')") == 1
        assert subject("os.fsync(os.open('other', os.O_CREAT | os.O_WRONLY))") is None
        assert subject("os.fsync(os.open('file2', os.O_CREAT | os.O_WRONLY))") is None, (
            "file2 is not below file"
        )
    assert (rule.hits, rule.calls) == (2, 2)


def test_patterns_and_programs(subject: Subject, seam: Seam, disk: Path) -> None:
    with seam.fail(disk / "*.wal", Operation.CREATE, errno.EIO):
        assert subject("open('00000000.wal', 'w')") == {"errno": errno.EIO}
        assert subject("open('00000000.txt', 'w').close()") is None
    with seam.read_only(disk, program="buoy_daemon"):
        assert subject("open('00000000.txt', 'w').close()") is None
    with seam.read_only(disk, program="-c"):
        assert subject("open('00000000.txt', 'w').close()") == {"errno": errno.EROFS}


def test_skip_and_limit_choose_the_nth_call(subject: Subject, seam: Seam, disk: Path) -> None:
    descriptor = subject(OPEN)
    with seam.fail(disk, Operation.SYNC, errno.EIO, skip=2, limit=1):
        outcomes = [subject(f"os.fsync({descriptor})") for _ in range(5)]
    assert outcomes == [None, None, {"errno": errno.EIO}, None, None]


def test_a_seed_repeats_its_schedule(subject: Subject, seam: Seam, disk: Path) -> None:
    descriptor = subject(OPEN)

    def outcomes(seed: int) -> list[bool]:
        with seam.fail(disk, Operation.SYNC, errno.EIO, probability=0.3, seed=seed):
            return [subject(f"os.fsync({descriptor})") is None for _ in range(100)]

    first = outcomes(7)
    assert 50 < sum(first) < 90
    assert outcomes(7) == first
    assert outcomes(8) != first


def test_short_writes_take_some(subject: Subject, seam: Seam, disk: Path) -> None:
    descriptor = subject(OPEN)
    with seam.short_writes(disk, seed=1) as rule:
        sizes = [subject(f"os.writev({descriptor}, [b'a' * 500, b'b' * 500])") for _ in range(20)]
        sizes += [subject(f"os.pwrite({descriptor}, bytes(1000), 0)") for _ in range(20)]
    assert all(0 < size < 1000 for size in sizes)
    assert len(set(sizes)) > 20
    assert rule.hits == 40


def test_slow_calls_take_their_time(subject: Subject, seam: Seam, disk: Path) -> None:
    descriptor = subject(OPEN)
    with seam.slow(disk, Operation.SYNC, 0.2):
        begin = time.monotonic()
        assert subject(f"os.fsync({descriptor})") is None
        assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize("offset_s", [3600, -7200])
def test_the_wall_clock_moves_and_nothing_else(subject: Subject, seam: Seam, offset_s: int) -> None:
    with seam.clock(offset_s):
        assert abs(subject("time.time()") - time.time() - offset_s) < 60
        assert abs(subject("time.monotonic()") - time.monotonic()) < 60
        assert (
            abs(
                subject("int(sqlite3.connect(':memory:').execute(\"select strftime('%s')\").fetchone()[0])")
                - time.time()
                - offset_s
            )
            < 60
        )
        begin = time.monotonic()
        assert subject("threading.Event().wait(0.2)") is False
        assert subject("threading.Thread(target=time.sleep, args=[0.1]).start()") is None
        assert 0.2 <= time.monotonic() - begin < 60
    assert abs(subject("time.time()") - time.time()) < 60


@pytest.mark.parametrize("offset_s", [3600, -7200])
def test_deadlines_on_the_moved_clock_are_kept(subject: Subject, seam: Seam, offset_s: int) -> None:
    """A wait until "now and a bit" by the moved clock takes that bit, not an hour and not nothing."""
    libc = "ctypes.CDLL(None, use_errno=True)"
    assert subject(f"names.update(libc={libc}, semaphore=ctypes.create_string_buffer(64))") is None
    assert subject("names['libc'].sem_init(names['semaphore'], 0, 0)") == 0
    with seam.clock(offset_s):
        deadline = "(ctypes.c_long * 2)(int(time.time()) + 2, 0)"
        begin = time.monotonic()
        assert subject(f"names['libc'].sem_timedwait(names['semaphore'], {deadline})") == -1
        assert 0.9 <= time.monotonic() - begin < 60


def test_statfs_gives_another_file_system(subject: Subject, seam: Seam, disk: Path) -> None:
    statfs = (
        "(lambda answer: [ctypes.CDLL(None).statfs({path!r}, answer), answer[0]][1])((ctypes.c_long * 32)())"
    )
    with seam.filesystem(disk, "nfs") as rule:
        assert subject(statfs.format(path=str(disk).encode())) == FILE_SYSTEMS["nfs"]
        assert subject(statfs.format(path=b"/proc")) == 0x9FA0
    assert rule.hits == 1


FORKS_AND_THREADS = """
import os, sys, threading
path, failures = sys.argv[1], []

def sync(descriptor):
    for _ in range(200):
        try:
            os.fsync(descriptor)
        except OSError as error:
            failures.append(error.errno)

for _ in range(4):
    if os.fork() == 0:
        break
descriptor = os.open(f"{path}/{os.getpid()}", os.O_CREAT | os.O_WRONLY)
threads = [threading.Thread(target=sync, args=[descriptor]) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
os.write(1, f"{len(failures)} ".encode())
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def test_forks_and_threads_share_the_rules(seam: Seam, disk: Path) -> None:
    with seam.fail(disk, Operation.SYNC, errno.EIO, probability=0.5, seed=3) as rule:
        failures = python(seam, FORKS_AND_THREADS, str(disk))
    assert sum(int(number) for number in failures.split()) == rule.hits
    assert rule.calls == 5 * 4 * 200
    assert 1500 < rule.hits < 2500


WRITER = """
import sys, buoy_core
sizes = {"segment_bytes": 1 << 16, "spool_bytes_max": 1 << 30, "free_bytes_min": 0}
writer = buoy_core.Writer(sys.argv[1], writer_id=bytes(16), **sizes)
for step in range(20_000):
    writer.log({"loss": 1.0}, step)
print(writer.dropped)
"""


def test_the_writer_meets_the_full_disk(seam: Seam, disk: Path) -> None:
    """The calls of the compiled one are C's, not Python's."""
    assert int(python(seam, WRITER, str(disk))) == 0
    for file in disk.iterdir():
        file.unlink()
    with seam.full(disk, after_bytes=300_000) as rule:
        assert 0 < int(python(seam, WRITER, str(disk))) < 20_000
        assert rule.calls
    for file in disk.iterdir():
        file.unlink()
    with seam.fail(disk, Operation.ALLOCATE, errno.EDQUOT, skip=1) as rule:
        assert 0 < int(python(seam, WRITER, str(disk))) < 20_000
        assert rule.hits


def test_sqlite_meets_the_full_disk(subject: Subject, seam: Seam, disk: Path) -> None:
    assert subject("names.update(db=sqlite3.connect('a.db', isolation_level=None))") is None
    assert subject("names['db'].execute('create table t (a)') and 0") == 0
    for error, text in [(errno.ENOSPC, "disk is full"), (errno.EIO, "disk I/O error")]:
        with seam.full(disk, error=error) as rule:
            answer = subject("names['db'].execute('insert into t values (zeroblob(100000))') and 0")
            assert text in answer["error"]
            assert rule.hits
    assert subject("names['db'].execute('insert into t values (1)') and 0") == 0
    assert subject("names['db'].execute('select count(*) from t').fetchone()[0]") == 1


ENGINE = """
import sys, chdb.session
session = chdb.session.Session(sys.argv[1])
session.query("create table t (a UInt64) engine = MergeTree order by a")
for statement in sys.argv[2:]:
    try:
        session.query(statement)
        print("done")
    except Exception as error:
        print(str(error).replace("\\n", " "))
print(session.query("select count() from t", "TSV"))
"""


def test_the_engine_meets_the_full_disk(seam: Seam, disk: Path) -> None:
    insert = "insert into t select number from numbers(100000)"
    with seam.fail(disk, CHANGES | Operation.SYNC, errno.EIO, probability=0) as all_calls:
        assert python(seam, ENGINE, str(disk / "probe"), insert).split() == ["done", "100000"]
    assert all_calls.calls > 20
    with seam.full(disk, after_bytes=500_000):
        first, second = python(seam, ENGINE, str(disk / "full"), insert, insert).splitlines()[:2]
    assert "NOT_ENOUGH_SPACE" in first + second
    with seam.fail(disk / "*/store/*", Operation.RENAME, errno.EIO) as rule:
        process = subprocess.run(
            [sys.executable, "-c", ENGINE, str(disk / "renames")],
            env={**os.environ, **seam.environment()},
            check=False,
            capture_output=True,
        )
        assert process.returncode
    assert rule.hits
