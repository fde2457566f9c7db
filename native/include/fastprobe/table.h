/* table.h - the one table: every probe is a dense slot, and ingest is the one way results get in.
 *
 * A slot is an entry in each of a few arrays. What is scanned over all probes is a plain column (state, group, ...); what every
 * result rewrites lies together in the slot's fp_row, because results arrive in random order and every line they touch is a
 * cache miss of its own: a row, a remembered result, a histogram's counter. All are columns to NumPy, which does not mind the
 * stride.
 *
 * Arrays are reserved for `capacity` slots at once and never move, so a view taken once stays valid until fp_table_free.
 * Slots of removed probes are reused (LIFO); each reuse bumps the slot's generation, and records that carry an older one are
 * counted as stale and otherwise ignored. Owner: one thread (trio's). */
#ifndef FASTPROBE_TABLE_H
#define FASTPROBE_TABLE_H
#include "fastprobe/base.h"
#include "fastprobe/histogram.h"

#define FP_RECENT 8u /* results remembered per probe */

typedef struct fp_table fp_table;

/* One remembered result: 12 bytes. */
typedef struct fp_recent {
    uint32_t at_cs; /* started, in 10 ms units of the scheduling clock (wraps after 497 days of uptime) */
    float latency_s;
    uint16_t detail;
    uint8_t result;
    uint8_t reason;
} fp_recent;

/* What every result rewrites: one cache line. Counters are 32 bits wide and wrap; a wrap carries into the sums of the probe's
 * group, which never go down. */
typedef struct fp_row {
    uint32_t generation;        /* a copy of the column of this name, like state: both are written together */
    uint32_t degraded_above_us; /* 0 = off */
    uint32_t streaks;           /* four bytes that stop at 127: ok, not bad, not ok, bad, low byte first */
    uint8_t rise;
    uint8_t fall;
    uint8_t state;
    uint8_t remembered;  /* results in `recent`, and from FP_RECENT to twice that going round: modulo FP_RECENT, where the next
                            goes */
    uint8_t last_result; /* fp_result, 255 before the first */
    uint8_t last_reason;
    uint16_t last_detail;
    uint8_t measured[2];       /* first and last place touched apart from the overflow; (255, 0) while there is none */
    fp_hist_count overflow;    /* a copy of the histogram's last counter, which lies far from the others */
    uint32_t runs[FP_RESULTS]; /* by result, passive ones included */
    uint32_t transitions;
    double latency_sum_s; /* of the values in the histogram, timeouts at their own value */
    fp_ns last_started_ns;
} fp_row;
_Static_assert(sizeof(fp_row) == 64, "one cache line");

/* What a result adds an entry to, and what changes seldom. */
typedef struct fp_history {
    fp_recent recent[FP_RECENT]; /* a ring; fp_row.remembered tells where it begins */
    fp_ns since_ns;              /* scheduling clock: entered the present state */
    uint32_t skipped;
    uint32_t watched; /* fp_table_watch */
} fp_history;

/* The columns, each `capacity` long. Read-only to everyone but the table. */
typedef struct fp_columns {
    uint32_t *generation; /* even: free, odd: in use; bumped at add and at remove */
    uint32_t *group;      /* base group, see fp_probe_config */
    uint32_t *interval_ms;
    uint32_t *timeout_ms;
    uint8_t *kind; /* opaque to the core: the registry's number of the probe kind */
    uint8_t *lane;
    uint8_t *state;
    uint8_t *used;            /* capacity x 2: first and last place of the histogram touched; (255, 0) while empty */
    fp_hist_count *histogram; /* capacity x `places`; when one is full, the row goes into its group's past and starts at zero */
    uint32_t places;          /* FP_HIST_BUCKETS, or FP_HIST_COMPACT of a compact table */
    fp_row *row;
    fp_history *history;
} fp_columns;

typedef struct fp_probe_config {
    uint32_t group; /* base group: dense number of a distinct set of tags, chosen by the caller, < group_capacity */
    uint32_t interval_ms;
    uint32_t timeout_ms;
    uint32_t degraded_above_us;
    uint8_t kind;
    uint8_t lane;
    uint8_t rise; /* 1..100 */
    uint8_t fall; /* 1..100 */
} fp_probe_config;

typedef struct fp_transition {
    uint32_t slot;
    uint32_t generation;
    fp_ns at_ns; /* scheduling clock: started + latency of the run that decided */
    uint8_t from;
    uint8_t to;
    uint8_t reason;
    uint8_t result;
    uint16_t detail;
    uint16_t reserved;
} fp_transition;

/* Sums over the table's life; they never go down when a probe is removed. */
typedef struct fp_totals {
    uint64_t runs[FP_RESULTS]; /* scheduled runs by result */
    uint64_t passive;          /* results reported from outside, all kinds */
    uint64_t skipped[256];     /* by reason; deferred runs among them */
    uint64_t transitions;
    uint64_t stale_records;        /* of a generation that is gone */
    uint64_t lag[FP_HIST_BUCKETS]; /* scheduling lag of scheduled runs */
    double lag_sum_s;
    double lag_max_s;
} fp_totals;

/* compact: histograms of half the size (histogram.h). -EINVAL, -ENOMEM */
int fp_table_new(fp_table **table, uint32_t capacity, uint32_t group_capacity, bool compact);
void fp_table_free(fp_table *table);

int fp_table_add(fp_table *table, const fp_probe_config *config, fp_ns now_ns, uint32_t *slot,
                 uint32_t *generation);                                                                     /* -ENOSPC */
int fp_table_remove(fp_table *table, uint32_t slot, uint32_t generation);                                   /* -ESTALE */
int fp_table_configure(fp_table *table, uint32_t slot, uint32_t generation, const fp_probe_config *config); /* -ESTALE */
/* Pause, or back from pause to UNKNOWN with clean streaks, so that the first conclusive result decides again. What is so
 * already stays as it is. Neither counts as a transition. -ESTALE */
int fp_table_pause(fp_table *table, uint32_t slot, uint32_t generation, fp_ns now_ns, bool paused);

/* Whether ingest also tells when a change of state begins to be pending, and when that ends. -ESTALE */
int fp_table_watch(fp_table *table, uint32_t slot, uint32_t generation, bool watched);

/* Take n records. Results of a paused probe count and are remembered but move no state. `out` has room for n transitions;
 * returns how many were written, in the order of the records.
 *
 * A good (OK) result slower than degraded_above becomes DEGRADED with reason SLOW before anything else looks at it.
 * The state machine, on consecutive results: the first conclusive result decides the first state; then
 *   bad >= fall -> UNHEALTHY; ok >= rise -> HEALTHY; from HEALTHY, not-ok >= fall -> DEGRADED; from UNHEALTHY, not-bad >= rise
 * -> DEGRADED; where bad is FAIL, TIMEOUT or ERROR. Every result but ERROR is conclusive: a probe that could not tell decides
 *   nothing alone, only `fall` of them in a row do.
 * A change is pending while the last result works towards another state: not OK in HEALTHY, not DEGRADED in DEGRADED, not
 *   bad in UNHEALTHY. Of a watched probe a transition from a state to itself is written when that begins, or ends without
 *   a real one.
 * Into the histogram go OK, DEGRADED and FAIL at their latency and TIMEOUT in the overflow bucket; ERROR says nothing about the
 * target, and a passive result of latency 0 was not measured.
 * FP_EVENT_SKIPPED adds max(detail, 1) to what was skipped, of its probe too unless it was deferred; the other events are
 * passed over, they are for the lanes. */
uint32_t fp_table_ingest(fp_table *table, const fp_record *records, uint32_t n, fp_transition *out);

const fp_columns *fp_table_columns(const fp_table *table);
const fp_totals *fp_table_totals(const fp_table *table);
uint32_t fp_table_high_water(const fp_table *table); /* slots [0, this) have been used at some time: scan no further */
uint32_t fp_table_count(const fp_table *table);

/* Cumulative histograms and counters per base group, monotonic even when probes leave or change their group: what they counted
 * stays with the group they counted it in. out_hist: n_groups x FP_HIST_BUCKETS, out_runs: n_groups x FP_RESULTS; both are
 * overwritten. */
void fp_table_merge_groups(const fp_table *table, uint32_t n_groups, uint64_t *out_hist, uint64_t *out_runs);
/* The rest of what is monotonic per base group, in the same way: seconds of latency (the sums of those histograms) and
 * transitions. n_groups values each; both are overwritten. */
void fp_table_merge_sums(const fp_table *table, uint32_t n_groups, double *out_latency_s, uint64_t *out_transitions);

const char *fp_table_check(const fp_table *table);

#endif
