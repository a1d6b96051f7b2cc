/* The words of a spool's header that two processes share: what was written before a release store can be read after the
 * acquire load that sees it. The words are aligned, because the header begins on a page.
 */
#ifndef BUOY_ATOMICS_H
#define BUOY_ATOMICS_H

#include <stdint.h>

static inline void buoy_store_release64(uint8_t *word, uint64_t value) {
    __atomic_store_n((uint64_t *)word, value, __ATOMIC_RELEASE);
}

static inline uint64_t buoy_load_acquire64(const uint8_t *word) {
    return __atomic_load_n((const uint64_t *)word, __ATOMIC_ACQUIRE);
}

static inline void buoy_store_release32(uint8_t *word, uint32_t value) {
    __atomic_store_n((uint32_t *)word, value, __ATOMIC_RELEASE);
}

static inline uint32_t buoy_load_acquire32(const uint8_t *word) {
    return __atomic_load_n((const uint32_t *)word, __ATOMIC_ACQUIRE);
}

#endif
