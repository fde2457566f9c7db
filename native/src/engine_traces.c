/* Traces on their way up: the phases of runs that did not pass, and of those that somebody wants explained. */
#include "engine_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void fp_trace_free(fp_trace *trace) {
    free(trace->seen);
    trace->seen = NULL;
}

static uint32_t microseconds(fp_ns from_ns, fp_ns to_ns) {
    fp_ns us = to_ns > from_ns ? (to_ns - from_ns) / FP_NS_PER_US : 0;
    return us < FP_UNREACHED ? (uint32_t)us : FP_UNREACHED - 1;
}

static uint32_t phase_us(const fp_connection *connection, fp_ns reached_ns) {
    return reached_ns ? microseconds(connection->began_ns, reached_ns) : FP_UNREACHED;
}

/* Only the fields up to the retransmissions: they are in every kernel, and what lies behind them costs nothing if not copied.
 */
bool fp_connection_ask_kernel(const fp_connection *connection, fp_kernel_view *out) {
    struct tcp_info info;
    socklen_t size = offsetof(struct tcp_info, tcpi_total_retrans) + sizeof info.tcpi_total_retrans;
    const socklen_t needed = size;
    *out = (fp_kernel_view){0};
    if (connection->fd < 0 || connection->family == AF_UNIX) return false;
    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size) || size < needed) return false;
    *out = (fp_kernel_view){.rtt_us = info.tcpi_rtt, .retransmissions = info.tcpi_total_retrans};
    return true;
}

void fp_trace_begin(fp_connection *connection) {
    connection->explained = true;
    connection->seen = calloc(1, sizeof *connection->seen); /* without memory for it, the phases are told all the same */
}

void fp_trace_connected(const fp_connection *connection) {
    fp_seen *seen = connection->seen;
    if (!seen) return;
    socklen_t local = sizeof seen->local, peer = sizeof seen->peer;
    if (getsockname(connection->fd, (struct sockaddr *)&seen->local, &local)) seen->local.ss_family = 0;
    if (getpeername(connection->fd, (struct sockaddr *)&seen->peer, &peer)) seen->peer.ss_family = 0;
}

void fp_trace_received(const fp_connection *connection, const char *bytes, size_t length) {
    fp_seen *seen = connection->seen;
    if (!seen) return;
    const size_t room = FP_SEEN_HEAD - seen->head_len, kept = length < room ? length : room;
    memcpy(seen->head + seen->head_len, bytes, kept);
    seen->head_len += (uint32_t)kept;
}

/* The bytes received were kept as they came: the head ends where the parser says it ended. */
static void cut_to_head(const fp_connection *connection) {
    fp_seen *seen = connection->seen;
    if (!seen) return;
    if (connection->target->kind != FP_TARGET_HTTP || !connection->first_byte_ns)
        seen->head_len = 0;
    else if (seen->head_len > connection->parser.header_bytes)
        seen->head_len = connection->parser.header_bytes;
}

static uint8_t flags_of(const fp_connection *connection) {
    return (uint8_t)((connection->explained ? FP_TRACE_EXPLAINED : 0) | (connection->kept ? FP_TRACE_KEPT : 0) |
                     (connection->retried ? FP_TRACE_RETRIED : 0) | (connection->target->half ? FP_TRACE_HALF : 0));
}

static void push(fp_engine *engine, fp_trace *trace) {
    if (fp_ring_push(engine->traces, trace, 1, true)) return;
    fp_count(&engine->counters.traces_dropped, 1);
    fp_trace_free(trace);
}

static fp_trace of_record(const fp_record *record) {
    return (fp_trace){
        .slot = record->slot,
        .generation = record->generation,
        .started_ns = record->started_ns,
        .latency_ns = record->latency_ns,
        .lag_us = record->lag_us,
        .detail = record->detail,
        .result = record->result,
        .reason = record->reason,
        .connect_us = FP_UNREACHED,
        .first_byte_us = FP_UNREACHED,
        .total_us = microseconds(0, record->latency_ns),
        .rtt_us = FP_UNREACHED,
    };
}

void fp_trace_run(fp_engine *engine, fp_connection *connection, const fp_record *record) {
    const bool http = connection->target->kind == FP_TARGET_HTTP && connection->first_byte_ns;
    fp_trace trace = of_record(record);
    fp_kernel_view kernel = {.rtt_us = connection->rtt_us, .retransmissions = connection->retransmissions};
    if (connection->rtt_us || fp_connection_ask_kernel(connection, &kernel)) {
        trace.rtt_us = connection->connected_ns || connection->kept ? kernel.rtt_us : FP_UNREACHED;
        trace.retransmissions = (uint8_t)(kernel.retransmissions < UINT8_MAX ? kernel.retransmissions : UINT8_MAX);
    }
    cut_to_head(connection);
    trace.connect_us = phase_us(connection, connection->connected_ns);
    trace.first_byte_us = phase_us(connection, connection->first_byte_ns);
    trace.total_us = microseconds(connection->began_ns, fp_engine_latency_clock(engine));
    trace.status = http ? connection->parser.status : 0;
    trace.body_bytes = http ? connection->body_bytes : 0;
    trace.flags = flags_of(connection);
    trace.seen = connection->seen;
    connection->seen = NULL;
    push(engine, &trace);
}

void fp_trace_unconnected(fp_engine *engine, const fp_record *record, bool explained) {
    fp_trace trace = of_record(record);
    trace.flags = explained ? FP_TRACE_EXPLAINED : 0;
    push(engine, &trace);
}

uint32_t fp_engine_drain_traces(fp_engine *engine, fp_trace *out, uint32_t n) {
    return fp_ring_pop(engine->traces, out, n);
}

void fp_engine_free_traces(fp_engine *engine) {
    fp_trace trace;
    while (engine->traces && fp_ring_pop(engine->traces, &trace, 1)) fp_trace_free(&trace);
    fp_ring_free(engine->traces);
}
