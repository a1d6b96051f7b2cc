/* A seam between a process and its disk and clock: tests/crash/seam.py builds this library, preloads it, and gives the
 * orders through a mapped file that it may change while processes run. Without an order every call goes straight through.
 *
 * What it stands before: open, creat, fopen; read, write and their positioned and vectored forms; fsync, fdatasync,
 * posix_fallocate, fallocate, ftruncate, truncate; rename, link, unlink, mkdir and their *at forms; statfs, statvfs;
 * clock_gettime, gettimeofday, time, and the timed waits whose deadlines are on the wall clock.
 *
 * What it does not reach: stores into a mapping, what stdio does between fopen and fclose, system calls made without
 * libc, io_uring, and time stamps that the kernel gives to files. Paths are compared as the caller wrote them, made
 * absolute but with symbolic links left as they are; a descriptor's path is what /proc says.
 *
 * Measured with strace(1) beside it: everything that Python, the compiled core, SQLite and chDB do to files comes by
 * here. chDB (4.4) reads its clock from the vDSO by itself, so that stays true, and it goes on as if nothing was wrong when a
 * write of its fails, on a really full disk too; it believes statvfs(), open(), rename() and fsync().
 *
 * Nothing here locks or allocates, so threads, forks and signal handlers are safe. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* -- the orders: seam.py writes the same layout ------------------------------------------------------------------ */

enum { RULES = 64, PATH_BYTES = 4096 };
enum {
    CREATE = 1, OPEN_READ = 2, OPEN_WRITE = 4, READ = 8, WRITE = 16, SYNC = 32, ALLOCATE = 64, TRUNCATE = 128,
    RENAME = 256, LINK = 512, UNLINK = 1024, MKDIR = 2048, SPACE = 4096, TYPE = 8192, CLOCK = 16384
};
enum { FAIL = 0, SHORT = 1, SLOW = 2, ANSWER = 3 };

typedef struct {
    uint32_t active, operations, kind;
    int32_t error;
    uint64_t threshold;  /* of 2^32: how probable it is */
    uint64_t seed;
    uint64_t skip;       /* calls that pass first */
    uint64_t limit;      /* hits at most */
    int64_t bytes_left;  /* what may still be written */
    int64_t value;       /* SLOW: microseconds; TYPE: the magic number; CLOCK: nanoseconds */
    uint64_t calls, hits;
    char program[96];    /* part of the command line; empty = all */
    char path[848];      /* a file or folder; with '*' in it a pattern for the whole path */
} rule;

typedef struct {
    uint64_t magic;
    uint32_t operations; /* of all active rules together: what is not here goes straight through */
    char reserved[1012];
    rule rules[RULES];
} orders;

_Static_assert(sizeof(rule) == 1024 && sizeof(orders) == 1024 * (RULES + 1), "seam.py knows this layout");
#define MAGIC 0x314d41455359554full

static orders *control;
static char command_line[4096];

static void *next_symbol(void **kept, const char *name, const char *version)
{
    void *found = __atomic_load_n(kept, __ATOMIC_RELAXED);
    if (found == NULL) {
        found = version != NULL ? dlvsym(RTLD_NEXT, name, version) : NULL;
        if (found == NULL)
            found = dlsym(RTLD_NEXT, name);
        __atomic_store_n(kept, found, __ATOMIC_RELAXED);
    }
    return found;
}

/* The libc's own function of this name and type. */
#define REAL(name) ({ static void *kept; (__typeof__(&name))next_symbol(&kept, #name, NULL); })

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("BUOY_TEST_SEAM");
    if (path == NULL)
        return;
    int fd = REAL(open)("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t size = REAL(read)(fd, command_line, sizeof command_line - 1);
        for (ssize_t at = 0; at + 1 < size; at++)
            if (command_line[at] == 0)
                command_line[at] = ' ';
        close(fd);
    }
    fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return; /* the test is over, and its folder gone */
    orders *map = mmap(NULL, sizeof *map, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED && map->magic == MAGIC)
        __atomic_store_n(&control, map, __ATOMIC_RELEASE);
}

static int concerned(unsigned operations)
{
    return control != NULL && (__atomic_load_n(&control->operations, __ATOMIC_ACQUIRE) & operations) != 0;
}

/* chDB is loaded with RTLD_DEEPBIND, which looks its symbols up in libc before it looks here. */
void *dlopen(const char *path, int flags) { return REAL(dlopen)(path, flags & ~RTLD_DEEPBIND); }

/* -- which rule, and what it says -------------------------------------------------------------------------------- */

/* The path of a call: of an open descriptor (name NULL), or a name below a folder. Made out when first asked for. */
typedef struct {
    int fd;
    const char *name;
    int known;
    char path[PATH_BYTES];
} place;

static void tidy(char *path) /* "//" and "/./" become "/", a slash at the end goes */
{
    char *to = path;
    for (const char *from = path; *from != 0;) {
        if (from[0] == '/' && from[1] == '/')
            from++;
        else if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || from[2] == 0))
            from += 2;
        else
            *to++ = *from++;
    }
    while (to > path + 1 && to[-1] == '/')
        to--;
    *to = 0;
}

static const char *path_of(place *at)
{
    if (at->known)
        return at->path;
    at->known = 1;
    size_t used = 0;
    if (at->name == NULL || at->name[0] != '/') {
        char link[32] = "/proc/self/cwd";
        if (at->fd != AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/fd/%d", at->fd);
        ssize_t size = readlink(link, at->path, PATH_BYTES - 2);
        used = size > 0 ? (size_t)size : 0;
        if (at->name != NULL)
            at->path[used++] = '/';
    }
    at->path[used] = 0;
    if (at->name != NULL)
        snprintf(at->path + used, PATH_BYTES - used, "%s", at->name);
    tidy(at->path);
    return at->path;
}

static int below(const char *path, const char *wanted)
{
    if (strchr(wanted, '*') != NULL)
        return fnmatch(wanted, path, 0) == 0;
    size_t size = strlen(wanted);
    return strncmp(path, wanted, size) == 0 && (path[size] == 0 || path[size] == '/' || path[size] == ' ');
}

/* The next active rule for this call from `from` on, or NULL. */
static rule *matching(rule *from, unsigned operation, place *at)
{
    for (rule *r = from; r < control->rules + RULES; r++) {
        if (!__atomic_load_n(&r->active, __ATOMIC_ACQUIRE) || !(r->operations & operation))
            continue;
        if (r->program[0] != 0 && strstr(command_line, r->program) == NULL)
            continue;
        if (at == NULL || below(path_of(at), r->path))
            return r;
    }
    return NULL;
}

/* The n-th draw of a seed: the schedule is one of calls, so it repeats where the calls do (splitmix64). */
static uint64_t draw(uint64_t seed, uint64_t n)
{
    uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Takes `*size` bytes from what is left, or as many as there are, and says whether they were enough. */
static int room(rule *r, unsigned operation, size_t *size)
{
    if (!(operation & (WRITE | ALLOCATE)))
        return 0;
    int64_t left = __atomic_load_n(&r->bytes_left, __ATOMIC_RELAXED);
    for (;;) {
        int64_t take = (uint64_t)left >= *size ? (int64_t)*size : operation == WRITE ? left : 0;
        if (take <= 0)
            return *size == 0;
        if (__atomic_compare_exchange_n(&r->bytes_left, &left, left - take, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            *size = (size_t)take;
            return 1;
        }
    }
}

/* 0: go on, with `*size` bytes at most. Otherwise the error to fail with. */
static int judge(unsigned operation, place *at, size_t *size)
{
    size_t none = 0;
    if (size == NULL)
        size = &none;
    for (rule *r = matching(control->rules, operation, at); r != NULL; r = matching(r + 1, operation, at)) {
        uint64_t call = __atomic_fetch_add(&r->calls, 1, __ATOMIC_RELAXED);
        uint64_t number = draw(r->seed, call);
        if (r->kind == ANSWER || call < r->skip || (number >> 32) >= r->threshold)
            continue;
        if (r->kind == FAIL && room(r, operation, size))
            continue;
        if (__atomic_fetch_add(&r->hits, 1, __ATOMIC_RELAXED) >= r->limit) {
            __atomic_fetch_sub(&r->hits, 1, __ATOMIC_RELAXED);
            continue;
        }
        if (r->kind == FAIL)
            return r->error;
        if (r->kind == SHORT && *size > 1)
            *size = 1 + (number & 0xffffffffu) % (*size - 1);
        if (r->kind == SLOW) {
            struct timespec delay = {r->value / 1000000, r->value % 1000000 * 1000};
            nanosleep(&delay, NULL);
        }
    }
    return 0;
}

/* For functions that give -1 and errno: fails with what the rules say about a path or a descriptor. */
#define PLACE(fd, name) (&(place){(fd), (name), 0, {0}})
#define FAIL_IF(operation, at, size, failure)                                                      \
    do {                                                                                           \
        if (concerned(operation)) {                                                                \
            int kept_errno = errno, error = judge((operation), (at), (size));                      \
            errno = error != 0 ? error : kept_errno;                                               \
            if (error != 0)                                                                        \
                return (failure);                                                                  \
        }                                                                                          \
    } while (0)

/* -- opening ----------------------------------------------------------------------------------------------------- */

static int opening(int folder, const char *name, int flags)
{
    unsigned wanted = (flags & O_ACCMODE) == O_RDONLY ? OPEN_READ : OPEN_WRITE;
    if ((flags & O_TMPFILE) == O_TMPFILE)
        wanted = CREATE;
    if (!concerned(wanted | CREATE))
        return 0;
    place at = {folder, name, 0, {0}};
    int kept_errno = errno;
    if ((flags & O_CREAT) && faccessat(folder, name, F_OK, 0) != 0)
        wanted = CREATE;
    int error = judge(wanted, &at, NULL);
    errno = error != 0 ? error : kept_errno;
    return error;
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                               \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        MODE_OF(flags)                                                                             \
        return opening(AT_FDCWD, path, flags) ? -1 : REAL(name)(path, flags, mode);                \
    }
#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        MODE_OF(flags)                                                                             \
        return opening(folder, path, flags) ? -1 : REAL(name)(folder, path, flags, mode);          \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What a fortified caller is compiled to. */
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int __openat_2(int folder, const char *path, int flags) { return openat(folder, path, flags); }
int __openat64_2(int folder, const char *path, int flags) { return openat64(folder, path, flags); }

int creat(const char *path, mode_t mode) { return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

static int mode_flags(const char *mode)
{
    int flags = strchr(mode, '+') ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    return mode[0] == 'r' ? flags : flags | O_CREAT;
}

#define FOPEN(name)                                                                                \
    FILE *name(const char *path, const char *mode)                                                 \
    {                                                                                              \
        return opening(AT_FDCWD, path, mode_flags(mode)) ? NULL : REAL(name)(path, mode);          \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* -- reading and writing ----------------------------------------------------------------------------------------- */

#define TRANSFER(type, name, operation, parameters, arguments)                                     \
    type name parameters                                                                           \
    {                                                                                              \
        FAIL_IF(operation, PLACE(fd, NULL), &size, -1);                                            \
        return REAL(name) arguments;                                                               \
    }
TRANSFER(ssize_t, read, READ, (int fd, void *data, size_t size), (fd, data, size))
TRANSFER(ssize_t, pread, READ, (int fd, void *data, size_t size, off_t offset), (fd, data, size, offset))
TRANSFER(ssize_t, pread64, READ, (int fd, void *data, size_t size, off64_t offset), (fd, data, size, offset))
TRANSFER(ssize_t, write, WRITE, (int fd, const void *data, size_t size), (fd, data, size))
TRANSFER(ssize_t, pwrite, WRITE, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset))
TRANSFER(ssize_t, pwrite64, WRITE, (int fd, const void *data, size_t size, off64_t offset), (fd, data, size, offset))

/* The first parts that are `size` bytes together, the last of them cut, in `cut`; how many there are. */
static int cut_parts(const struct iovec *parts, int count, size_t size, struct iovec *cut)
{
    int used = 0;
    for (; used < count && size > 0; used++) {
        cut[used] = parts[used];
        if (cut[used].iov_len > size)
            cut[used].iov_len = size;
        size -= cut[used].iov_len;
    }
    return used;
}

static size_t size_of(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int at = 0; at < count; at++)
        size += parts[at].iov_len;
    return size;
}

/* A list longer than `cut` is never shortened, only passed or failed. */
#define VECTORED(name, operation, parameters, arguments, cut_arguments)                            \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        if (concerned(operation)) {                                                                \
            size_t whole = size_of(parts, count), size = whole;                                    \
            FAIL_IF(operation, PLACE(fd, NULL), &size, -1);                                        \
            struct iovec cut[64];                                                                  \
            if (size < whole && count <= 64) {                                                     \
                int used = cut_parts(parts, count, size, cut);                                     \
                return REAL(name) cut_arguments;                                                   \
            }                                                                                      \
        }                                                                                          \
        return REAL(name) arguments;                                                               \
    }
VECTORED(readv, READ, (int fd, const struct iovec *parts, int count), (fd, parts, count), (fd, cut, used))
VECTORED(writev, WRITE, (int fd, const struct iovec *parts, int count), (fd, parts, count), (fd, cut, used))
VECTORED(preadv, READ, (int fd, const struct iovec *parts, int count, off_t offset), (fd, parts, count, offset),
         (fd, cut, used, offset))
VECTORED(preadv64, READ, (int fd, const struct iovec *parts, int count, off64_t offset), (fd, parts, count, offset),
         (fd, cut, used, offset))
VECTORED(pwritev, WRITE, (int fd, const struct iovec *parts, int count, off_t offset), (fd, parts, count, offset),
         (fd, cut, used, offset))
VECTORED(pwritev64, WRITE, (int fd, const struct iovec *parts, int count, off64_t offset),
         (fd, parts, count, offset), (fd, cut, used, offset))
VECTORED(pwritev2, WRITE, (int fd, const struct iovec *parts, int count, off_t offset, int flags),
         (fd, parts, count, offset, flags), (fd, cut, used, offset, flags))
VECTORED(pwritev64v2, WRITE, (int fd, const struct iovec *parts, int count, off64_t offset, int flags),
         (fd, parts, count, offset, flags), (fd, cut, used, offset, flags))

/* -- sizes, syncs and names --------------------------------------------------------------------------------------- */

#define WHOLE(name, operation, at, parameters, arguments)                                          \
    int name parameters                                                                            \
    {                                                                                              \
        FAIL_IF(operation, at, NULL, -1);                                                          \
        return REAL(name) arguments;                                                               \
    }
WHOLE(fsync, SYNC, PLACE(fd, NULL), (int fd), (fd))
WHOLE(fdatasync, SYNC, PLACE(fd, NULL), (int fd), (fd))
WHOLE(sync_file_range, SYNC, PLACE(fd, NULL), (int fd, off64_t from, off64_t count, unsigned flags), (fd, from, count, flags))
WHOLE(ftruncate, TRUNCATE, PLACE(fd, NULL), (int fd, off_t size), (fd, size))
WHOLE(ftruncate64, TRUNCATE, PLACE(fd, NULL), (int fd, off64_t size), (fd, size))
WHOLE(truncate, TRUNCATE, PLACE(AT_FDCWD, path), (const char *path, off_t size), (path, size))
WHOLE(truncate64, TRUNCATE, PLACE(AT_FDCWD, path), (const char *path, off64_t size), (path, size))
WHOLE(rename, RENAME, PLACE(AT_FDCWD, to), (const char *from, const char *to), (from, to))
WHOLE(renameat, RENAME, PLACE(tofd, to), (int fd, const char *from, int tofd, const char *to), (fd, from, tofd, to))
WHOLE(renameat2, RENAME, PLACE(tofd, to), (int fd, const char *from, int tofd, const char *to, unsigned flags),
      (fd, from, tofd, to, flags))
WHOLE(link, LINK, PLACE(AT_FDCWD, to), (const char *from, const char *to), (from, to))
WHOLE(linkat, LINK, PLACE(tofd, to), (int fd, const char *from, int tofd, const char *to, int flags),
      (fd, from, tofd, to, flags))
WHOLE(symlink, LINK, PLACE(AT_FDCWD, to), (const char *from, const char *to), (from, to))
WHOLE(symlinkat, LINK, PLACE(tofd, to), (const char *from, int tofd, const char *to), (from, tofd, to))
WHOLE(unlink, UNLINK, PLACE(AT_FDCWD, path), (const char *path), (path))
WHOLE(unlinkat, UNLINK, PLACE(fd, path), (int fd, const char *path, int flags), (fd, path, flags))
WHOLE(rmdir, UNLINK, PLACE(AT_FDCWD, path), (const char *path), (path))
WHOLE(mkdir, MKDIR, PLACE(AT_FDCWD, path), (const char *path, mode_t mode), (path, mode))
WHOLE(mkdirat, MKDIR, PLACE(fd, path), (int fd, const char *path, mode_t mode), (fd, path, mode))

static int allocating(int fd, size_t size)
{
    FAIL_IF(ALLOCATE, PLACE(fd, NULL), &size, errno);
    return 0;
}

/* These two give the error itself. */
int posix_fallocate(int fd, off_t offset, off_t size)
{
    int kept_errno = errno, error = allocating(fd, (size_t)size);
    errno = kept_errno;
    return error != 0 ? error : REAL(posix_fallocate)(fd, offset, size);
}
int posix_fallocate64(int fd, off64_t offset, off64_t size)
{
    int kept_errno = errno, error = allocating(fd, (size_t)size);
    errno = kept_errno;
    return error != 0 ? error : REAL(posix_fallocate64)(fd, offset, size);
}
int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return allocating(fd, (size_t)size) ? -1 : REAL(fallocate)(fd, mode, offset, size);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return allocating(fd, (size_t)size) ? -1 : REAL(fallocate64)(fd, mode, offset, size);
}

/* -- what a file system says of itself ---------------------------------------------------------------------------- */

/* The bytes that a rule leaves at this place, or -1. */
static int64_t bytes_free(place *at)
{
    rule *r = concerned(SPACE) ? matching(control->rules, SPACE, at) : NULL;
    if (r == NULL)
        return -1;
    __atomic_fetch_add(&r->calls, 1, __ATOMIC_RELAXED);
    int64_t left = __atomic_load_n(&r->bytes_left, __ATOMIC_RELAXED);
    return left > 0 ? left : 0;
}

/* Both structs have the three fields. */
#define ANSWER_SPACE(at, answer, unit)                                                             \
    do {                                                                                           \
        int64_t left = bytes_free(at);                                                             \
        if (left >= 0 && (answer)->unit > 0)                                                       \
            (answer)->f_bfree = (answer)->f_bavail = (__typeof__((answer)->f_bavail))(left / (int64_t)(answer)->unit); \
    } while (0)

#define STATVFS(name, type, at, parameters, arguments)                                             \
    int name parameters                                                                            \
    {                                                                                              \
        int status = REAL(name) arguments;                                                         \
        if (status == 0)                                                                           \
            ANSWER_SPACE(at, answer, f_frsize);                                                    \
        return status;                                                                             \
    }
STATVFS(statvfs, statvfs, PLACE(AT_FDCWD, path), (const char *path, struct statvfs *answer), (path, answer))
STATVFS(statvfs64, statvfs64, PLACE(AT_FDCWD, path), (const char *path, struct statvfs64 *answer), (path, answer))
STATVFS(fstatvfs, statvfs, PLACE(fd, NULL), (int fd, struct statvfs *answer), (fd, answer))
STATVFS(fstatvfs64, statvfs64, PLACE(fd, NULL), (int fd, struct statvfs64 *answer), (fd, answer))

#define STATFS(name, at, parameters, arguments)                                                    \
    int name parameters                                                                            \
    {                                                                                              \
        int status = REAL(name) arguments;                                                         \
        if (status != 0)                                                                           \
            return status;                                                                         \
        ANSWER_SPACE(at, answer, f_bsize);                                                         \
        rule *r = concerned(TYPE) ? matching(control->rules, TYPE, at) : NULL;                     \
        if (r != NULL) {                                                                           \
            __atomic_fetch_add(&r->calls, 1, __ATOMIC_RELAXED);                                    \
            __atomic_fetch_add(&r->hits, 1, __ATOMIC_RELAXED);                                     \
            answer->f_type = (__typeof__(answer->f_type))r->value;                                 \
        }                                                                                          \
        return 0;                                                                                  \
    }
STATFS(statfs, PLACE(AT_FDCWD, path), (const char *path, struct statfs *answer), (path, answer))
STATFS(statfs64, PLACE(AT_FDCWD, path), (const char *path, struct statfs64 *answer), (path, answer))
STATFS(fstatfs, PLACE(fd, NULL), (int fd, struct statfs *answer), (fd, answer))
STATFS(fstatfs64, PLACE(fd, NULL), (int fd, struct statfs64 *answer), (fd, answer))

/* -- the clock ---------------------------------------------------------------------------------------------------- */

enum { SECOND = 1000000000 };

static int64_t clock_offset(void)
{
    int64_t offset_ns = 0;
    if (concerned(CLOCK))
        for (rule *r = matching(control->rules, CLOCK, NULL); r != NULL; r = matching(r + 1, CLOCK, NULL))
            offset_ns += r->value;
    return offset_ns;
}

static struct timespec moved(struct timespec when, int64_t offset_ns)
{
    when.tv_sec += offset_ns / SECOND;
    when.tv_nsec += offset_ns % SECOND;
    if (when.tv_nsec < 0) {
        when.tv_nsec += SECOND;
        when.tv_sec--;
    } else if (when.tv_nsec >= SECOND) {
        when.tv_nsec -= SECOND;
        when.tv_sec++;
    }
    return when;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = REAL(clock_gettime)(clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        *now = moved(*now, clock_offset());
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int status = REAL(gettimeofday)(now, zone);
    if (status == 0) {
        struct timespec shown = moved((struct timespec){now->tv_sec, now->tv_usec * 1000}, clock_offset());
        *now = (struct timeval){shown.tv_sec, shown.tv_nsec / 1000};
    }
    return status;
}

time_t time(time_t *out)
{
    time_t now = REAL(time)(NULL) + clock_offset() / SECOND;
    if (out != NULL)
        *out = now;
    return now;
}

/* A deadline on the moved wall clock as one on the kernel's. One that is nearer to the kernel's time was taken from the
 * monotonic clock, or from the wall clock by a way that does not come by here, and stays. */
static const struct timespec *true_deadline(const struct timespec *deadline, struct timespec *kept)
{
    int64_t offset = deadline != NULL ? clock_offset() : 0;
    if (offset == 0 || deadline->tv_sec < SECOND)
        return deadline;
    struct timespec now;
    REAL(clock_gettime)(CLOCK_REALTIME, &now);
    int64_t ahead_s = deadline->tv_sec - now.tv_sec, moved_s = ahead_s - offset / SECOND;
    if (llabs(ahead_s) < llabs(moved_s))
        return deadline;
    *kept = moved(*deadline, -offset);
    return kept;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline)
{
    static void *kept;
    /* The unversioned look-up would find the function that LinuxThreads had. */
    __typeof__(&pthread_cond_timedwait) real = next_symbol(&kept, "pthread_cond_timedwait", "GLIBC_2.3.2");
    struct timespec true_time;
    return real(condition, mutex, true_deadline(deadline, &true_time));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline)
{
    struct timespec true_time;
    return REAL(sem_timedwait)(semaphore, true_deadline(deadline, &true_time));
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict deadline)
{
    struct timespec true_time;
    return REAL(pthread_mutex_timedlock)(mutex, true_deadline(deadline, &true_time));
}

/* Waits on a futex against the wall clock, as gRPC's locks do them, and chDB's renames. */
long syscall(long number, ...)
{
    long a[6];
    va_list more;
    va_start(more, number);
    for (int at = 0; at < 6; at++)
        a[at] = va_arg(more, long);
    va_end(more);
    if (number == SYS_renameat2)
        return renameat2((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3], (unsigned)a[4]);
    struct timespec true_time;
    if (number == SYS_futex && (a[1] & FUTEX_CLOCK_REALTIME))
        a[3] = (long)true_deadline((const struct timespec *)a[3], &true_time);
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
