/* check.h - the whole test framework: claims that abort with their own words, and a generator that prints its seed.
 *
 * CHECK is never compiled out, unlike assert. A test file is a list of `static void claim(void)` and a main() of RUN(claim). */
#ifndef FASTPROBE_CHECK_H
#define FASTPROBE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                                       \
    do {                                                                                                                       \
        if (!(condition)) {                                                                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                    \
            abort();                                                                                                           \
        }                                                                                                                      \
    } while (0)

/* Both sides are shown: most broken claims are understood from the two numbers. */
#define CHECK_EQ(left, right)                                                                                                  \
    do {                                                                                                                       \
        const long long check_left = (long long)(left), check_right = (long long)(right);                                      \
        if (check_left != check_right) {                                                                                       \
            fprintf(stderr, "%s:%d: %s == %s, but %lld != %lld\n", __FILE__, __LINE__, #left, #right, check_left,              \
                    check_right);                                                                                              \
            abort();                                                                                                           \
        }                                                                                                                      \
    } while (0)

/* For the fp_x_check() family: NULL, or the name of the first broken invariant. */
#define CHECK_SOUND(broken_invariant)                                                                                          \
    do {                                                                                                                       \
        const char *check_broken = (broken_invariant);                                                                         \
        if (check_broken) {                                                                                                    \
            fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, check_broken);                                \
            abort();                                                                                                           \
        }                                                                                                                      \
    } while (0)

#define RUN(claim)                                                                                                             \
    do {                                                                                                                       \
        printf("%s: %s\n", __FILE__, #claim);                                                                                  \
        fflush(stdout);                                                                                                        \
        claim();                                                                                                               \
    } while (0)

/* xorshift64*: enough for tests, the same on every platform. CHECK_SEED=n in the environment repeats a failure. */
typedef struct check_rng {
    uint64_t state;
} check_rng;

static inline check_rng check_seed(uint64_t fallback) {
    const char *asked = getenv("CHECK_SEED");
    uint64_t seed = asked ? strtoull(asked, NULL, 0) : fallback;
    if (seed == 0) seed = 1; /* zero is xorshift's fixed point */
    printf("    CHECK_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return (check_rng){seed};
}

static inline uint64_t check_random(check_rng *rng) {
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return rng->state * 0x2545f4914f6cdd1dULL;
}

/* Uniform enough in [0, bound); bound > 0. */
static inline uint64_t check_below(check_rng *rng, uint64_t bound) {
    return check_random(rng) % bound;
}

#endif
