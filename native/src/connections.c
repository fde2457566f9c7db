/* The pool of connections: all descriptors the native lane may hold.
 *
 * Reuse: connect(AF_UNSPEC) resets an established connection (an RST, no TIME_WAIT) and leaves the socket registered and ready
 * to connect again: two system calls a check instead of six. Two things keep events of the old connection from being taken for
 * the new one's. Within a step, what was fetched is handled before anything is started (see work() in engine.c), so no event is
 * held back across a connect. And the kernel looks at the socket again when it hands an event out: a stale entry of its ready
 * list tells the truth of that moment, or nothing. Where a socket is closed instead, the serial in the tag of its registration
 * makes void what was fetched for it. */
#include "engine_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- lists ---------------------------------------------------------------------------------------------------------------- */

void fp_list_append(fp_engine *engine, fp_list *list, fp_connection *connection) {
    uint32_t index = fp_connection_index(engine, connection);
    connection->next = FP_NONE;
    connection->previous = list->last;
    if (list->last == FP_NONE)
        list->first = index;
    else
        engine->connections[list->last].next = index;
    list->last = index;
}

void fp_list_remove(fp_engine *engine, fp_list *list, const fp_connection *connection) {
    if (connection->previous == FP_NONE)
        list->first = connection->next;
    else
        engine->connections[connection->previous].next = connection->next;
    if (connection->next == FP_NONE)
        list->last = connection->previous;
    else
        engine->connections[connection->next].previous = connection->previous;
}

/* The last one in is the first one out: its memory is the likeliest to be in the cache. */
static fp_connection *take_last(fp_engine *engine, fp_list *list) {
    if (list->last == FP_NONE) return NULL;
    fp_connection *connection = &engine->connections[list->last];
    fp_list_remove(engine, list, connection);
    return connection;
}

/* A list may hold sockets of several routes whose hashes fell together: who takes one looks whether it fits. */
static fp_list *warm_list(fp_engine *engine, uint8_t family, bool datagram, const fp_route *route) {
    if (!route) return &engine->free_warm[2 * datagram + (family == AF_INET6)];
    return &engine->free_warm[4 + (uintptr_t)route / _Alignof(max_align_t) % (FP_WARM_LISTS - 4)];
}

/* -- the pool ------------------------------------------------------------------------------------------------------------- */

void fp_connections_init(fp_engine *engine) {
    const fp_list empty = {FP_NONE, FP_NONE};
    engine->free_cold = engine->resting = empty;
    for (uint32_t list = 0; list < FP_WARM_LISTS; list++) engine->free_warm[list] = empty;
    for (uint32_t i = engine->config.connections; i-- > 0;) {
        engine->connections[i].fd = -1;
        engine->connections[i].slot = FP_NONE;
        fp_list_append(engine, &engine->free_cold, &engine->connections[i]);
    }
}

void fp_connections_close(fp_engine *engine) {
    for (uint32_t list = 0; list < FP_WARM_LISTS; list++) {
        fp_connection *connection;
        while ((connection = take_last(engine, &engine->free_warm[list]))) {
            fp_connection_drop_socket(connection);
            fp_list_append(engine, &engine->free_cold, connection);
        }
    }
}

bool fp_connections_free(const fp_engine *engine) {
    if (engine->free_cold.first != FP_NONE || engine->resting.first != FP_NONE) return true;
    for (uint32_t list = 0; list < FP_WARM_LISTS; list++)
        if (engine->free_warm[list].first != FP_NONE) return true;
    return false;
}

static fp_connection *evict_oldest(fp_engine *engine) {
    if (engine->resting.first == FP_NONE) return NULL;
    fp_connection *connection = &engine->connections[engine->resting.first];
    fp_connection_part(engine, connection);
    fp_connection_drop_socket(connection);
    return connection;
}

fp_connection *fp_connection_take(fp_engine *engine, const fp_target *target) {
    const bool datagram = fp_target_is_datagram(target), bare = fp_target_shares(target);
    fp_connection *connection = NULL;
    if (target->family != AF_UNIX && !bare)
        connection = take_last(engine, warm_list(engine, target->family, datagram, target->route));
    if (!connection) connection = take_last(engine, &engine->free_cold);
    for (uint32_t list = 0; !connection && list < FP_WARM_LISTS; list++)
        connection = take_last(engine, &engine->free_warm[list]); /* of the other family, or of a route */
    if (connection && connection->fd >= 0 &&
        (bare || connection->family != target->family || connection->datagram != datagram ||
         connection->route != target->route))
        fp_connection_drop_socket(connection);
    return connection ? connection : evict_oldest(engine);
}

static void give_back(fp_engine *engine, fp_connection *connection) {
    fp_target_free(connection->orphan);
    free(connection->seen); /* a run that was abandoned */
    free(connection->reply);
    connection->seen = NULL;
    connection->reply = NULL;
    connection->orphan = NULL;
    connection->target = NULL;
    connection->slot = FP_NONE;
    connection->phase = FP_CONNECTION_FREE;
    fp_list_append(engine,
                   connection->fd < 0 ? &engine->free_cold
                                      : warm_list(engine, connection->family, connection->datagram, connection->route),
                   connection);
}

/* -- sockets -------------------------------------------------------------------------------------------------------------- */

static uint64_t tag_of(const fp_engine *engine, const fp_connection *connection) {
    return (uint64_t)connection->serial << 32 | fp_connection_index(engine, connection);
}

static int fresh_socket(fp_engine *engine, fp_connection *connection) {
    const struct linger reset_on_close = {.l_onoff = 1, .l_linger = 0};
    const bool datagram = fp_target_is_datagram(connection->target) && !connection->over_tcp;
    int fd = socket(connection->target->family, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    /* Without this each check would leave a TIME_WAIT behind for a minute, and 28,000 of them end the ephemeral ports. */
    if (!datagram) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
    connection->datagram = datagram;
    connection->fd = fd;
    connection->family = connection->target->family;
    connection->route = connection->target->route;
    fp_route_hold(connection->route);
    fp_count(&engine->counters.connections_opened, 1);
    int error = connection->route ? fp_route_take(connection->route, fd, connection->family) : 0;
    if (error) fp_connection_drop_socket(connection);
    return error;
}

/* A client that defers acceptance waits with the handshake's last acknowledgement for data to send along, for 200 ms, and the
 * reset comes first. TCP_QUICKACK does the same, but must be said before each connect; this outlives a disconnect. */
static void withhold_last_ack(fp_connection *connection, bool withheld) {
    const int seconds = withheld;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
    connection->ack_withheld = withheld;
}

/* A fresh socket is registered only now: one that fails at once, as refused ones on loopback do, needs no registration. */
static int connect_fresh(fp_engine *engine, fp_connection *connection) {
    int error = connect(connection->fd, fp_target_address(connection->target), connection->target->address_len) ? -errno : 0;
    if (error == 0 || error == -EINPROGRESS) {
        int added = fp_poll_add(engine->poll, connection->fd, tag_of(engine, connection), FP_BOTH_WAYS);
        if (added) error = added;
    }
    if (error && error != -EINPROGRESS) fp_connection_drop_socket(connection);
    return error;
}

static void begin_connect(fp_engine *engine, fp_connection *connection) {
    connection->phase = FP_CONNECTION_CONNECTING;
    if (connection->target->half != connection->ack_withheld) withhold_last_ack(connection, connection->target->half);
    if (!connection->over_tcp) connection->began_ns = fp_engine_latency_clock(engine);
}

static int connect_again(fp_engine *engine, fp_connection *connection) {
    begin_connect(engine, connection);
    fp_count(&engine->counters.connections_reused, 1);
    return connect(connection->fd, fp_target_address(connection->target), connection->target->address_len) ? -errno : 0;
}

/* The interface or source address that a socket was bound to may be gone, or be another one by the same name: only a fresh one
 * tells. */
static bool may_be_bound_to_the_past(const fp_connection *connection, int error) {
    return error && error != -EINPROGRESS && connection->route;
}

int fp_connection_open(fp_engine *engine, fp_connection *connection) {
    if (connection->fd >= 0) {
        const int error = connect_again(engine, connection);
        if (!may_be_bound_to_the_past(connection, error)) return error;
        fp_connection_drop_socket(connection);
    }
    connection->phase = FP_CONNECTION_FREE;
    const int error = fresh_socket(engine, connection);
    if (error) return error;
    begin_connect(engine, connection);
    return connect_fresh(engine, connection);
}

void fp_connection_drop_socket(fp_connection *connection) {
    if (connection->fd >= 0) close(connection->fd);
    fp_route_release(connection->route);
    connection->route = NULL;
    connection->ack_withheld = false;
    connection->fd = -1;
    connection->serial++;
}

bool fp_target_leaves_a_trace(const fp_target *target) {
    if (target->family == AF_UNIX) return true;
    if (target->family != AF_INET6) return false;
    const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)(const void *)fp_target_address(target);
    return IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr) || IN6_IS_ADDR_V4MAPPED(&address->sin6_addr);
}

/* A disconnect takes a datagram socket's interface away (__udp_disconnect of Linux). */
static bool would_lose_its_interface(const fp_connection *connection) {
    return connection->datagram && connection->route && connection->route->interface[0];
}

void fp_connection_release(fp_engine *engine, fp_connection *connection) {
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (connection->target->kind == FP_TARGET_ICMP) fp_echo_forget(engine, connection);
    if (connection->shares) fp_question_forget(engine, connection);
    if (connection->fd >= 0 && (fp_target_leaves_a_trace(connection->target) || would_lose_its_interface(connection) ||
                                connect(connection->fd, &nowhere, sizeof nowhere)))
        fp_connection_drop_socket(connection);
    /* Disconnected, it has no port, so nothing arrives any more: what is read away now is the last of it. */
    if (connection->fd >= 0 && connection->datagram && !fp_datagram_drain(connection->fd))
        fp_connection_drop_socket(connection);
    give_back(engine, connection);
}

void fp_connection_expect_more(fp_engine *engine, const fp_connection *connection) {
    fp_poll_again(engine->poll, connection->fd, tag_of(engine, connection), FP_BOTH_WAYS);
}

/* -- keep-alive ----------------------------------------------------------------------------------------------------------- */

void fp_connection_rest(fp_engine *engine, fp_connection *connection) {
    const fp_ns idle_ns = connection->target->plan->idle_ms * FP_NS_PER_MS;
    connection->deadline_ns = idle_ns ? engine->now_ns + idle_ns : FP_NEVER;
    connection->phase = FP_CONNECTION_RESTING;
    fp_list_append(engine, &engine->resting, connection);
}

void fp_connection_wake(fp_engine *engine, fp_connection *connection) {
    fp_list_remove(engine, &engine->resting, connection);
    connection->phase = FP_CONNECTION_FREE;
}

void fp_connection_part(fp_engine *engine, fp_connection *connection) {
    fp_slot *s = &engine->slots[connection->slot];
    fp_connection_wake(engine, connection);
    if (s->state == FP_SLOT_IDLE) fp_wheel_cancel(engine->wheel, fp_run_timer(connection->slot));
    s->connection = FP_NONE;
}
