/* Preloaded under a host of the crash matrix: a wall clock that jumps, and a disk that fails, as the C library tells of them.
 *
 * The file named by CRASH_CONTROL holds one 64-bit number, mapped: 0 changes nothing, 1 lets writes and syncs of the databases
 * fail with EIO, anything else is how many seconds the wall clock is off. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { DISK_FAILS = 1 };

static const volatile int64_t *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("CRASH_CONTROL");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) control = mapped;
    if (file >= 0) close(file);
}

static int64_t said(void) { return control ? *control : 0; }

static time_t jumped(void) { return said() == DISK_FAILS ? 0 : (time_t)said(); }

/* Whether it is a database of the host's: the journal or the audit, or what they write ahead. */
static int fails(int file) {
    char link[32], path[4096];
    if (said() != DISK_FAILS) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "chaos.db") && !strstr(path, "audit.db")) return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += jumped();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int (*real)(struct timeval *restrict, void *restrict);
    if (!real) real = REAL(gettimeofday);
    int failed = real(now, zone);
    if (!failed) now->tv_sec += jumped();
    return failed;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}

#define FAILING(type, name, parameters, ...)                      \
    type name parameters {                                        \
        return fails(file) ? -1 : REAL(name)(file, ##__VA_ARGS__); \
    }

FAILING(ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), data, size, at)
FAILING(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), data, size, at)
FAILING(ssize_t, pread64, (int file, void *data, size_t size, off64_t at), data, size, at)
FAILING(ssize_t, write, (int file, const void *data, size_t size), data, size)
FAILING(int, ftruncate64, (int file, off64_t size), size)
FAILING(int, fdatasync, (int file))
FAILING(int, fsync, (int file))
