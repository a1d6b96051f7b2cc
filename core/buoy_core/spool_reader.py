"""Reads a writer's spool while it grows, or after its writer is gone.

    00000003.seg            00000004.seg (live)
    [h|#####|#####|seal]    [h|####|##|.........]
           ^offset                    ^committed

Invariant: `offset` is always at the beginning of a frame, or at the end of what is committed. The reader only ever
writes the daemon's words of the header, and in the writer's place that a stop was seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import pairwise

from buoy_core import faults
from buoy_core.chunk import Chunk
from buoy_core.errors import CorruptFrame, UnsupportedVersion
from buoy_core.format import SPOOL_HEADER_BYTES, spool_segment_name
from buoy_core.machine import boot_id as machine_boot_id
from buoy_core.segment import Segment, segment_base
from buoy_core.segment_names import indices_in

_SUFFIX = ".seg"


class SpoolReaderBase:
    """Reads the records of one writer from a given offset on. For one thread at a time.

    Args:
        directory: the writer's folder.
        offset: the writer's offset where to go on. Segments that end below it may be gone.
        boot_id: this start of the machine, if not the running one's (for tests).

    Attributes:
        offset: where the next record begins. It is larger than asked for if the segments there are gone or damaged.
        writer_id, pid, process_start, pid_namespace: from the header of the first segment that is left.
        foreign_boot: the machine has restarted since the spool was written: committed offsets are not trusted,
            the frames' checksums are.

    Raises:
        FileNotFoundError: there is no segment.
        CorruptFrame: the headers of all segments are damaged.
        UnsupportedVersion: the spool is of a newer format.
    """

    # What the two implementations differ in; see `scan_frames` and `walk_frames` of either.
    _scan: Callable[[memoryview, int, int, int], tuple[bytes, bytes, int, int, str]]
    _walk: Callable[[memoryview, int, int], int]
    _open: Callable[[str], Segment]

    def __init__(self, directory: str, offset: int = 0, boot_id: bytes | None = None) -> None:
        self.directory = os.fspath(directory)
        self._boot_id = machine_boot_id() if boot_id is None else boot_id
        self._newest: Segment | None = None
        self._current = self._find(offset)
        self.writer_id = self._current.writer_id
        self.pid = self._current.pid
        self.process_start = self._current.process_start
        self.pid_namespace = self._current.pid_namespace
        self.foreign_boot = self._current.boot_id != self._boot_id
        self.offset = max(offset, self._current.base)
        self._limit_of_index = -1
        self._walked = 0

    def read(self, bytes_max: int = 1 << 20, *, frames: bool = False) -> Chunk | None:
        """The next records, at least one if there is any; None if there is nothing new.

        Args:
            bytes_max: most bytes of frames, unless the first record alone has more.
            frames: also give the spool's own bytes, for the `Append` stream.

        Raises:
            CorruptFrame: the next frame, or the next segment, is damaged or missing. The position stays, and so does
                the error until `skip_damage()`.
            UnsupportedVersion: the next segment is of a newer format; it is left alone.
        """
        while True:
            segment, limit = self._current, self._limit()
            at = self.offset - segment.base
            if at < limit:
                return self._take(segment, at, limit, bytes_max, frames)
            if not self._advance():
                return None

    def _take(self, segment: Segment, at: int, limit: int, bytes_max: int, frames: bool) -> Chunk:
        begin, end = SPOOL_HEADER_BYTES + at, SPOOL_HEADER_BYTES + limit
        payload, tables, records, stop, fault = self._scan(segment.view, begin, end, bytes_max)
        if not records:
            raise CorruptFrame(segment.path, stop, fault)
        start, self.offset = self.offset, segment.base + stop - SPOOL_HEADER_BYTES
        raw = bytes(segment.view[begin:stop]) if frames else b""
        return Chunk(start, self.offset, records, payload, tables, raw)

    def _limit(self) -> int:
        """Bytes of frames in the current segment that may be read."""
        segment = self._current
        if not self.foreign_boot:
            return min(segment.committed, segment.capacity)
        if self._limit_of_index != segment.index:
            # The position is known to be good from the log; what lies before it need not be good any more.
            begin = SPOOL_HEADER_BYTES + min(max(self.offset - segment.base, 0), segment.capacity)
            end = SPOOL_HEADER_BYTES + segment.capacity
            self._walked = self._walk(segment.view, begin, end) - SPOOL_HEADER_BYTES
            self._limit_of_index = segment.index
        return self._walked

    def _advance(self) -> bool:
        """Goes to the next segment, if everything in this one is read and there is one."""
        following = self._following()
        if following is None:
            return False
        segment = self._current
        # The writer made the next segment after its last frame here: look once more.
        if self.offset - segment.base < self._limit():
            return True
        path = self._path(following)
        following_segment = self._open(path)
        if following_segment.base > self.offset:
            missing = following_segment.base - self.offset
            following_segment.close()
            raise CorruptFrame(
                segment.path,
                SPOOL_HEADER_BYTES + self.offset - segment.base,
                f"{missing} bytes of frames are missing before {os.path.basename(path)}",  # noqa: PTH119
            )
        self._replace(following_segment)
        return True

    def _following(self) -> int | None:
        """The index of the segment after the current one; a gap in the names is looked at only where it matters."""
        index = self._current.index + 1
        if os.path.exists(self._path(index)):  # noqa: PTH110 - called at every idle look
            return index
        if not self._current.sealed or self._current.last:
            return None
        return next((other for other in self._indices() if other > self._current.index), None)

    def _replace(self, segment: Segment) -> None:
        if self._newest is self._current:
            self._newest = None
        self._current.close()
        self._current = segment

    def skip_damage(self) -> int:
        """After CorruptFrame: gives up the rest of the damaged segment, or of what is committed in it by now.

        Returns:
            Bytes of frames given up. 0 if a damaged last segment leaves nothing to go on with.

        Raises:
            UnsupportedVersion: what follows is of a newer format.
        """
        before = self.offset
        segment = self._current
        limit = self._limit()
        if before - segment.base < limit:
            self.offset = segment.base + limit
            return self.offset - before
        for index in self._indices():
            if index <= segment.index:
                continue
            try:
                following = self._open(self._path(index))
            except CorruptFrame:
                continue
            self.offset = max(before, following.base)
            self._replace(following)
            break
        return self.offset - before

    def release(self, offset: int) -> int:
        """Deletes segments that end at or below `offset`, except the newest.

        Returns:
            Bytes of disk freed.
        """
        freed = 0
        indices = self._indices()
        for index, following in pairwise(indices):
            try:
                end = segment_base(self._path(following))
            except (CorruptFrame, UnsupportedVersion):
                break
            if end > offset:
                break
            freed += os.stat(self._path(index)).st_size  # noqa: PTH116
            faults.point("spool.before_delete")
            os.unlink(self._path(index))  # noqa: PTH108
            faults.point("spool.after_delete")
        return freed

    def set_control(self, word: int) -> None:
        """Gives the writer the daemon's word (bit 0 alive, bit 1 stop, bit 2 records wait) and stamps the time."""
        for segment in {id(each): each for each in (self._current, self._latest())}.values():
            segment.control = word
            segment.seen_ns = time.monotonic_ns()

    @property
    def stop_seen(self) -> bool:
        """Whether the request to stop has interrupted the writer's process."""
        return bool(self._latest().stop_seen)

    def mark_stop_seen(self) -> None:
        """Answers in the writer's place: its process is interrupted in another way, and must not be twice."""
        self._latest().stop_seen = 1

    @property
    def committed(self) -> int:
        """The writer's offset after the last complete frame, whatever was read so far."""
        newest = self._latest()
        if newest is self._current:
            return newest.base + self._limit()
        if not self.foreign_boot:
            return newest.base + min(newest.committed, newest.capacity)
        end = SPOOL_HEADER_BYTES + newest.capacity
        return newest.base + self._walk(newest.view, SPOOL_HEADER_BYTES, end) - SPOOL_HEADER_BYTES

    @property
    def sealed(self) -> bool:
        """The writer has closed and everything is read."""
        segment = self._current
        return bool(segment.last) and self.offset - segment.base >= self._limit()

    @property
    def closed(self) -> bool:
        """The writer has closed; there may be more to read."""
        return bool(self._latest().last)

    @property
    def dropped(self) -> int:
        """Records that the writer could not keep so far."""
        return self._latest().dropped

    def close(self) -> None:
        """Unmaps what is mapped. The segments stay. May be called twice."""
        if self._newest is not None and self._newest is not self._current:
            self._newest.close()
        self._newest = None
        self._current.close()

    def _latest(self) -> Segment:
        """The segment that the writer works on."""
        newest = self._newest or self._current
        index = newest.index
        while os.path.exists(self._path(index + 1)):  # noqa: PTH110
            index += 1
        if index != newest.index:
            try:
                segment = self._open(self._path(index))
            except (CorruptFrame, UnsupportedVersion):
                # `read()` will get there and say so.
                return newest
            if newest is not self._current:
                newest.close()
            newest = segment
        self._newest = newest
        return newest

    def _find(self, offset: int) -> Segment:
        """The last undamaged segment that begins at or below `offset`, else the first undamaged one."""
        indices = self._indices()
        if not indices:
            raise FileNotFoundError(f"no spool segment in {self.directory}")
        chosen: Segment | None = None
        damage: CorruptFrame | None = None
        for index in indices:
            try:
                segment = self._open(self._path(index))
            except CorruptFrame as error:
                damage = damage or error
                continue
            if chosen is not None and segment.base > offset:
                segment.close()
                break
            if chosen is not None:
                chosen.close()
            chosen = segment
        if chosen is not None:
            return chosen
        raise damage or FileNotFoundError(self.directory)

    def _indices(self) -> list[int]:
        return indices_in(self.directory, _SUFFIX)

    def _path(self, index: int) -> str:
        return f"{self.directory}/{spool_segment_name(index)}"
