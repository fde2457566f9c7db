/* histogram_bucket.h - which bucket a latency falls into, inline for ingest. Contract: fp_hist_bucket.
 *
 * The bounds stand at the same places in every octave of nanoseconds, so a latency's exponent and the first bits of its
 * mantissa are enough, and a double has both at hand, side by side: sixteenths of octaves, in order. */
#ifndef FASTPROBE_HISTOGRAM_BUCKET_H
#define FASTPROBE_HISTOGRAM_BUCKET_H
#include "fastprobe/histogram.h"

#include <string.h>

#define HIST_PER_OCTAVE (1u << FP_HIST_SCALE)

/* The bounds of any octave, 1e9 * 2^(j/8), as the 48 bits after the first four of their mantissas, at the top of a word; by the
 * sixteenth of the octave they lie in, none for those without one. Rounded down, which keeps comparing exact: whole nanoseconds
 * up to the last bound have fewer bits. */
#define NONE UINT64_MAX
static const uint64_t HIST_BOUND_IN[16] = {
    0x3ff4f52a93940000,
    0xb87712c02c940000,
    NONE,
    0x530ce0a9aa240000,
    NONE,
    0x12cbee97e0ca0000,
    0xfb11425a1bb30000,
    NONE,
    NONE,
    0x0f87cfa079b70000,
    NONE,
    0x542f859a32aa0000,
    NONE,
    0xcd65000000000000,
    NONE,
    NONE,
};
#undef NONE
/* How many of an octave's bounds lie below a sixteenth of it. */
static const uint8_t HIST_BOUNDS_BELOW[16] = {0, 1, 2, 2, 3, 3, 4, 5, 5, 5, 6, 6, 7, 7, 8, 8};

/* Sixteenths counted from the least double: of the first bound, 953.67 ns, and of the last, 107.6 s. */
#define HIST_FIRST_SIXTEENTH     ((1023u + 9u) * 16u + 13u)
#define HIST_LAST_SIXTEENTH      ((1023u + 36u) * 16u + 9u)
#define HIST_BOUNDS_BEFORE_FIRST ((1023u + 9u) * HIST_PER_OCTAVE + 7u)

/* As a double, for the bucket and for sums. Beyond 292 years all latencies are the same. */
static inline double hist_latency(fp_ns latency_ns) {
    return (double)(int64_t)(latency_ns < INT64_MAX ? latency_ns : INT64_MAX);
}

static inline uint32_t hist_bucket_of(double latency_ns) {
    uint64_t bits;
    memcpy(&bits, &latency_ns, sizeof bits);
    const uint32_t sixteenth = (uint32_t)(bits >> 48);
    if (sixteenth - HIST_FIRST_SIXTEENTH > HIST_LAST_SIXTEENTH - HIST_FIRST_SIXTEENTH)
        return sixteenth < HIST_FIRST_SIXTEENTH ? 0 : FP_HIST_OVERFLOW;
    return sixteenth / 16 * HIST_PER_OCTAVE - HIST_BOUNDS_BEFORE_FIRST + HIST_BOUNDS_BELOW[sixteenth % 16] +
           (bits << 16 > HIST_BOUND_IN[sixteenth % 16]);
}

#endif
