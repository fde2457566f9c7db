/* echoes.c - the ICMP sockets of the engine: one for all runs of a family and a route, since a socket of its own would bring
 * each run the replies to all others. Requests too large for some links have their own.
 *
 * A run holds a connection of the pool, without a descriptor, for its clock and its cookie. Requests of one step leave together
 * and replies are taken together, as many as one system call carries. */
#include "batches.h"
#include "fastprobe/echo.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct echo_socket {
    fp_route *route; /* one reference */
    fp_list outbox;  /* of connections, ASKING */
    int fd;
    uint8_t family;
    bool whole;  /* of IPv4: its requests pass every link in one piece */
    bool ping;   /* a datagram socket for echoes: the kernel picks the id, and keeps errors to itself */
    uint16_t id; /* of all our requests, else */
} echo_socket;

struct fp_echoes {
    uint32_t n;
    uint32_t waiting; /* in all outboxes */
    bool held;        /* for company: they go with the next step, whatever comes */
    echo_socket sockets[FP_ECHO_SOCKETS];
    uint8_t bytes[FP_BATCH][FP_ECHO_MAX];
};

/* -- sockets --------------------------------------------------------------------------------------------------------------
 */

/* Of IPv4, what the kernel hands to a raw socket begins with the IP header. */
static int only_our_replies(int fd, bool v6, uint16_t id) {
    struct sock_filter v4_code[] = {
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 2),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_filter v6_code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP6_ECHO_REPLY, 0, 2),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX), BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog program = v6 ? (struct sock_fprog){sizeof v6_code / sizeof *v6_code, v6_code}
                                         : (struct sock_fprog){sizeof v4_code / sizeof *v4_code, v4_code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int only_echoes_and_errors(int fd, bool v6) {
    if (!v6) {
        const struct icmp_filter unwanted = {.data =
                                                 ~(1u << ICMP_ECHOREPLY | 1u << ICMP_DEST_UNREACH | 1u << ICMP_TIME_EXCEEDED)};
        return setsockopt(fd, SOL_RAW, ICMP_FILTER, &unwanted, sizeof unwanted);
    }
    struct icmp6_filter wanted;
    ICMP6_FILTER_SETBLOCKALL(&wanted);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &wanted);
    ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &wanted);
    ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &wanted);
    ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &wanted);
    return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &wanted, sizeof wanted);
}

/* What every host must take whole (RFC 791: 576 bytes), links do, too. Larger requests may have to go in pieces. */
#define WHOLE_MAX (576u - 20u - FP_ECHO_HEADER)

static bool passes_whole(const fp_target *target) {
    return target->family == AF_INET && target->echo_bytes <= WHOLE_MAX;
}

/* A raw socket where this process may have one: it is told of unreachable targets. */
static int make_socket(echo_socket *made) {
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC, protocol = made->family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    made->ping = false;
    made->fd = socket(made->family, SOCK_RAW | flags, protocol);
    if (made->fd >= 0 || (errno != EPERM && errno != EACCES)) return made->fd < 0 ? -errno : 0;
    made->ping = true;
    made->fd = socket(made->family, SOCK_DGRAM | flags, protocol);
    return made->fd < 0 ? -errno : 0;
}

static int prepare(const echo_socket *made) {
    const bool v6 = made->family == AF_INET6;
    const int failed = made->route ? fp_route_take(made->route, made->fd, made->family) : 0;
    if (failed) return failed;
    if (!made->ping && (only_echoes_and_errors(made->fd, v6) || only_our_replies(made->fd, v6, made->id))) return -errno;
    fp_batches_prepare(made->fd);
    if (made->whole) fp_batches_never_in_pieces(made->fd);
    return 0;
}

static void close_socket(echo_socket *it) {
    if (it->fd >= 0) close(it->fd);
    fp_route_release(it->route);
}

/* 0, or -errno: then it has no descriptor. */
static int open_socket(fp_engine *engine, echo_socket *it) {
    const uint64_t tag = FP_ECHO_TAGS + (uint64_t)(it - engine->echoes->sockets);
    int failed = make_socket(it);
    if (failed) return failed;
    failed = prepare(it);
    if (!failed) failed = fp_poll_add(engine->poll, it->fd, tag, FP_INCOMING);
    if (failed) {
        close(it->fd);
        it->fd = -1;
        return failed;
    }
    fp_count(&engine->counters.connections_opened, 1);
    return 0;
}

/* The number of the socket for this target, or -errno. */
static int socket_for(fp_engine *engine, const fp_target *target) {
    if (!engine->echoes) engine->echoes = calloc(1, sizeof *engine->echoes);
    fp_echoes *all = engine->echoes;
    if (!all) return -ENOMEM;
    const bool whole = passes_whole(target);
    for (uint32_t i = 0; i < all->n; i++) {
        const echo_socket *it = &all->sockets[i];
        if (it->family == target->family && it->route == target->route && it->whole == whole) return (int)i;
    }
    if (all->n == FP_ECHO_SOCKETS) return -EMFILE;
    echo_socket *made = &all->sockets[all->n];
    *made = (echo_socket){.family = target->family, .whole = whole, .route = target->route, .outbox = {FP_NONE, FP_NONE}};
    made->id = fp_datagram_id(engine);
    const int failed = open_socket(engine, made);
    if (failed) return failed;
    fp_route_hold(made->route);
    return (int)all->n++;
}

void fp_echoes_close(fp_engine *engine) {
    fp_echoes *all = engine->echoes;
    for (uint32_t i = 0; all && i < all->n; i++) close_socket(&all->sockets[i]);
    free(all);
    engine->echoes = NULL;
}

/* -- requests -------------------------------------------------------------------------------------------------------------
 */

void fp_echo_ask(fp_engine *engine, fp_connection *connection) {
    const int number = socket_for(engine, connection->target);
    if (number < 0) {
        fp_run_no_socket(engine, connection, -number);
        return;
    }
    fp_echoes *all = engine->echoes;
    connection->shared_socket = (uint8_t)number;
    connection->nonce = (uint32_t)fp_datagram_id(engine) << 16 | fp_datagram_id(engine);
    connection->phase = FP_CONNECTION_ASKING;
    connection->began_ns = fp_engine_latency_clock(engine);
    fp_list_append(engine, &all->sockets[number].outbox, connection);
    all->waiting++;
}

static void leave_outbox(fp_engine *engine, fp_connection *connection) {
    fp_list_remove(engine, &engine->echoes->sockets[connection->shared_socket].outbox, connection);
    engine->echoes->waiting--;
}

void fp_echo_forget(fp_engine *engine, fp_connection *connection) {
    if (connection->phase == FP_CONNECTION_ASKING)
        leave_outbox(engine, connection);
    else if (connection->phase == FP_CONNECTION_READING)
        engine->stamped--;
}

static void could_not_send(fp_engine *engine, fp_connection *connection, int error) {
    if (error == EPERM || error == EACCES)
        fp_run_give_up(engine, connection, FP_REASON_PERMISSION); /* this host's firewall, or a broadcast address */
    else if (error == EAGAIN)
        fp_run_give_up(engine, connection, FP_REASON_MEMORY);
    else if (error == EMSGSIZE)
        fp_run_end(engine, connection, FP_FAIL, FP_REASON_ICMP_TOO_BIG, 0, FP_RESET);
    else
        fp_run_refused(engine, connection, error);
}

static void fill(fp_engine *engine, const echo_socket *it, fp_outgoing *out) {
    const bool v6 = it->family == AF_INET6;
    out->n = 0;
    for (uint32_t index = it->outbox.first; index != FP_NONE && out->n < FP_BATCH; index = engine->connections[index].next) {
        fp_connection *connection = &engine->connections[index];
        const fp_echo echo = {.id = it->id,
                              .sequence = (uint16_t)index,
                              .run = index,
                              .nonce = connection->nonce,
                              .payload = connection->target->echo_bytes};
        uint8_t *bytes = engine->echoes->bytes[out->n];
        fp_outgoing_add(out, connection, bytes, fp_echo_request(&echo, v6, bytes));
    }
}

/* What it was bound to is gone, or another one by the same name. */
static bool is_bound_to_the_past(const echo_socket *it, int error) {
    return it->route && (it->fd < 0 || error == ENODEV || error == ENXIO || error == EADDRNOTAVAIL || error == EINVAL);
}

static uint32_t send_batch(fp_engine *engine, echo_socket *it, const fp_outgoing *them, int *error) {
    const uint32_t sent = fp_outgoing_send(engine, it->fd, them, &it->outbox, NULL, error);
    engine->echoes->waiting -= sent;
    return sent;
}

static void send_some(fp_engine *engine, echo_socket *it) {
    fp_outgoing them;
    int error;
    fill(engine, it, &them);
    if (send_batch(engine, it, &them, &error)) return;
    if (is_bound_to_the_past(it, error)) {
        if (it->fd >= 0) close(it->fd);
        it->fd = -1;
        const int failed = open_socket(engine, it);
        if (failed) {
            fp_run_no_socket(engine, them.connections[0], -failed);
            return;
        }
        if (send_batch(engine, it, &them, &error)) return;
    }
    could_not_send(engine, them.connections[0], error);
}

/* -- replies --------------------------------------------------------------------------------------------------------------
 */

static bool is_target(const fp_target *target, const void *address) {
    const struct sockaddr *own = fp_target_address(target);
    if (own->sa_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)(const void *)own)->sin6_addr, address, 16) == 0;
    return memcmp(&((const struct sockaddr_in *)(const void *)own)->sin_addr, address, 4) == 0;
}

static const void *address_in(const struct sockaddr_storage *from) {
    if (from->ss_family == AF_INET6) return &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    return &((const struct sockaddr_in *)(const void *)from)->sin_addr;
}

/* The run that asked. An error that quotes no cookie names it by id and sequence alone. */
static fp_connection *asker(const fp_engine *engine, const echo_socket *it, const fp_echo_answer *answer, const void *from) {
    const fp_echo *echo = &answer->echo;
    const uint32_t index = echo->payload ? echo->run : echo->sequence;
    if (index >= engine->config.connections || (uint16_t)index != echo->sequence || (!it->ping && echo->id != it->id))
        return NULL;
    fp_connection *connection = &engine->connections[index];
    if (connection->phase != FP_CONNECTION_READING || connection->target->kind != FP_TARGET_ICMP ||
        &engine->echoes->sockets[connection->shared_socket] != it || !is_target(connection->target, from))
        return NULL;
    return echo->payload && echo->nonce != connection->nonce ? NULL : connection;
}

static void take(fp_engine *engine, const echo_socket *it, fp_incoming *them, uint32_t i) {
    const struct mmsghdr *message = &them->messages[i];
    const uint8_t *bytes = engine->echoes->bytes[i];
    const bool v6 = it->family == AF_INET6;
    fp_echo_answer answer;
    const enum fp_echo_reading reading = fp_echo_read(v6, !v6 && !it->ping, bytes, message->msg_len, &answer);
    const void *from = reading == FP_ECHO_ERROR ? answer.to : address_in(message->msg_hdr.msg_name);
    fp_connection *connection = reading == FP_ECHO_STRAY ? NULL : asker(engine, it, &answer, from);
    if (!connection) {
        fp_count(&engine->counters.stray_datagrams, 1);
        return;
    }
    fp_incoming_measure(engine, connection, them, i);
    if (reading == FP_ECHO_ERROR)
        fp_run_end(engine, connection, FP_FAIL, answer.reason, answer.code, FP_RESET);
    else if (!answer.intact || answer.echo.payload != connection->target->echo_bytes)
        fp_run_end(engine, connection, FP_FAIL, FP_REASON_REPLY_MISMATCH, answer.echo.payload, FP_RESET);
    else
        fp_run_end(engine, connection, FP_OK, FP_REASON_NONE, 0, FP_RESET);
}

static uint32_t take_some(fp_engine *engine, const echo_socket *it) {
    fp_incoming them;
    const uint32_t got = fp_incoming_take(engine, it->fd, engine->echoes->bytes, sizeof engine->echoes->bytes[0], &them);
    for (uint32_t i = 0; i < got; i++) take(engine, it, &them, i);
    return got;
}

void fp_echoes_ready(fp_engine *engine, uint32_t number) {
    const echo_socket *it = &engine->echoes->sockets[number];
    for (uint32_t calls = 0; calls < FP_CALLS_PER_LOOK; calls++)
        if (take_some(engine, it) < FP_BATCH) return;
    fp_poll_again(engine->poll, it->fd, FP_ECHO_TAGS + number, FP_INCOMING);
}

void fp_echo_look(fp_engine *engine, const fp_connection *connection) {
    if (connection->phase == FP_CONNECTION_READING) fp_echoes_ready(engine, connection->shared_socket);
}

/* After each batch replies are taken: near targets have answered the first by then, and their answers need the room. */
void fp_echoes_send(fp_engine *engine, bool more) {
    fp_echoes *all = engine->echoes;
    if (!all || !all->waiting) return;
    all->held = more && !all->held && all->waiting < FP_BATCH;
    if (all->held) return;
    for (uint32_t number = 0; number < all->n; number++) {
        echo_socket *it = &all->sockets[number];
        while (it->outbox.first != FP_NONE) {
            send_some(engine, it);
            take_some(engine, it);
        }
    }
}
