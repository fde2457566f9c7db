/* ingest.c - the one way results get in: counters, rise and fall, last result, memory, histogram. */
#include "histogram_bucket.h"
#include "table_layout.h"

#include <assert.h>

/* How far ahead of the record at work memory is asked for. Random slots of a large table are misses: that many records of three
 * lines keep the memory system busy, and what was asked for is still in the L1 cache when its turn comes. Rows go first, since
 * only a row tells where its next remembered result goes. */
#define AHEAD      16u
#define ROWS_FIRST ((size_t)2 * AHEAD)
#define CARRY      (1ULL << 32) /* what a 32-bit counter loses when it wraps */

/* Where a record goes, found when its memory was asked for. */
typedef struct place {
    fp_row *row; /* NULL: there is no such slot */
    fp_hist_count *histogram;
    double latency_ns;
    uint32_t counter; /* of the histogram */
} place;

/* What a batch adds to the totals, kept close until its end. */
typedef struct tally {
    uint64_t runs[FP_RESULTS];
    uint64_t passive;
    uint64_t stale;
    uint64_t lag_us;
    uint32_t lag_max_us;
} tally;

static inline uint8_t result_of(const fp_record *record) {
    return record->result & (uint8_t)~FP_PASSIVE;
}

static inline bool is_passive(const fp_record *record) {
    return record->result & FP_PASSIVE;
}

/* Asking for memory that is not there is harmless. */
static inline void ask_for_row(const fp_table *table, const fp_record *record) {
    __builtin_prefetch(&table->columns.row[record->slot], 1);
}

static inline place find(const fp_table *table, const fp_record *record) {
    if (record->slot >= table->high_water) return (place){0};
    fp_row *row = &table->columns.row[record->slot];
    const double latency_ns = hist_latency(record->latency_ns);
    const place found = {
        .row = row,
        .histogram = histogram_of(table, record->slot),
        .latency_ns = latency_ns,
        .counter =
            result_of(record) == FP_TIMEOUT ? overflow_of(table) : fp_hist_place(hist_bucket_of(latency_ns), table->compact),
    };
    __builtin_prefetch(&table->columns.history[record->slot].recent[row->remembered % FP_RECENT], 1);
    __builtin_prefetch(found.histogram + found.counter, 1);
    return found;
}

/* -- one result ---------------------------------------------------------------------------------------------------- */

/* Rare once a probe has run for a while, but for timeouts. */
static void widen(fp_table *table, uint32_t slot, place at) {
    const uint8_t counter = (uint8_t)at.counter;
    uint8_t *used = &table->columns.used[2 * (size_t)slot], *measured = at.row->measured;
    if (counter < used[0]) used[0] = counter;
    if (counter > used[1]) used[1] = counter;
    if (counter == overflow_of(table)) {
        at.row->overflow = at.histogram[counter];
        return;
    }
    if (counter < measured[0]) measured[0] = counter;
    if (counter > measured[1]) measured[1] = counter;
}

static inline void measure(fp_table *table, const fp_record *record, place at) {
    if (__builtin_expect(at.histogram[at.counter] == FP_HIST_COUNT_MAX, 0)) fp_table_begin_histogram_anew(table, record->slot);
    at.histogram[at.counter]++;
    at.row->latency_sum_s += at.latency_ns * 1e-9;
    if (at.counter >= at.row->measured[0] && at.counter <= at.row->measured[1]) return;
    widen(table, record->slot, at);
}

static inline void remember(const fp_table *table, const fp_record *record, fp_row *row, uint8_t result, uint8_t reason,
                            double latency_ns) {
    table->columns.history[record->slot].recent[row->remembered % FP_RECENT] = (fp_recent){
        .at_cs = (uint32_t)(record->started_ns / NS_PER_CS),
        .latency_s = (float)(latency_ns * 1e-9),
        .detail = record->detail,
        .result = result,
        .reason = reason,
    };
    row->last_result = result;
    row->last_reason = reason;
    row->last_detail = record->detail;
    row->remembered = row->remembered < 2 * FP_RECENT - 1 ? (uint8_t)(row->remembered + 1) : FP_RECENT;
    row->last_started_ns = record->started_ns;
}

/* Four streaks in one word. A result keeps the ones it belongs to and clears the others; a byte that reaches 128 steps back. */
static inline uint32_t next_streaks(uint32_t streaks, uint8_t result) {
    static const struct {
        uint32_t kept;
        uint32_t longer;
    } OF[FP_RESULTS] = {{0x0000ffff, 0x00000101},
                        {0x00ffff00, 0x00010100},
                        {0xffff0000, 0x01010000},
                        {0xffff0000, 0x01010000},
                        {0xffff0000, 0x01010000}};
    const uint32_t next = (streaks & OF[result].kept) + OF[result].longer;
    return next - (next >> 7 & 0x01010101);
}

static inline uint8_t next_state(const fp_row *row, uint8_t result) {
    static const uint8_t FIRST[FP_RESULTS] = {FP_HEALTHY, FP_DEGRADED_STATE, FP_UNHEALTHY, FP_UNHEALTHY, FP_UNKNOWN};
    const uint32_t streaks = row->streaks;
    if (row->state == FP_UNKNOWN && result != FP_ERROR) return FIRST[result];
    if (streaks >> 24 >= row->fall) return FP_UNHEALTHY;
    if ((streaks & 0xff) >= row->rise) return FP_HEALTHY;
    if (row->state == FP_HEALTHY && (streaks >> 16 & 0xff) >= row->fall) return FP_DEGRADED_STATE;
    if (row->state == FP_UNHEALTHY && (streaks >> 8 & 0xff) >= row->rise) return FP_DEGRADED_STATE;
    return row->state;
}

/* Results, as bits, that work towards another state than this. */
static inline bool is_pending(uint8_t state, uint8_t result) {
    static const uint8_t TOWARDS[] = {
        [FP_UNKNOWN] = 0, [FP_HEALTHY] = 0x1e, [FP_DEGRADED_STATE] = 0x1d, [FP_UNHEALTHY] = 0x03, [FP_PAUSED] = 0};
    return TOWARDS[state] >> result & 1;
}

/* The result before this one, as good as the streaks know it: OK, DEGRADED, or FAIL for anything bad. Kept here and not by who
 * calls: one more value to keep would cost each result a twentieth. */
static inline uint8_t result_before(uint32_t streaks, uint8_t result) {
    const bool after_ok = result == FP_OK ? (streaks & 0xff) != 1 : (streaks >> 16 & 0xff) == 1;
    const bool after_bad = result >= FP_FAIL ? streaks >> 24 != 1 : (streaks >> 8 & 0xff) == 1;
    return after_ok ? FP_OK : after_bad ? FP_FAIL : FP_DEGRADED;
}

/* The state stays; but a result of another sort than the one before may begin or end a change that is pending. */
static uint32_t take_hint(const fp_table *table, const fp_row *row, const fp_record *record, fp_transition *out) {
    const uint8_t result = row->last_result;
    if (!table->columns.history[record->slot].watched) return 0;
    if (is_pending(row->state, result) == is_pending(row->state, result_before(row->streaks, result))) return 0;
    *out = (fp_transition){
        .slot = record->slot,
        .generation = record->generation,
        .at_ns = record->started_ns + record->latency_ns,
        .from = row->state,
        .to = row->state,
        .reason = row->last_reason,
        .result = result,
        .detail = row->last_detail,
    };
    return 1;
}

static void move(fp_table *table, fp_row *row, const fp_record *record, uint8_t to, fp_transition *out) {
    const fp_ns at_ns = record->started_ns + record->latency_ns;
    *out = (fp_transition){
        .slot = record->slot,
        .generation = record->generation,
        .at_ns = at_ns,
        .from = row->state,
        .to = to,
        .reason = row->last_reason,
        .result = row->last_result,
        .detail = row->last_detail,
    };
    row->state = table->columns.state[record->slot] = to;
    table->columns.history[record->slot].since_ns = at_ns;
    if (++row->transitions == 0) table->past.transitions[table->columns.group[record->slot]] += CARRY;
    table->totals.transitions++;
}

/* A call of its own: inlined, it costs the usual results registers. */
__attribute__((noinline)) static uint32_t decide(fp_table *table, fp_row *row, const fp_record *record, uint8_t result,
                                                 fp_transition *out) {
    const uint8_t to = next_state(row, result);
    if (to == row->state) return take_hint(table, row, record, out);
    move(table, row, record, to, out);
    return 1;
}

static inline void count_scheduled(fp_table *table, const fp_record *record, uint8_t result, tally *batch) {
    batch->runs[result]++;
    batch->lag_us += record->lag_us;
    if (record->lag_us > batch->lag_max_us) batch->lag_max_us = record->lag_us;
    table->totals.lag[hist_bucket_of((double)(int64_t)(record->lag_us * FP_NS_PER_US))]++;
}

/* Returns how many transitions were written: 0 or 1. */
static inline uint32_t take_result(fp_table *table, const fp_record *record, place at, tally *batch, fp_transition *out) {
    fp_row *row = at.row;
    uint8_t result = result_of(record), reason = record->reason;
    if (result == FP_OK && row->degraded_above_us && record->latency_ns > row->degraded_above_us * FP_NS_PER_US) {
        result = FP_DEGRADED;
        reason = FP_REASON_SLOW;
    }
    if (is_passive(record))
        batch->passive++;
    else
        count_scheduled(table, record, result, batch);
    if (++row->runs[result] == 0) table->past.runs[table->columns.group[record->slot]][result] += CARRY;
    if (result != FP_ERROR && (record->latency_ns || !is_passive(record))) measure(table, record, at);
    remember(table, record, row, result, reason, at.latency_ns);
    if (row->state == FP_PAUSED) return 0;
    row->streaks = next_streaks(row->streaks, result);
    /* Nearly always: one more of what made the state. decide() agrees. */
    if (row->state == FP_HEALTHY && result == FP_OK && (row->streaks & 0xff) != 1) return 0;
    if (row->state == FP_UNHEALTHY && result >= FP_FAIL && row->streaks >> 24 != 1) return 0;
    return decide(table, row, record, result, out);
}

static void take_skipped(fp_table *table, const fp_record *record) {
    const uint32_t runs = record->detail ? record->detail : 1;
    table->totals.skipped[record->reason] += runs;
    if (record->reason == FP_REASON_DEFERRED) return; /* nothing was missed */
    table->columns.history[record->slot].skipped += runs;
}

/* -- a batch ------------------------------------------------------------------------------------------------------- */

static void add_up(fp_totals *totals, const tally *batch) {
    for (uint32_t result = 0; result < FP_RESULTS; result++) totals->runs[result] += batch->runs[result];
    totals->passive += batch->passive;
    totals->stale_records += batch->stale;
    totals->lag_sum_s += (double)batch->lag_us * 1e-6;
    const double lag_max_s = batch->lag_max_us * 1e-6;
    if (lag_max_s > totals->lag_max_s) totals->lag_max_s = lag_max_s;
}

uint32_t fp_table_ingest(fp_table *table, const fp_record *records, uint32_t n, fp_transition *out) {
    assert(table && (records || n == 0) && (out || n == 0));
    place places[AHEAD];
    tally batch = {0};
    uint32_t moved = 0;
    for (uint32_t i = 0; i < ROWS_FIRST && i < n; i++) ask_for_row(table, &records[i]);
    for (uint32_t i = 0; i < AHEAD && i < n; i++) places[i] = find(table, &records[i]);
    for (uint32_t i = 0; i < n; i++) {
        const fp_record *record = &records[i];
        const place at = places[i % AHEAD];
        if (i + ROWS_FIRST < n) ask_for_row(table, record + ROWS_FIRST);
        if (i + AHEAD < n) places[i % AHEAD] = find(table, record + AHEAD);

        const bool is_result = result_of(record) < FP_RESULTS;
        if (!is_result && record->result != FP_EVENT_SKIPPED) continue;
        if (!at.row || at.row->generation != record->generation || !(record->generation & 1))
            batch.stale++;
        else if (is_result)
            moved += take_result(table, record, at, &batch, &out[moved]);
        else
            take_skipped(table, record);
    }
    add_up(&table->totals, &batch);
    return moved;
}
