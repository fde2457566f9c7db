/* A native run: from its start on a connection to its one record; and the line of runs that wait for a connection. */
#include "engine_internal.h"
#include "probe.h"

#include <errno.h>
#include <sys/socket.h>

static const fp_probe_kind *kind_of(const fp_target *target) {
    return target->kind == FP_TARGET_HTTP ? &fp_probe_http : &fp_probe_tcp;
}

/* -- the line ---------------------------------------------------------------------------------------------------------------
 */

void fp_run_join_line(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    fp_ns patience_ns = s->timeout_ns > FP_LEAST_WAIT_NS ? s->timeout_ns : FP_LEAST_WAIT_NS;
    s->state = FP_SLOT_WAITING;
    s->line_next = FP_NONE;
    s->line_previous = engine->line.last;
    if (engine->line.last == FP_NONE)
        engine->line.first = slot;
    else
        engine->slots[engine->line.last].line_next = slot;
    engine->line.last = slot;
    fp_count(&engine->counters.waiting, 1);
    fp_engine_arm(engine, fp_run_timer(slot), s->due_ns + patience_ns, 0);
}

void fp_run_leave_line(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->line_previous == FP_NONE)
        engine->line.first = s->line_next;
    else
        engine->slots[s->line_previous].line_next = s->line_next;
    if (s->line_next == FP_NONE)
        engine->line.last = s->line_previous;
    else
        engine->slots[s->line_next].line_previous = s->line_previous;
    fp_uncount(&engine->counters.waiting);
    fp_engine_settle(engine, slot);
}

static bool connection_free(const fp_engine *engine) {
    return engine->free_cold.first != FP_NONE || engine->free_warm[0].first != FP_NONE ||
           engine->free_warm[1].first != FP_NONE || engine->resting.first != FP_NONE;
}

bool fp_run_serve_line(fp_engine *engine) {
    for (uint32_t started = 0; engine->line.first != FP_NONE && connection_free(engine); started++) {
        if (started == engine->config.events_per_step) return true;
        uint32_t slot = engine->line.first;
        fp_run_leave_line(engine, slot);
        fp_run_start(engine, slot);
    }
    return false;
}

/* -- a run ------------------------------------------------------------------------------------------------------------------
 */

static uint32_t lag_us(const fp_slot *s, fp_ns started_ns) {
    fp_ns lag = started_ns > s->due_ns ? (started_ns - s->due_ns) / FP_NS_PER_US : 0;
    return lag < UINT32_MAX ? (uint32_t)lag : UINT32_MAX;
}

void fp_run_end(fp_engine *engine, fp_connection *connection, uint8_t result, uint8_t reason, uint16_t detail,
                enum fp_afterwards afterwards) {
    uint32_t slot = connection->slot;
    fp_slot *s = &engine->slots[slot];
    fp_engine_report(engine, &(fp_record){
                                 .slot = slot,
                                 .generation = s->generation,
                                 .started_ns = connection->started_ns,
                                 .latency_ns = fp_engine_latency_clock(engine) - connection->began_ns,
                                 .lag_us = lag_us(s, connection->started_ns),
                                 .detail = detail,
                                 .result = result,
                                 .reason = reason,
                             });
    fp_count(&engine->counters.runs_finished, 1);
    fp_uncount(&engine->counters.in_flight);
    s->connection = FP_NONE;
    if (afterwards == FP_REST && !connection->orphan) {
        s->connection = fp_connection_index(engine, connection);
        fp_connection_rest(engine, connection);
    } else if (afterwards == FP_DISCONNECT) {
        fp_connection_disconnect(engine, connection);
    } else {
        fp_connection_close(engine, connection);
    }
    fp_engine_settle(engine, slot);
}

/* Our own limits, told apart from the target's failures. 0: not one of ours. */
static uint8_t own_exhaustion(int error, uint8_t family) {
    switch (error) {
    case EMFILE:
    case ENFILE:
        return FP_REASON_DESCRIPTORS;
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
        return FP_REASON_MEMORY; /* ENOSPC: epoll's watch limit */
    case EADDRNOTAVAIL:
        return FP_REASON_PORTS;
    case EAGAIN:
        return family == AF_UNIX ? 0 : FP_REASON_PORTS; /* on a unix socket: the target's backlog is full */
    default:
        return 0;
    }
}

static uint8_t connect_reason(int error) {
    switch (error) {
    case ECONNREFUSED:
        return FP_REASON_CONNECT_REFUSED;
    case ETIMEDOUT:
        return FP_REASON_CONNECT_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return FP_REASON_CONNECT_RESET;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
        return FP_REASON_CONNECT_UNREACHABLE;
    default:
        return FP_REASON_CONNECT_FAILED;
    }
}

static void skip_for_ourselves(fp_engine *engine, fp_connection *connection, uint8_t reason) {
    uint32_t slot = connection->slot;
    fp_engine_skip(engine, slot, engine->now_ns, reason, 1);
    fp_uncount(&engine->counters.in_flight);
    engine->slots[slot].connection = FP_NONE;
    fp_connection_close(engine, connection);
    fp_engine_settle(engine, slot);
}

static void connect_failed(fp_engine *engine, fp_connection *connection, int error) {
    uint8_t ours = own_exhaustion(error, connection->target->family);
    if (ours)
        skip_for_ourselves(engine, connection, ours);
    else if (error == EAFNOSUPPORT || error == EPROTONOSUPPORT)
        fp_run_end(engine, connection, FP_ERROR, FP_REASON_UNSUPPORTED, (uint16_t)error, FP_CLOSE);
    else
        fp_run_end(engine, connection, error == ETIMEDOUT ? FP_TIMEOUT : FP_FAIL, connect_reason(error), (uint16_t)error,
                   FP_CLOSE);
}

static void open_fresh(fp_engine *engine, fp_connection *connection) {
    connection->kept = false;
    connection->answered = false;
    int error = fp_connection_open(engine, connection);
    if (error == 0)
        kind_of(connection->target)->connected(engine, connection);
    else if (error != -EINPROGRESS)
        connect_failed(engine, connection, -error);
}

void fp_run_fail(fp_engine *engine, fp_connection *connection, uint8_t reason, int error) {
    if (connection->kept && !connection->answered) {
        /* The server closed the idle connection while our request was on its way: that says nothing of its health. */
        fp_count(&engine->counters.retries, 1);
        fp_connection_reset_fd(engine, connection);
        open_fresh(engine, connection);
        return;
    }
    fp_run_end(engine, connection, FP_FAIL, reason, (uint16_t)error, FP_CLOSE);
}

static void unresolved(fp_engine *engine, uint32_t slot) {
    const fp_slot *s = &engine->slots[slot];
    fp_engine_report(engine, &(fp_record){
                                 .slot = slot,
                                 .generation = s->generation,
                                 .started_ns = engine->now_ns,
                                 .lag_us = lag_us(s, engine->now_ns),
                                 .result = s->target->result,
                                 .reason = s->target->reason,
                             });
    fp_count(&engine->counters.runs_started, 1);
    fp_count(&engine->counters.runs_finished, 1);
}

static void continue_on(fp_engine *engine, uint32_t slot, fp_connection *connection) {
    fp_connection_wake(engine, connection);
    connection->kept = true;
    connection->answered = false;
    connection->began_ns = fp_engine_latency_clock(engine);
    fp_count(&engine->counters.connections_reused, 1);
    connection->target = engine->slots[slot].target;
    kind_of(connection->target)->connected(engine, connection);
}

void fp_run_start(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->target->kind == FP_TARGET_UNRESOLVED) {
        unresolved(engine, slot);
        return;
    }
    bool resting = s->connection != FP_NONE;
    fp_connection *connection = resting ? &engine->connections[s->connection] : fp_connection_take(engine, s->target);
    if (!connection) {
        fp_run_join_line(engine, slot);
        return;
    }
    s->state = FP_SLOT_RUNNING;
    s->connection = fp_connection_index(engine, connection);
    connection->slot = slot;
    connection->started_ns = engine->now_ns;
    connection->cut_events = false;
    fp_count(&engine->counters.runs_started, 1);
    fp_count(&engine->counters.in_flight, 1);
    fp_engine_arm(engine, fp_run_timer(slot), engine->now_ns + s->timeout_ns, 0);
    if (resting) {
        continue_on(engine, slot, connection);
    } else {
        connection->target = s->target;
        open_fresh(engine, connection);
    }
}

void fp_run_deadline(fp_engine *engine, uint32_t slot) {
    fp_connection *connection = &engine->connections[engine->slots[slot].connection];
    bool connecting = connection->phase == FP_CONNECTION_CONNECTING;
    fp_run_end(engine, connection, FP_TIMEOUT, connecting ? FP_REASON_CONNECT_TIMEOUT : FP_REASON_RESPONSE_TIMEOUT, 0,
               FP_CLOSE);
}

/* -- events -----------------------------------------------------------------------------------------------------------------
 */

static void connecting_event(fp_engine *engine, fp_connection *connection, uint32_t ready) {
    const fp_probe_kind *kind = kind_of(connection->target);
    if (ready & FP_BROKEN) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        /* A hang-up without an error is the echo of our own disconnect: the connection under way will speak for itself. */
        if (error) connect_failed(engine, connection, error);
        return;
    }
    if (!(ready & FP_WRITABLE)) return;
    uint32_t slot = connection->slot;
    kind->connected(engine, connection);
    /* A peer that speaks first: its bytes came with the same edge, and no other will announce them. */
    bool goes_on = connection->slot == slot && connection->phase == FP_CONNECTION_READING;
    if (goes_on && ready & (FP_READABLE | FP_PEER_CLOSED)) kind->ready(engine, connection, ready);
}

void fp_run_event(fp_engine *engine, fp_connection *connection, uint32_t ready) {
    switch (connection->phase) {
    case FP_CONNECTION_FREE:
        break; /* the echo of a disconnect */
    case FP_CONNECTION_CONNECTING:
        connecting_event(engine, connection, ready);
        break;
    case FP_CONNECTION_RESTING:
        if (ready & (FP_READABLE | FP_PEER_CLOSED | FP_BROKEN)) { /* closed by the server, or bytes nobody asked for */
            fp_connection_wake(engine, connection);
            engine->slots[connection->slot].connection = FP_NONE;
            fp_connection_close(engine, connection);
        }
        break;
    default: {
        uint64_t tag = (uint64_t)connection->serial << 32 | fp_connection_index(engine, connection);
        kind_of(connection->target)->ready(engine, connection, ready);
        bool same = (uint32_t)(tag >> 32) == connection->serial;
        if (same && connection->phase == FP_CONNECTION_READING && connection->cut_events) {
            connection->cut_events = false;
            fp_poll_again(engine->poll, connection->fd, tag);
        }
    }
    }
}
