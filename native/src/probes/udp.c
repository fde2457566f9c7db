/* UDP: one datagram there, the first one back is the answer. */
#include "probe.h"

#include <errno.h>

static void connected(fp_engine *engine, fp_connection *connection) {
    const fp_bytes payload = fp_udp_payload(connection->target->udp);
    connection->connected_ns = 0; /* nothing was asked of the peer yet */
    connection->phase = FP_CONNECTION_READING;
    fp_datagram_send(engine, connection, payload.data, payload.len);
}

static void ready(fp_engine *engine, fp_connection *connection, uint32_t events) {
    if (!(events & (FP_READABLE | FP_BROKEN))) return;
    const ssize_t whole = fp_datagram_receive(engine, connection);
    if (whole == -EAGAIN) return;
    if (whole < 0) {
        fp_run_refused(engine, connection, (int)-whole); /* an ICMP message came back */
        return;
    }
    connection->answered = true;
    connection->first_byte_ns = fp_engine_latency_clock(engine);
    const uint8_t reason = fp_udp_judge(connection->target->udp, engine->scratch, (size_t)whole);
    fp_run_end(engine, connection, reason ? FP_FAIL : FP_OK, reason, (uint16_t)whole, FP_RESET);
}

const fp_probe_kind fp_probe_udp = {.connected = connected, .ready = ready};
