/* histogram.h - latency histograms as plain rows of counters.
 *
 * Bounds are powers of 2^(1/8) seconds, from 2^-20 s (0.95 us) to 2^(54/8) s (107.6 s): scale 3 of OpenTelemetry's exponential
 * histogram and of Prometheus' native ones, so rows export without loss. Bucket 0 holds everything up to 2^-20 s; bucket i in
 * 1..214 holds (2^((i-161)/8), 2^((i-160)/8)]; bucket 215 is the overflow, where timeouts go. The relative width of a bucket is
 * 9 %, so a quantile read at the geometric middle errs by at most 4.4 %.
 *
 * A compact row holds two of these buckets in one, four an octave (scale 2): half the memory for quantiles that err by up to
 * 9 %. Sums of rows are always fine: a compact bucket counts there in the upper one of the two it holds. */
#ifndef FASTPROBE_HISTOGRAM_H
#define FASTPROBE_HISTOGRAM_H
#include "fastprobe/base.h"

#define FP_HIST_BUCKETS  216u
#define FP_HIST_COMPACT  109u /* buckets of a compact row; the last is the overflow here too */
#define FP_HIST_OVERFLOW 215u
#define FP_HIST_SCALE    3

/* One bucket of one row. Two bytes: at a million probes the rows are most of the memory there is. Who counts to the end of it
 * folds the row into a sum and begins anew (table.h). */
typedef uint16_t fp_hist_count;
#define FP_HIST_COUNT_MAX UINT16_MAX

uint32_t fp_hist_bucket(fp_ns latency_ns);     /* no log(): exponent and a mantissa threshold table */
double fp_hist_upper_bound_s(uint32_t bucket); /* inclusive; INFINITY for the overflow */

/* Where a row counts a bucket, and the (upper) bucket that a row counts there. */
static inline uint32_t fp_hist_place(uint32_t bucket, bool compact) {
    return (bucket + compact) >> compact;
}
static inline uint32_t fp_hist_bucket_at(uint32_t place, bool compact) {
    const uint32_t bucket = place << compact;
    return bucket < FP_HIST_OVERFLOW ? bucket : FP_HIST_OVERFLOW;
}

/* out[group_of_row[r]][b] += rows[r][b] for every row r with group_of_row[r] < n_groups; others are passed over. `out` is
 * n_groups x FP_HIST_BUCKETS and is not cleared. `order` (n_rows row numbers, or NULL) is the order of visit: sorted by group
 * it is faster. `used` (n_rows x 2 bytes, or NULL) gives the first and last bucket each row ever touched. */
void fp_hist_merge(const fp_hist_count *rows, uint32_t n_rows, const uint32_t *order, const uint32_t *group_of_row,
                   const uint8_t *used, uint32_t n_groups, uint64_t *out);

/* out_s[r * n_q + k] = the q[k]-quantile in seconds of row r; NAN for an empty row, INFINITY when it lies in the overflow.
 * q ascending, each in [0, 1]. Within a bucket: the geometric middle. compact: these are sums of compact rows, whose buckets
 * are twice as wide. */
void fp_hist_quantiles(const uint64_t *rows, uint32_t n_rows, bool compact, const double *q, uint32_t n_q, double *out_s);

#endif
