/* Protobuf's wire format: varints and little-endian words. */
#ifndef BUOY_WIRE_H
#define BUOY_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "buoy runs on little-endian machines only"
#endif

/* Bytes of `value` as a varint, 1 to 10. Seven bits a byte: 9/64 is a little more than 1/7, and exact for all 64 lengths. */
static inline size_t buoy_varint_size(uint64_t value) {
    return (size_t)((63 - __builtin_clzll(value | 1)) * 9 + 73) / 64;
}

/* Writes a varint and returns where it ends. There must be room. */
static inline uint8_t *buoy_write_varint(uint8_t *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/* Reads a varint into `value` and returns where it ends; NULL if it is cut off or longer than ten bytes. */
static inline const uint8_t *buoy_read_varint(const uint8_t *data, const uint8_t *end, uint64_t *value) {
    uint64_t result = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (data >= end)
            return NULL;
        uint8_t byte = *data++;
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = result;
            return data;
        }
    }
    return NULL;
}

static inline uint64_t buoy_zigzag(int64_t value) {
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t buoy_unzigzag(uint64_t value) {
    return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

static inline uint32_t buoy_load32(const uint8_t *data) {
    uint32_t value;
    memcpy(&value, data, 4);
    return value;
}

static inline void buoy_store32(uint8_t *out, uint32_t value) {
    memcpy(out, &value, 4);
}

static inline void buoy_store_double(uint8_t *out, double value) {
    memcpy(out, &value, 8);
}

#endif
