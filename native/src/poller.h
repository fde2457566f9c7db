/* poller.h - readiness of many descriptors, edge-triggered. One implementation a file: poll_epoll.c, and
 * poll_posix.c for systems that lack it.
 *
 * A descriptor is added once and stays until it is closed; `tag` comes back with its events. What is ready is looked up when an
 * event is handed out, not when it happened. */
#ifndef FASTPROBE_POLLER_H
#define FASTPROBE_POLLER_H
#include "fastprobe/base.h"

typedef struct fp_poll fp_poll;

enum fp_ready { FP_READABLE = 1, FP_WRITABLE = 2, FP_PEER_CLOSED = 4, FP_BROKEN = 8 }; /* BROKEN: error or hang-up */

/* Each packet that leaves a datagram socket makes room in it, which is an edge too: who only listens is not woken by it. */
enum fp_interest { FP_BOTH_WAYS, FP_INCOMING };

typedef struct fp_ready_event {
    uint64_t tag;
    uint32_t ready; /* fp_ready bits */
} fp_ready_event;

int fp_poll_new(fp_poll **poll); /* -ENOMEM, -EMFILE */
void fp_poll_free(fp_poll *poll);
int fp_poll_add(fp_poll *poll, int fd, uint64_t tag, enum fp_interest interest); /* -ENOSPC, -ENOMEM */
int fp_poll_add_bell(fp_poll *poll, int fd, uint64_t tag); /* an eventfd: each write is one event, and nobody need read it */
void fp_poll_again(fp_poll *poll, int fd, uint64_t tag, enum fp_interest interest); /* report once more what is ready now */
uint32_t fp_poll_look(int fd);                                                      /* what is ready now: fp_ready bits */
int fp_poll_fd(const fp_poll *poll); /* readable when wait would return at once */

/* At most n events; waits up to timeout_ns (FP_NEVER: for ever, 0: not at all). Returns how many, 0 also when interrupted. */
uint32_t fp_poll_wait(fp_poll *poll, fp_ready_event *out, uint32_t n, fp_ns timeout_ns);

#endif
