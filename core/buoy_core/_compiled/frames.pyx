"""Records in a row: spool frames (length, CRC, record) and payloads (varint length, record).

Sizes are computed and checksums verified in a first pass, without the GIL; the second only copies.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from buoy_core._compiled.wire cimport (
    crc32,
    crc32_prepare,
    load32,
    load_acquire64,
    read_varint,
    store32,
    varint_size,
    write_varint,
)

from buoy_core.chunk import Chunk
from buoy_core.errors import CorruptFrame

cdef enum:
    FRAME_HEADER_BYTES = 8
    RECORD_BYTES_MAX = 64 << 20

cdef enum Fault:
    NONE = 0
    HEADER_CUT = 1
    LENGTH = 2
    CUT = 3
    CHECKSUM = 4

cdef tuple REASONS = (
    "",
    "the frame's header is cut off",
    "the frame's length is impossible",
    "the frame is cut off",
    "the frame's checksum is wrong",
)

cdef struct Scan:
    size_t frames_size
    size_t payload_size
    size_t tables_size
    size_t records
    Fault fault

crc32_prepare()


def checksum(data) -> int:
    """CRC-32 of a buffer; equals `zlib.crc32`."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return crc32(<const uint8_t*> view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


def load_committed(view, Py_ssize_t offset) -> int:
    """The 64-bit word at `offset`, with acquire order."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(view, &buffer, PyBUF_SIMPLE)
    try:
        if offset < 0 or offset % 8 or offset + 8 > buffer.len or <size_t> buffer.buf % 8:
            raise ValueError(f"no aligned word at {offset}")
        return load_acquire64(<const uint8_t*> buffer.buf + offset)
    finally:
        PyBuffer_Release(&buffer)


cdef inline bint is_table(uint8_t tag) noexcept nogil:
    """KeyDef, WriterStart, StreamStart."""
    return tag == 0x12 or tag == 0x4A or tag == 0x5A


cdef Fault frame_fault(const uint8_t* data, size_t size) noexcept nogil:
    """What is wrong with the frame at the beginning of `size` bytes."""
    if size < FRAME_HEADER_BYTES:
        return HEADER_CUT
    cdef uint32_t length = load32(data)
    if not 1 <= length <= RECORD_BYTES_MAX:
        return LENGTH
    if length > size - FRAME_HEADER_BYTES:
        return CUT
    return NONE if crc32(data + FRAME_HEADER_BYTES, length) == load32(data + 4) else CHECKSUM


cdef Scan measure(const uint8_t* data, size_t size, size_t bytes_max) noexcept nogil:
    """How far good frames reach, and what they come to."""
    cdef Scan scan = Scan(0, 0, 0, 0, NONE)
    cdef size_t length, item
    while scan.frames_size < size:
        scan.fault = frame_fault(data + scan.frames_size, size - scan.frames_size)
        if scan.fault != NONE:
            break
        length = load32(data + scan.frames_size)
        if scan.records and scan.frames_size + FRAME_HEADER_BYTES + length > bytes_max:
            break
        item = varint_size(length) + length
        scan.payload_size += item
        if is_table(data[scan.frames_size + FRAME_HEADER_BYTES]):
            scan.tables_size += item
        scan.frames_size += FRAME_HEADER_BYTES + length
        scan.records += 1
    return scan


cdef void copy_records(const uint8_t* data, size_t size, uint8_t* payload, uint8_t* tables) noexcept nogil:
    """Copies the records of good frames; each of the outputs is as large as measured."""
    cdef size_t position = 0, length
    while position < size:
        length = load32(data + position)
        position += FRAME_HEADER_BYTES
        payload = write_varint(payload, length)
        memcpy(payload, data + position, length)
        payload += length
        if is_table(data[position]):
            tables = write_varint(tables, length)
            memcpy(tables, data + position, length)
            tables += length
        position += length


def scan_frames(data, size_t begin, size_t end, size_t bytes_max) -> tuple:
    """Turns frames into a payload; see the twin. Releases the GIL."""
    cdef Py_buffer view
    cdef Scan scan
    cdef const uint8_t* frames
    cdef bytes payload, tables
    cdef uint8_t* payload_out
    cdef uint8_t* tables_out
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not begin <= end <= <size_t> view.len:
            raise ValueError(f"no frames from {begin} to {end} in {view.len} bytes")
        frames = <const uint8_t*> view.buf + begin
        with nogil:
            scan = measure(frames, end - begin, bytes_max)
        payload = PyBytes_FromStringAndSize(NULL, scan.payload_size)
        tables = PyBytes_FromStringAndSize(NULL, scan.tables_size)
        payload_out = <uint8_t*> PyBytes_AS_STRING(payload)
        tables_out = <uint8_t*> PyBytes_AS_STRING(tables)
        with nogil:
            copy_records(frames, scan.frames_size, payload_out, tables_out)
    finally:
        PyBuffer_Release(&view)
    return payload, tables, scan.records, begin + scan.frames_size, REASONS[scan.fault]


def walk_frames(data, size_t begin, size_t end) -> int:
    """The position after the last frame from `begin` on whose length and CRC are right. Releases the GIL."""
    cdef Py_buffer view
    cdef const uint8_t* base
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not begin <= end <= <size_t> view.len:
            raise ValueError(f"no frames from {begin} to {end} in {view.len} bytes")
        base = <const uint8_t*> view.buf
        with nogil:
            while frame_fault(base + begin, end - begin) == NONE:
                begin += FRAME_HEADER_BYTES + load32(base + begin)
    finally:
        PyBuffer_Release(&view)
    return begin


def parse_frames(bytes frames, begin) -> Chunk:
    """The records of whole spool frames; see the twin."""
    if not frames:
        raise ValueError("there are no frames")
    payload, tables, records, stop, fault = scan_frames(frames, 0, len(frames), len(frames))
    if fault:
        raise CorruptFrame("", stop, fault)
    return Chunk(begin, begin + len(frames), records, payload, tables, frames)


cdef list checked(records):
    """The records as a list of bytes, each of a length that a frame can have."""
    cdef list result = [bytes(record) for record in records]
    cdef bytes record
    for record in result:
        if not record:
            raise ValueError("a record has at least one byte")
        if PyBytes_GET_SIZE(record) > RECORD_BYTES_MAX:
            raise ValueError(f"a record of {len(record)} bytes; at most {RECORD_BYTES_MAX} are possible")
    return result


def frame_records(records) -> bytes:
    """Spool frames of `records`, in order; see the twin."""
    cdef list items = checked(records)
    cdef size_t total = 0, size
    cdef bytes record, frames
    cdef uint8_t* out
    for record in items:
        total += FRAME_HEADER_BYTES + PyBytes_GET_SIZE(record)
    frames = PyBytes_FromStringAndSize(NULL, total)
    out = <uint8_t*> PyBytes_AS_STRING(frames)
    for record in items:
        size = PyBytes_GET_SIZE(record)
        memcpy(out + FRAME_HEADER_BYTES, PyBytes_AS_STRING(record), size)
        store32(out, <uint32_t> size)
        store32(out + 4, crc32(out + FRAME_HEADER_BYTES, size))
        out += FRAME_HEADER_BYTES + size
    return frames


def join_records(records) -> bytes:
    """A payload: each record after its length as a varint; see the twin."""
    cdef list items = checked(records)
    cdef size_t total = 0, size
    cdef bytes record, payload
    cdef uint8_t* out
    for record in items:
        size = PyBytes_GET_SIZE(record)
        total += varint_size(size) + size
    payload = PyBytes_FromStringAndSize(NULL, total)
    out = <uint8_t*> PyBytes_AS_STRING(payload)
    for record in items:
        size = PyBytes_GET_SIZE(record)
        out = write_varint(out, size)
        memcpy(out, PyBytes_AS_STRING(record), size)
        out += size
    return payload


cdef const uint8_t* record_begin(
    const uint8_t* payload, const uint8_t* position, const uint8_t* end, uint64_t* size
) except NULL:
    """Where the next record begins, and its size."""
    cdef const uint8_t* begin = read_varint(position, end, size)
    if begin == NULL or not 1 <= size[0] <= RECORD_BYTES_MAX or size[0] > <uint64_t> (end - begin):
        raise ValueError(f"malformed payload: no record at byte {position - payload} of {end - payload}")
    return begin


def split_records(payload) -> list:
    """The records of a payload; see the twin."""
    cdef Py_buffer view
    cdef const uint8_t* base
    cdef const uint8_t* position
    cdef const uint8_t* end
    cdef uint64_t size
    cdef list records = []
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        base = position = <const uint8_t*> view.buf
        end = base + view.len
        while position < end:
            position = record_begin(base, position, end, &size)
            records.append(PyBytes_FromStringAndSize(<const char*> position, size))
            position += size
    finally:
        PyBuffer_Release(&view)
    return records


def count_records(payload) -> int:
    """How many records a payload has; see the twin."""
    cdef Py_buffer view
    cdef const uint8_t* base
    cdef const uint8_t* position
    cdef const uint8_t* end
    cdef uint64_t size
    cdef size_t records = 0
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        base = position = <const uint8_t*> view.buf
        end = base + view.len
        while position < end:
            position = record_begin(base, position, end, &size) + size
            records += 1
    finally:
        PyBuffer_Release(&view)
    return records


def table_records(payload) -> bytes:
    """The records of a payload that a tables block repeats, as a payload; see the twin."""
    cdef Py_buffer view
    cdef const uint8_t* base
    cdef const uint8_t* position
    cdef const uint8_t* end
    cdef uint64_t size
    cdef bytearray tables = bytearray()
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        base = position = <const uint8_t*> view.buf
        end = base + view.len
        while position < end:
            position = record_begin(base, position, end, &size)
            if is_table(position[0]):
                tables += (<const char*> position - varint_size(size))[: varint_size(size) + size]
            position += size
    finally:
        PyBuffer_Release(&view)
    return bytes(tables)
