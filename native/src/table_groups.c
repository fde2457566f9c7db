/* table_groups.c - what groups have counted: the rows of their present members, and their past. */
#include "table_layout.h"

#include <assert.h>
#include <string.h>

static inline bool is_live(const fp_table *table, uint32_t slot) {
    return table->columns.generation[slot] & 1;
}

/* Counting sort; within a group slots stay ascending, which the prefetcher likes. O(slots), after changes of membership only.
 */
static void sort_slots(const fp_table *table) {
    group_order *order = table->order;
    const uint32_t *group = table->columns.group;
    uint32_t *ends = order->ends;
    memset(ends, 0, table->groups * sizeof *ends);
    for (uint32_t slot = 0; slot < table->high_water; slot++)
        if (is_live(table, slot)) ends[group[slot]]++;
    uint32_t begin = 0;
    for (uint32_t g = 0; g < table->groups; g++) {
        const uint32_t members = ends[g];
        ends[g] = begin; /* of the group while slots are dealt out, and its end thereafter */
        begin += members;
    }
    for (uint32_t slot = 0; slot < table->high_water; slot++)
        if (is_live(table, slot)) order->slots[ends[group[slot]]++] = slot;
    order->old = false;
}

static const group_order *fresh_order(const fp_table *table) {
    if (table->order->old) sort_slots(table);
    return table->order;
}

/* Ask for rows twice as far ahead as for histograms, whose lines are more. */
static inline void ask_ahead(const fp_table *table, const uint32_t *slots, uint32_t i, uint32_t end) {
    if (i + 2 * ROWS_AHEAD < end) __builtin_prefetch(&table->columns.row[slots[i + 2 * ROWS_AHEAD]]);
    if (i + ROWS_AHEAD < end) {
        const uint32_t slot = slots[i + ROWS_AHEAD];
        hist_row_prefetch(histogram_of(table, slot), hist_span_at(table->columns.row[slot].measured));
    }
}

void fp_table_merge_groups(const fp_table *table, uint32_t n_groups, uint64_t *out_hist, uint64_t *out_runs) {
    assert(table && n_groups <= table->groups && ((out_hist && out_runs) || n_groups == 0));
    if (n_groups == 0) return;
    const group_order *order = fresh_order(table);
    const uint32_t end = order->ends[n_groups - 1];
    for (uint32_t group = 0, i = 0; group < n_groups; group++) {
        uint64_t *hist = out_hist + (size_t)group * FP_HIST_BUCKETS;
        uint64_t *runs = out_runs + (size_t)group * FP_RESULTS;
        memcpy(hist, table->past.histogram[group], sizeof table->past.histogram[group]);
        memcpy(runs, table->past.runs[group], sizeof table->past.runs[group]);
        for (; i < order->ends[group]; i++) {
            ask_ahead(table, order->slots, i, end);
            const uint32_t slot = order->slots[i];
            const fp_row *row = &table->columns.row[slot];
            if (table->compact)
                hist_compact_row_add(hist, histogram_of(table, slot), hist_span_at(row->measured));
            else
                hist_row_add(hist, histogram_of(table, slot), hist_span_at(row->measured));
            hist[FP_HIST_OVERFLOW] += row->overflow;
            for (uint32_t result = 0; result < FP_RESULTS; result++) runs[result] += row->runs[result];
        }
    }
}

void fp_table_merge_sums(const fp_table *table, uint32_t n_groups, double *out_latency_s, uint64_t *out_transitions) {
    assert(table && n_groups <= table->groups && ((out_latency_s && out_transitions) || n_groups == 0));
    if (n_groups == 0) return;
    memcpy(out_latency_s, table->past.latency_s, n_groups * sizeof *out_latency_s);
    memcpy(out_transitions, table->past.transitions, n_groups * sizeof *out_transitions);
    for (uint32_t slot = 0; slot < table->high_water; slot++) {
        const uint32_t group = table->columns.group[slot];
        if (!is_live(table, slot) || group >= n_groups) continue;
        out_latency_s[group] += table->columns.row[slot].latency_sum_s;
        out_transitions[group] += table->columns.row[slot].transitions;
    }
}
