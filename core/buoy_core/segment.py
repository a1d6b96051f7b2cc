"""A spool segment as a mapped file, from the writer's and from the reader's side.

The committed offset and the other words of the header are single aligned loads and stores through a cast memoryview.
The twin relies on the interpreter for their order; the compiled core uses release and acquire.
"""

from __future__ import annotations

import errno
import os
from struct import Struct
from zlib import crc32

from buoy_core.errors import CorruptFrame, SpoolFull, UnsupportedVersion
from buoy_core.format import (
    SPOOL_COMMITTED_AT,
    SPOOL_CONTROL_AT,
    SPOOL_CRC_AT,
    SPOOL_DROPPED_AT,
    SPOOL_FIXED,
    SPOOL_HEADER_BYTES,
    SPOOL_LAST_AT,
    SPOOL_MAGIC,
    SPOOL_PID_NAMESPACE_AT,
    SPOOL_SEALED_AT,
    SPOOL_SEEN_AT,
    SPOOL_START_AT,
    SPOOL_STOP_SEEN_AT,
    VERSION,
    spool_segment_name,
)
from buoy_core.machine import boot_id, pid_namespace, process_identity
from buoy_core.mapping import map_file

_ORIGIN = Struct("<QQ")  # start time and pid namespace of the writer's process


class Segment:
    """One mapped segment. `view` is the whole file; the words of the header are properties.

    `close()` unmaps; the object must not be used afterwards.
    """

    def __init__(self, path: str, view: memoryview) -> None:
        self.path = path
        self.view = view
        self._longs = self.view[:SPOOL_HEADER_BYTES].cast("Q")
        self._words = self.view[:SPOOL_HEADER_BYTES].cast("I")
        fixed = SPOOL_FIXED.unpack_from(self.view)
        self.capacity: int = fixed[3]
        self.base: int = fixed[4]
        self.index: int = fixed[5]
        self.writer_id: bytes = fixed[6]
        self.boot_id: bytes = fixed[7]
        self.pid: int = fixed[8]
        self.process_start: int = self._longs[SPOOL_START_AT // 8]
        self.pid_namespace: int = self._longs[SPOOL_PID_NAMESPACE_AT // 8]

    @classmethod
    def open(cls, path: str) -> Segment:
        """Maps an existing segment, for reading and for the daemon's words.

        Raises:
            CorruptFrame: the header is damaged or another segment's, or the file shorter than it says.
            UnsupportedVersion: the segment is of a newer format.
            FileNotFoundError: it is gone.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            _check_header(path, os.pread(descriptor, SPOOL_HEADER_BYTES, 0), size)
            return cls(path, map_file(descriptor, size))
        finally:
            os.close(descriptor)

    @classmethod
    def create(cls, directory: str, index: int, base: int, capacity: int, writer_id: bytes) -> Segment:
        """Reserves and maps a new segment that readers do not see before `publish()`.

        Raises:
            SpoolFull: the system refuses the space. Nothing is left behind.
        """
        temporary = f"{directory}/{index:08d}.tmp"
        size = SPOOL_HEADER_BYTES + capacity
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                preallocate(descriptor, size)
                view = map_file(descriptor, size)
            except BaseException:
                os.unlink(temporary)  # noqa: PTH108 - pathlib is slow to import
                raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise refused(directory, error) from error
        pid, start = process_identity()
        fixed = SPOOL_FIXED.pack(
            SPOOL_MAGIC, VERSION, SPOOL_HEADER_BYTES, capacity, base, index, writer_id, boot_id(), pid
        )
        origin = _ORIGIN.pack(start, pid_namespace())
        view[: SPOOL_START_AT + _ORIGIN.size] = fixed + _CRC.pack(crc32(fixed)) + origin
        return cls(temporary, view)

    def publish(self) -> None:
        """Gives the segment its name. Readers can see it from now on.

        Raises:
            SpoolFull: the folder is gone or cannot be changed. The segment is closed then.
        """
        path = f"{os.path.dirname(self.path)}/{spool_segment_name(self.index)}"  # noqa: PTH120
        try:
            os.rename(self.path, path)  # noqa: PTH104 - pathlib is slow to import
        except OSError as error:
            self.close()
            raise refused(os.path.dirname(path), error) from error  # noqa: PTH120
        self.path = path

    @property
    def committed(self) -> int:
        """Bytes of complete frames."""
        return self._longs[SPOOL_COMMITTED_AT // 8]

    def commit(self, size: int) -> None:
        """Publishes `size` more bytes of frames, which are in place."""
        self._longs[SPOOL_COMMITTED_AT // 8] += size

    @property
    def sealed(self) -> int:
        """1: no more frames come."""
        return self._words[SPOOL_SEALED_AT // 4]

    @sealed.setter
    def sealed(self, value: int) -> None:
        self._words[SPOOL_SEALED_AT // 4] = value

    @property
    def last(self) -> int:
        """1: no segment follows."""
        return self._words[SPOOL_LAST_AT // 4]

    @last.setter
    def last(self, value: int) -> None:
        self._words[SPOOL_LAST_AT // 4] = value

    @property
    def dropped(self) -> int:
        """Records dropped since the writer began."""
        return self._longs[SPOOL_DROPPED_AT // 8]

    @dropped.setter
    def dropped(self, value: int) -> None:
        self._longs[SPOOL_DROPPED_AT // 8] = value

    @property
    def control(self) -> int:
        """The daemon's word."""
        return self._words[SPOOL_CONTROL_AT // 4]

    @control.setter
    def control(self, value: int) -> None:
        self._words[SPOOL_CONTROL_AT // 4] = value

    @property
    def stop_seen(self) -> int:
        """1: the request to stop has interrupted the writer's process."""
        return self._words[SPOOL_STOP_SEEN_AT // 4]

    @stop_seen.setter
    def stop_seen(self, value: int) -> None:
        self._words[SPOOL_STOP_SEEN_AT // 4] = value

    @property
    def seen_ns(self) -> int:
        """When the daemon last looked, `CLOCK_MONOTONIC` nanoseconds."""
        return self._longs[SPOOL_SEEN_AT // 8]

    @seen_ns.setter
    def seen_ns(self, value: int) -> None:
        self._longs[SPOOL_SEEN_AT // 8] = value

    def close(self) -> None:
        """Unmaps the file."""
        self._longs.release()
        self._words.release()
        self.view.release()


_CRC = Struct("<I")


def refused(directory: str, error: OSError) -> SpoolFull:
    """The system's refusal to make a segment in `directory`."""
    cause = "space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "system"
    return SpoolFull(f"cannot make a spool segment in {directory}: {error.strerror or error}", cause)


def preallocate(descriptor: int, size: int) -> None:
    """Reserves `size` bytes of disk for a file, so that writing to its mapping cannot fail.

    Raises:
        OSError: there is no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    # macOS has no posix_fallocate. Written zeros are reserved for sure, F_PREALLOCATE alone is a wish.
    zeros, done = bytes(1 << 16), 0
    while done < size:
        done += os.pwrite(descriptor, zeros[: size - done], done)


def segment_base(path: str) -> int:
    """The writer's offset where the segment at `path` begins.

    Raises:
        As `Segment.open`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = os.pread(descriptor, SPOOL_HEADER_BYTES, 0)
        _check_header(path, header, os.fstat(descriptor).st_size)
        return int(SPOOL_FIXED.unpack_from(header)[4])
    finally:
        os.close(descriptor)


def _check_header(path: str, header: bytes, size: int) -> None:
    if len(header) < SPOOL_HEADER_BYTES:
        raise CorruptFrame(path, 0, "the segment is shorter than its header")
    magic, version, header_size, capacity, _, index = SPOOL_FIXED.unpack_from(header)[:6]
    if magic != SPOOL_MAGIC:
        raise CorruptFrame(path, 0, "this is no spool segment")
    if crc32(header[:SPOOL_CRC_AT]) != _CRC.unpack_from(header, SPOOL_CRC_AT)[0]:
        raise CorruptFrame(path, 0, "the segment header's checksum is wrong")
    # Only now: a flipped bit must not pass for a newer format, of which nothing may be touched.
    if version != VERSION:
        raise UnsupportedVersion(f"{path} has spool format {version}; this buoy reads {VERSION}")
    if header_size != SPOOL_HEADER_BYTES or size < header_size + capacity:
        raise CorruptFrame(path, 0, "the segment is shorter than its header says")
    if os.path.basename(path) != spool_segment_name(index):  # noqa: PTH119 - pathlib is slow to import
        # A copy under another name would lead a reader in circles.
        raise CorruptFrame(path, 0, f"the segment is not in its place: its header says {index}")
