/* TCP: a connection that stands is the answer.
 *
 * Its latency is the kernel's round trip of the handshake: what we would measure ourselves holds the time until this thread was
 * woken and came round to the event, which on a busy host is more than the network. After a retransmission the kernel's figure
 * is of the last SYN alone; then the whole wait is the truth. */
#include "probe.h"

static fp_ns handshake_ns(const fp_connection *connection) {
    if (connection->rtt_us && !connection->retransmissions) return connection->rtt_us * FP_NS_PER_US;
    return connection->connected_ns - connection->began_ns;
}

static void connected(fp_engine *engine, fp_connection *connection) {
    fp_kernel_view kernel;
    fp_connection_ask_kernel(connection, &kernel);
    connection->rtt_us = kernel.rtt_us;
    connection->retransmissions = kernel.retransmissions;
    connection->measured_ns = handshake_ns(connection);
    if (kernel.retransmissions) fp_count(&engine->counters.syn_retransmissions, kernel.retransmissions);
    fp_run_end(engine, connection, FP_OK, FP_REASON_NONE, 0, FP_RESET);
}

static void ready(fp_engine *engine, fp_connection *connection, uint32_t events) {
    (void)engine, (void)connection, (void)events; /* the run has ended before anything can be read */
}

const fp_probe_kind fp_probe_tcp = {.connected = connected, .ready = ready};
