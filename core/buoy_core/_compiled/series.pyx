# cython: boundscheck=False, wraparound=False, cdivision=True
"""Reduces and smooths series: the loops over points that the server draws from.

Bounds: each function compares the lengths of its buffers once, above its loop; inside nothing is checked.
None allocates, the caller owns all buffers, and the GIL is released in a loop. What they compute is told
in `buoy_core.python.series`.
"""

from libc.math cimport NAN, exp, isfinite
from libc.stdint cimport int64_t

cdef enum:
    # Rows of a table of buckets, as `buoy_core.python.series` names them.
    N = 0
    FINITE = 1
    TOTAL = 2
    SQUARES = 3
    LOW = 4
    HIGH = 5
    FIRST = 6
    LAST = 7
    ROWS = 8
    # Members of a state.
    MEAN = 0
    WEIGHT = 1
    X = 2
    STATE = 3

# Below this a weight is nothing: products of such weights would become denormal numbers, which are slow.
cdef double NOTHING = 1e-12


def reduce_points(const int64_t[::1] bucket, const double[::1] y, int64_t[::1] idx, double[:, ::1] table):
    cdef Py_ssize_t points = bucket.shape[0], room = idx.shape[0], i, row = -1
    cdef double value
    if y.shape[0] != points or table.shape[0] != ROWS or table.shape[1] != room:
        raise ValueError("buffers of different lengths")
    with nogil:
        for i in range(points):
            value = y[i]
            if row < 0 or bucket[i] != idx[row]:
                row += 1
                if row == room:
                    break
                idx[row] = bucket[i]
                table[N, row] = table[FINITE, row] = table[TOTAL, row] = table[SQUARES, row] = 0.0
                table[LOW, row] = table[HIGH, row] = NAN
                table[FIRST, row] = value
            table[N, row] += 1.0
            table[LAST, row] = value
            if isfinite(value):
                if table[FINITE, row] == 0.0:
                    table[LOW, row] = table[HIGH, row] = value
                elif value < table[LOW, row]:
                    table[LOW, row] = value
                elif value > table[HIGH, row]:
                    table[HIGH, row] = value
                table[FINITE, row] += 1.0
                table[TOTAL, row] += value
                table[SQUARES, row] += value * value
    if row == room:
        raise ValueError("more buckets than there is room for")
    return row + 1


cdef void restart(double* mean, double* weight, double empty) noexcept nogil:
    mean[0] = 0.0
    weight[0] = empty


cdef inline double moved(double mean, double value, double part) noexcept nogil:
    """`mean` with `part` of the way to `value` gone. The way itself may be too long for a double."""
    cdef double way = value - mean
    if isfinite(way):
        return mean + part * way
    return mean - part * mean + part * value


cdef int check_smooth(Py_ssize_t x, Py_ssize_t y, Py_ssize_t out) except -1:
    if x != y or y != out:
        raise ValueError("buffers of different lengths")
    return 0


def smooth_twema(
    const double[::1] x, const double[::1] y, double[::1] out, double[::1] state, double rate
):
    cdef Py_ssize_t i
    cdef double mean, total, before, gap, known_gap = -1.0, decay = 1.0
    check_smooth(x.shape[0], y.shape[0], out.shape[0])
    if state.shape[0] != STATE:
        raise ValueError("a state has three members")
    mean, total, before = state[MEAN], state[WEIGHT], state[X]
    with nogil:
        for i in range(x.shape[0]):
            if not isfinite(y[i]):
                out[i] = y[i]
                continue
            gap = x[i] - before
            if total == 0.0 or gap < 0.0:
                restart(&mean, &total, 0.0)
                gap = 0.0
            if gap != known_gap:
                known_gap = gap
                decay = 1.0 if gap == 0.0 else exp(-rate * gap)
                if decay < NOTHING:
                    decay = 0.0
            total = total * decay + 1.0
            mean = moved(mean, y[i], 1.0 / total)
            before = x[i]
            out[i] = mean
    state[MEAN], state[WEIGHT], state[X] = mean, total, before


def smooth_ema(
    const double[::1] x, const double[::1] y, double[::1] out, double[::1] state, double weight
):
    cdef Py_ssize_t i
    cdef double mean, left, before
    check_smooth(x.shape[0], y.shape[0], out.shape[0])
    if state.shape[0] != STATE:
        raise ValueError("a state has three members")
    mean, left, before = state[MEAN], 1.0 - state[WEIGHT], state[X]
    with nogil:
        for i in range(x.shape[0]):
            if not isfinite(y[i]):
                out[i] = y[i]
                continue
            if left == 1.0 or x[i] < before:
                restart(&mean, &left, 1.0)
            if left > NOTHING:
                left *= weight
            mean = moved(mean, y[i], (1.0 - weight) / (1.0 - left))
            before = x[i]
            out[i] = mean
    state[MEAN], state[WEIGHT], state[X] = mean, 1.0 - left, before


def smooth_gaussian(const double[::1] x, const double[::1] y, double[::1] out, double sigma):
    cdef Py_ssize_t points = x.shape[0], i, j, low = 0
    cdef double gap, weight, weights, offset, reach = 3.0 * sigma, factor = -0.5 / (sigma * sigma)
    check_smooth(x.shape[0], y.shape[0], out.shape[0])
    with nogil:
        for i in range(points):
            if not isfinite(y[i]):
                out[i] = y[i]
                continue
            while x[i] - x[low] > reach:
                low += 1
            weights = offset = 0.0
            for j in range(low, points):
                gap = x[j] - x[i]
                if gap > reach:
                    break
                if isfinite(y[j]):
                    weight = exp(gap * gap * factor)
                    weights += weight
                    # Relative to the middle, so that a constant stays what it is to the last bit.
                    offset += weight * (y[j] - y[i])
            out[i] = y[i] + offset / weights


def smooth_running(const double[::1] y, double[::1] out, Py_ssize_t half):
    cdef Py_ssize_t points = y.shape[0], i, j, count
    cdef double offset
    check_smooth(points, points, out.shape[0])
    with nogil:
        for i in range(points):
            if not isfinite(y[i]):
                out[i] = y[i]
                continue
            offset, count = 0.0, 0
            for j in range(max(0, i - half), min(points, i + half + 1)):
                if isfinite(y[j]):
                    offset += y[j] - y[i]
                    count += 1
            out[i] = y[i] + offset / count
