#include "check.h"
#include "fastprobe/ring.h"
#include <errno.h>

static fp_ring *new_ring(uint32_t slots, uint32_t element_bytes) {
    fp_ring *ring;
    CHECK_EQ(fp_ring_new(&ring, slots, element_bytes), 0);
    CHECK_SOUND(fp_ring_check(ring));
    return ring;
}

static void slots_are_a_power_of_two(void) {
    static const uint32_t refused[] = {0, 3, 6, 1000, UINT32_MAX, (1u << 31) + 1};
    fp_ring *ring;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) CHECK_EQ(fp_ring_new(&ring, refused[i], 4), -EINVAL);
    CHECK_EQ(fp_ring_new(&ring, 4, 0), -EINVAL);
    CHECK_EQ(fp_ring_new(&ring, 1u << 31, UINT32_MAX), -ENOMEM); /* 8 EiB */
    fp_ring_free(NULL);
}

static void what_goes_in_comes_out_in_order(void) {
    const char in[] = "abcdefgh";
    char out[8];
    fp_ring *ring = new_ring(8, 1);
    CHECK_EQ(fp_ring_push(ring, in, 5, true), 5);
    CHECK_EQ(fp_ring_size(ring), 5);
    CHECK_EQ(fp_ring_pop(ring, out, 3), 3);
    CHECK(memcmp(out, "abc", 3) == 0);
    CHECK_EQ(fp_ring_push(ring, in + 5, 3, true), 3);
    CHECK_EQ(fp_ring_pop(ring, out, 8), 5);
    CHECK(memcmp(out, "defgh", 5) == 0);
    CHECK_EQ(fp_ring_pop(ring, out, 8), 0);
    fp_ring_free(ring);
}

static void a_full_ring_refuses_and_counts_only_when_asked(void) {
    const uint32_t in[6] = {1, 2, 3, 4, 5, 6};
    uint32_t out[6];
    fp_ring *ring = new_ring(4, sizeof in[0]);
    CHECK_EQ(fp_ring_push(ring, in, 6, true), 4);
    CHECK_EQ(fp_ring_dropped(ring), 2);
    CHECK_EQ(fp_ring_push(ring, in, 6, false), 0);
    CHECK_EQ(fp_ring_dropped(ring), 2);
    CHECK_EQ(fp_ring_push(ring, in, 1, true), 0);
    CHECK_EQ(fp_ring_dropped(ring), 3);
    CHECK_EQ(fp_ring_pop(ring, out, 6), 4);
    CHECK(memcmp(out, in, 4 * sizeof in[0]) == 0);
    fp_ring_free(ring);
}

static void nothing_is_a_fine_batch(void) {
    fp_ring *ring = new_ring(1, 8);
    CHECK_EQ(fp_ring_push(ring, NULL, 0, true), 0);
    CHECK_EQ(fp_ring_pop(ring, NULL, 0), 0);
    CHECK_EQ(fp_ring_dropped(ring), 0);
    fp_ring_free(ring);
}

/* Random batches against two counters: element k of the stream holds k in each of its words. */
static void random_batches_keep_the_sequence(uint32_t slots, uint32_t words) {
    check_rng rng = check_seed(0x52494e47);
    uint32_t in[96 * 3], out[96 * 3];
    uint32_t pushed = 0, popped = 0;
    uint64_t dropped = 0;
    fp_ring *ring = new_ring(slots, words * (uint32_t)sizeof in[0]);
    for (int step = 0; step < 20000; step++) {
        const uint32_t n = (uint32_t)check_below(&rng, 96);
        if (check_below(&rng, 2)) {
            for (uint32_t i = 0; i < n * words; i++) in[i] = pushed + i / words;
            const uint32_t room = slots - (pushed - popped), taken = fp_ring_push(ring, in, n, true);
            CHECK_EQ(taken, n < room ? n : room);
            pushed += taken;
            dropped += n - taken;
        } else {
            const uint32_t taken = fp_ring_pop(ring, out, n), ready = pushed - popped;
            CHECK_EQ(taken, n < ready ? n : ready);
            for (uint32_t i = 0; i < taken * words; i++) CHECK_EQ(out[i], popped + i / words);
            popped += taken;
        }
        CHECK_EQ(fp_ring_size(ring), pushed - popped);
        CHECK_EQ(fp_ring_dropped(ring), dropped);
        CHECK_SOUND(fp_ring_check(ring));
    }
    fp_ring_free(ring);
}

static void a_ring_of_one_keeps_the_sequence(void) {
    random_batches_keep_the_sequence(1, 1);
}

static void a_small_ring_keeps_the_sequence(void) {
    random_batches_keep_the_sequence(64, 3);
}

static void a_large_ring_keeps_the_sequence(void) {
    random_batches_keep_the_sequence(4096, 2);
}

int main(void) {
    RUN(slots_are_a_power_of_two);
    RUN(what_goes_in_comes_out_in_order);
    RUN(a_full_ring_refuses_and_counts_only_when_asked);
    RUN(nothing_is_a_fine_batch);
    RUN(a_ring_of_one_keeps_the_sequence);
    RUN(a_small_ring_keeps_the_sequence);
    RUN(a_large_ring_keeps_the_sequence);
    return 0;
}
