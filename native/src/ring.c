#include "fastprobe/ring.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Two lines: x86 fetches the neighbour of a line as well, which would bring false sharing back. */
#define LINE 128u

/* head and tail run freely and wrap at 2^32; their difference is the size. */
struct fp_ring {
    _Alignas(LINE) struct {
        _Atomic uint32_t tail;
        uint32_t head_seen; /* never ahead of head: at worst the ring looks fuller than it is */
        _Atomic uint64_t dropped;
    } producer;
    _Alignas(LINE) struct {
        _Atomic uint32_t head;
        uint32_t tail_seen;
    } consumer;
    _Alignas(LINE) uint32_t slots;
    uint32_t element_bytes;
    char *elements;
};

static size_t storage_bytes(const fp_ring *ring) {
    return (size_t)ring->slots * ring->element_bytes;
}

int fp_ring_new(fp_ring **ring, uint32_t slots, uint32_t element_bytes) {
    assert(ring);
    if (slots == 0 || (slots & (slots - 1)) != 0 || slots > 1u << 31 || element_bytes == 0) return -EINVAL;
    fp_ring *made = aligned_alloc(LINE, sizeof *made);
    if (!made) return -ENOMEM;
    memset(made, 0, sizeof *made);
    made->slots = slots;
    made->element_bytes = element_bytes;
    made->elements = fp_reserve(storage_bytes(made));
    if (!made->elements) {
        free(made);
        return -ENOMEM;
    }
    *ring = made;
    return 0;
}

void fp_ring_free(fp_ring *ring) {
    if (!ring) return;
    fp_release(ring->elements, storage_bytes(ring));
    free(ring);
}

/* Where n elements beginning at `index` lie: some up to the end of the storage, the rest from its start. */
typedef struct span {
    char *first;
    size_t first_bytes;
    size_t rest_bytes;
} span;

static span span_at(const fp_ring *ring, uint32_t index, uint32_t n) {
    uint32_t at = index & (ring->slots - 1), straight = ring->slots - at;
    if (straight > n) straight = n;
    return (span){
        .first = ring->elements + (size_t)at * ring->element_bytes,
        .first_bytes = (size_t)straight * ring->element_bytes,
        .rest_bytes = (size_t)(n - straight) * ring->element_bytes,
    };
}

static void count_dropped(fp_ring *ring, uint32_t n) {
    uint64_t dropped = atomic_load_explicit(&ring->producer.dropped, memory_order_relaxed);
    atomic_store_explicit(&ring->producer.dropped, dropped + n, memory_order_relaxed); /* the producer is its only writer */
}

uint32_t fp_ring_push(fp_ring *ring, const void *elements, uint32_t n, bool count_drops) {
    assert(ring && (elements || n == 0));
    const uint32_t tail = atomic_load_explicit(&ring->producer.tail, memory_order_relaxed);
    uint32_t room = ring->slots - (tail - ring->producer.head_seen);
    if (room < n) {
        ring->producer.head_seen = atomic_load_explicit(&ring->consumer.head, memory_order_acquire);
        room = ring->slots - (tail - ring->producer.head_seen);
    }
    const uint32_t taken = n < room ? n : room;
    if (taken == 1) { /* as results come: one element never wraps */
        memcpy(ring->elements + (size_t)(tail & (ring->slots - 1)) * ring->element_bytes, elements, ring->element_bytes);
        atomic_store_explicit(&ring->producer.tail, tail + 1, memory_order_release);
    } else if (taken > 0) {
        const span to = span_at(ring, tail, taken);
        memcpy(to.first, elements, to.first_bytes);
        if (to.rest_bytes) memcpy(ring->elements, (const char *)elements + to.first_bytes, to.rest_bytes);
        atomic_store_explicit(&ring->producer.tail, tail + taken, memory_order_release);
    }
    if (count_drops && taken < n) count_dropped(ring, n - taken);
    return taken;
}

uint32_t fp_ring_pop(fp_ring *ring, void *out, uint32_t n) {
    assert(ring && (out || n == 0));
    const uint32_t head = atomic_load_explicit(&ring->consumer.head, memory_order_relaxed);
    uint32_t ready = ring->consumer.tail_seen - head;
    if (ready < n) {
        ring->consumer.tail_seen = atomic_load_explicit(&ring->producer.tail, memory_order_acquire);
        ready = ring->consumer.tail_seen - head;
    }
    const uint32_t taken = n < ready ? n : ready;
    if (taken > 0) {
        const span from = span_at(ring, head, taken);
        memcpy(out, from.first, from.first_bytes);
        if (from.rest_bytes) memcpy((char *)out + from.first_bytes, ring->elements, from.rest_bytes);
        atomic_store_explicit(&ring->consumer.head, head + taken, memory_order_release);
    }
    return taken;
}

uint32_t fp_ring_size(const fp_ring *ring) {
    assert(ring);
    /* Head before tail: the other order could see a head that has overtaken the tail. */
    const uint32_t head = atomic_load_explicit(&ring->consumer.head, memory_order_acquire);
    const uint32_t size = atomic_load_explicit(&ring->producer.tail, memory_order_acquire) - head;
    return size < ring->slots ? size : ring->slots;
}

uint64_t fp_ring_dropped(const fp_ring *ring) {
    assert(ring);
    return atomic_load_explicit(&ring->producer.dropped, memory_order_relaxed);
}

const char *fp_ring_check(const fp_ring *ring) {
    assert(ring);
    const uint32_t tail = atomic_load_explicit(&ring->producer.tail, memory_order_acquire);
    const uint32_t head = atomic_load_explicit(&ring->consumer.head, memory_order_acquire);
    if (ring->slots == 0 || (ring->slots & (ring->slots - 1)) != 0) return "slots is a power of two";
    if (tail - head > ring->slots) return "no more elements than slots";
    if (tail - ring->producer.head_seen > ring->slots) return "the producer never runs a lap ahead of the head it has seen";
    if (head - ring->producer.head_seen > ring->slots) return "the producer's view of head is not ahead of head";
    if (tail - ring->consumer.tail_seen > tail - head) return "the consumer's view of tail lies between head and tail";
    return NULL;
}
