/* A native run: from its start on a connection to its one record. */
#include "engine_internal.h"
#include "probe.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static const fp_probe_kind *kind_of(const fp_target *target) {
    switch (target->kind) {
    case FP_TARGET_HTTP:
        return &fp_probe_http;
    case FP_TARGET_UDP:
        return &fp_probe_udp;
    case FP_TARGET_DNS:
        return &fp_probe_dns;
    case FP_TARGET_ICMP:
        return &fp_probe_icmp;
    default:
        return &fp_probe_tcp;
    }
}

static uint32_t lag_us(const fp_slot *s, fp_ns started_ns) {
    fp_ns lag = started_ns > s->due_ns ? (started_ns - s->due_ns) / FP_NS_PER_US : 0;
    return lag < UINT32_MAX ? (uint32_t)lag : UINT32_MAX;
}

bool fp_engine_has_native_lane(void) {
    return true;
}

/* -- the end -------------------------------------------------------------------------------------------------------------- */

static void leave(fp_engine *engine, fp_connection *connection, enum fp_afterwards afterwards) {
    uint32_t slot = connection->slot;
    fp_uncount(&engine->counters.in_flight);
    if (afterwards == FP_REST && !connection->orphan) {
        fp_connection_rest(engine, connection);
    } else {
        engine->slots[slot].connection = FP_NONE;
        fp_connection_release(engine, connection);
    }
    fp_engine_settle(engine, slot);
    fp_group_ended(engine, &engine->slots[slot], FP_POOL_NATIVE);
}

void fp_run_end(fp_engine *engine, fp_connection *connection, uint8_t result, uint8_t reason, uint16_t detail,
                enum fp_afterwards afterwards) {
    const fp_slot *s = &engine->slots[connection->slot];
    const fp_record record = {
        .slot = connection->slot,
        .generation = s->generation,
        .started_ns = connection->started_ns,
        .latency_ns =
            connection->measured_ns ? connection->measured_ns : fp_engine_latency_clock(engine) - connection->began_ns,
        .lag_us = lag_us(s, connection->started_ns),
        .detail = detail,
        .result = result,
        .reason = reason,
    };
    if (result != FP_OK || connection->explained) fp_trace_run(engine, connection, &record);
    fp_engine_report(engine, &record);
    fp_count(&engine->counters.runs_finished, 1);
    leave(engine, connection, afterwards);
}

void fp_run_give_up(fp_engine *engine, fp_connection *connection, uint8_t reason) {
    fp_engine_skip(engine, connection->slot, engine->slots[connection->slot].due_ns, reason, 1);
    leave(engine, connection, FP_RESET);
}

static void begin(fp_connection *connection) {
    connection->kept = connection->answered = false;
    connection->connected_ns = connection->first_byte_ns = connection->measured_ns = 0;
    connection->rtt_us = connection->retransmissions = 0;
}

/* -- connecting ----------------------------------------------------------------------------------------------------------- */

/* EADDRNOTAVAIL means that all ephemeral ports are taken, or that this host has no address to reach the target from (::1 where
 * IPv6 is switched off). A datagram socket meets only the second: it takes no port of TCP's. */
static bool has_source_address(const fp_target *target) {
    int fd = socket(target->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;
    bool has = connect(fd, fp_target_address(target), target->address_len) == 0 || errno != EADDRNOTAVAIL;
    close(fd);
    return has;
}

/* Our own limits, told apart from the target's failures. FP_REASON_NONE: not one of ours. */
static uint8_t own_exhaustion(int error, const fp_target *target) {
    switch (error) {
    case EMFILE:
    case ENFILE:
        return FP_REASON_DESCRIPTORS;
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
        return FP_REASON_MEMORY; /* ENOSPC: epoll's watch limit */
    case EADDRNOTAVAIL:
        return has_source_address(target) ? FP_REASON_PORTS : FP_REASON_NONE;
    case EAGAIN:
        return target->family == AF_UNIX ? FP_REASON_NONE : FP_REASON_PORTS; /* a unix socket's backlog is full */
    default:
        return FP_REASON_NONE;
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
    case EADDRNOTAVAIL:
        return FP_REASON_CONNECT_UNREACHABLE;
    default:
        return FP_REASON_CONNECT_FAILED;
    }
}

void fp_run_refused(fp_engine *engine, fp_connection *connection, int error) {
    uint8_t ours = own_exhaustion(error, connection->target);
    if (ours != FP_REASON_NONE)
        fp_run_give_up(engine, connection, ours);
    else
        fp_run_end(engine, connection, error == ETIMEDOUT ? FP_TIMEOUT : FP_FAIL, connect_reason(error), (uint16_t)error,
                   FP_RESET);
}

void fp_run_no_socket(fp_engine *engine, fp_connection *connection, int error) {
    uint8_t ours = error == EADDRNOTAVAIL || error == ENODEV ? FP_REASON_SOURCE : own_exhaustion(error, connection->target);
    if (connection->target->kind == FP_TARGET_ICMP && (error == EPERM || error == EACCES)) ours = FP_REASON_PERMISSION;
    if (ours != FP_REASON_NONE)
        fp_run_give_up(engine, connection, ours);
    else
        fp_run_end(engine, connection, FP_ERROR, FP_REASON_UNSUPPORTED, (uint16_t)error, FP_RESET);
}

static void connected(fp_engine *engine, fp_connection *connection) {
    connection->connected_ns = fp_engine_latency_clock(engine);
    if (connection->explained) fp_trace_connected(connection);
    kind_of(connection->target)->connected(engine, connection);
}

static void open_fresh(fp_engine *engine, fp_connection *connection) {
    begin(connection);
    const bool shares = fp_target_shares(connection->target) && !connection->explained && !connection->over_tcp;
    if (connection->target->kind == FP_TARGET_ICMP)
        fp_echo_ask(engine, connection);
    else if (!shares || !fp_question_ask(engine, connection))
        fp_run_open_own(engine, connection);
}

void fp_run_open_own(fp_engine *engine, fp_connection *connection) {
    engine->effort += FP_CONNECT_EFFORT;
    int error = fp_connection_open(engine, connection);
    if (error == 0)
        connected(engine, connection);
    else if (connection->phase == FP_CONNECTION_FREE)
        fp_run_no_socket(engine, connection, -error);
    else if (error != -EINPROGRESS)
        fp_run_refused(engine, connection, -error);
}

void fp_run_reopen(fp_engine *engine, fp_connection *connection) {
    open_fresh(engine, connection);
}

void fp_run_fail(fp_engine *engine, fp_connection *connection, uint8_t reason, int error) {
    if (error == ENOBUFS || error == ENOMEM) {
        fp_run_give_up(engine, connection, FP_REASON_MEMORY);
        return;
    }
    if (!connection->kept || connection->answered) {
        fp_run_end(engine, connection, FP_FAIL, reason, (uint16_t)error, FP_RESET);
        return;
    }
    fp_count(&engine->counters.retries, 1);
    fp_connection_drop_socket(connection);
    connection->retried = true;
    open_fresh(engine, connection);
}

/* -- the start ------------------------------------------------------------------------------------------------------------ */

/* A timeout as long as the interval would end a moment after the next run is due, by our own lateness and the wheel's ticks,
 * and every second run of a silent target would be skipped as overlapping. Such a run gives up when the next one is due. */
static fp_ns deadline_of(const fp_engine *engine, uint32_t slot) {
    fp_ns timeout_ns = engine->slots[slot].timeout_ns, deadline_ns = engine->now_ns + timeout_ns;
    fp_ns next_ns = fp_wheel_due(engine->wheel, fp_schedule_timer(slot));
    return deadline_ns > next_ns && deadline_ns - next_ns <= timeout_ns / 8 ? next_ns : deadline_ns;
}

static void unresolved(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    const fp_record record = {
        .slot = slot,
        .generation = s->generation,
        .started_ns = engine->now_ns,
        .lag_us = lag_us(s, engine->now_ns),
        .result = s->target->result,
        .reason = s->target->reason,
    };
    fp_trace_unconnected(engine, &record, s->explain);
    s->explain = false;
    fp_engine_report(engine, &record);
    fp_count(&engine->counters.runs_started, 1);
    fp_count(&engine->counters.runs_finished, 1);
}

static void continue_on(fp_engine *engine, fp_connection *connection) {
    fp_connection_wake(engine, connection);
    begin(connection);
    connection->kept = true;
    engine->effort++;
    if (connection->explained) fp_trace_connected(connection);
    connection->began_ns = fp_engine_latency_clock(engine);
    fp_count(&engine->counters.connections_reused, 1);
    kind_of(connection->target)->connected(engine, connection);
}

void fp_run_start(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->target->kind == FP_TARGET_UNRESOLVED) {
        unresolved(engine, slot);
        return;
    }
    /* Jitter, a line or a busy engine may have let it rest past its end. */
    if (s->connection != FP_NONE && engine->connections[s->connection].deadline_ns <= engine->now_ns)
        fp_engine_close_resting(engine, slot);
    bool rested = s->connection != FP_NONE;
    fp_connection *connection = rested ? &engine->connections[s->connection] : fp_connection_take(engine, s->target);
    if (!connection) {
        fp_line_join(engine, slot);
        return;
    }
    s->state = FP_SLOT_RUNNING;
    s->connection = fp_connection_index(engine, connection);
    connection->slot = slot;
    connection->target = s->target;
    connection->started_ns = engine->now_ns;
    connection->deadline_ns = deadline_of(engine, slot);
    connection->explained = connection->retried = connection->over_tcp = false;
    if (s->explain) fp_trace_begin(connection);
    s->explain = false;
    fp_count(&engine->counters.runs_started, 1);
    fp_count(&engine->counters.in_flight, 1);
    fp_group_began(engine, s, FP_POOL_NATIVE);
    fp_engine_arm(engine, fp_run_timer(slot), connection->deadline_ns, 0);
    if (rested)
        continue_on(engine, connection);
    else
        open_fresh(engine, connection);
}

/* -- on the way ----------------------------------------------------------------------------------------------------------- */

static void connecting_event(fp_engine *engine, fp_connection *connection, uint32_t ready) {
    if (ready & FP_BROKEN) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        /* A reset that answers the SYN is "refused": any other came after the handshake, sooner than we looked. */
        bool stood = error == ECONNRESET || error == EPIPE;
        if (stood && connection->target->kind == FP_TARGET_TCP)
            connected(engine, connection);
        else if (stood)
            fp_run_fail(engine, connection, FP_REASON_RESPONSE_RESET, error);
        else if (error)
            fp_run_refused(engine, connection, error);
        return; /* a hang-up without an error says nothing: if it stays silent, the deadline speaks */
    }
    if (!(ready & FP_WRITABLE)) return;
    connected(engine, connection);
    /* A peer that speaks first: its bytes came with the same edge, and no other will announce them. */
    if (connection->phase == FP_CONNECTION_READING && ready & (FP_READABLE | FP_PEER_CLOSED))
        kind_of(connection->target)->ready(engine, connection, ready);
}

void fp_run_event(fp_engine *engine, fp_connection *connection, uint32_t ready) {
    switch (connection->phase) {
    case FP_CONNECTION_FREE:
        break; /* the echo of our own disconnect */
    case FP_CONNECTION_CONNECTING:
        connecting_event(engine, connection, ready);
        break;
    case FP_CONNECTION_RESTING:
        if (ready & (FP_READABLE | FP_PEER_CLOSED | FP_BROKEN)) { /* closed by the server, or bytes nobody asked for */
            fp_connection_part(engine, connection);
            fp_connection_release(engine, connection);
        }
        break;
    default:
        kind_of(connection->target)->ready(engine, connection, ready);
    }
}

/* It waits for the step's end to leave with others, by a socket that they share. */
static bool unsent(const fp_connection *connection) {
    return connection->phase == FP_CONNECTION_ASKING && (connection->shares || connection->target->kind == FP_TARGET_ICMP);
}

void fp_run_deadline(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    fp_connection *connection = &engine->connections[s->connection];
    /* A last look: when we are busy or were stopped, the answer may be here and its event still in the kernel's list. */
    if (connection->target->kind == FP_TARGET_ICMP) {
        fp_echo_look(engine, connection);
    } else if (connection->shares) {
        fp_question_look(engine, connection);
    } else {
        uint32_t ready = fp_poll_look(connection->fd);
        if (ready) fp_run_event(engine, connection, ready);
    }
    if (s->state != FP_SLOT_RUNNING) return;
    bool connecting = connection->phase == FP_CONNECTION_CONNECTING;
    uint8_t silence = kind_of(connection->target)->silence;
    if (unsent(connection) || engine->now_ns - connection->deadline_ns > FP_LATE_NS) {
        fp_run_give_up(engine, connection, FP_REASON_LATE); /* the host slept: so, perhaps, did the answer */
        if (s->asked && s->state == FP_SLOT_IDLE) fp_engine_begin_besides(engine, slot); /* somebody waits for one */
    } else {
        fp_run_end(engine, connection, FP_TIMEOUT,
                   silence      ? silence
                   : connecting ? FP_REASON_CONNECT_TIMEOUT
                                : FP_REASON_RESPONSE_TIMEOUT,
                   0, FP_RESET);
    }
}
