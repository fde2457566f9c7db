/* failures.h - the last failures of each probe, with their phases, in memory that is bounded for all probes together.
 *
 * The table remembers the last results of every probe, good ones too, and a target that fails once an hour has long been
 * overwritten there. Here only failures are kept, FP_FAILURES_KEPT of a probe, and only for the `probes` that failed last: the
 * probe whose latest failure is the oldest makes room. Memory is touched as probes fail; a host on which all is well spends
 * none. Owner: one thread. */
#ifndef FASTPROBE_FAILURES_H
#define FASTPROBE_FAILURES_H
#include "fastprobe/trace.h"

#define FP_FAILURES_KEPT 8u

typedef struct fp_failure { /* names as in fp_trace */
    fp_ns started_ns;
    uint32_t latency_us;
    uint32_t connect_us;
    uint32_t tls_us; /* of lanes that shake hands; the engine does not */
    uint32_t first_byte_us;
    uint32_t rtt_us;
    uint16_t detail;
    uint16_t status;
    uint8_t result;
    uint8_t reason;
    uint8_t retransmissions;
    uint8_t flags;
    uint32_t reserved;
} fp_failure;
_Static_assert(sizeof(fp_failure) == 40, "layout.FAILURE says so too");

typedef struct fp_failures fp_failures;

/* For slots [0, capacity), with room for the failures of `probes` of them. -EINVAL, -ENOMEM */
int fp_failures_new(fp_failures **failures, uint32_t capacity, uint32_t probes);
void fp_failures_free(fp_failures *failures);

/* What is no failure (FAIL, TIMEOUT, ERROR) is passed over. A new generation of a slot begins anew. */
void fp_failures_take_trace(fp_failures *failures, const fp_trace *trace);
void fp_failures_take_records(fp_failures *failures, const fp_record *records, uint32_t n); /* of lanes that send no traces */
/* A failure of which more is known than its record will say: that record, still to come, is passed over. */
void fp_failures_tell(fp_failures *failures, uint32_t slot, uint32_t generation, const fp_failure *failure);
void fp_failures_forget(fp_failures *failures, uint32_t slot); /* calm when there are none */

/* The failures of a slot, oldest first; returns how many. */
uint32_t fp_failures_read(const fp_failures *failures, uint32_t slot, uint32_t generation, fp_failure out[FP_FAILURES_KEPT]);

uint32_t fp_failures_probes(const fp_failures *failures);  /* that have failures now */
uint64_t fp_failures_evicted(const fp_failures *failures); /* probes that made room */
const char *fp_failures_check(const fp_failures *failures);

#endif
