/* A 4-ary heap in one array, due times beside the ids, with the position of each timer for cancel: libev's shape. */
#include "bench_timer.h"

#include <stdlib.h>

enum { ARITY = 4 };

static const uint32_t NOWHERE = UINT32_MAX;

struct item {
    uint32_t due; /* 32 bits: half the memory, and more than this benchmark's clock needs */
    uint32_t id;
};

struct heap {
    struct item *items;
    uint32_t *position; /* of each id in items */
    uint32_t *interval;
    uint32_t size;
};

static void *create(uint32_t count) {
    struct heap *heap = calloc(1, sizeof *heap);
    heap->items = malloc(count * sizeof *heap->items);
    heap->position = malloc(count * sizeof *heap->position);
    heap->interval = calloc(count, sizeof *heap->interval);
    for (uint32_t id = 0; id < count; id++) heap->position[id] = NOWHERE;
    return heap;
}

static void destroy(void *self) {
    struct heap *heap = self;
    free(heap->items);
    free(heap->position);
    free(heap->interval);
    free(heap);
}

static void place(struct heap *heap, uint32_t at, struct item item) {
    heap->items[at] = item;
    heap->position[item.id] = at;
}

static void sift_up(struct heap *heap, uint32_t at) {
    const struct item item = heap->items[at];
    while (at > 0) {
        const uint32_t parent = (at - 1) / ARITY;
        if (heap->items[parent].due <= item.due) break;
        place(heap, at, heap->items[parent]);
        at = parent;
    }
    place(heap, at, item);
}

static void sift_down(struct heap *heap, uint32_t at) {
    const struct item item = heap->items[at];
    for (;;) {
        const uint32_t first = at * ARITY + 1;
        if (first >= heap->size) break;
        const uint32_t end = first + ARITY < heap->size ? first + ARITY : heap->size;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; child++)
            if (heap->items[child].due < heap->items[least].due) least = child;
        if (heap->items[least].due >= item.due) break;
        place(heap, at, heap->items[least]);
        at = least;
    }
    place(heap, at, item);
}

static void remove_at(struct heap *heap, uint32_t at) {
    heap->position[heap->items[at].id] = NOWHERE;
    heap->size--;
    if (at == heap->size) return;
    heap->items[at] = heap->items[heap->size];
    if (at > 0 && heap->items[at].due < heap->items[(at - 1) / ARITY].due)
        sift_up(heap, at);
    else
        sift_down(heap, at);
}

static void cancel(void *self, uint32_t id) {
    struct heap *heap = self;
    if (heap->position[id] != NOWHERE) remove_at(heap, heap->position[id]);
}

static void arm(void *self, uint32_t id, uint64_t due, uint32_t interval) {
    struct heap *heap = self;
    cancel(heap, id);
    heap->interval[id] = interval;
    heap->items[heap->size] = (struct item){(uint32_t)due, id};
    sift_up(heap, heap->size++);
}

static uint32_t expire(void *self, uint64_t now, uint32_t *out) {
    struct heap *heap = self;
    uint32_t n = 0;
    while (heap->size > 0 && heap->items[0].due <= now) {
        const uint32_t id = heap->items[0].id;
        out[n++] = id;
        if (heap->interval[id]) {
            heap->items[0].due += heap->interval[id];
            sift_down(heap, 0);
        } else {
            remove_at(heap, 0);
        }
    }
    return n;
}

static size_t bytes(void *self, uint32_t count) {
    (void)self;
    return sizeof(struct heap) + count * (sizeof(struct item) + 2 * sizeof(uint32_t));
}

const struct bench_timers timers_heap4 = {
    "heap4", "4-ary heap with a position index", create, destroy, arm, cancel, expire, bytes,
};
