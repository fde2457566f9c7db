/* Where there is no epoll: poll(2), for bells alone. Sockets are the native lane's, and that lane needs epoll; here its probes
 * run on the host's event loop (see no_native_lane.c). */
#include "poller.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

struct fp_poll {
    struct pollfd bell;
    uint64_t tag;
};

int fp_poll_new(fp_poll **poll) {
    fp_poll *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->bell.fd = -1;
    *poll = made;
    return 0;
}

void fp_poll_free(fp_poll *poll) {
    free(poll);
}

int fp_poll_add(fp_poll *poll, int fd, uint64_t tag, enum fp_interest interest) {
    (void)poll, (void)fd, (void)tag, (void)interest;
    return -ENOSYS;
}

int fp_poll_add_bell(fp_poll *poll, int fd, uint64_t tag) {
    assert(poll->bell.fd < 0); /* an engine has one */
    poll->bell = (struct pollfd){.fd = fd, .events = POLLIN};
    poll->tag = tag;
    return 0;
}

void fp_poll_again(fp_poll *poll, int fd, uint64_t tag, enum fp_interest interest) {
    (void)poll, (void)fd, (void)tag, (void)interest; /* no socket was ever added */
}

uint32_t fp_poll_look(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLIN | POLLOUT};
    if (poll(&look, 1, 0) <= 0) return 0;
    return (look.revents & POLLIN ? FP_READABLE : 0u) | (look.revents & POLLOUT ? FP_WRITABLE : 0u) |
           (look.revents & (POLLERR | POLLHUP) ? FP_BROKEN : 0u);
}

int fp_poll_fd(const fp_poll *poll) {
    return poll->bell.fd;
}

/* poll(2) would tell of a bell for as long as it is not quiet, and nobody need read it: so it is read here. */
static void quiet(int fd) {
    char rings[512];
    while (read(fd, rings, sizeof rings) == (ssize_t)sizeof rings) continue;
}

uint32_t fp_poll_wait(fp_poll *poll_, fp_ready_event *out, uint32_t n, fp_ns timeout_ns) {
    const fp_ns milliseconds = timeout_ns / FP_NS_PER_MS + (timeout_ns % FP_NS_PER_MS != 0); /* up: nothing fires early */
    const int timeout_ms = timeout_ns == FP_NEVER ? -1 : milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds;
    if (n == 0 || poll(&poll_->bell, 1, timeout_ms) <= 0) return 0;
    quiet(poll_->bell.fd);
    out[0] = (fp_ready_event){.tag = poll_->tag, .ready = FP_READABLE};
    return 1;
}
