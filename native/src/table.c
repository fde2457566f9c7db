/* table.c - slots: making and removing them, their settings, pause and resume. */
#include "table_layout.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE      ((size_t)2 << 20)
#define MOST_SLOTS     (1u << 30)
#define MOST_GROUPS    (1u << 24)
#define MOST_RISE_FALL 100u

/* -- memory -------------------------------------------------------------------------------------------------------------- */

/* Results arrive in random order, and with 4 KiB pages each would miss the TLB too. The first huge page's worth stays in small
 * pages, so that a table of ten probes costs kilobytes. */
static void prefer_huge_pages(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    if (bytes <= 2 * HUGE_PAGE) return;
    const size_t small = (((uintptr_t)memory + 2 * HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)) - (uintptr_t)memory;
    madvise((char *)memory + small, bytes - small, MADV_HUGEPAGE); /* refused is fine: slower, same answers */
#else
    (void)memory;
    (void)bytes;
#endif
}

/* Every array of a table with its size, in one place: reserve and release walk the same list. */
typedef struct array {
    void **at;
    size_t bytes;
    bool random; /* visited in random order by ingest */
} array;

#define MOST_ARRAYS 20

static size_t list_arrays(fp_table *table, array *arrays) {
    fp_columns *columns = &table->columns;
    group_past *past = &table->past;
    const size_t slots = table->capacity, groups = table->groups;
    const array list[] = {
        {(void **)&columns->generation, slots * sizeof *columns->generation, false},
        {(void **)&columns->group, slots * sizeof *columns->group, false},
        {(void **)&columns->interval_ms, slots * sizeof *columns->interval_ms, false},
        {(void **)&columns->timeout_ms, slots * sizeof *columns->timeout_ms, false},
        {(void **)&columns->kind, slots * sizeof *columns->kind, false},
        {(void **)&columns->lane, slots * sizeof *columns->lane, false},
        {(void **)&columns->state, slots * sizeof *columns->state, false},
        {(void **)&columns->used, slots * 2 * sizeof *columns->used, false},
        {(void **)&columns->histogram, slots * columns->places * sizeof *columns->histogram, true},
        {(void **)&columns->row, slots * sizeof *columns->row, true},
        {(void **)&columns->history, slots * sizeof *columns->history, true},
        {(void **)&table->free_slots, slots * sizeof *table->free_slots, false},
        {(void **)&past->histogram, groups * sizeof *past->histogram, false},
        {(void **)&past->runs, groups * sizeof *past->runs, false},
        {(void **)&past->transitions, groups * sizeof *past->transitions, false},
        {(void **)&past->latency_s, groups * sizeof *past->latency_s, false},
        {(void **)&table->order->slots, slots * sizeof *table->order->slots, false},
        {(void **)&table->order->ends, groups * sizeof *table->order->ends, false},
    };
    _Static_assert(sizeof list / sizeof *list <= MOST_ARRAYS, "the caller's list has room");
    memcpy(arrays, list, sizeof list);
    return sizeof list / sizeof *list;
}

int fp_table_new(fp_table **table, uint32_t capacity, uint32_t group_capacity, bool compact) {
    assert(table);
    if (capacity == 0 || capacity > MOST_SLOTS || group_capacity == 0 || group_capacity > MOST_GROUPS) return -EINVAL;
    fp_table *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->order = calloc(1, sizeof *made->order);
    if (!made->order) {
        free(made);
        return -ENOMEM;
    }
    made->capacity = capacity;
    made->groups = group_capacity;
    made->compact = compact;
    made->columns.places = compact ? FP_HIST_COMPACT : FP_HIST_BUCKETS;
    array arrays[MOST_ARRAYS];
    const size_t n = list_arrays(made, arrays);
    for (size_t i = 0; i < n; i++) {
        *arrays[i].at = fp_reserve(arrays[i].bytes);
        if (!*arrays[i].at) {
            fp_table_free(made);
            return -ENOMEM;
        }
        if (arrays[i].random) prefer_huge_pages(*arrays[i].at, arrays[i].bytes);
    }
    *table = made;
    return 0;
}

void fp_table_free(fp_table *table) {
    if (!table) return;
    array arrays[MOST_ARRAYS];
    const size_t n = list_arrays(table, arrays);
    for (size_t i = 0; i < n; i++) fp_release(*arrays[i].at, arrays[i].bytes);
    free(table->order);
    free(table);
}

/* -- groups' pasts ------------------------------------------------------------------------------------------------- */

static hist_span used_by(const fp_table *table, uint32_t slot) {
    return hist_span_at(&table->columns.used[2 * (size_t)slot]);
}

static void set_unmeasured(fp_table *table, uint32_t slot) {
    fp_row *row = &table->columns.row[slot];
    uint8_t *used = &table->columns.used[2 * (size_t)slot];
    row->measured[0] = used[0] = HIST_SPAN_EMPTY.first;
    row->measured[1] = used[1] = HIST_SPAN_EMPTY.last;
    row->overflow = 0;
    row->latency_sum_s = 0;
}

static void clear_histogram(fp_table *table, uint32_t slot) {
    const hist_span span = used_by(table, slot);
    for (uint32_t b = span.first; b <= span.last; b++) histogram_of(table, slot)[b] = 0;
    set_unmeasured(table, slot);
}

static void fold_histogram(fp_table *table, uint32_t slot, uint32_t group, uint64_t sign) {
    const fp_hist_count *histogram = histogram_of(table, slot);
    const double latency_s = table->columns.row[slot].latency_sum_s;
    const hist_span span = used_by(table, slot);
    for (uint32_t b = span.first; b <= span.last; b++)
        table->past.histogram[group][fp_hist_bucket_at(b, table->compact)] += sign * histogram[b];
    table->past.latency_s[group] += sign == 1 ? latency_s : -latency_s;
}

/* Add what a row holds to its group's past, or charge a group for a row that brings it along. */
static void fold_into_past(fp_table *table, uint32_t slot, uint32_t group, bool charge) {
    const fp_row *row = &table->columns.row[slot];
    const uint64_t sign = charge ? UINT64_MAX : 1; /* minus one, modulo 2^64 */
    fold_histogram(table, slot, group, sign);
    for (uint32_t result = 0; result < FP_RESULTS; result++) table->past.runs[group][result] += sign * row->runs[result];
    table->past.transitions[group] += sign * row->transitions;
}

void fp_table_begin_histogram_anew(fp_table *table, uint32_t slot) {
    fold_histogram(table, slot, table->columns.group[slot], 1);
    clear_histogram(table, slot);
}

/* -- slots --------------------------------------------------------------------------------------------------------------- */

static void set_state(fp_table *table, uint32_t slot, enum fp_state state, fp_ns now_ns) {
    fp_row *row = &table->columns.row[slot];
    row->state = table->columns.state[slot] = (uint8_t)state;
    table->columns.history[slot].since_ns = now_ns;
    row->streaks = 0;
}

static void bump_generation(fp_table *table, uint32_t slot) {
    table->columns.row[slot].generation = ++table->columns.generation[slot];
    table->order->old = true;
}

static void set_config(fp_table *table, uint32_t slot, const fp_probe_config *config) {
    assert(config->group < table->groups);
    assert(config->rise >= 1 && config->rise <= MOST_RISE_FALL && config->fall >= 1 && config->fall <= MOST_RISE_FALL);
    fp_columns *columns = &table->columns;
    fp_row *row = &columns->row[slot];
    columns->group[slot] = config->group;
    columns->interval_ms[slot] = config->interval_ms;
    columns->timeout_ms[slot] = config->timeout_ms;
    columns->kind[slot] = config->kind;
    columns->lane[slot] = config->lane;
    row->degraded_above_us = config->degraded_above_us;
    row->rise = config->rise;
    row->fall = config->fall;
}

int fp_table_add(fp_table *table, const fp_probe_config *config, fp_ns now_ns, uint32_t *slot, uint32_t *generation) {
    assert(table && config && slot && generation);
    const uint32_t free_slots = table->high_water - table->count;
    if (!free_slots && table->high_water == table->capacity) return -ENOSPC;
    const uint32_t taken = free_slots ? table->free_slots[free_slots - 1] : table->high_water++;
    table->count++;
    table->columns.row[taken].last_result = NO_RESULT;
    set_config(table, taken, config);
    set_state(table, taken, FP_UNKNOWN, now_ns);
    set_unmeasured(table, taken);
    bump_generation(table, taken);
    /* The first touch of a huge page costs milliseconds. Here it is the next slot's page as well; left to ingest, the first
     * results of a million probes would each meet one of their own, and hold the reader's thread for a second. */
    histogram_of(table, taken)[0] = 0;
    *slot = taken;
    *generation = table->columns.generation[taken];
    return 0;
}

int fp_table_remove(fp_table *table, uint32_t slot, uint32_t generation) {
    assert(table);
    if (!is_current(table, slot, generation)) return -ESTALE;
    fold_into_past(table, slot, table->columns.group[slot], false);
    clear_histogram(table, slot);
    memset(&table->columns.row[slot], 0, sizeof(fp_row));
    memset(&table->columns.history[slot], 0, sizeof(fp_history));
    set_state(table, slot, FP_UNKNOWN, 0);
    set_unmeasured(table, slot);
    bump_generation(table, slot);
    table->free_slots[table->high_water - table->count] = slot;
    table->count--;
    return 0;
}

int fp_table_configure(fp_table *table, uint32_t slot, uint32_t generation, const fp_probe_config *config) {
    assert(table && config);
    if (!is_current(table, slot, generation)) return -ESTALE;
    const uint32_t group = table->columns.group[slot];
    if (config->group != group) {
        fold_into_past(table, slot, group, false);
        fold_into_past(table, slot, config->group, true);
        table->order->old = true;
    }
    set_config(table, slot, config);
    return 0;
}

int fp_table_watch(fp_table *table, uint32_t slot, uint32_t generation, bool watched) {
    assert(table);
    if (!is_current(table, slot, generation)) return -ESTALE;
    table->columns.history[slot].watched = watched;
    return 0;
}

int fp_table_pause(fp_table *table, uint32_t slot, uint32_t generation, fp_ns now_ns, bool paused) {
    assert(table);
    if (!is_current(table, slot, generation)) return -ESTALE;
    if ((table->columns.state[slot] == FP_PAUSED) != paused) set_state(table, slot, paused ? FP_PAUSED : FP_UNKNOWN, now_ns);
    return 0;
}

const fp_columns *fp_table_columns(const fp_table *table) {
    return &table->columns;
}

const fp_totals *fp_table_totals(const fp_table *table) {
    return &table->totals;
}

uint32_t fp_table_high_water(const fp_table *table) {
    return table->high_water;
}

uint32_t fp_table_count(const fp_table *table) {
    return table->count;
}
