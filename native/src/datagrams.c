/* datagrams.c - the datagram sockets of native runs: one connected socket a run, from the pool. (Most runs of DNS share
 * sockets instead: questions.c.)
 *
 * The kernel picks a random source port at each connect and passes over what others send to it; the sender of each datagram is
 * looked at all the same, since one that arrived while the socket still belonged to its last run may wait in it. */
#include "probe.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define LEFTOVERS_MAX 64u

/* In batches: the kernel's generator costs a system call each time. */
uint16_t fp_datagram_id(fp_engine *engine) {
    if (!engine->ids_left) {
        const ssize_t got = getrandom(engine->ids, sizeof engine->ids, 0);
        assert(got == (ssize_t)sizeof engine->ids);
        (void)got;
        engine->ids_left = FP_IDS;
    }
    return engine->ids[--engine->ids_left];
}

static void unsent(fp_engine *engine, fp_connection *connection, int error) {
    if (error == EPERM)
        fp_run_give_up(engine, connection, FP_REASON_PERMISSION); /* this host's firewall */
    else if (error == EAGAIN)
        fp_run_give_up(engine, connection, FP_REASON_MEMORY);
    else
        fp_run_refused(engine, connection, error);
}

bool fp_datagram_send(fp_engine *engine, fp_connection *connection, const void *bytes, size_t len) {
    ssize_t sent;
    do sent = send(connection->fd, bytes, len, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) unsent(engine, connection, errno);
    return sent >= 0;
}

bool fp_datagram_is_from(const fp_target *target, const struct sockaddr_storage *from) {
    if (from->ss_family != target->family) return false;
    if (target->family == AF_INET) {
        const struct sockaddr_in *a = (const void *)fp_target_address(target), *b = (const void *)from;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const void *)fp_target_address(target), *b = (const void *)from;
    return a->sin6_port == b->sin6_port && memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

ssize_t fp_datagram_receive(fp_engine *engine, const fp_connection *connection) {
    for (;;) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof from;
        const ssize_t whole =
            recvfrom(connection->fd, engine->scratch, sizeof engine->scratch, MSG_TRUNC, (struct sockaddr *)&from, &size);
        if (whole < 0 && errno == EINTR) continue;
        if (whole < 0) return -errno;
        if (fp_datagram_is_from(connection->target, &from)) return whole;
        fp_count(&engine->counters.stray_datagrams, 1);
    }
}

bool fp_datagram_drain(int fd) {
    char byte;
    for (unsigned i = 0; i < LEFTOVERS_MAX; i++)
        if (recv(fd, &byte, sizeof byte, MSG_TRUNC) < 0 && errno == EAGAIN) return true;
    return false; /* errors that were pending are gone by now, too */
}
