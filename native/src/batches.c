/* batches.c - many datagrams in one system call, and when the kernel saw each. */
#include "batches.h"
#include "fastprobe/clock.h"

#include <errno.h>
#include <string.h>

#define ERRORS_MAX 8u /* in a row: signals, and what is pending at a socket and told once, instead of what it has received */

void fp_outgoing_add(fp_outgoing *them, fp_connection *connection, void *bytes, size_t len) {
    const uint32_t i = them->n++;
    const socklen_t address_len = connection->target->address_len;
    them->vectors[i] = (struct iovec){bytes, len};
    memcpy(&them->addresses[i], fp_target_address(connection->target), address_len);
    them->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &them->addresses[i], .msg_namelen = address_len, .msg_iov = &them->vectors[i], .msg_iovlen = 1};
    them->connections[i] = connection;
}

/* The kernel takes one after the other, so each left about when its turn came. */
static void mark_sent(fp_engine *engine, const fp_outgoing *them, uint32_t sent, fp_list *outbox, fp_list *asked,
                      fp_ns from_ns) {
    const fp_ns took_ns = fp_engine_latency_clock(engine) - from_ns;
    for (uint32_t i = 0; i < sent; i++) {
        fp_connection *connection = them->connections[i];
        fp_list_remove(engine, outbox, connection);
        if (asked) fp_list_append(engine, asked, connection);
        connection->began_ns = from_ns + took_ns * i / sent;
        connection->phase = FP_CONNECTION_READING;
    }
    engine->stamped += sent;
}

uint32_t fp_outgoing_send(fp_engine *engine, int fd, const fp_outgoing *them, fp_list *outbox, fp_list *asked, int *error) {
    struct mmsghdr *messages = (struct mmsghdr *)them->messages; /* the kernel writes their lengths, which nobody reads */
    const fp_ns from_ns = fp_engine_latency_clock(engine);
    int sent;
    do sent = sendmmsg(fd, messages, them->n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    *error = sent < 0 ? errno : 0;
    if (sent > 0) mark_sent(engine, them, (uint32_t)sent, outbox, asked, from_ns);
    return sent > 0 ? (uint32_t)sent : 0;
}

uint32_t fp_incoming_take(fp_engine *engine, int fd, void *bytes, size_t size, fp_incoming *out) {
    for (uint32_t i = 0; i < FP_BATCH; i++) {
        out->vectors[i] = (struct iovec){(char *)bytes + i * size, size};
        out->messages[i].msg_hdr = (struct msghdr){.msg_name = &out->from[i],
                                                   .msg_namelen = sizeof out->from[i],
                                                   .msg_iov = &out->vectors[i],
                                                   .msg_iovlen = 1,
                                                   .msg_control = &out->controls[i],
                                                   .msg_controllen = sizeof out->controls[i]};
    }
    int got = -1;
    for (unsigned tries = 0; got < 0 && tries < ERRORS_MAX; tries++) {
        got = recvmmsg(fd, out->messages, FP_BATCH, 0, NULL);
        if (got < 0 && errno == EAGAIN) return 0;
    }
    if (got <= 0) return 0;
    out->wall_ns = fp_clock_wall();
    out->now_ns = fp_engine_latency_clock(engine);
    return (uint32_t)got;
}

/* When the kernel saw it, by the wall's clock; 0: it does not say. */
static fp_ns stamped_ns(struct msghdr *message) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec at;
        memcpy(&at, CMSG_DATA(part), sizeof at);
        return (fp_ns)at.tv_sec * FP_NS_PER_S + (fp_ns)at.tv_nsec;
    }
    return 0;
}

/* A wall clock that was set meanwhile is not believed. */
fp_ns fp_stamped_latency(const fp_engine *engine, const fp_connection *connection, struct msghdr *message, fp_ns wall_ns,
                         fp_ns now_ns) {
    const fp_ns seen_ns = stamped_ns(message);
    const fp_ns waited_ns = wall_ns - seen_ns, since_ns = now_ns - connection->began_ns;
    if (!seen_ns || engine->config.manual_clock || seen_ns > wall_ns || waited_ns >= since_ns) return 0;
    return since_ns - waited_ns;
}

void fp_incoming_measure(const fp_engine *engine, fp_connection *connection, fp_incoming *them, uint32_t i) {
    const fp_ns latency_ns = fp_stamped_latency(engine, connection, &them->messages[i].msg_hdr, them->wall_ns, them->now_ns);
    connection->answered = true;
    connection->measured_ns = latency_ns;
    connection->first_byte_ns = latency_ns ? connection->began_ns + latency_ns : them->now_ns;
}

void fp_batches_prepare(int fd) {
    const int bytes = FP_RECEIVE_BYTES, one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one); /* refused is fine: our own clock, a little late */
}

void fp_batches_never_in_pieces(int fd) {
    const int how = IP_PMTUDISC_PROBE;
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof how); /* refused is fine */
}
