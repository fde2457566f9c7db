#include "fastprobe/histogram.h"
#include "histogram_bucket.h"
#include "histogram_row.h"

#include <assert.h>
#include <math.h>

/* 2^(j/8), correctly rounded. */
static const double ROOTS[HIST_PER_OCTAVE] = {
    0x1.0000000000000p+0, 0x1.172b83c7d517bp+0, 0x1.306fe0a31b715p+0, 0x1.4bfdad5362a27p+0,
    0x1.6a09e667f3bcdp+0, 0x1.8ace5422aa0dbp+0, 0x1.ae89f995ad3adp+0, 0x1.d5818dcfba487p+0,
};
/* From an upper bound to the geometric middle: 2^(-1/16), and 2^(-1/8) where a bucket holds two. */
static const double TO_MIDDLE[] = {0x1.ea4afa2a490dap-1, 0x1.d5818dcfba487p-1};

uint32_t fp_hist_bucket(fp_ns latency_ns) {
    return hist_bucket_of(hist_latency(latency_ns));
}

static double bound_s(uint32_t bucket) {
    return ROOTS[bucket % HIST_PER_OCTAVE] * (double)(1u << bucket / HIST_PER_OCTAVE) * 0x1p-20;
}

double fp_hist_upper_bound_s(uint32_t bucket) {
    assert(bucket < FP_HIST_BUCKETS);
    return bucket == FP_HIST_OVERFLOW ? INFINITY : bound_s(bucket);
}

void fp_hist_merge(const fp_hist_count *rows, uint32_t n_rows, const uint32_t *order, const uint32_t *group_of_row,
                   const uint8_t *used, uint32_t n_groups, uint64_t *out) {
    for (uint32_t i = 0; i < n_rows; i++) {
        if (i + ROWS_AHEAD < n_rows) {
            const size_t next = order ? order[i + ROWS_AHEAD] : i + ROWS_AHEAD;
            hist_row_prefetch(rows + next * FP_HIST_BUCKETS, used ? hist_span_at(used + 2 * next) : HIST_SPAN_ALL);
        }
        const size_t row = order ? order[i] : i;
        const uint32_t group = group_of_row[row];
        if (group >= n_groups) continue;
        hist_row_add(out + (size_t)group * FP_HIST_BUCKETS, rows + row * FP_HIST_BUCKETS,
                     used ? hist_span_at(used + 2 * row) : HIST_SPAN_ALL);
    }
}

/* Sums of each octave's eight buckets, so that a quantile looks at 27 sums and one octave rather than at 216 buckets. */
#define OCTAVES (FP_HIST_BUCKETS / HIST_PER_OCTAVE)
_Static_assert(OCTAVES *HIST_PER_OCTAVE == FP_HIST_BUCKETS, "octaves tile a row");

static uint64_t sum_octaves(const uint64_t *row, uint64_t *sums) {
    uint64_t total = 0;
    for (uint32_t octave = 0; octave < OCTAVES; octave++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < HIST_PER_OCTAVE; i++) sum += row[octave * HIST_PER_OCTAVE + i];
        sums[octave] = sum;
        total += sum;
    }
    return total;
}

/* The bucket that holds the value of this rank, 1 for the least. */
static uint32_t bucket_of_rank(const uint64_t *row, const uint64_t *octaves, uint64_t rank) {
    uint32_t octave = 0;
    while (octaves[octave] < rank) rank -= octaves[octave++];
    uint32_t bucket = octave * HIST_PER_OCTAVE;
    while (row[bucket] < rank) rank -= row[bucket++];
    return bucket;
}

/* Nearest rank: the least whole number not below q * count, and at least 1. */
static uint64_t rank_of(double q, uint64_t count) {
    const double exact = q * (double)count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact) rank++;
    if (rank < 1) rank = 1;
    return rank < count ? rank : count;
}

void fp_hist_quantiles(const uint64_t *rows, uint32_t n_rows, bool compact, const double *q, uint32_t n_q, double *out_s) {
    uint64_t octaves[OCTAVES];
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint64_t *row = rows + (size_t)r * FP_HIST_BUCKETS;
        const uint64_t count = sum_octaves(row, octaves);
        for (uint32_t k = 0; k < n_q; k++) {
            assert(q[k] >= 0 && q[k] <= 1);
            double *out = &out_s[(size_t)r * n_q + k];
            if (count == 0) {
                *out = NAN;
                continue;
            }
            const uint32_t bucket = bucket_of_rank(row, octaves, rank_of(q[k], count));
            *out = bucket == FP_HIST_OVERFLOW ? INFINITY : bound_s(bucket) * TO_MIDDLE[compact];
        }
    }
}
