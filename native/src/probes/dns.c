/* DNS: one question over UDP; over TCP again when the answer was cut short. */
#include "batches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READS_PER_EVENT 32u /* a flood of strays must not hold the step */

static void judged(fp_engine *engine, fp_connection *connection, fp_dns_verdict verdict) {
    fp_run_end(engine, connection, verdict.reason ? FP_FAIL : FP_OK, verdict.reason, verdict.detail, FP_RESET);
}

/* -- over UDP ---------------------------------------------------------------------------------------------------------------
 */

static void ask_over_udp(fp_engine *engine, fp_connection *connection) {
    uint8_t query[FP_DNS_QUERY_MAX];
    connection->connected_ns = 0; /* nothing was asked of the peer yet */
    connection->query_id = fp_datagram_id(engine);
    connection->phase = FP_CONNECTION_READING;
    fp_datagram_send(engine, connection, query, fp_dns_query(connection->target->dns, connection->query_id, query));
}

static void ask_again_over_tcp(fp_engine *engine, fp_connection *connection) {
    if (connection->shares) fp_question_forget(engine, connection);
    fp_connection_drop_socket(connection);
    connection->over_tcp = true;
    fp_run_reopen(engine, connection);
}

bool fp_dns_take(fp_engine *engine, fp_connection *connection, const uint8_t *bytes, size_t len, fp_incoming *them,
                 uint32_t i) {
    fp_dns_verdict verdict;
    switch (fp_dns_read(connection->target->dns, connection->query_id, false, bytes, len, &verdict)) {
    case FP_DNS_STRAY:
        return false;
    case FP_DNS_CUT:
        ask_again_over_tcp(engine, connection);
        return true;
    default:
        break;
    }
    if (them) {
        fp_incoming_measure(engine, connection, them, i);
    } else {
        connection->answered = true;
        connection->first_byte_ns = fp_engine_latency_clock(engine);
    }
    judged(engine, connection, verdict);
    return true;
}

static void read_datagrams(fp_engine *engine, fp_connection *connection) {
    for (unsigned reads = 0; reads < READS_PER_EVENT; reads++) {
        const ssize_t whole = fp_datagram_receive(engine, connection);
        if (whole == -EAGAIN) return;
        if (whole < 0) {
            fp_run_refused(engine, connection, (int)-whole); /* an ICMP message came back */
            return;
        }
        const size_t len = (size_t)whole < FP_DNS_UDP_MAX ? (size_t)whole : FP_DNS_UDP_MAX;
        if (fp_dns_take(engine, connection, (const uint8_t *)engine->scratch, len, NULL, 0)) return;
        fp_count(&engine->counters.stray_datagrams, 1);
    }
    fp_connection_expect_more(engine, connection);
}

/* -- over TCP ---------------------------------------------------------------------------------------------------------------
 */

static void send_framed(fp_engine *engine, fp_connection *connection) {
    uint8_t framed[2 + FP_DNS_QUERY_MAX];
    const size_t size = fp_dns_query(connection->target->dns, connection->query_id, framed + 2), length = size + 2;
    framed[0] = (uint8_t)(size >> 8);
    framed[1] = (uint8_t)size;
    while (connection->sent < length) {
        const ssize_t sent = send(connection->fd, framed + connection->sent, length - connection->sent, MSG_NOSIGNAL);
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

static void ask_over_tcp(fp_engine *engine, fp_connection *connection) {
    if (!connection->reply) connection->reply = malloc(FP_DNS_STREAM_MAX);
    if (!connection->reply) {
        fp_run_give_up(engine, connection, FP_REASON_MEMORY);
        return;
    }
    connection->phase = FP_CONNECTION_ASKING;
    connection->sent = connection->reply_bytes = 0;
    send_framed(engine, connection);
}

/* Bytes still to come, the length's own among them. */
static size_t missing(const fp_connection *connection) {
    const uint8_t *reply = connection->reply;
    const size_t whole = connection->reply_bytes < 2 ? 2 : 2 + (size_t)(reply[0] << 8 | reply[1]);
    return whole - connection->reply_bytes;
}

static void read_stream(fp_engine *engine, fp_connection *connection) {
    size_t wanted;
    while ((wanted = missing(connection)) > 0) {
        const ssize_t got = recv(connection->fd, connection->reply + connection->reply_bytes, wanted, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            fp_run_fail(engine, connection, got ? FP_REASON_RESPONSE_RESET : FP_REASON_RESPONSE_CLOSED, got ? errno : 0);
            return;
        }
        if (!connection->answered) connection->first_byte_ns = fp_engine_latency_clock(engine);
        connection->answered = true;
        connection->reply_bytes += (uint32_t)got;
    }
    fp_dns_verdict verdict = {0};
    fp_dns_read(connection->target->dns, connection->query_id, true, connection->reply + 2, connection->reply_bytes - 2,
                &verdict);
    judged(engine, connection, verdict);
}

/* -- the kind ---------------------------------------------------------------------------------------------------------------
 */

static void connected(fp_engine *engine, fp_connection *connection) {
    if (connection->over_tcp)
        ask_over_tcp(engine, connection);
    else
        ask_over_udp(engine, connection);
}

static void ready(fp_engine *engine, fp_connection *connection, uint32_t events) {
    if (connection->phase == FP_CONNECTION_ASKING && events & (FP_WRITABLE | FP_BROKEN)) send_framed(engine, connection);
    if (connection->phase != FP_CONNECTION_READING || !(events & (FP_READABLE | FP_PEER_CLOSED | FP_BROKEN))) return;
    if (connection->over_tcp)
        read_stream(engine, connection);
    else
        read_datagrams(engine, connection);
}

const fp_probe_kind fp_probe_dns = {.connected = connected, .ready = ready, .silence = FP_REASON_DNS_TIMEOUT};
