#include "bell.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#ifndef FP_NO_EPOLL
#include <sys/eventfd.h>
#endif

#ifdef FP_NO_EPOLL
static bool set_up(int fd) {
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int fp_bell_new(fp_bell *bell) {
    int ends[2];
    *bell = (fp_bell){-1, -1};
    if (pipe(ends)) return -EMFILE;
    *bell = (fp_bell){ends[0], ends[1]};
    if (set_up(ends[0]) && set_up(ends[1])) return 0;
    fp_bell_free(bell);
    return -EMFILE;
}
#else
int fp_bell_new(fp_bell *bell) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    *bell = (fp_bell){fd, fd};
    return fd < 0 ? -EMFILE : 0;
}
#endif

void fp_bell_free(fp_bell *bell) {
    if (bell->ring_fd >= 0 && bell->ring_fd != bell->fd) close(bell->ring_fd);
    if (bell->fd >= 0) close(bell->fd);
    *bell = (fp_bell){-1, -1};
}

/* Eight bytes: an eventfd takes no less. What a full pipe does not take was rung before. */
void fp_bell_ring(const fp_bell *bell) {
    const uint64_t one = 1;
    ssize_t written = write(bell->ring_fd, &one, sizeof one);
    (void)written;
}

/* An eventfd is quiet after one read; a pipe when nothing is left of it. */
void fp_bell_quiet(const fp_bell *bell) {
    uint64_t rings[64];
    ssize_t got;
    do got = read(bell->fd, rings, bell->fd == bell->ring_fd ? sizeof rings[0] : sizeof rings);
    while (got == (ssize_t)sizeof rings);
}
