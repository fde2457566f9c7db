#include "check.h"
#include "fastprobe/histogram.h"

#include <math.h>

/* In extended precision, which holds 2^(j/8) times a billion to well below a nanosecond. */
static long double exact_bound_s(uint32_t bucket) {
    return powl(2, ((long double)bucket - 160) / 8);
}

static void bounds_are_inclusive_to_the_nanosecond(void) {
    for (uint32_t bucket = 0; bucket < FP_HIST_OVERFLOW; bucket++) {
        const fp_ns last = (fp_ns)floorl(exact_bound_s(bucket) * 1e9L);
        CHECK_EQ(fp_hist_bucket(last), bucket);
        CHECK_EQ(fp_hist_bucket(last + 1), bucket + 1);
    }
}

static void bounds_in_seconds_are_the_nearest_doubles(void) {
    for (uint32_t bucket = 0; bucket < FP_HIST_OVERFLOW; bucket++) {
        const double bound = fp_hist_upper_bound_s(bucket);
        const long double error = fabsl((long double)bound - exact_bound_s(bucket));
        CHECK(error <= fabsl((long double)nextafter(bound, 0) - exact_bound_s(bucket)));
        CHECK(error <= fabsl((long double)nextafter(bound, INFINITY) - exact_bound_s(bucket)));
    }
    CHECK(fp_hist_upper_bound_s(0) == 0x1p-20);
    CHECK(fp_hist_upper_bound_s(160) == 1.0);
    CHECK(isinf(fp_hist_upper_bound_s(FP_HIST_OVERFLOW)));
}

static void the_ends_take_what_lies_beyond_them(void) {
    CHECK_EQ(fp_hist_bucket(0), 0);
    CHECK_EQ(fp_hist_bucket(1), 0);
    CHECK_EQ(fp_hist_bucket(953), 0);
    CHECK_EQ(fp_hist_bucket(108 * FP_NS_PER_S), FP_HIST_OVERFLOW);
    CHECK_EQ(fp_hist_bucket(UINT64_MAX), FP_HIST_OVERFLOW);
}

static void any_latency_lies_between_the_bounds_of_its_bucket(void) {
    check_rng rng = check_seed(31);
    for (int i = 0; i < 1000000; i++) {
        const fp_ns latency_ns = check_random(&rng) >> check_below(&rng, 64);
        const uint32_t bucket = fp_hist_bucket(latency_ns);
        const long double latency_s = (long double)latency_ns / 1e9L;
        if (bucket < FP_HIST_OVERFLOW) CHECK(latency_s <= exact_bound_s(bucket));
        if (bucket > 0) CHECK(latency_s > exact_bound_s(bucket - 1));
    }
}

/* -- merging ------------------------------------------------------------------------------------------------------- */

enum { ROWS = 97, GROUPS = 7 };

typedef struct rows {
    fp_hist_count counts[ROWS][FP_HIST_BUCKETS];
    uint32_t group[ROWS];
    uint32_t order[ROWS];
    uint8_t used[ROWS][2];
} rows;

static void fill(rows *made, check_rng *rng) {
    memset(made, 0, sizeof *made);
    for (uint32_t r = 0; r < ROWS; r++) {
        made->group[r] = (uint32_t)check_below(rng, GROUPS + 2); /* two groups that nobody asks for */
        made->order[r] = r;
        uint8_t first = 255, last = 0;
        for (uint64_t n = check_below(rng, 20); n > 0; n--) {
            const uint8_t bucket = (uint8_t)check_below(rng, FP_HIST_BUCKETS);
            made->counts[r][bucket] = (fp_hist_count)(FP_HIST_COUNT_MAX - check_below(rng, 9));
            if (bucket < first) first = bucket;
            if (bucket > last) last = bucket;
        }
        made->used[r][0] = first;
        made->used[r][1] = last;
    }
    for (uint32_t r = ROWS - 1; r > 0; r--) {
        const uint32_t other = (uint32_t)check_below(rng, r + 1), kept = made->order[r];
        made->order[r] = made->order[other];
        made->order[other] = kept;
    }
}

static void a_merge_is_the_sum_of_the_rows_of_each_group(void) {
    check_rng rng = check_seed(32);
    static rows made;
    for (int round = 0; round < 50; round++) {
        fill(&made, &rng);
        uint64_t wanted[GROUPS][FP_HIST_BUCKETS] = {0};
        for (uint32_t r = 0; r < ROWS; r++)
            for (uint32_t b = 0; b < FP_HIST_BUCKETS && made.group[r] < GROUPS; b++)
                wanted[made.group[r]][b] += made.counts[r][b];
        for (int way = 0; way < 4; way++) {
            uint64_t merged[GROUPS][FP_HIST_BUCKETS] = {0};
            fp_hist_merge(made.counts[0], ROWS, way & 1 ? made.order : NULL, made.group, way & 2 ? made.used[0] : NULL, GROUPS,
                          merged[0]);
            CHECK(memcmp(merged, wanted, sizeof merged) == 0);
        }
    }
}

static void a_merge_adds_to_what_is_there(void) {
    const fp_hist_count row[FP_HIST_BUCKETS] = {[3] = 4};
    uint64_t sums[FP_HIST_BUCKETS] = {[3] = 1ULL << 40};
    fp_hist_merge(row, 1, NULL, (uint32_t[]){0}, NULL, 1, sums);
    CHECK_EQ(sums[3], (1LL << 40) + 4);
}

/* -- quantiles ----------------------------------------------------------------------------------------------------- */

static double quantile(const uint64_t *row, double q) {
    double value;
    fp_hist_quantiles(row, 1, false, &q, 1, &value);
    return value;
}

static double middle(uint32_t bucket) {
    return (double)(exact_bound_s(bucket) * powl(2, -1 / 16.0L));
}

static bool about(double value, double wanted) {
    return fabs(value - wanted) <= 1e-15 * wanted;
}

static void a_row_without_values_has_no_quantiles(void) {
    const uint64_t row[FP_HIST_BUCKETS] = {0};
    CHECK(isnan(quantile(row, 0)) && isnan(quantile(row, .5)) && isnan(quantile(row, 1)));
}

static void a_quantile_among_the_timeouts_is_infinite(void) {
    const uint64_t row[FP_HIST_BUCKETS] = {[80] = 98, [FP_HIST_OVERFLOW] = 2};
    CHECK(about(quantile(row, .98), middle(80)));
    CHECK(isinf(quantile(row, .99)));
    CHECK(isinf(quantile(row, 1)));
}

static void ranks_are_nearest_ranks(void) {
    const uint64_t row[FP_HIST_BUCKETS] = {[0] = 1, [7] = 1, [8] = 1, [214] = 1};
    const double q[] = {0, .25, .2500001, .5, .75, .7500001, 1};
    const uint32_t wanted[] = {0, 0, 7, 7, 8, 214, 214};
    double value[7];
    fp_hist_quantiles(row, 1, false, q, 7, value);
    for (int i = 0; i < 7; i++) CHECK(about(value[i], middle(wanted[i])));
}

static void quantiles_of_many_rows_are_those_of_each(void) {
    check_rng rng = check_seed(33);
    static uint64_t made[ROWS][FP_HIST_BUCKETS];
    const double q[] = {.5, .9, .99};
    double values[ROWS][3];
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint64_t n = check_below(&rng, 40); n > 0; n--)
            made[r][check_below(&rng, FP_HIST_BUCKETS)] += check_random(&rng) >> (20 + check_below(&rng, 44));
    fp_hist_quantiles(made[0], ROWS, false, q, 3, values[0]);
    for (uint32_t r = 0; r < ROWS; r++) {
        uint64_t count = 0;
        for (uint32_t b = 0; b < FP_HIST_BUCKETS; b++) count += made[r][b];
        for (int k = 0; k < 3; k++) {
            uint64_t below = 0;
            uint32_t b = 0;
            while (count && (double)(below += made[r][b]) < q[k] * (double)count) b++;
            if (!count)
                CHECK(isnan(values[r][k]));
            else if (b == FP_HIST_OVERFLOW)
                CHECK(isinf(values[r][k]));
            else
                CHECK(about(values[r][k], middle(b)));
        }
    }
}

static void a_quantile_errs_by_less_than_five_hundredths(void) {
    check_rng rng = check_seed(34);
    for (int i = 0; i < 10000; i++) {
        const fp_ns latency_ns = 1000 + check_below(&rng, 1ULL << check_below(&rng, 37));
        uint64_t row[FP_HIST_BUCKETS] = {0};
        row[fp_hist_bucket(latency_ns)] = 1;
        CHECK(fabs(quantile(row, .5) * 1e9 / (double)latency_ns - 1) < .045);
    }
}

int main(void) {
    RUN(bounds_are_inclusive_to_the_nanosecond);
    RUN(bounds_in_seconds_are_the_nearest_doubles);
    RUN(the_ends_take_what_lies_beyond_them);
    RUN(any_latency_lies_between_the_bounds_of_its_bucket);
    RUN(a_merge_is_the_sum_of_the_rows_of_each_group);
    RUN(a_merge_adds_to_what_is_there);
    RUN(a_row_without_values_has_no_quantiles);
    RUN(a_quantile_among_the_timeouts_is_infinite);
    RUN(ranks_are_nearest_ranks);
    RUN(quantiles_of_many_rows_are_those_of_each);
    RUN(a_quantile_errs_by_less_than_five_hundredths);
    return 0;
}
