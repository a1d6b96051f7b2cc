/* CRC-32 as in zlib and PNG: reflected polynomial 0xEDB88320, start and final xor 0xFFFFFFFF.
 *
 * Three ways, one result: eight tables anywhere, carry-less multiplication where x86 has it (found at run time), the
 * instructions of ARMv8 where the compiler may use them. The folding follows Gopal et al., "Fast CRC Computation for
 * Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009. A row of five metrics is about 70 bytes, so
 * short inputs matter as much as long ones.
 */
#ifndef BUOY_CRC32_H
#define BUOY_CRC32_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

static uint32_t buoy_crc_tables[8][256];
static int buoy_crc_folds;

/* Fills the tables. Call once, when the module is imported. */
static inline void buoy_crc32_prepare(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        buoy_crc_tables[0][byte] = crc;
    }
    for (int table = 1; table < 8; table++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = buoy_crc_tables[table - 1][byte];
            buoy_crc_tables[table][byte] = crc >> 8 ^ buoy_crc_tables[0][crc & 0xFF];
        }
#if defined(__x86_64__)
    buoy_crc_folds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#endif
}

/* `state` is the CRC before its final xor, here and below. */
static uint32_t buoy_crc_sliced(uint32_t state, const uint8_t *data, size_t size) {
#if defined(__ARM_FEATURE_CRC32)
    for (; size >= 8; data += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        state = __crc32d(state, word);
    }
    while (size--)
        state = __crc32b(state, *data++);
    return state;
#else
    for (; size >= 8; data += 8, size -= 8) {
        uint32_t low, high;
        memcpy(&low, data, 4);
        memcpy(&high, data + 4, 4);
        low ^= state;
        state = buoy_crc_tables[7][low & 0xFF] ^ buoy_crc_tables[6][low >> 8 & 0xFF] ^
                buoy_crc_tables[5][low >> 16 & 0xFF] ^ buoy_crc_tables[4][low >> 24] ^
                buoy_crc_tables[3][high & 0xFF] ^ buoy_crc_tables[2][high >> 8 & 0xFF] ^
                buoy_crc_tables[1][high >> 16 & 0xFF] ^ buoy_crc_tables[0][high >> 24];
    }
    while (size--)
        state = state >> 8 ^ buoy_crc_tables[0][(state ^ *data++) & 0xFF];
    return state;
#endif
}

#if defined(__x86_64__)
/* One step: `folded` moved on by the distance that `factors` stand for, plus the data there. */
__attribute__((target("pclmul,sse4.1"))) static inline __m128i buoy_crc_step(
    __m128i folded, __m128i factors, __m128i data) {
    __m128i low = _mm_clmulepi64_si128(folded, factors, 0x00);
    __m128i high = _mm_clmulepi64_si128(folded, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), data);
}

/* `size` is a multiple of 16 and at least 64. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t buoy_crc_folded(
    uint32_t state, const uint8_t *data, size_t size) {
    const __m128i by_64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_8 = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i polynomial = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i low_words = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i *blocks = (const __m128i *)data;

    __m128i a = _mm_xor_si128(_mm_loadu_si128(blocks), _mm_cvtsi32_si128((int)state));
    __m128i b = _mm_loadu_si128(blocks + 1);
    __m128i c = _mm_loadu_si128(blocks + 2);
    __m128i d = _mm_loadu_si128(blocks + 3);
    for (blocks += 4, size -= 64; size >= 64; blocks += 4, size -= 64) {
        a = buoy_crc_step(a, by_64, _mm_loadu_si128(blocks));
        b = buoy_crc_step(b, by_64, _mm_loadu_si128(blocks + 1));
        c = buoy_crc_step(c, by_64, _mm_loadu_si128(blocks + 2));
        d = buoy_crc_step(d, by_64, _mm_loadu_si128(blocks + 3));
    }
    a = buoy_crc_step(a, by_16, b);
    a = buoy_crc_step(a, by_16, c);
    a = buoy_crc_step(a, by_16, d);
    for (; size >= 16; blocks++, size -= 16)
        a = buoy_crc_step(a, by_16, _mm_loadu_si128(blocks));

    /* 128 bits to 64, then Barrett's reduction to 32. */
    __m128i rest = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_16, 0x10));
    __m128i folded = _mm_clmulepi64_si128(_mm_and_si128(rest, low_words), by_8, 0x00);
    rest = _mm_xor_si128(_mm_srli_si128(rest, 4), folded);
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(rest, low_words), polynomial, 0x10);
    quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_words), polynomial, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(rest, quotient), 1);
}
#endif

/* CRC-32 of `size` bytes. */
static inline uint32_t buoy_crc32(const uint8_t *data, size_t size) {
    uint32_t state = 0xFFFFFFFFu;
#if defined(__x86_64__)
    if (size >= 64 && buoy_crc_folds) {
        size_t whole = size & ~(size_t)15;
        state = buoy_crc_folded(state, data, whole);
        data += whole;
        size -= whole;
    }
#endif
    return ~buoy_crc_sliced(state, data, size);
}

#endif
