/* race_ring.c - one producer, one consumer and a bystander who counts, under ThreadSanitizer. */
#include "check.h"
#include "fastprobe/ring.h"
#include <pthread.h>
#include <sched.h>

#define ELEMENTS 400000u
#define BATCH    37u /* shares no factor with the ring: every wraparound happens */

/* 24 bytes: an element torn between two writes would show. */
typedef struct element {
    uint64_t number;
    uint64_t twice;
    uint64_t inverse;
} element;

static element element_of(uint64_t number) {
    return (element){number, 2 * number, ~number};
}

/* Pushes everything: waits while the ring is full. */
static void *produce_all(void *arg) {
    fp_ring *ring = arg;
    element batch[BATCH];
    for (uint64_t next = 0; next < ELEMENTS;) {
        const uint32_t n = (uint32_t)(ELEMENTS - next < BATCH ? ELEMENTS - next : BATCH);
        for (uint32_t i = 0; i < n; i++) batch[i] = element_of(next + i);
        const uint32_t taken = fp_ring_push(ring, batch, n, false);
        if (taken == 0) sched_yield();
        next += taken;
    }
    return NULL;
}

/* Pushes each element once: what does not fit is dropped and counted. */
static void *produce_and_drop(void *arg) {
    fp_ring *ring = arg;
    element batch[BATCH];
    for (uint64_t next = 0; next < ELEMENTS; next += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) batch[i] = element_of(next + i);
        fp_ring_push(ring, batch, BATCH, true);
        if (next % 1024 == 0) sched_yield();
    }
    return NULL;
}

static void check_whole(const element *e) {
    CHECK(e->twice == 2 * e->number && e->inverse == ~e->number);
}

static void every_element_arrives_once_and_in_order(void) {
    fp_ring *ring;
    pthread_t producer;
    element batch[BATCH + 12];
    CHECK_EQ(fp_ring_new(&ring, 256, sizeof(element)), 0);
    CHECK_EQ(pthread_create(&producer, NULL, produce_all, ring), 0);
    for (uint64_t next = 0; next < ELEMENTS;) {
        CHECK(fp_ring_size(ring) <= 256);
        const uint32_t n = fp_ring_pop(ring, batch, BATCH + 12);
        if (n == 0) sched_yield();
        for (uint32_t i = 0; i < n; i++) {
            CHECK_EQ(batch[i].number, next + i);
            check_whole(&batch[i]);
        }
        next += n;
    }
    CHECK_EQ(pthread_join(producer, NULL), 0);
    CHECK_EQ(fp_ring_dropped(ring), 0);
    CHECK_EQ(fp_ring_size(ring), 0);
    CHECK_SOUND(fp_ring_check(ring));
    fp_ring_free(ring);
}

static void what_is_dropped_and_what_arrives_add_up(void) {
    fp_ring *ring;
    pthread_t producer;
    element batch[16];
    uint64_t arrived = 0, last = 0, sent = (ELEMENTS + BATCH - 1) / BATCH * BATCH;
    CHECK_EQ(fp_ring_new(&ring, 64, sizeof(element)), 0);
    CHECK_EQ(pthread_create(&producer, NULL, produce_and_drop, ring), 0);
    while (arrived + fp_ring_dropped(ring) < sent) {
        const uint32_t n = fp_ring_pop(ring, batch, 16);
        if (n == 0) sched_yield();
        for (uint32_t i = 0; i < n; i++) {
            check_whole(&batch[i]);
            CHECK(arrived == 0 || batch[i].number > last);
            last = batch[i].number;
            arrived++;
        }
    }
    CHECK_EQ(pthread_join(producer, NULL), 0);
    CHECK_EQ(arrived + fp_ring_dropped(ring), sent);
    fp_ring_free(ring);
}

int main(void) {
    RUN(every_element_arrives_once_and_in_order);
    RUN(what_is_dropped_and_what_arrives_add_up);
    return 0;
}
