/* table_check.c - the table's self-check: walks every slot ever used and names the first broken invariant. */
#include "table_layout.h"

#include <stdlib.h>
#include <string.h>

static bool is_empty(const fp_row *row, const fp_history *history) {
    static const fp_history nothing;
    const fp_row blank = {.generation = row->generation, .measured = {HIST_SPAN_EMPTY.first, HIST_SPAN_EMPTY.last}};
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): a row has no holes, and its double is a zero by memset, as here */
    return memcmp(row, &blank, sizeof blank) == 0 && memcmp(history, &nothing, sizeof nothing) == 0;
}

static const char *check_mirrors(const fp_table *table, uint32_t slot) {
    const fp_columns *columns = &table->columns;
    const fp_row *row = &columns->row[slot];
    if (row->generation != columns->generation[slot]) return "a row and its column differ in generation";
    if (row->state != columns->state[slot]) return "a row and its column differ in state";
    if (row->overflow != histogram_of(table, slot)[overflow_of(table)]) return "a row and its histogram differ in the overflow";
    return NULL;
}

static bool equal(hist_span span, const uint8_t *pair) {
    return span.first == pair[0] && span.last == pair[1];
}

static const char *check_histogram(const fp_table *table, uint32_t slot) {
    const fp_hist_count *histogram = histogram_of(table, slot);
    const uint32_t overflow = overflow_of(table);
    hist_span measured = HIST_SPAN_EMPTY;
    for (uint32_t b = 0; b < overflow; b++) {
        if (!histogram[b]) continue;
        if (measured.first > b) measured.first = (uint8_t)b;
        measured.last = (uint8_t)b;
    }
    hist_span used = measured;
    if (histogram[overflow]) {
        if (used.first > overflow) used.first = (uint8_t)overflow;
        used.last = (uint8_t)overflow;
    }
    if (!equal(measured, table->columns.row[slot].measured)) return "a row's measured buckets are not those that have counted";
    if (!equal(used, table->columns.used + 2 * (size_t)slot)) return "a row's used buckets are not those that have counted";
    return NULL;
}

static const char *check_recent(const fp_row *row, const fp_history *history) {
    if (row->remembered >= 2 * FP_RECENT) return "a memory's end is out of its ring";
    if ((row->last_result == NO_RESULT) != (row->remembered == 0))
        return "a last result and the memory disagree about there being one";
    if (row->remembered == 0) return NULL;
    const fp_recent *last = &history->recent[(row->remembered - 1u) % FP_RECENT];
    if (last->result != row->last_result || last->reason != row->last_reason || last->detail != row->last_detail)
        return "the last result is not the newest remembered one";
    return NULL;
}

static const char *check_streaks(const fp_row *row) {
    const uint32_t ok = row->streaks & 0xff, not_bad = row->streaks >> 8 & 0xff, not_ok = row->streaks >> 16 & 0xff,
                   bad = row->streaks >> 24;
    if ((ok | not_bad | not_ok | bad) > 127) return "a streak is longer than it can be";
    if (ok > not_bad || bad > not_ok) return "a streak is longer than the one it is part of";
    if (ok && not_ok) return "a streak of OK and of not OK at once";
    if (not_bad && bad) return "a streak of bad and of not bad at once";
    if (row->state == FP_PAUSED && row->streaks) return "a paused probe has a streak";
    return NULL;
}

static const char *check_live(const fp_table *table, uint32_t slot) {
    const fp_row *row = &table->columns.row[slot];
    if (row->state >= FP_STATES) return "a state does not exist";
    if (row->last_result >= FP_RESULTS && row->last_result != NO_RESULT) return "a last result does not exist";
    if (row->rise < 1 || row->fall < 1) return "a probe without rise or fall";
    if (table->columns.group[slot] >= table->groups) return "a probe is of a group that does not exist";
    const char *broken = check_recent(row, &table->columns.history[slot]);
    return broken ? broken : check_streaks(row);
}

static const char *check_slots(const fp_table *table) {
    uint32_t live = 0;
    for (uint32_t slot = 0; slot < table->high_water; slot++) {
        const char *broken = check_mirrors(table, slot);
        if (!broken) broken = check_histogram(table, slot);
        if (!broken && table->columns.generation[slot] & 1) {
            live++;
            broken = check_live(table, slot);
        } else if (!broken && !is_empty(&table->columns.row[slot], &table->columns.history[slot])) {
            broken = "a free slot remembers something";
        }
        if (broken) return broken;
    }
    return live == table->count ? NULL : "the count is not that of the live slots";
}

static const char *check_free_slots(const fp_table *table) {
    const uint32_t n = table->high_water - table->count;
    if (table->count > table->high_water || table->high_water > table->capacity) return "more slots than there are";
    uint8_t *seen = calloc(table->high_water ? table->high_water : 1, 1);
    if (!seen) return "no memory to check the free slots with";
    const char *broken = NULL;
    for (uint32_t i = 0; i < n && !broken; i++) {
        const uint32_t slot = table->free_slots[i];
        if (slot >= table->high_water || table->columns.generation[slot] & 1)
            broken = "a slot on the free stack is not free";
        else if (seen[slot]++)
            broken = "a slot is free twice";
    }
    free(seen);
    return broken;
}

/* Every result ever counted stands in exactly one group: with the totals this checks rows and pasts against each other. */
static const char *check_sums(const fp_table *table) {
    uint64_t in_groups = 0, moved_in_groups = 0, in_totals = table->totals.passive, lags = 0, runs = 0;
    for (uint32_t group = 0; group < table->groups; group++) {
        for (uint32_t result = 0; result < FP_RESULTS; result++) in_groups += table->past.runs[group][result];
        moved_in_groups += table->past.transitions[group];
    }
    for (uint32_t slot = 0; slot < table->high_water; slot++) {
        const fp_row *row = &table->columns.row[slot];
        for (uint32_t result = 0; result < FP_RESULTS; result++) in_groups += row->runs[result];
        moved_in_groups += row->transitions;
    }
    for (uint32_t result = 0; result < FP_RESULTS; result++) runs += table->totals.runs[result];
    for (uint32_t b = 0; b < FP_HIST_BUCKETS; b++) lags += table->totals.lag[b];
    in_totals += runs;
    if (in_groups != in_totals) return "the groups have not counted what the totals have";
    if (moved_in_groups != table->totals.transitions) return "the groups have not counted the transitions that the totals have";
    if (lags != runs) return "not every scheduled run has counted its lag";
    return NULL;
}

static const char *check_order(const fp_table *table) {
    const group_order *order = table->order;
    if (order->old) return NULL;
    uint32_t i = 0;
    for (uint32_t group = 0; group < table->groups; group++) {
        if (order->ends[group] < i || order->ends[group] > table->count) return "the order's ends are not in order";
        for (; i < order->ends[group]; i++) {
            const uint32_t slot = order->slots[i];
            if (slot >= table->high_water || table->columns.group[slot] != group)
                return "the order has a slot in another group";
            if (!(table->columns.generation[slot] & 1)) return "the order has a free slot";
            if (i && order->slots[i - 1] == slot) return "the order has a slot twice";
        }
    }
    return i == table->count ? NULL : "the order has lost a slot";
}

const char *fp_table_check(const fp_table *table) {
    const char *broken = check_free_slots(table);
    if (!broken) broken = check_slots(table);
    if (!broken) broken = check_sums(table);
    return broken ? broken : check_order(table);
}
