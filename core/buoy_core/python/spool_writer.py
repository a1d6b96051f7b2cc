"""The writer in plain Python: `log()` puts a row into a mapped segment and publishes it.

Invariants: code of the caller (conversions, hooks) runs before a row is begun. Rows are written one at a time: a signal
handler or a finaliser that logs while a row is being written only queues its row, and the outer call writes it. What
lies below `committed` never changes again.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from zlib import crc32

from buoy_core import faults, interruption, machine
from buoy_core.chunk import KeyStatistics
from buoy_core.errors import ClosedWriter, ForkedWriter, SpoolFull
from buoy_core.format import (
    CONTROL_STOP,
    CONTROL_WAITING,
    FRAME_HEADER,
    FRAME_HEADER_BYTES,
    FREE_BYTES_MIN,
    RECORD_BYTES_MAX,
    ROLL_RETRY_NS,
    SPOOL_BYTES_MAX,
    SPOOL_HEADER_BYTES,
    SPOOL_SEGMENT_BYTES,
    STEP_MAX,
    end_room,
    spool_segment_name,
)
from buoy_core.python.encoder import encode_key_def, encode_row
from buoy_core.python.frames import check_record
from buoy_core.python.statistics import Slot
from buoy_core.segment import Segment, refused
from buoy_core.spool_directory import limit_reached, no_space, prepare_directory
from buoy_core.values import Hook, check_step, encode_key, encode_other, fits_double, flatten

Leaf = tuple[Slot, object]


def wall_clock_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


class Writer:
    """Encodes what one process of a run logs and appends it to that process's spool.

    No method waits for another process or the network. Any thread may call any method.

    Args:
        directory: the spool's folder; made (0700) if needed. It must hold no segment yet.
        writer_id: 16 random bytes.
        segment_bytes: size of a segment's file; a larger record gets a larger segment.
        spool_bytes_max: most bytes of disk for this spool. Beyond it rows are dropped, and counted.
        free_bytes_min: no new segment when the disk would have less room left than this.
        dropped: what this process could not keep before it had a spool.

    Attributes:
        convert: called with key and value for values that cannot be logged as they are, before the TypeError.
        on_full: called with SpoolFull at the end of the first call whose record was dropped, and with None at the end
            of the first one that was kept again. It runs in that call's thread, and what it raises comes out there.
        on_waiting: called in the same way with True when the daemon cannot write the run's log, so that what is logged
            waits in the spool, and with False when it can again.
        step: the step that the next `log()` without one writes to.
        fixed_time_us: if not 0, the time of every row; for tests that compare bytes.

    Raises:
        SpoolFull: there is no room for the first segment.
        CoreError: the folder holds segments already.
    """

    convert: Hook | None
    on_full: Callable[[SpoolFull | None], None] | None
    on_waiting: Callable[[bool], None] | None

    def __init__(
        self,
        directory: str,
        *,
        writer_id: bytes,
        segment_bytes: int = SPOOL_SEGMENT_BYTES,
        spool_bytes_max: int = SPOOL_BYTES_MAX,
        free_bytes_min: int = FREE_BYTES_MIN,
        dropped: int = 0,
    ) -> None:
        prepare_directory(directory, writer_id, segment_bytes)
        self.directory = os.fspath(directory)
        self.writer_id = bytes(writer_id)
        self.convert = None
        self.on_full = None
        self.on_waiting = None
        self.step = 0
        self._generation = machine.fork_generation
        self._capacity = segment_bytes - SPOOL_HEADER_BYTES
        self._end_bytes = end_room(self._capacity)
        self._spool_bytes_max = spool_bytes_max
        self._free_bytes_min = free_bytes_min
        self.fixed_time_us = 0
        self._closed = False
        self._lock = threading.RLock()
        self._busy = False
        self._queue: deque[Callable[[], None]] = deque()
        self._slots: dict[str, Slot] = {}
        self._by_name: dict[bytes, Slot] = {}
        self._key_ids = count()
        self._dropped = dropped
        self._full: SpoolFull | None = None
        self._news = False
        self._word = 0
        self._waiting = False
        self._retry_at_ns = 0
        self._retry_bytes = 0
        self._sizes: deque[tuple[int, int]] = deque()
        self._segment = self._create(0, 0, self._capacity)
        self._segment.dropped = dropped
        self._publish(self._segment)

    def log(self, data: Mapping[str, object], step: int | None = None, commit: bool | None = None) -> None:
        """Records one row. It survives the death of this process once this has returned.

        Args:
            data: values by key; nested dicts give keys joined by ".". Not changed and not kept.
            step: where the row belongs; None = the current step. Any order is recorded as it is.
            commit: whether the next `log()` goes to the next step; None = True if `step` is None.

        Raises:
            KeyboardInterrupt: the run was asked to stop, and the process handles no SIGINT; the row was written.
                With a handler that one is called instead, as at Ctrl-C. Either happens once a request.
            TypeError: a key or a value cannot be taken; nothing was written.
            ValueError: the row would have more than 64 MiB; nothing was written.
            ClosedWriter, ForkedWriter: see there.
        """
        self._check_usable()
        wanted = None if step is None else check_step(step)
        leaves = flatten(data, self.convert)
        row = [(self._slot(key), value) for key, value in leaves]
        numbers, others = _split_row(row)
        time_us = self.fixed_time_us or wall_clock_us()
        advance = step is None if commit is None else bool(commit)
        self._run(lambda: self._write_row(row, numbers, others, wanted, advance, time_us))
        if row and not self._closed:
            self._settle(self._word)

    def _settle(self, control: int) -> None:
        """Passes on what the daemon's word says."""
        waiting = bool(control & CONTROL_WAITING)
        changed, self._waiting = waiting != self._waiting, waiting
        if changed and self.on_waiting is not None:
            self.on_waiting(waiting)
        if control & CONTROL_STOP and not self._closed:
            self.heed_stop()

    def heed_stop(self) -> None:
        """Interrupts the process, once: what it logs while it saves its state and ends is welcome.

        `log()` does it by itself. Who knows that the run is to stop may do it for a process that does not log.
        """
        if self._closed:
            return
        seen: list[int] = []

        def mark() -> None:
            seen.append(self._segment.stop_seen)
            self._segment.stop_seen = 1

        self._run(mark)
        if seen == [0]:
            interruption.interrupt()

    def append(self, record: bytes, *, counted: bool = True, last: bool = False) -> bool:
        """Appends a serialised `buoy.v1.Record`.

        Args:
            record: its bytes.
            counted: whether it counts as dropped if it is not kept; no, if the caller will try again.
            last: it ends the spool, so it may have the room that each segment keeps for that: a small one always fits.

        Returns:
            False if it was not kept because the disk or the spool is full.

        Raises:
            ValueError: it is empty or larger than 64 MiB.
            ClosedWriter, ForkedWriter: see there.
        """
        self._check_usable()
        record = bytes(record)
        check_record(record)
        kept: list[bool] = []
        self._run(lambda: kept.append(self._put(record, counted=counted, last=last)))
        return kept[0] if kept else True

    def close(self) -> None:
        """Marks the spool as complete and unmaps it. May be called twice; in a forked child it only unmaps."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._final = (
                self._segment.base + self._segment.committed,
                self._segment.control,
                self._segment.seen_ns,
            )
            if self._generation == machine.fork_generation:
                self._segment.last = 1
                self._segment.sealed = 1
            self._segment.close()

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closed

    @property
    def committed(self) -> int:
        """The writer's offset after the last complete frame."""
        return self._final[0] if self._closed else self._segment.base + self._segment.committed

    @property
    def dropped(self) -> int:
        """Records that could not be kept because the disk or the spool was full."""
        return self._dropped

    @property
    def control(self) -> int:
        """The daemon's word: bit 0 a daemon reads this spool, bit 1 stop requested, bit 2 records wait."""
        return self._final[1] if self._closed else self._segment.control

    @property
    def daemon_seen_ns(self) -> int:
        """When the daemon last looked, `CLOCK_MONOTONIC` nanoseconds; 0 = never."""
        return self._final[2] if self._closed else self._segment.seen_ns

    def last_values(self) -> dict[str, object]:
        """The latest value of each key, exact, in the order of first sight."""
        return {slot.name.decode(): slot.last for slot in list(self._by_name.values()) if slot.seen}

    def statistics(self, key: str) -> KeyStatistics | None:
        """What is known about the numbers of `key`; None if there were none."""
        slot = self._slots.get(key)
        return slot.statistics() if slot else None

    def history(self, key: str) -> list[float]:
        """At most 64 numbers of `key`, evenly spread over all of them and ending with the latest."""
        slot = self._slots.get(key)
        return slot.points() if slot else []

    def _check_usable(self) -> None:
        if self._generation != machine.fork_generation:
            raise ForkedWriter("this writer belongs to the parent process; make a new one after fork()")
        if self._closed:
            raise ClosedWriter(f"the writer of {self.directory} is closed")

    def _run(self, work: Callable[[], None]) -> None:
        """Does `work` after all that is under way. Queued if this thread itself is in the middle of some."""
        with self._lock:
            self._queue.append(work)
            if self._busy:
                return
            self._busy = True
            try:
                while self._queue:
                    self._check_usable()
                    self._queue.popleft()()
            finally:
                self._busy = False
                self._queue.clear()
        if self._news:
            self._news = False
            if self.on_full is not None:
                self.on_full(self._full)

    def _slot(self, key: str) -> Slot:
        slot = self._slots.get(key)
        if slot is None:
            name = encode_key(key)
            with self._lock:
                # A signal handler may log in the middle of this. Then an id is left out, but never given twice.
                slot = self._by_name.get(name)
                slot = slot or self._by_name.setdefault(name, Slot(next(self._key_ids), name))
                self._slots[key] = slot
        return slot

    def _write_row(  # noqa: PLR0917 - internal, one caller
        self,
        row: list[Leaf],
        numbers: tuple[list[int], list[float]],
        others: list[bytes],
        wanted: int | None,
        advance: bool,
        time_us: int,
    ) -> None:
        target = self.step if wanted is None else wanted
        if row:
            record = encode_row(target, time_us, *numbers, others)
            if len(record) > RECORD_BYTES_MAX:
                raise ValueError(f"a row of {len(record)} bytes; at most {RECORD_BYTES_MAX} are possible")
            self._put_row(row, record)
        if target >= self.step:
            # The largest step of all has no next one.
            self.step = target + (advance and target <= STEP_MAX)
        # Read in here, where no other call can roll and unmap the segment that is being asked.
        self._word = self._segment.control

    def _put_row(self, row: list[Leaf], record: bytes) -> None:
        """Puts the definitions of new keys, then the row; if any has no room, the row is dropped."""
        fresh = list({slot.key_id: slot for slot, _ in row if not slot.defined}.values())
        for slot in fresh:
            if not self._put_record(encode_key_def(slot.key_id, slot.name)):
                self._count_drop()
                break
            slot.defined = True
        else:
            self._put(record)
        for slot, value in row:
            slot.update(value)

    def _put(self, record: bytes, *, counted: bool = True, last: bool = False) -> bool:
        kept = self._put_record(record, last=last)
        if not kept and counted:
            self._count_drop()
        return kept

    def _count_drop(self) -> None:
        self._dropped += 1
        self._segment.dropped = self._dropped

    def _put_record(self, record: bytes, *, last: bool = False) -> bool:
        """Writes one frame and publishes it; False if there is no room for it."""
        size = FRAME_HEADER_BYTES + len(record)
        wanted = size + self._end_bytes
        if wanted > self._room and not self._roll(wanted) and not (last and size <= self._room):
            return False
        segment = self._segment
        begin = SPOOL_HEADER_BYTES + segment.committed
        segment.view[begin : begin + size] = FRAME_HEADER.pack(len(record), crc32(record)) + record
        segment.commit(size)
        return True

    @property
    def _room(self) -> int:
        return self._segment.capacity - self._segment.committed

    def _roll(self, size: int) -> bool:
        """Goes on in a new segment with room for `size` bytes; False if none can be made now."""
        now_ns = time.monotonic_ns()
        if now_ns < self._retry_at_ns and size >= self._retry_bytes:
            return False
        old = self._segment
        capacity = max(self._capacity, size)
        try:
            new = self._create(old.index + 1, old.base + old.committed, capacity)
            new.dropped = self._dropped
            new.control, new.stop_seen, new.seen_ns = old.control, old.stop_seen, old.seen_ns
            self._publish(new)
        except SpoolFull as error:
            self._retry_at_ns, self._retry_bytes = now_ns + ROLL_RETRY_NS, size
            self._note_full(error)
            return False
        self._note_full(None)
        # Only now: a reader that sees the seal finds the next segment.
        old.sealed = 1
        faults.point("spool.after_seal")
        self._segment = new
        self._retry_at_ns = 0
        old.close()
        return True

    def _note_full(self, error: SpoolFull | None) -> None:
        self._news = self._news or (error is None) != (self._full is None)
        self._full = error

    def _create(self, index: int, base: int, capacity: int) -> Segment:
        size = SPOOL_HEADER_BYTES + capacity
        faults.point("spool.before_create")
        check_room(self.directory, self._used() + size, self._spool_bytes_max, size, self._free_bytes_min)
        segment = Segment.create(self.directory, index, base, capacity, self.writer_id)
        self._sizes.append((index, size))
        return segment

    def _publish(self, segment: Segment) -> None:
        faults.point("spool.before_publish")
        segment.publish()
        faults.point("spool.after_publish")

    def _used(self) -> int:
        """Bytes of the segments that the daemon has not deleted yet. It deletes from the front."""
        while self._sizes:
            path = f"{self.directory}/{spool_segment_name(self._sizes[0][0])}"
            if os.path.exists(path):  # noqa: PTH110 - pathlib is slow to import
                break
            self._sizes.popleft()
        return sum(size for _, size in self._sizes)


def _split_row(row: list[Leaf]) -> tuple[tuple[list[int], list[float]], list[bytes]]:
    """What travels as numbers (slots, values) and what as encoded other values."""
    slots: list[int] = []
    values: list[float] = []
    others: list[bytes] = []
    for slot, value in row:
        if type(value) is float:
            slots.append(slot.key_id << 1)
            values.append(value)
        elif type(value) is int and fits_double(value):
            slots.append(slot.key_id << 1 | 1)
            values.append(float(value))
        else:
            others.append(encode_other(slot.key_id, value))
    return (slots, values), others


def check_room(
    directory: str, spool_bytes: int, spool_bytes_max: int, new_bytes: int, free_bytes_min: int
) -> None:
    """Raises SpoolFull if the spool would be larger than its limit or the disk would have too little room left.

    Args:
        directory: the spool.
        spool_bytes: what it would have.
        spool_bytes_max: what it may have.
        new_bytes: what it is to grow by.
        free_bytes_min: what the disk must have left then.
    """
    if spool_bytes > spool_bytes_max:
        raise limit_reached(directory, spool_bytes_max)
    try:
        status = os.statvfs(directory)
    except OSError as error:
        raise refused(directory, error) from error
    free = status.f_bavail * status.f_frsize
    if free < new_bytes + free_bytes_min:
        raise no_space(directory, free, free_bytes_min)
