/* table_layout.h - the table from the inside, for the files that work on it: table.c (slots), ingest.c (results),
 * table_groups.c (sums per group) and table_check.c. */
#ifndef FASTPROBE_TABLE_LAYOUT_H
#define FASTPROBE_TABLE_LAYOUT_H
#include "fastprobe/table.h"
#include "histogram_row.h"

#define NO_RESULT 255u
#define NS_PER_CS (10 * FP_NS_PER_MS)

/* What a group has counted besides what stands in the rows of its present members: probes that left, counters that wrapped.
 * A probe that changes its group takes its row along, so the new group is charged what the row held then: all of these are sums
 * modulo 2^64, and only rows and this together mean something. Address space until a group needs it. */
typedef struct group_past {
    uint64_t (*histogram)[FP_HIST_BUCKETS];
    uint64_t (*runs)[FP_RESULTS];
    uint64_t *transitions;
    double *latency_s;
} group_past;

/* Live slots by group, so that a merge walks one group's sums at a time. Made again at the first merge after a change. */
typedef struct group_order {
    uint32_t *slots;
    uint32_t *ends; /* of group g's slots: slots[ends[g - 1] .. ends[g]) */
    bool old;
} group_order;

struct fp_table {
    uint32_t capacity;
    uint32_t groups;
    uint32_t high_water;
    uint32_t count;
    bool compact;
    uint32_t *free_slots; /* a stack of high_water - count */
    fp_columns columns;
    group_past past;
    group_order *order; /* behind a pointer: a cache that reading a const table may refresh */
    fp_totals totals;
};

static inline fp_hist_count *histogram_of(const fp_table *table, size_t slot) {
    return table->columns.histogram + slot * table->columns.places;
}

static inline uint32_t overflow_of(const fp_table *table) {
    return table->columns.places - 1;
}

/* The histogram of a slot, with the sum of its values, goes into its group's past and starts at zero. */
void fp_table_begin_histogram_anew(fp_table *table, uint32_t slot);

/* In use, and by whom the caller means. Even generations are of free slots, whatever a zeroed record says. */
static inline bool is_current(const fp_table *table, uint32_t slot, uint32_t generation) {
    return slot < table->high_water && (generation & 1) && table->columns.generation[slot] == generation;
}

#endif
