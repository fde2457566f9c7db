/* The pool of connections: all descriptors the native lane may hold.
 *
 * Reuse: connect(AF_UNSPEC) resets an established connection (an RST, no TIME_WAIT) and leaves the socket registered and ready
 * to connect again: two system calls a check instead of six. The trap is events of the old connection that were fetched before
 * the reset and are handled after it. They cannot happen if a socket is disconnected only inside its own event: a batch holds
 * one event a socket, and what the reset itself raises is a hang-up with SO_ERROR 0, which fp_run_event ignores. Everywhere
 * else sockets are closed, and the serial in the tag of their registration makes what was fetched for them void. */
#include "engine_internal.h"
#include "probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static void append(fp_engine *engine, fp_list *list, fp_connection *connection) {
    uint32_t index = fp_connection_index(engine, connection);
    connection->next = FP_NONE;
    connection->previous = list->last;
    if (list->last == FP_NONE)
        list->first = index;
    else
        engine->connections[list->last].next = index;
    list->last = index;
}

static void unlink_from(fp_engine *engine, fp_list *list, fp_connection *connection) {
    if (connection->previous == FP_NONE)
        list->first = connection->next;
    else
        engine->connections[connection->previous].next = connection->next;
    if (connection->next == FP_NONE)
        list->last = connection->previous;
    else
        engine->connections[connection->next].previous = connection->previous;
}

static fp_connection *take_last(fp_engine *engine, fp_list *list) {
    if (list->last == FP_NONE) return NULL;
    fp_connection *connection = &engine->connections[list->last];
    unlink_from(engine, list, connection);
    return connection;
}

static int warm_list(uint8_t family) {
    return family == AF_INET6 ? 1 : 0;
}

void fp_connections_init(fp_engine *engine) {
    const fp_list empty = {FP_NONE, FP_NONE};
    engine->free_cold = engine->free_warm[0] = engine->free_warm[1] = engine->resting = engine->line = empty;
    for (uint32_t i = engine->config.connections; i-- > 0;) {
        engine->connections[i].fd = -1;
        engine->connections[i].slot = FP_NONE;
        append(engine, &engine->free_cold, &engine->connections[i]);
    }
}

void fp_connections_close_all(fp_engine *engine) {
    for (uint32_t i = 0; i < engine->config.connections; i++) {
        fp_connection *connection = &engine->connections[i];
        if (connection->fd >= 0) close(connection->fd);
        fp_target_free(connection->orphan);
    }
}

fp_connection *fp_connection_take(fp_engine *engine, const fp_target *target) {
    fp_connection *connection = NULL;
    int warm = warm_list(target->family);
    if (target->family != AF_UNIX) connection = take_last(engine, &engine->free_warm[warm]);
    if (!connection) connection = take_last(engine, &engine->free_cold);
    for (int other = 0; !connection && other < 2; other++) {
        connection = take_last(engine, &engine->free_warm[other]);
        if (connection) fp_connection_reset_fd(engine, connection);
    }
    if (!connection && engine->resting.first != FP_NONE) {
        connection = &engine->connections[engine->resting.first];
        fp_connection_wake(engine, connection);
        engine->slots[connection->slot].connection = FP_NONE;
        fp_connection_reset_fd(engine, connection);
    }
    return connection;
}

static int fresh_socket(fp_engine *engine, fp_connection *connection) {
    const struct linger reset_on_close = {.l_onoff = 1, .l_linger = 0};
    int fd = socket(connection->target->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    /* Without this each check would leave a TIME_WAIT behind for a minute, and 28,000 of them end the ephemeral ports. */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
    connection->fd = fd;
    connection->family = connection->target->family;
    connection->serial++;
    fp_count(&engine->counters.connections_opened, 1);
    return 0;
}

int fp_connection_open(fp_engine *engine, fp_connection *connection) {
    const fp_target *target = connection->target;
    bool fresh = connection->fd < 0;
    int error = fresh ? fresh_socket(engine, connection) : 0;
    if (error) return error;
    connection->phase = FP_CONNECTION_CONNECTING;
    connection->began_ns = fp_engine_latency_clock(engine);
    if (connect(connection->fd, fp_target_address(target), target->address_len)) error = -errno;
    if (fresh && (error == 0 || error == -EINPROGRESS)) {
        uint64_t tag = (uint64_t)connection->serial << 32 | fp_connection_index(engine, connection);
        int added = fp_poll_add(engine->poll, connection->fd, tag);
        if (added) return added;
    } else if (!fresh) {
        fp_count(&engine->counters.connections_reused, 1);
    }
    return error;
}

static void give_back(fp_engine *engine, fp_connection *connection, fp_list *list) {
    fp_target_free(connection->orphan);
    connection->orphan = NULL;
    connection->target = NULL;
    connection->slot = FP_NONE;
    connection->phase = FP_CONNECTION_FREE;
    append(engine, list, connection);
}

void fp_connection_reset_fd(fp_engine *engine, fp_connection *connection) {
    (void)engine;
    if (connection->fd >= 0) close(connection->fd);
    connection->fd = -1;
    connection->serial++;
}

void fp_connection_close(fp_engine *engine, fp_connection *connection) {
    fp_connection_reset_fd(engine, connection);
    give_back(engine, connection, &engine->free_cold);
}

void fp_connection_disconnect(fp_engine *engine, fp_connection *connection) {
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (connection->family == AF_UNIX || connect(connection->fd, &nowhere, sizeof nowhere)) {
        fp_connection_close(engine, connection);
        return;
    }
    give_back(engine, connection, &engine->free_warm[warm_list(connection->family)]);
}

void fp_connection_rest(fp_engine *engine, fp_connection *connection) {
    fp_target_free(connection->orphan);
    connection->orphan = NULL;
    connection->phase = FP_CONNECTION_RESTING;
    append(engine, &engine->resting, connection);
}

void fp_connection_wake(fp_engine *engine, fp_connection *connection) {
    unlink_from(engine, &engine->resting, connection);
    connection->phase = FP_CONNECTION_FREE;
}
