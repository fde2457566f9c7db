/* histogram_bucket.h - which bucket a latency falls into, inline for ingest. Contract: fp_hist_bucket. */
#ifndef FASTPROBE_HISTOGRAM_BUCKET_H
#define FASTPROBE_HISTOGRAM_BUCKET_H
#include "fastprobe/histogram.h"

#define HIST_PER_OCTAVE (1u << FP_HIST_SCALE)

/* The bounds of one octave of nanoseconds, 1e9 * 2^(j/8), shifted to 64 bits, rounded down and sorted. They stand at the same
 * places in every octave, so a latency's exponent and this table are enough. Comparing whole numbers with bounds rounded down
 * is exact: n > bound if and only if n > floor(bound). */
static const uint64_t HIST_BOUNDS[HIST_PER_OCTAVE + 1] = {
    0x81ffa7a9549ca6e3, 0x8dc3b8960164a7d9, 0x9a9867054d512391, 0xa8965f74bf065071, 0xb7d88a12d0dd9ea0,
    0xc87c3e7d03cdbec3, 0xdaa17c2cd19555db, 0xee6b280000000000, UINT64_MAX,
};

/* By the four bits after the leading one: how many bounds lie below all such numbers. At most one more lies among them. */
static const uint8_t HIST_BELOW[16] = {0, 1, 2, 2, 3, 3, 4, 5, 5, 5, 6, 6, 7, 7, 8, 8};

/* Ordinal of bucket 0, counted from the bucket that would begin at 1 ns: 953 ns is in octave 9, below bound 7. */
#define HIST_ORDINAL_OF_FIRST (9u * HIST_PER_OCTAVE + 7u)

static inline uint32_t hist_bucket(fp_ns latency_ns) {
    const unsigned shift = (unsigned)__builtin_clzll(latency_ns | 1); /* zero has no leading one; 1 ns is in bucket 0 as well */
    const uint64_t mantissa = latency_ns << shift;
    const uint32_t below = HIST_BELOW[mantissa >> 59 & 15];
    const uint32_t ordinal = (63 - shift) * HIST_PER_OCTAVE + below + (mantissa > HIST_BOUNDS[below]);
    if (ordinal <= HIST_ORDINAL_OF_FIRST) return 0;
    const uint32_t bucket = ordinal - HIST_ORDINAL_OF_FIRST;
    return bucket < FP_HIST_OVERFLOW ? bucket : FP_HIST_OVERFLOW;
}

#endif
