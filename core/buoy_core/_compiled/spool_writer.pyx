"""The writer: `log()` turns a dict into protobuf bytes straight in a mapped segment, and publishes them.

One call, five floats: five look-ups (pointer compares if the keys come in the same order as last time), about
75 bytes written once, one CRC over them, one clock reading (vdso), one release store. No system call, no
allocation, no lock.

Invariants:
  - Code of the caller (conversions, hooks, finalisers) runs before `write_row`, never in it: with the GIL
    held from there to the commit, rows of threads, signal handlers and re-entrant calls cannot mix. So
    nothing below `write_row` may allocate a Python object, and nothing here may release the GIL.
  - What lies below `committed` never changes again.
  - Slots live as long as the writer, so pointers to their data stay good.

Longer than most files: slots and writer are one C unit, so that the compiler can inline across the hot path.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF, Py_XINCREF
from libc.errno cimport EDQUOT, ENOMEM, ENOSPC
from libc.math cimport INFINITY, NAN
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset, strerror

from buoy_core._compiled.row cimport (
    ENCODED,
    FLOAT,
    INT,
    Item,
    RowSizes,
    SlotData,
    classify,
    measure_row,
    note,
    write_row_record,
)
from buoy_core._compiled.wire cimport (
    crc32,
    crc32_prepare,
    load_acquire32,
    load_acquire64,
    store32,
    store_release32,
    store_release64,
    varint_size,
    write_varint,
)

import os

from buoy_core import faults
from buoy_core.chunk import KeyStatistics
from buoy_core.errors import ClosedWriter, ForkedWriter, SpoolFull
from buoy_core.format import FREE_BYTES_MIN, SPOOL_BYTES_MAX, SPOOL_SEGMENT_BYTES, end_room
from buoy_core.machine import boot_id, pid_namespace, process_identity
from buoy_core.spool_directory import limit_reached, no_space, prepare_directory

cdef extern from "Python.h":
    bint PyDict_CheckExact(PyObject* value) noexcept
    Py_ssize_t PyDict_GET_SIZE(PyObject* value) noexcept
    bint PyDict_Next(PyObject* data, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    PyObject* PyDict_GetItemWithError(PyObject* data, PyObject* key) noexcept
    bint PyLong_CheckExact(PyObject* value) noexcept
    bint PyUnicode_CheckExact(PyObject* value) noexcept
    int64_t PyLong_AsLongLongAndOverflow(PyObject* value, int* overflow) noexcept
    void* PyInterpreterState_Get() noexcept
    void* PyInterpreterState_Main() noexcept

cdef extern from "segment.h" nogil:
    ctypedef struct Segment "buoy_segment":
        uint8_t* map
        uint64_t capacity
        uint64_t base
        uint64_t index
        uint64_t committed

    ctypedef struct Origin "buoy_origin":
        uint8_t writer_id[16]
        uint8_t boot_id[16]
        uint64_t process_start
        uint64_t pid_namespace
        uint32_t pid

    uint64_t wall_clock_us "buoy_wall_clock_us"() noexcept
    uint64_t monotonic_ns "buoy_monotonic_ns"() noexcept
    bint segment_exists "buoy_segment_exists"(const char* directory, uint64_t index) noexcept
    int disk_free_bytes "buoy_free_bytes"(const char* directory, uint64_t* free_bytes) noexcept
    int segment_create "buoy_segment_create"(
        Segment* segment,
        const char* directory,
        uint64_t index,
        uint64_t base,
        uint64_t capacity,
        const Origin* origin,
    ) noexcept
    int segment_publish "buoy_segment_publish"(Segment* segment, const char* directory) noexcept
    void segment_close "buoy_segment_close"(Segment* segment) noexcept
    void segment_commit "buoy_segment_commit"(Segment* segment, uint64_t size) noexcept

cdef enum:
    SCRATCH_ITEMS = 256
    RECORD_BYTES_MAX = 64 << 20
    FRAME_HEADER_BYTES = 8
    HEADER_BYTES = 4096
    SEALED_AT = 136
    LAST_AT = 140
    DROPPED_AT = 144
    CONTROL_AT = 192
    CONTROL_STOP = 2
    CONTROL_WAITING = 4
    UNSETTLED = 1
    STOP_SEEN_AT = 196
    SEEN_AT = 200
    ROLL_RETRY_NS = 500000000
    SPOOL_LIMIT = -1
    DISK_LIMIT = -2

if PyInterpreterState_Get() != PyInterpreterState_Main():
    # Its globals are one for all interpreters, and so are those of protobuf and gRPC.
    raise ImportError("the compiled core serves the main interpreter only")

crc32_prepare()

cdef bint armed = faults.armed

# Counts up in each forked child: `log()` needs no system call to know that it is in one.
cdef unsigned long generation = 0

# numpy's float64 is a float by inheritance. Its type is kept from first sight on: numpy is never imported.
cdef void* numpy_float64 = NULL


# `buoy_core.values` needs json and datetime, which `import buoy` must not. So the first writer imports it,
# not the first `log()`: a signal handler may interrupt that by its own while the module is half imported.
cdef object values = None
cdef object interruption = None


cdef int import_modules() except -1:
    global interruption, values
    from buoy_core import interruption as interruption_module, values as values_module
    interruption = interruption_module
    values = values_module
    return 0


cdef void visit(str point) noexcept:
    """Visits a fault point. Runs no Python code unless a test has armed one."""
    if armed:
        faults.point(point)


def _count_fork():
    global generation
    generation += 1


os.register_at_fork(after_in_child=_count_fork)


@cython.final
cdef class Slot:
    """One key of one writer."""

    # Owned.
    cdef str key
    cdef bytes name
    cdef SlotData data

    def __cinit__(self, str key, bytes name):
        memset(&self.data, 0, sizeof(SlotData))
        self.key = key
        self.name = name
        self.data.key = <PyObject*> key
        self.data.name = PyBytes_AS_STRING(name)
        self.data.name_size = PyBytes_GET_SIZE(name)
        self.data.all_ints = True
        self.data.stride = 1

    def __dealloc__(self):
        Py_XDECREF(self.data.last)

    cdef void number(self, uint32_t key_id) noexcept:
        self.data.key_id = key_id
        self.data.word_size = <uint32_t> varint_size(<uint64_t> key_id << 1 | 1)
        self.data.minimum, self.data.maximum = INFINITY, -INFINITY

    cdef object last(self):
        if self.data.last_kind == FLOAT:
            return self.data.last_number
        return int(self.data.last_number) if self.data.last_kind == INT else <object> self.data.last

    cdef object statistics(self):
        cdef SlotData* data = &self.data
        if not data.n:
            return None
        if not data.finite:
            return KeyStatistics(data.n, data.first, data.last_number, NAN, NAN, NAN)
        mean = data.total / <double> data.finite
        numbers = data.first, data.last_number, data.minimum, data.maximum
        if data.all_ints:
            numbers = tuple([int(number) for number in numbers])
        return KeyStatistics(data.n, numbers[0], numbers[1], numbers[2], numbers[3], mean)

    cdef list points(self):
        cdef list points = [self.data.history[at] for at in range(self.data.points)]
        if self.data.n and (self.data.n - 1) % self.data.stride:
            points.append(self.data.last_number)
        return points


cdef int64_t to_step(object step) except? -1:
    """`step` as a number; runs code of the caller unless it is an int."""
    cdef int overflow = 0
    cdef int64_t number
    if PyLong_CheckExact(<PyObject*> step):
        number = PyLong_AsLongLongAndOverflow(<PyObject*> step, &overflow)
        if not overflow and number != INT64_MAX:
            return number
    return values.check_step(step)


cdef object keep_numpy_float64(object value):
    """Remembers numpy's float64 when one goes by the slow way, so that the next takes the fast one."""
    global numpy_float64
    kind = type(value)
    if kind.__module__ == "numpy" and kind.__name__ == "float64":
        Py_XINCREF(<PyObject*> kind)
        numpy_float64 = <void*> kind


cdef class Writer:
    """See `buoy_core.python.spool_writer.Writer`."""

    # Owned.
    cdef readonly str directory
    cdef readonly bytes writer_id
    cdef public object convert
    cdef public object on_full, on_waiting
    cdef bytes path
    cdef dict slots  # str -> Slot; several keys may have one slot
    cdef dict by_name  # bytes -> Slot, in the order of ids
    cdef Segment segment
    cdef uint64_t* sizes  # bytes of each segment from `oldest` on
    # Borrowed from the slots: those of the latest row, which the next row most likely has in the same order.
    cdef SlotData* recent[SCRATCH_ITEMS]
    # State.
    cdef Origin origin
    cdef unsigned long generation
    cdef int64_t current_step
    cdef uint64_t capacity, end_bytes, spool_bytes_max, free_bytes_min
    cdef uint64_t oldest, sizes_count, sizes_room, used
    cdef uint64_t dropped_count, retry_at_ns, retry_bytes
    cdef uint64_t final_committed, final_seen_ns
    cdef uint32_t final_control
    cdef int full_status  # why the latest attempt to make a segment failed; 0 = it did not
    cdef bint news  # it has changed, and `on_full` does not know yet
    cdef bint is_waiting  # what `on_waiting` was told
    # The control word's bit for that, or UNSETTLED: one compare a row tells that nothing has changed.
    cdef uint32_t settled
    cdef bint is_closed
    cdef public uint64_t fixed_time_us

    def __init__(
        self,
        directory,
        *,
        writer_id,
        segment_bytes=SPOOL_SEGMENT_BYTES,
        spool_bytes_max=SPOOL_BYTES_MAX,
        free_bytes_min=FREE_BYTES_MIN,
        dropped=0,
    ):
        if self.slots is not None:
            raise TypeError("a writer is made only once")
        import_modules()
        prepare_directory(directory, writer_id, segment_bytes)
        self.directory = os.fspath(directory)
        self.path = os.fsencode(directory)
        self.writer_id = bytes(writer_id)
        self.slots = {}
        self.by_name = {}
        self.generation = generation
        self.capacity = segment_bytes - HEADER_BYTES
        self.end_bytes = end_room(self.capacity)
        self.dropped_count = dropped
        self.spool_bytes_max = spool_bytes_max
        self.free_bytes_min = free_bytes_min
        cdef bytes boot = boot_id()
        memcpy(self.origin.writer_id, PyBytes_AS_STRING(self.writer_id), 16)
        memcpy(self.origin.boot_id, PyBytes_AS_STRING(boot), 16)
        self.origin.pid, self.origin.process_start = process_identity()
        self.origin.pid_namespace = pid_namespace()
        self.open_first()

    def __dealloc__(self):
        # Not sealed: what was committed is there, and the daemon finds out that the process is gone.
        segment_close(&self.segment)
        PyMem_Free(self.sizes)

    cdef int open_first(self) except -1:
        cdef int status = self.create(&self.segment, 0, 0, self.capacity)
        if status == 0:
            store_release64(self.segment.map + DROPPED_AT, self.dropped_count)
            status = self.give_name(&self.segment)
        if status:
            raise self.full_error(status)
        return 0

    cdef object full_error(self, int status):
        """Says why there is no segment."""
        cdef uint64_t free = 0
        if status == SPOOL_LIMIT:
            return limit_reached(self.directory, self.spool_bytes_max)
        if status == DISK_LIMIT:
            disk_free_bytes(PyBytes_AS_STRING(self.path), &free)
            return no_space(self.directory, free, self.free_bytes_min)
        reason = strerror(status).decode("utf-8", "replace")
        cause = "space" if status == ENOSPC or status == EDQUOT else "system"
        return SpoolFull(f"cannot make a spool segment in {self.directory}: {reason}", cause)

    cdef int tell(self) except -1:
        """Calls `on_full`, which may run anything: the row in hand is done with."""
        cdef int status = self.full_status
        self.news = False
        if self.on_full is not None:
            self.on_full(self.full_error(status) if status else None)
        return 0

    def log(self, data, step=None, commit=None):
        """Records one row; see the twin."""
        cdef Item items[SCRATCH_ITEMS]
        cdef Py_ssize_t n = -1
        cdef bint given = step is not None
        cdef bint advance = not given if commit is None else commit
        cdef int64_t target = to_step(step) if given else 0
        self.check_usable()
        if PyDict_CheckExact(<PyObject*> data):
            n = self.take_simple(<PyObject*> data, items)
        if n < 0:
            self.log_any(data, given, target, advance)
        else:
            self.write_row(items, n, given, target, advance)

    cdef inline int check_usable(self) except -1:
        if self.generation != generation:
            raise ForkedWriter("this writer belongs to the parent process; make a new one after fork()")
        if self.is_closed:
            raise ClosedWriter(f"the writer of {self.directory} is closed")
        return 0

    cdef Py_ssize_t take_simple(self, PyObject* data, Item* items) noexcept:
        """Fills `items` from a dict with known keys and plain values; -1 if it is not of that kind.

        Runs no code of the caller, so the dict cannot change meanwhile, and allocates nothing.
        """
        cdef Py_ssize_t at = 0, n = 0
        cdef PyObject* key
        cdef PyObject* value
        cdef PyObject* found
        cdef SlotData* slot
        if PyDict_GET_SIZE(data) > SCRATCH_ITEMS:
            return -1
        while PyDict_Next(data, &at, &key, &value):
            slot = self.recent[n]
            if slot == NULL or slot.key != key:
                if not PyUnicode_CheckExact(key):
                    return -1
                found = PyDict_GetItemWithError(<PyObject*> self.slots, key)
                if found == NULL:
                    return -1
                slot = self.recent[n] = &(<Slot> found).data
            items[n].slot = slot
            if not classify(value, &items[n], numpy_float64):
                return -1
            n += 1
        return n

    cdef int log_any(self, data, bint given, int64_t target, bint advance) except -1:
        """Records a row of any kind: converts first, then does as `log` does."""
        cdef list leaves = values.flatten(data, self.convert)
        cdef list encoded = []  # keeps alive what items point to
        cdef Py_ssize_t n = len(leaves), at
        cdef Item* items = <Item*> PyMem_Malloc((n + 1) * sizeof(Item))
        cdef tuple leaf
        if items == NULL:
            raise MemoryError
        try:
            for at in range(n):
                leaf = leaves[at]
                items[at].slot = &self.slot_of(leaf[0]).data
                if not classify(<PyObject*> leaf[1], &items[at], numpy_float64):
                    encoded.append(values.encode_kind(leaf[1]))
                    self.take_encoded(leaf[1], encoded[-1], &items[at])
            if numpy_float64 == NULL and type(data) is dict:
                for value in list(data.values()):
                    keep_numpy_float64(value)
            # Conversions may have run anything: closed the writer, even forked.
            self.check_usable()
            self.write_row(items, n, given, target, advance)
        finally:
            PyMem_Free(items)
        return 0

    cdef int take_encoded(self, object value, bytes encoded, Item* item) except -1:
        """Fills `item` with a value whose field is encoded already; both must stay alive."""
        item.kind = ENCODED
        item.text = PyBytes_AS_STRING(encoded)
        item.integer = PyBytes_GET_SIZE(encoded)
        item.counted = isinstance(value, int)
        item.number = values.nearest_double(value) if item.counted else 0.0
        return 0

    cdef Slot slot_of(self, str key):
        """The slot of a key, made if needed."""
        cdef Slot slot = self.slots.get(key)
        if slot is not None:
            return slot
        cdef bytes name = values.encode_key(key)
        cdef Slot fresh = Slot(key, name)
        # From here on nothing allocates an object, so no finaliser can come between and take the same id.
        slot = self.by_name.get(name)
        if slot is None:
            slot = fresh
            slot.number(<uint32_t> PyDict_GET_SIZE(<PyObject*> self.by_name))
            self.by_name[name] = slot
        self.slots[key] = slot
        return slot

    cdef int write_row(self, Item* items, Py_ssize_t n, bint given, int64_t step, bint advance) except -1:
        """Writes a row and advances. From here on no code but this runs."""
        cdef RowSizes sizes
        cdef uint64_t time_us
        cdef Py_ssize_t at
        cdef uint32_t control = 0
        if not given:
            step = self.current_step
        if n:
            time_us = self.fixed_time_us or wall_clock_us()
            sizes = measure_row(items, n, step, time_us)
            if sizes.record > RECORD_BYTES_MAX:
                raise ValueError(f"a row of {sizes.record} bytes; at most {RECORD_BYTES_MAX} are possible")
            self.put_row(items, n, &sizes, step, time_us)
            control = load_acquire32(self.segment.map + CONTROL_AT)
        if step >= self.current_step:
            self.current_step = step + 1 if advance and step != INT64_MAX else step
        for at in range(n):
            note(&items[at])
        if n and (control & (CONTROL_STOP | CONTROL_WAITING)) != self.settled:
            self.settle(control)
        return 0

    cdef int settle(self, uint32_t control) except -1:
        """Passes on what has changed, which may run anything: the row in hand is done with."""
        cdef bint waiting = (control & CONTROL_WAITING) != 0
        cdef bint changed = waiting != self.is_waiting
        self.is_waiting = waiting
        self.settled = control & CONTROL_WAITING
        if self.news:
            self.tell()
        if changed and self.on_waiting is not None:
            self.on_waiting(waiting)
        if control & CONTROL_STOP:
            self.interrupt_once()
        return 0

    cdef int interrupt_once(self) except -1:
        """Interrupts the process, once: what it logs while it saves its state and ends is welcome."""
        # Forgetting an older value may have run a finaliser of the caller, which may have closed the writer.
        if self.is_closed or load_acquire32(self.segment.map + STOP_SEEN_AT):
            return 0
        store_release32(self.segment.map + STOP_SEEN_AT, 1)
        interruption.interrupt()
        return 0

    cdef void put_row(
        self, const Item* items, Py_ssize_t n, const RowSizes* sizes, int64_t step, uint64_t time_us
    ) noexcept:
        """Puts the definitions of new keys, then the row; if any has no room, the row is dropped."""
        cdef uint8_t* out
        cdef Py_ssize_t at
        for at in range(n):
            if not items[at].slot.defined:
                if not self.put_key_def(items[at].slot):
                    self.count_drop()
                    return
        out = self.reserve(sizes.record)
        if out == NULL:
            self.count_drop()
            return
        write_row_record(out + FRAME_HEADER_BYTES, items, n, sizes, step, time_us)
        self.publish(out, sizes.record)

    cdef bint put_key_def(self, SlotData* slot) noexcept:
        """Defines a key in the spool; False if there is no room."""
        cdef uint64_t body = 1 + varint_size(slot.name_size) + slot.name_size
        if slot.key_id:
            body += 1 + varint_size(slot.key_id)
        cdef uint64_t size = 1 + varint_size(body) + body
        cdef uint8_t* frame = self.reserve(size)
        if frame == NULL:
            return False
        cdef uint8_t* out = frame + FRAME_HEADER_BYTES
        out[0] = 0x12
        out = write_varint(out + 1, body)
        if slot.key_id:
            out[0] = 0x08
            out = write_varint(out + 1, slot.key_id)
        out[0] = 0x12
        out = write_varint(out + 1, slot.name_size)
        memcpy(out, slot.name, slot.name_size)
        self.publish(frame, size)
        slot.defined = True
        return True

    cdef inline uint8_t* reserve(self, uint64_t record_size) noexcept:
        """Where to write the frame of a record of this size; NULL if there is no room."""
        cdef uint64_t size = FRAME_HEADER_BYTES + record_size + self.end_bytes
        if size > self.segment.capacity - self.segment.committed and not self.roll(size):
            return NULL
        return self.segment.map + HEADER_BYTES + self.segment.committed

    cdef inline void publish(self, uint8_t* frame, uint64_t record_size) noexcept:
        """Completes the frame around a record, and commits it."""
        store32(frame, <uint32_t> record_size)
        store32(frame + 4, crc32(frame + FRAME_HEADER_BYTES, record_size))
        segment_commit(&self.segment, FRAME_HEADER_BYTES + record_size)

    cdef void count_drop(self) noexcept:
        self.dropped_count += 1
        store_release64(self.segment.map + DROPPED_AT, self.dropped_count)

    cdef bint roll(self, uint64_t size) noexcept:
        """Goes on in a new segment with room for `size` bytes; False if none can be made now."""
        cdef uint64_t now_ns = monotonic_ns()
        cdef Segment following
        cdef uint64_t base = self.segment.base + self.segment.committed
        if now_ns < self.retry_at_ns and size >= self.retry_bytes:
            return False
        cdef int status = self.create(&following, self.segment.index + 1, base, max(self.capacity, size))
        if status == 0:
            store_release64(following.map + DROPPED_AT, self.dropped_count)
            memcpy(following.map + CONTROL_AT, self.segment.map + CONTROL_AT, 16)
            status = self.give_name(&following)
        if (status == 0) != (self.full_status == 0):
            self.news = True
            self.settled = UNSETTLED
        self.full_status = status
        if status:
            self.retry_at_ns = now_ns + ROLL_RETRY_NS
            self.retry_bytes = size
            return False
        # Only now: a reader that sees the seal finds the next segment.
        store_release32(self.segment.map + SEALED_AT, 1)
        visit("spool.after_seal")
        segment_close(&self.segment)
        self.segment = following
        self.retry_at_ns = 0
        return True

    cdef int create(self, Segment* segment, uint64_t index, uint64_t base, uint64_t capacity) noexcept:
        """Makes a segment if the limits allow it; 0, an errno, SPOOL_LIMIT or DISK_LIMIT."""
        cdef const char* directory = PyBytes_AS_STRING(self.path)
        cdef uint64_t size = HEADER_BYTES + capacity
        cdef uint64_t free = 0
        cdef int status
        visit("spool.before_create")
        if self.sizes_count and self.oldest + self.sizes_count > index:
            # It was made before, but could not be published.
            self.sizes_count -= 1
            self.used -= self.sizes[self.sizes_count]
        self.forget_deleted(directory)
        if self.used + size > self.spool_bytes_max:
            return SPOOL_LIMIT
        status = disk_free_bytes(directory, &free)
        if status:
            return status
        if free < size + self.free_bytes_min:
            return DISK_LIMIT
        if not self.make_room():
            return ENOMEM
        status = segment_create(segment, directory, index, base, capacity, &self.origin)
        if status == 0:
            self.sizes[self.sizes_count] = size
            self.sizes_count += 1
            self.used += size
        return status

    cdef int give_name(self, Segment* segment) noexcept:
        """Makes a segment visible to readers; 0 or an errno."""
        visit("spool.before_publish")
        cdef int status = segment_publish(segment, PyBytes_AS_STRING(self.path))
        if status == 0:
            visit("spool.after_publish")
        return status

    cdef bint make_room(self) noexcept:
        """Sees to it that one more size can be noted; False without memory."""
        cdef uint64_t room = 2 * self.sizes_room + 16
        cdef uint64_t* sizes
        if self.sizes_count < self.sizes_room:
            return True
        sizes = <uint64_t*> PyMem_Realloc(self.sizes, room * sizeof(uint64_t))
        if sizes == NULL:
            return False
        self.sizes = sizes
        self.sizes_room = room
        return True

    cdef void forget_deleted(self, const char* directory) noexcept:
        """Stops counting the segments that the daemon has deleted. It deletes from the front."""
        cdef uint64_t gone = 0, at
        while gone < self.sizes_count and not segment_exists(directory, self.oldest + gone):
            self.used -= self.sizes[gone]
            gone += 1
        if gone:
            self.oldest += gone
            self.sizes_count -= gone
            for at in range(self.sizes_count):
                self.sizes[at] = self.sizes[at + gone]

    def append(self, record, *, counted=True, last=False) -> bool:
        """Appends a serialised `buoy.v1.Record`; see the twin."""
        cdef bytes data = bytes(record)
        cdef uint64_t size = PyBytes_GET_SIZE(data)
        self.check_usable()
        if not size:
            raise ValueError("a record has at least one byte")
        if size > RECORD_BYTES_MAX:
            raise ValueError(f"a record of {size} bytes; at most {RECORD_BYTES_MAX} are possible")
        cdef uint8_t* frame = self.reserve(size)
        cdef uint64_t room = self.segment.capacity - self.segment.committed
        if frame == NULL and last and FRAME_HEADER_BYTES + size <= room:
            frame = self.segment.map + HEADER_BYTES + self.segment.committed
        if frame != NULL:
            memcpy(frame + FRAME_HEADER_BYTES, PyBytes_AS_STRING(data), size)
            self.publish(frame, size)
        elif counted:
            self.count_drop()
        if self.news:
            self.tell()
        return frame != NULL

    def close(self):
        """Marks the spool as complete and unmaps it; see the twin."""
        if self.is_closed or self.segment.map == NULL:
            return
        self.is_closed = True
        self.final_committed = self.segment.base + self.segment.committed
        self.final_control = load_acquire32(self.segment.map + CONTROL_AT)
        self.final_seen_ns = load_acquire64(self.segment.map + SEEN_AT)
        if self.generation == generation:
            store_release32(self.segment.map + LAST_AT, 1)
            store_release32(self.segment.map + SEALED_AT, 1)
        segment_close(&self.segment)

    def heed_stop(self):
        """Interrupts the process if it was not yet; see the twin."""
        self.interrupt_once()

    @property
    def step(self):
        """The step that the next `log()` without one writes to."""
        return self.current_step

    @step.setter
    def step(self, value):
        self.current_step = to_step(value)

    @property
    def closed(self):
        """Whether `close()` was called."""
        return self.is_closed

    @property
    def committed(self):
        """The writer's offset after the last complete frame."""
        return self.final_committed if self.is_closed else self.segment.base + self.segment.committed

    @property
    def dropped(self):
        """Records that could not be kept because the disk or the spool was full."""
        return self.dropped_count

    @property
    def control(self):
        """The daemon's word: bit 0 a daemon reads this spool, bit 1 stop requested, bit 2 records wait."""
        return self.final_control if self.is_closed else load_acquire32(self.segment.map + CONTROL_AT)

    @property
    def daemon_seen_ns(self):
        """When the daemon last looked, `CLOCK_MONOTONIC` nanoseconds; 0 = never."""
        return self.final_seen_ns if self.is_closed else load_acquire64(self.segment.map + SEEN_AT)

    def last_values(self) -> dict:
        """The latest value of each key, exact, in the order of first sight."""
        cdef Slot slot
        cdef dict values = {}
        for slot in list(self.by_name.values()):
            if slot.data.seen:
                values[slot.name.decode()] = slot.last()
        return values

    def statistics(self, str key):
        """What is known about the numbers of `key`; None if there were none."""
        cdef Slot slot = self.slots.get(key)
        return None if slot is None else slot.statistics()

    def history(self, str key) -> list:
        """At most 64 numbers of `key`, evenly spread over all of them and ending with the latest."""
        cdef Slot slot = self.slots.get(key)
        return [] if slot is None else slot.points()
