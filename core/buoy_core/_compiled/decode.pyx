"""Turns a payload into columns: a counting pass, then one that fills buffers of the right size.

Bounds: every pointer into the payload is checked against `end` by the function that moves it; every index
into a column is checked against `room`, which the first pass counted.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from buoy_core._compiled.wire cimport read_varint, unzigzag

from buoy_core.chunk import Rows
from buoy_core.errors import TooManyObjects

cdef object _values = None


cdef object values():
    """`buoy_core.values`, imported at its first use: it needs json and datetime, `import buoy` must not."""
    global _values
    if _values is None:
        from buoy_core import values as module
        _values = module
    return _values


cdef enum Wire:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5

cdef enum:
    RECORD_BYTES_MAX = 64 << 20
    FIELD_NUMBER_MAX = 0x1FFFFFFF
    TAG_ROW = 0x0A
    TAG_SYSTEM = 0x1A
    BIG_INT = 3

cdef enum ValueKind:
    BOOL = 2

cdef struct Field:
    uint32_t number
    uint32_t wire
    uint64_t varint  # the value of a varint
    const uint8_t* begin  # of the other wire types
    const uint8_t* end  # where the next field begins


cdef int next_field(const uint8_t* data, const uint8_t* end, Field* field) except -1:
    """Reads the field at `data`, which is below `end`; its end is not beyond `end`."""
    cdef uint64_t tag, size
    data = read_varint(data, end, &tag)
    if data == NULL:
        raise ValueError("malformed: a tag is cut off")
    if not 1 <= tag >> 3 <= FIELD_NUMBER_MAX:
        raise ValueError(f"malformed: field number {tag >> 3}")
    field.number = <uint32_t> (tag >> 3)
    field.wire = tag & 7
    if field.wire == VARINT:
        field.begin = field.end = read_varint(data, end, &field.varint)
        if field.end == NULL:
            raise ValueError("malformed: a varint is cut off or too long")
        return 0
    if field.wire == BYTES:
        data = read_varint(data, end, &size)
        if data == NULL:
            raise ValueError("malformed: a length is cut off or too long")
    elif field.wire == FIXED64:
        size = 8
    elif field.wire == FIXED32:
        size = 4
    else:
        raise ValueError(f"malformed: wire type {field.wire}")
    if size > <uint64_t> (end - data):
        raise ValueError(f"malformed: a field of {size} bytes is cut off")
    field.begin = data
    field.end = data + size
    return 0


cdef inline int expect(const Field* field, uint32_t wire) except -1:
    if field.wire != wire:
        raise ValueError(f"malformed: field {field.number} has wire type {field.wire} instead of {wire}")
    return 0


cdef inline uint32_t narrow(uint64_t value) except? 0xFFFFFFFF:
    if value >> 32:
        raise ValueError(f"malformed: {value} where 32 bits are possible")
    return <uint32_t> value


cdef const uint8_t* next_record(
    const uint8_t* position, const uint8_t* end, const uint8_t** stop
) except NULL:
    """Begin and end of the record whose length is at `position`; it has at least one byte."""
    cdef uint64_t size
    cdef const uint8_t* begin = read_varint(position, end, &size)
    if begin == NULL or not 1 <= size <= RECORD_BYTES_MAX or size > <uint64_t> (end - begin):
        raise ValueError("malformed payload: a record is cut off or has an impossible size")
    stop[0] = begin + size
    return begin


cdef bint find_row(const uint8_t* data, const uint8_t* end, uint32_t wanted, Field* row) except -1:
    """Checks a record's fields, and whether one is the wanted row."""
    cdef Field field
    cdef bint found = False
    while data < end:
        next_field(data, end, &field)
        data = field.end
        if field.number == wanted:
            expect(&field, BYTES)
            if found:
                raise ValueError("malformed: a record with two rows")
            found = True
            row[0] = field
    return found


cdef size_t count_points(const uint8_t* data, const uint8_t* end, uint32_t wanted) except? 0:
    """At most this many points come out of a payload."""
    cdef Field row, field
    cdef const uint8_t* stop = NULL
    cdef size_t count = 0
    while data < end:
        data = next_record(data, end, &stop)
        if find_row(data, stop, wanted, &row):
            data = row.begin
            while data < row.end:
                next_field(data, row.end, &field)
                data = field.end
                if field.number == 4:
                    count += (field.end - field.begin) // 8
                elif field.number == 5:
                    count += 1
        data = stop
    return count


cdef class Columns:
    """The columns while they are filled."""

    # Owned.
    cdef bytearray index, key_id, step, time_us, value, kind
    cdef list others
    # Borrowed from the bytearrays, which are not resized before `rows()`.
    cdef uint32_t* indices
    cdef uint32_t* key_ids
    cdef int64_t* steps
    cdef int64_t* times
    cdef double* values
    cdef uint8_t* kinds
    # State.
    cdef size_t room, n
    cdef Py_ssize_t objects_max

    def __cinit__(self, size_t room, Py_ssize_t objects_max):
        self.room = room
        self.objects_max = objects_max
        self.index, self.key_id = column(4 * room), column(4 * room)
        self.step, self.time_us = column(8 * room), column(8 * room)
        self.value, self.kind = column(8 * room), column(room)
        self.others = []
        self.indices = <uint32_t*> PyByteArray_AS_STRING(self.index)
        self.key_ids = <uint32_t*> PyByteArray_AS_STRING(self.key_id)
        self.steps = <int64_t*> PyByteArray_AS_STRING(self.step)
        self.times = <int64_t*> PyByteArray_AS_STRING(self.time_us)
        self.values = <double*> PyByteArray_AS_STRING(self.value)
        self.kinds = <uint8_t*> PyByteArray_AS_STRING(self.kind)

    cdef object rows(self):
        """The result; the columns are cut to what was filled."""
        cdef size_t n = self.n
        if n != self.room:
            PyByteArray_Resize(self.index, 4 * n)
            PyByteArray_Resize(self.key_id, 4 * n)
            PyByteArray_Resize(self.step, 8 * n)
            PyByteArray_Resize(self.time_us, 8 * n)
            PyByteArray_Resize(self.value, 8 * n)
            PyByteArray_Resize(self.kind, n)
        return Rows(n, self.index, self.key_id, self.step, self.time_us, self.value, self.kind, self.others)

    cdef int add_row(self, uint32_t index, const uint8_t* begin, const uint8_t* end) except -1:
        cdef Field field
        cdef const uint8_t* data = begin
        cdef size_t slots = self.n, values = self.n, point
        cdef int64_t step = 0, time_us = 0
        cdef bint others = False
        while data < end:
            next_field(data, end, &field)
            data = field.end
            if field.number == 1:
                expect(&field, VARINT)
                step = unzigzag(field.varint)
            elif field.number == 2:
                expect(&field, VARINT)
                time_us = <int64_t> field.varint
            elif field.number == 3:
                slots = self.read_slots(slots, &field)
            elif field.number == 4:
                values = self.read_values(values, &field)
            elif field.number == 5:
                expect(&field, BYTES)
                others = True
        if slots != values:
            raise ValueError(f"malformed: a row with {slots - self.n} slots and {values - self.n} values")
        for point in range(self.n, slots):
            self.indices[point] = index
            self.steps[point] = step
            self.times[point] = time_us
        self.n = slots
        if others:
            self.add_others(index, step, time_us, begin, end)
        return 0

    cdef size_t read_slots(self, size_t at, const Field* field) except? 0:
        """Packed or, as other encoders may have it, one by one."""
        cdef const uint8_t* data = field.begin
        cdef uint64_t slot
        if field.wire == VARINT:
            return self.put_slot(at, field.varint)
        expect(field, BYTES)
        while data < field.end:
            data = read_varint(data, field.end, &slot)
            if data == NULL:
                raise ValueError("malformed: a slot is cut off or too long")
            at = self.put_slot(at, slot)
        return at

    cdef inline size_t put_slot(self, size_t at, uint64_t slot) except? 0:
        if at >= self.room:
            raise ValueError("malformed: a row with more slots than values")
        self.key_ids[at] = narrow(slot) >> 1
        self.kinds[at] = slot & 1
        return at + 1

    cdef size_t read_values(self, size_t at, const Field* field) except? 0:
        cdef size_t size = field.end - field.begin
        if field.wire not in (BYTES, FIXED64) or size % 8:
            raise ValueError("malformed: the values of a row are no doubles")
        if size // 8 > self.room - at:
            raise ValueError("malformed: a row with more values than slots")
        memcpy(self.values + at, field.begin, size)
        return at + size // 8

    cdef int add_others(
        self, uint32_t index, int64_t step, int64_t time_us, const uint8_t* data, const uint8_t* end
    ) except -1:
        cdef Field field
        while data < end:
            next_field(data, end, &field)
            data = field.end
            if field.number == 5:
                self.add_other(index, step, time_us, field.begin, field.end)
        return 0

    cdef int add_other(
        self, uint32_t index, int64_t step, int64_t time_us, const uint8_t* data, const uint8_t* end
    ) except -1:
        cdef Field field
        cdef uint32_t key_id = 0
        cdef bint known = False
        cdef object value = None
        while data < end:
            next_field(data, end, &field)
            data = field.end
            if field.number == 1:
                expect(&field, VARINT)
                key_id = narrow(field.varint)
            elif 2 <= field.number <= 8:
                value = read_value(&field)
                known = True
        if not known:
            return 0
        if 0 <= self.objects_max <= len(self.others):
            raise TooManyObjects(self.objects_max)
        if isinstance(value, bool):
            self.add_point(index, key_id, step, time_us, 1.0 if value else 0.0, BOOL)
            return 0
        if isinstance(value, int):
            self.add_point(index, key_id, step, time_us, values().nearest_double(value), BIG_INT)
        self.others.append((index, step, time_us, key_id, value))
        return 0

    cdef int add_point(
        self, uint32_t index, uint32_t key_id, int64_t step, int64_t time_us, double value, uint8_t kind
    ) except -1:
        cdef size_t at = self.n
        if at >= self.room:
            raise ValueError("malformed: more values than were counted")
        self.indices[at] = index
        self.key_ids[at] = key_id
        self.steps[at] = step
        self.times[at] = time_us
        self.values[at] = value
        self.kinds[at] = kind
        self.n = at + 1
        return 0


cdef bytearray column(size_t size):
    return PyByteArray_FromStringAndSize(NULL, size)


cdef object read_value(const Field* field):
    """The Python value of a kind of `buoy.v1.Value`."""
    cdef bytes data
    if field.number in (2, 5, 7, 8):
        expect(field, BYTES)
        data = PyBytes_FromStringAndSize(<const char*> field.begin, field.end - field.begin)
        return data.decode("utf-8") if field.number == 2 else values().decode_value(field.number, data)
    expect(field, VARINT)
    if field.number == 3:
        return field.varint != 0
    return unzigzag(field.varint) if field.number == 4 else None


def decode_rows(payload, *, bint system=False, Py_ssize_t objects_max=-1) -> Rows:
    """The rows of a payload as columns; see the twin."""
    cdef Py_buffer view
    cdef Columns columns
    cdef Field row
    cdef const uint8_t* data
    cdef const uint8_t* end
    cdef const uint8_t* stop = NULL
    cdef uint32_t index = 0, wanted = (TAG_SYSTEM if system else TAG_ROW) >> 3
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        data = <const uint8_t*> view.buf
        end = data + view.len
        columns = Columns(count_points(data, end, wanted), objects_max)
        while data < end:
            data = next_record(data, end, &stop)
            if find_row(data, stop, wanted, &row):
                columns.add_row(index, row.begin, row.end)
            data = stop
            index += 1
    finally:
        PyBuffer_Release(&view)
    return columns.rows()


def definitions(payload, *, Py_ssize_t objects_max=-1) -> list:
    """The records of a payload that are no rows, each with its position; see the twin."""
    cdef Py_buffer view
    cdef const uint8_t* data
    cdef const uint8_t* end
    cdef const uint8_t* stop = NULL
    cdef size_t index = 0
    cdef list found = []
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        data = <const uint8_t*> view.buf
        end = data + view.len
        while data < end:
            data = next_record(data, end, &stop)
            if data[0] != TAG_ROW and data[0] != TAG_SYSTEM:
                if 0 <= objects_max <= len(found):
                    raise TooManyObjects(objects_max)
                found.append((index, PyBytes_FromStringAndSize(<const char*> data, stop - data)))
            data = stop
            index += 1
    finally:
        PyBuffer_Release(&view)
    return found


def first_unnamed(rows, named) -> int:
    """The first point whose key was not named before its record, -1 if all were; see the twin."""
    cdef const uint32_t[::1] index = memoryview(rows.index).cast("I")
    cdef const uint32_t[::1] key_id = memoryview(rows.key_id).cast("I")
    cdef const uint32_t[::1] since = named
    cdef size_t ids = since.shape[0]
    cdef Py_ssize_t point
    for point in range(index.shape[0]):
        if key_id[point] >= ids or since[key_id[point]] > index[point]:
            return point
    return -1


def last_row(payload):
    """Step and time of the last row of a payload; see the twin."""
    cdef Py_buffer view
    cdef Field row, field
    cdef const uint8_t* data
    cdef const uint8_t* end
    cdef const uint8_t* stop = NULL
    cdef const uint8_t* last = NULL
    cdef const uint8_t* last_stop = NULL
    cdef int64_t step = 0, time_us = 0
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        data = <const uint8_t*> view.buf
        end = data + view.len
        while data < end:
            data = next_record(data, end, &stop)
            if data[0] == TAG_ROW:
                last, last_stop = data, stop
            data = stop
        if last == NULL or not find_row(last, last_stop, TAG_ROW >> 3, &row):
            return None
        data = row.begin
        while data < row.end:
            next_field(data, row.end, &field)
            data = field.end
            if field.number == 1:
                expect(&field, VARINT)
                step = unzigzag(field.varint)
            elif field.number == 2:
                expect(&field, VARINT)
                time_us = <int64_t> field.varint
    finally:
        PyBuffer_Release(&view)
    return step, time_us
