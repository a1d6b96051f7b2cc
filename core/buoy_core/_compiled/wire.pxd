"""Protobuf's wire format, CRC-32 and shared words, from the C headers beside this file."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "wire.h" nogil:
    size_t varint_size "buoy_varint_size"(uint64_t value) noexcept
    uint8_t* write_varint "buoy_write_varint"(uint8_t* out, uint64_t value) noexcept
    const uint8_t* read_varint "buoy_read_varint"(
        const uint8_t* data, const uint8_t* end, uint64_t* value
    ) noexcept
    uint64_t zigzag "buoy_zigzag"(int64_t value) noexcept
    int64_t unzigzag "buoy_unzigzag"(uint64_t value) noexcept
    uint32_t load32 "buoy_load32"(const uint8_t* data) noexcept
    void store32 "buoy_store32"(uint8_t* out, uint32_t value) noexcept
    void store_double "buoy_store_double"(uint8_t* out, double value) noexcept


cdef extern from "crc32.h" nogil:
    void crc32_prepare "buoy_crc32_prepare"() noexcept
    uint32_t crc32 "buoy_crc32"(const uint8_t* data, size_t size) noexcept


cdef extern from "atomics.h" nogil:
    uint32_t load_acquire32 "buoy_load_acquire32"(const uint8_t* word) noexcept
    uint64_t load_acquire64 "buoy_load_acquire64"(const uint8_t* word) noexcept
    void store_release32 "buoy_store_release32"(uint8_t* word, uint32_t value) noexcept
    void store_release64 "buoy_store_release64"(uint8_t* word, uint64_t value) noexcept
