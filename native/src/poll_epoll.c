/* Edge-triggered epoll: one registration serves connect, send and receive, and a socket that was disconnected for reuse (and
 * would report a hang-up for as long as it idles, level-triggered) stays silent. */
#include "poller.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64u

struct fp_poll {
    int fd;
    bool coarse; /* no epoll_pwait2 (before Linux 5.11): milliseconds, rounded up so that nothing fires early */
    struct epoll_event events[BATCH];
};

int fp_poll_new(fp_poll **poll) {
    fp_poll *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->fd = epoll_create1(EPOLL_CLOEXEC);
    if (made->fd < 0) {
        free(made);
        return -errno;
    }
    *poll = made;
    return 0;
}

void fp_poll_free(fp_poll *poll) {
    if (!poll) return;
    close(poll->fd);
    free(poll);
}

#define INCOMING  ((uint32_t)EPOLLIN | EPOLLET) /* a bell's too: an eventfd signals EPOLLOUT to whoever reads it */
#define BOTH_WAYS (INCOMING | EPOLLOUT | EPOLLRDHUP)

static int control(fp_poll *poll, int operation, int fd, uint32_t events, uint64_t tag) {
    struct epoll_event event = {.events = events, .data = {.u64 = tag}};
    return epoll_ctl(poll->fd, operation, fd, &event) ? -errno : 0;
}

static uint32_t wanted(enum fp_interest interest) {
    return interest == FP_INCOMING ? INCOMING : BOTH_WAYS;
}

int fp_poll_add(fp_poll *poll, int fd, uint64_t tag, enum fp_interest interest) {
    return control(poll, EPOLL_CTL_ADD, fd, wanted(interest), tag);
}

int fp_poll_add_bell(fp_poll *poll, int fd, uint64_t tag) {
    return control(poll, EPOLL_CTL_ADD, fd, INCOMING, tag);
}

void fp_poll_again(fp_poll *poll, int fd, uint64_t tag, enum fp_interest interest) {
    int error = control(poll, EPOLL_CTL_MOD, fd, wanted(interest), tag);
    assert(!error); /* changing a registration takes no memory */
    (void)error;
}

int fp_poll_fd(const fp_poll *poll) {
    return poll->fd;
}

/* Good for poll(2) too: Linux gives its bits the same values. */
_Static_assert((uint32_t)POLLIN == EPOLLIN && (uint32_t)POLLOUT == EPOLLOUT && (uint32_t)POLLRDHUP == EPOLLRDHUP,
               "one translation");
_Static_assert((uint32_t)POLLERR == EPOLLERR && (uint32_t)POLLHUP == EPOLLHUP, "for both");
static uint32_t translate(uint32_t events) {
    uint32_t ready = 0;
    if (events & EPOLLIN) ready |= FP_READABLE;
    if (events & EPOLLOUT) ready |= FP_WRITABLE;
    if (events & EPOLLRDHUP) ready |= FP_PEER_CLOSED;
    if (events & (EPOLLERR | EPOLLHUP)) ready |= FP_BROKEN;
    return ready;
}

uint32_t fp_poll_look(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    return poll(&look, 1, 0) > 0 ? translate((uint32_t)look.revents) : 0;
}

static int wait_coarsely(fp_poll *poll, int n, fp_ns timeout_ns) {
    fp_ns milliseconds = (timeout_ns + FP_NS_PER_MS - 1) / FP_NS_PER_MS;
    int timeout_ms = timeout_ns == FP_NEVER ? -1 : milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds;
    return epoll_wait(poll->fd, poll->events, n, timeout_ms);
}

static int wait_finely(fp_poll *poll, int n, fp_ns timeout_ns) {
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / FP_NS_PER_S), .tv_nsec = (long)(timeout_ns % FP_NS_PER_S)};
    int found = epoll_pwait2(poll->fd, poll->events, n, timeout_ns == FP_NEVER ? NULL : &timeout, NULL);
    if (found < 0 && errno == ENOSYS) {
        poll->coarse = true;
        return wait_coarsely(poll, n, timeout_ns);
    }
    return found;
}

uint32_t fp_poll_wait(fp_poll *poll, fp_ready_event *out, uint32_t n, fp_ns timeout_ns) {
    int room = (int)(n < BATCH ? n : BATCH);
    int found = poll->coarse || timeout_ns == 0 ? wait_coarsely(poll, room, timeout_ns) : wait_finely(poll, room, timeout_ns);
    for (int i = 0; i < found; i++)
        out[i] = (fp_ready_event){.tag = poll->events[i].data.u64, .ready = translate(poll->events[i].events)};
    return found > 0 ? (uint32_t)found : 0;
}
