"""One row on its way into a record: slots, items, their sizes and their bytes. All inline, for the writer.

Nothing here runs code of the caller, raises, or allocates a Python object; text that is not ASCII may take
plain memory for its UTF-8.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF, Py_XINCREF
from libc.math cimport isfinite
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from buoy_core._compiled.wire cimport store_double, varint_size, write_varint, zigzag

cdef extern from "Python.h":
    PyObject* Py_True
    PyObject* Py_False
    PyObject* Py_None
    void* Py_TYPE(PyObject* value) noexcept
    bint PyFloat_CheckExact(PyObject* value) noexcept
    bint PyLong_CheckExact(PyObject* value) noexcept
    bint PyUnicode_CheckExact(PyObject* value) noexcept
    double PyFloat_AS_DOUBLE(PyObject* value) noexcept
    int64_t PyLong_AsLongLongAndOverflow(PyObject* value, int* overflow) noexcept
    const char* PyUnicode_AsUTF8AndSize(PyObject* value, Py_ssize_t* size) noexcept
    void PyErr_Clear() noexcept

cdef enum:
    HISTORY_POINTS_MAX = 64

# How an item travels. The first two in `slots` and `values`, the others in `others`.
cdef enum Kind:
    FLOAT = 0
    INT = 1
    FLAG = 2
    NOTHING = 3
    TEXT = 4
    INTEGER = 5
    ENCODED = 6

cdef struct SlotData:
    # Owned.
    PyObject* last  # the latest value, unless it is in `last_number`
    # Borrowed from the Slot.
    PyObject* key
    const char* name
    size_t name_size
    # State.
    uint32_t key_id
    uint32_t word_size  # bytes of the slot number as a varint
    bint defined  # the KeyDef is in the spool
    bint seen
    bint all_ints
    Kind last_kind
    uint64_t n
    uint64_t finite  # how many of them are no NaN and no infinity: extremes and total are over these
    uint64_t stride
    double first
    double last_number
    double minimum  # infinity while there is none
    double maximum  # its opposite
    double total
    uint32_t points
    double history[HISTORY_POINTS_MAX]


cdef struct Item:
    SlotData* slot
    PyObject* value  # borrowed
    double number  # of all numeric kinds
    const char* text  # TEXT: UTF-8; ENCODED: the value's field. Borrowed
    int64_t integer  # INTEGER: the value; TEXT, ENCODED: bytes of `text`
    uint64_t size  # of the encoded Value message, for kinds in `others`
    Kind kind
    bint counted  # is numeric


cdef struct RowSizes:
    uint64_t packed  # bytes of the packed slots
    uint64_t values  # how many
    uint64_t body
    uint64_t record


cdef inline void count_number(SlotData* slot, double number, bint small_int) noexcept:
    """Takes note of a number; see the twin's `Slot.update`."""
    if slot.n == 0:
        slot.first = number
    if isfinite(number):
        if number < slot.minimum:
            slot.minimum = number
        if number > slot.maximum:
            slot.maximum = number
        slot.total += number
        slot.finite += 1
    slot.all_ints &= small_int
    slot.last_number = number
    # The stride is a power of two.
    if slot.n & (slot.stride - 1) == 0:
        remember(slot, number)
    slot.n += 1


cdef inline void remember(SlotData* slot, double number) noexcept:
    """Keeps a number for the sparkline; whenever there are enough, every second goes."""
    cdef int at
    slot.history[slot.points] = number
    slot.points += 1
    if slot.points == HISTORY_POINTS_MAX:
        for at in range(1, HISTORY_POINTS_MAX // 2):
            slot.history[at] = slot.history[2 * at]
        slot.points = HISTORY_POINTS_MAX // 2
        slot.stride *= 2


cdef inline void note(const Item* item) noexcept:
    """Takes note of an item in its slot. Dropping the previous value runs no code: its type is plain."""
    cdef SlotData* slot = item.slot
    cdef PyObject* previous = slot.last
    slot.seen = True
    slot.last_kind = item.kind
    if item.kind > INT:
        Py_XINCREF(item.value)
        slot.last = item.value
        Py_XDECREF(previous)
    elif previous != NULL:
        slot.last = NULL
        Py_XDECREF(previous)
    if item.counted:
        count_number(slot, item.number, item.kind == INT)


cdef inline bint classify(PyObject* value, Item* item, void* float_type) noexcept:
    """Fills `item` with a value that needs no conversion; False if it needs one.

    Runs no code of the caller. `float_type` is a subclass of float whose values are plain doubles, or NULL.
    """
    cdef int overflow = 0
    cdef Py_ssize_t size = 0
    item.value = value
    if PyFloat_CheckExact(value) or Py_TYPE(value) == float_type:
        item.kind = FLOAT
        item.number = PyFloat_AS_DOUBLE(value)
        item.counted = True
        return True
    if PyLong_CheckExact(value):
        item.integer = PyLong_AsLongLongAndOverflow(value, &overflow)
        # -2**63 is no overflow, but beyond what the field for 64-bit integers is for.
        if overflow or item.integer < -INT64_MAX:
            return False
        item.kind = INT if -(<int64_t> 1 << 53) <= item.integer <= <int64_t> 1 << 53 else INTEGER
        item.number = <double> item.integer
        item.counted = True
        return True
    if value == Py_True or value == Py_False:
        item.kind = FLAG
        item.number = 1.0 if value == Py_True else 0.0
        item.counted = True
        return True
    item.counted = False
    if value == Py_None:
        item.kind = NOTHING
        return True
    if PyUnicode_CheckExact(value):
        item.text = PyUnicode_AsUTF8AndSize(value, &size)
        if item.text == NULL:
            # Lone surrogates.
            PyErr_Clear()
            return False
        item.kind = TEXT
        item.integer = size
        return True
    return False


cdef inline uint64_t kind_size(const Item* item) noexcept:
    """Bytes of the field that holds an item's value in a Value message."""
    if item.kind == TEXT:
        return 1 + varint_size(item.integer) + item.integer
    if item.kind == INTEGER:
        return 1 + varint_size(zigzag(item.integer))
    return item.integer if item.kind == ENCODED else 2


cdef inline uint64_t measure_other(Item* item) noexcept:
    """Bytes of an item in `others`, tag and length included; its own size is left in the item."""
    item.size = kind_size(item)
    if item.slot.key_id:
        item.size += 1 + varint_size(item.slot.key_id)
    return 1 + varint_size(item.size) + item.size


cdef inline uint8_t* write_other(uint8_t* out, const Item* item) noexcept:
    """Writes an item as one element of `others`."""
    out[0] = 0x2A
    out = write_varint(out + 1, item.size)
    if item.slot.key_id:
        out[0] = 0x08
        out = write_varint(out + 1, item.slot.key_id)
    if item.kind == TEXT:
        out[0] = 0x12
        out = write_varint(out + 1, item.integer)
    if item.kind == TEXT or item.kind == ENCODED:
        memcpy(out, item.text, item.integer)
        return out + item.integer
    if item.kind == INTEGER:
        out[0] = 0x20
        return write_varint(out + 1, zigzag(item.integer))
    out[0] = 0x18 if item.kind == FLAG else 0x30
    out[1] = 1 if item.kind == NOTHING else item.number != 0
    return out + 2


cdef inline RowSizes measure_row(Item* items, Py_ssize_t n, int64_t step, uint64_t time_us) noexcept:
    """The sizes of a row's record and of its parts."""
    cdef RowSizes sizes = RowSizes(0, 0, 0, 0)
    cdef Py_ssize_t at
    for at in range(n):
        if items[at].kind <= INT:
            sizes.packed += items[at].slot.word_size
            sizes.values += 1
        else:
            sizes.body += measure_other(&items[at])
    if step:
        sizes.body += 1 + varint_size(zigzag(step))
    if time_us:
        sizes.body += 1 + varint_size(time_us)
    if sizes.values:
        sizes.body += 1 + varint_size(sizes.packed) + sizes.packed
        sizes.body += 1 + varint_size(8 * sizes.values) + 8 * sizes.values
    sizes.record = 1 + varint_size(sizes.body) + sizes.body
    return sizes


cdef inline void write_row_record(
    uint8_t* out, const Item* items, Py_ssize_t n, const RowSizes* sizes, int64_t step, uint64_t time_us
) noexcept:
    """Writes a row's record; `out` has room for `sizes.record` bytes."""
    cdef Py_ssize_t at
    out[0] = 0x0A
    out = write_varint(out + 1, sizes.body)
    if step:
        out[0] = 0x08
        out = write_varint(out + 1, zigzag(step))
    if time_us:
        out[0] = 0x10
        out = write_varint(out + 1, time_us)
    if sizes.values:
        out[0] = 0x1A
        out = write_varint(out + 1, sizes.packed)
        for at in range(n):
            if items[at].kind <= INT:
                out = write_varint(out, <uint64_t> items[at].slot.key_id << 1 | items[at].kind)
        out[0] = 0x22
        out = write_varint(out + 1, 8 * sizes.values)
        for at in range(n):
            if items[at].kind <= INT:
                store_double(out, items[at].number)
                out += 8
    if <uint64_t> n != sizes.values:
        for at in range(n):
            if items[at].kind > INT:
                out = write_other(out, &items[at])
