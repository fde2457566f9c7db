/* histogram_row.h - adding one row of counters to another, shared by the plain merge and the table's. */
#ifndef FASTPROBE_HISTOGRAM_ROW_H
#define FASTPROBE_HISTOGRAM_ROW_H
#include "fastprobe/histogram.h"

/* Rows asked for before they are added: enough to cover a trip to memory, few enough to stay in the L1 cache. */
#define ROWS_AHEAD        8u
#define COUNTERS_PER_LINE 32u

/* First and last bucket touched; first > last for a row that is empty. */
typedef struct hist_span {
    uint8_t first;
    uint8_t last;
} hist_span;
#define HIST_SPAN_ALL   ((hist_span){0, FP_HIST_BUCKETS - 1})
#define HIST_SPAN_EMPTY ((hist_span){255, 0})

static inline hist_span hist_span_at(const uint8_t *pair) {
    return (hist_span){pair[0], pair[1]};
}

static inline void hist_row_prefetch(const fp_hist_count *row, hist_span span) {
    for (uint32_t b = span.first; b <= span.last; b += COUNTERS_PER_LINE) __builtin_prefetch(&row[b]);
}

static inline void hist_row_add(uint64_t *restrict sums, const fp_hist_count *restrict row, hist_span span) {
    for (uint32_t b = span.first; b <= span.last; b++) sums[b] += row[b];
}

/* A compact row, its overflow apart. */
static inline void hist_compact_row_add(uint64_t *restrict sums, const fp_hist_count *restrict row, hist_span span) {
    for (uint32_t place = span.first; place <= span.last; place++) sums[(size_t)2 * place] += row[place];
}

#endif
