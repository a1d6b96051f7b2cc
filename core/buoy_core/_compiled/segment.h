/* The writer's side of a spool segment: make it, publish it, commit to it, seal it. docs/format.md section 2.
 *
 * Functions that can fail return 0 or an errno. Nothing here needs the GIL or allocates.
 */
#ifndef BUOY_SEGMENT_H
#define BUOY_SEGMENT_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"
#include "crc32.h"

#define BUOY_HEADER_BYTES 4096
#define BUOY_PATH_BYTES 4096

typedef struct {
    uint8_t *map; /* the whole file; NULL = none */
    uint64_t capacity;
    uint64_t base;
    uint64_t index;
    uint64_t committed; /* the writer's copy of the header's word */
} buoy_segment;

/* What is the same in all segments of a writer. */
typedef struct {
    uint8_t writer_id[16];
    uint8_t boot_id[16];
    uint64_t process_start;
    uint64_t pid_namespace;
    uint32_t pid;
} buoy_origin;

/* Microseconds since the epoch. */
static inline uint64_t buoy_wall_clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static inline uint64_t buoy_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Reserves disk for a file, so that writing to its mapping cannot fail (SIGBUS). */
static inline int buoy_preallocate(int descriptor, uint64_t size) {
#if defined(__APPLE__)
    /* There is no posix_fallocate. Written zeros are reserved for sure, F_PREALLOCATE alone is a wish. */
    static const uint8_t zeros[65536];
    uint64_t done = 0;
    while (done < size) {
        size_t part = size - done < sizeof zeros ? (size_t)(size - done) : sizeof zeros;
        ssize_t written = pwrite(descriptor, zeros, part, (off_t)done);
        if (written < 0 && errno != EINTR)
            return errno;
        if (written > 0)
            done += (uint64_t)written;
    }
    return 0;
#else
    int status;
    do
        status = posix_fallocate(descriptor, 0, (off_t)size);
    while (status == EINTR);
    return status;
#endif
}

static inline int buoy_segment_path(char *path, const char *directory, uint64_t index, const char *suffix) {
    int size = snprintf(path, BUOY_PATH_BYTES, "%s/%08llu%s", directory, (unsigned long long)index, suffix);
    return size < 0 || size >= BUOY_PATH_BYTES ? ENAMETOOLONG : 0;
}

static inline int buoy_segment_exists(const char *directory, uint64_t index) {
    char path[BUOY_PATH_BYTES];
    return buoy_segment_path(path, directory, index, ".seg") == 0 && access(path, F_OK) == 0;
}

/* Bytes of disk that this user may still fill. */
static inline int buoy_free_bytes(const char *directory, uint64_t *free_bytes) {
    struct statvfs status;
    if (statvfs(directory, &status) != 0)
        return errno;
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return 0;
}

static inline int buoy_segment_map(buoy_segment *segment, const char *path, uint64_t size) {
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return errno;
    int status = buoy_preallocate(descriptor, size);
    if (status == 0) {
        void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        if (map == MAP_FAILED)
            status = errno;
        else
            segment->map = (uint8_t *)map;
    }
    close(descriptor);
    if (status != 0)
        unlink(path);
    return status;
}

static inline void buoy_segment_write_header(const buoy_segment *segment, const buoy_origin *origin) {
    uint8_t *header = segment->map;
    const uint32_t version = 1, header_bytes = BUOY_HEADER_BYTES;
    memcpy(header, "BUOYSPL1", 8);
    memcpy(header + 8, &version, 4);
    memcpy(header + 12, &header_bytes, 4);
    memcpy(header + 16, &segment->capacity, 8);
    memcpy(header + 24, &segment->base, 8);
    memcpy(header + 32, &segment->index, 8);
    memcpy(header + 40, origin->writer_id, 16);
    memcpy(header + 56, origin->boot_id, 16);
    memcpy(header + 72, &origin->pid, 4);
    uint32_t crc = buoy_crc32(header, 76);
    memcpy(header + 76, &crc, 4);
    memcpy(header + 80, &origin->process_start, 8);
    memcpy(header + 88, &origin->pid_namespace, 8);
}

/* Makes a segment that readers do not see yet. On failure nothing is left behind. */
static inline int buoy_segment_create(buoy_segment *segment, const char *directory, uint64_t index, uint64_t base,
                               uint64_t capacity, const buoy_origin *origin) {
    char path[BUOY_PATH_BYTES];
    int status = buoy_segment_path(path, directory, index, ".tmp");
    memset(segment, 0, sizeof *segment);
    if (status == 0)
        status = buoy_segment_map(segment, path, BUOY_HEADER_BYTES + capacity);
    if (status != 0)
        return status;
    segment->capacity = capacity;
    segment->base = base;
    segment->index = index;
    buoy_segment_write_header(segment, origin);
    return 0;
}

static inline void buoy_segment_close(buoy_segment *segment) {
    if (segment->map != NULL)
        munmap(segment->map, BUOY_HEADER_BYTES + segment->capacity);
    segment->map = NULL;
}

/* Gives the segment its name. On failure it is unmapped and gone. */
static inline int buoy_segment_publish(buoy_segment *segment, const char *directory) {
    char from[BUOY_PATH_BYTES], to[BUOY_PATH_BYTES];
    int status = buoy_segment_path(from, directory, segment->index, ".tmp");
    if (status == 0)
        status = buoy_segment_path(to, directory, segment->index, ".seg");
    if (status == 0 && rename(from, to) != 0)
        status = errno;
    if (status != 0) {
        unlink(from);
        buoy_segment_close(segment);
    }
    return status;
}

/* Publishes `size` more bytes: whoever reads the new offset sees the bytes below it. */
static inline void buoy_segment_commit(buoy_segment *segment, uint64_t size) {
    segment->committed += size;
    buoy_store_release64(segment->map + 128, segment->committed);
}

#endif
