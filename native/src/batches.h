/* batches.h - datagrams of many runs in one system call, for the sockets that runs share: echoes.c and questions.c.
 *
 * Runs wait in an outbox (a list of connections, ASKING); what has left is READING. */
#ifndef FASTPROBE_BATCHES_H
#define FASTPROBE_BATCHES_H
#include "probe.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define FP_BATCH          32u           /* messages in a system call; more gain nothing */
#define FP_CALLS_PER_LOOK 8u            /* a flood of strays must not hold the step */
#define FP_RECEIVE_BYTES  (4096 * 1024) /* replies of a step's requests may all come before we look */

typedef struct fp_outgoing {
    struct mmsghdr messages[FP_BATCH];
    struct iovec vectors[FP_BATCH];
    struct sockaddr_in6 addresses[FP_BATCH]; /* or, shorter, of IPv4 */
    fp_connection *connections[FP_BATCH];
    uint32_t n;
} fp_outgoing;

void fp_outgoing_add(fp_outgoing *them, fp_connection *connection, void *bytes, size_t len); /* to its target's address */
/* Each that left is taken out of the outbox, marked as sent, and appended to `asked` if that is given. How many; when that is
 * none, *error says why the first did not. */
uint32_t fp_outgoing_send(fp_engine *engine, int fd, const fp_outgoing *them, fp_list *outbox, fp_list *asked, int *error);

typedef union fp_stamp_control {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(struct timespec))];
} fp_stamp_control;

typedef struct fp_incoming {
    struct mmsghdr messages[FP_BATCH];
    struct iovec vectors[FP_BATCH];
    struct sockaddr_storage from[FP_BATCH];
    fp_stamp_control controls[FP_BATCH];
    fp_ns wall_ns; /* when they were taken */
    fp_ns now_ns;
} fp_incoming;

/* How many came into `bytes`, `size` each: fewer than FP_BATCH when there are no more. */
uint32_t fp_incoming_take(fp_engine *engine, int fd, void *bytes, size_t size, fp_incoming *out);

/* From the request to the kernel's sight of this message, taken at these times; 0: the kernel does not say. */
fp_ns fp_stamped_latency(const fp_engine *engine, const fp_connection *connection, struct msghdr *message, fp_ns wall_ns,
                         fp_ns now_ns);

/* The run has its answer: its latency is from the request to the kernel's sight of the answer. */
void fp_incoming_measure(const fp_engine *engine, fp_connection *connection, fp_incoming *them, uint32_t i);

/* probes/dns.c: what came and may be for this run; number i of `them`, NULL for a socket of its own. Whether it was its answer:
 * then the run has ended, or asks again over TCP. Else it is as it was. */
bool fp_dns_take(fp_engine *engine, fp_connection *connection, const uint8_t *bytes, size_t len, fp_incoming *them, uint32_t i);

void fp_batches_prepare(int fd); /* room and stamps for what comes; the receive buffer as large as this process may */

/* Of IPv4, and of what every link takes whole. To be told so spares the kernel an id for the pieces of each packet: a keyed
 * hash, and a cache line that all processors share. */
void fp_batches_never_in_pieces(int fd);

#endif
