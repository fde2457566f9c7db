/* HTTP/1.1: send the plan's request, read one response, hold it against the plan's expectations. */
#include "probe.h"

#include <errno.h>
#include <sys/socket.h>

#define READS_PER_EVENT 4u /* 64 KiB: a fast endless body must not hold the step */

static void send_request(fp_engine *engine, fp_connection *connection) {
    size_t length = fp_target_request(connection->target, engine->scratch, sizeof engine->scratch);
    while (connection->sent < length) {
        ssize_t sent = send(connection->fd, engine->scratch + connection->sent, length - connection->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) {
            fp_run_fail(engine, connection, FP_REASON_RESPONSE_RESET, errno);
            return;
        }
        connection->sent += (uint32_t)sent;
    }
    connection->phase = FP_CONNECTION_READING;
}

static void connected(fp_engine *engine, fp_connection *connection) {
    fp_http1_init(&connection->parser, connection->target->plan->head);
    connection->phase = FP_CONNECTION_ASKING;
    connection->sent = 0;
    connection->matched = 0;
    connection->expectations = 0;
    connection->body_bytes = 0;
    send_request(engine, connection);
}

static void fail(fp_engine *engine, fp_connection *connection, uint8_t reason) {
    fp_run_end(engine, connection, FP_FAIL, reason, connection->parser.status, FP_RESET);
}

/* Status and headers are judged as soon as they are whole: a wrong status needs no body, however long that would be. */
static bool headers_good(fp_engine *engine, fp_connection *connection) {
    const fp_http_plan *plan = connection->target->plan;
    if (!fp_http_plan_accepts(plan, connection->parser.status)) {
        fail(engine, connection, FP_REASON_HTTP_STATUS);
        return false;
    }
    if (connection->expectations != fp_http_plan_wanted(plan)) {
        fail(engine, connection, FP_REASON_HEADER_MISMATCH);
        return false;
    }
    return true;
}

static bool body_good(fp_engine *engine, fp_connection *connection, const char *piece, size_t length) {
    const fp_http_plan *plan = connection->target->plan;
    if (length > plan->max_body - connection->body_bytes) {
        fail(engine, connection, FP_REASON_HTTP_BODY_LIMIT);
        return false;
    }
    connection->body_bytes += (uint32_t)length;
    if (plan->needle.len) connection->matched = fp_needle_scan(&plan->needle, connection->matched, piece, length);
    return true;
}

static void whole(fp_engine *engine, fp_connection *connection, bool reusable) {
    const fp_http_plan *plan = connection->target->plan;
    if (connection->matched != plan->needle.len) {
        fail(engine, connection, FP_REASON_BODY_MISMATCH);
        return;
    }
    bool rest = plan->keep_alive && reusable && connection->parser.keep_alive;
    fp_run_end(engine, connection, FP_OK, FP_REASON_NONE, connection->parser.status, rest ? FP_REST : FP_RESET);
}

/* Returns whether the run goes on. closing: the peer's end was announced together with these bytes. */
static bool take(fp_engine *engine, fp_connection *connection, const char *data, size_t length, bool closing) {
    const char *body = NULL;
    size_t body_length = 0;
    for (;;) {
        switch (fp_http1_next(&connection->parser, &data, &length, &body, &body_length)) {
        case FP_HTTP1_MORE:
            return true;
        case FP_HTTP1_STATUS:
            break;
        case FP_HTTP1_HEADER:
            connection->expectations |=
                fp_http_plan_match(connection->target->plan, connection->parser.name, connection->parser.name_len,
                                   connection->parser.value, connection->parser.value_len);
            break;
        case FP_HTTP1_HEADERS_END:
            if (!headers_good(engine, connection)) return false;
            break;
        case FP_HTTP1_BODY:
            if (!body_good(engine, connection, body, body_length)) return false;
            break;
        case FP_HTTP1_DONE:
            /* Bytes after the answer belong to no request of ours: such a connection is not trusted again. */
            whole(engine, connection, length == 0 && !closing);
            return false;
        case FP_HTTP1_TOO_LARGE:
            fail(engine, connection, FP_REASON_HTTP_HEADER_LIMIT);
            return false;
        default:
            fail(engine, connection, FP_REASON_HTTP_PROTOCOL);
            return false;
        }
    }
}

static void peer_closed(fp_engine *engine, fp_connection *connection) {
    if (connection->answered && fp_http1_eof(&connection->parser) == FP_HTTP1_DONE)
        whole(engine, connection, false);
    else
        fp_run_fail(engine, connection, FP_REASON_RESPONSE_CLOSED, 0);
}

static void read_response(fp_engine *engine, fp_connection *connection, uint32_t events) {
    bool closing = events & (FP_PEER_CLOSED | FP_BROKEN);
    for (unsigned reads = 0; reads < READS_PER_EVENT; reads++) {
        ssize_t got = recv(connection->fd, engine->scratch, sizeof engine->scratch, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got < 0) {
            fp_run_fail(engine, connection, FP_REASON_RESPONSE_RESET, errno);
            return;
        }
        if (got == 0) {
            peer_closed(engine, connection);
            return;
        }
        if (!connection->answered) connection->first_byte_ns = fp_engine_latency_clock(engine);
        connection->answered = true;
        if (connection->seen) fp_trace_received(connection, engine->scratch, (size_t)got);
        if (!take(engine, connection, engine->scratch, (size_t)got, closing)) return;
        /* A short read emptied the socket, and what comes next is a new edge; unless the end was announced with this one. */
        if ((size_t)got < sizeof engine->scratch && !closing) return;
    }
    fp_connection_expect_more(engine, connection);
}

static void ready(fp_engine *engine, fp_connection *connection, uint32_t events) {
    if (connection->phase == FP_CONNECTION_ASKING && events & (FP_WRITABLE | FP_BROKEN)) send_request(engine, connection);
    /* No else: the answer may be here already, its edge came together with the other. */
    if (connection->phase == FP_CONNECTION_READING && events & (FP_READABLE | FP_PEER_CLOSED | FP_BROKEN))
        read_response(engine, connection, events);
}

const fp_probe_kind fp_probe_http = {.connected = connected, .ready = ready};
