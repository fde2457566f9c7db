/* trace.h - what a record has no room for: when a native run reached which phase, and for a run that is to be explained, what
 * it saw.
 *
 * The engine sends a trace after the record of every run that did not pass, and of every run that was asked for with
 * FP_RUN_EXPLAIN. Traces have a ring of their own, so that an outage's flood of them displaces no record; what does not fit is
 * dropped and counted. */
#ifndef FASTPROBE_TRACE_H
#define FASTPROBE_TRACE_H
#include "fastprobe/base.h"
#include <sys/socket.h>

#define FP_UNREACHED UINT32_MAX /* of a phase that the run did not come to, or that is not measured */

enum fp_trace_flag {
    FP_TRACE_EXPLAINED = 1, /* asked for; `seen` may hold more */
    FP_TRACE_KEPT = 2,      /* on a connection that stood already: no connect phase */
    FP_TRACE_RETRIED = 4,   /* the kept connection had died: this is the second attempt, on a new one */
    FP_TRACE_HALF = 8,      /* the handshake ended with a reset */
};

/* What an explained run saw; owned by the trace. */
#define FP_SEEN_HEAD 4096u
typedef struct fp_seen {
    struct sockaddr_storage local; /* family 0: never connected */
    struct sockaddr_storage peer;
    uint32_t head_len; /* bytes below, of status line and headers; those after FP_SEEN_HEAD are cut */
    char head[FP_SEEN_HEAD];
} fp_seen;

/* Durations are on the latency clock, in microseconds since just before the first packet. */
typedef struct fp_trace {
    uint32_t slot;
    uint32_t generation;
    fp_ns started_ns; /* started_ns to reason: as in the run's record */
    fp_ns latency_ns;
    uint32_t lag_us;
    uint16_t detail;
    uint8_t result;
    uint8_t reason;
    uint32_t connect_us;    /* the connection stood */
    uint32_t first_byte_us; /* the first byte of the answer was seen */
    uint32_t total_us;      /* the verdict */
    uint32_t rtt_us;        /* the kernel's round trip: of the handshake, or smoothed since (TCP_INFO) */
    uint32_t body_bytes;
    uint16_t status; /* HTTP, 0: none came */
    uint8_t retransmissions;
    uint8_t flags; /* fp_trace_flag */
    fp_seen *seen; /* explained runs alone, else NULL: freed by whoever takes the trace, with fp_trace_free */
} fp_trace;
_Static_assert(sizeof(fp_trace) == 64, "a cache line");

void fp_trace_free(fp_trace *trace); /* what it owns */

#endif
