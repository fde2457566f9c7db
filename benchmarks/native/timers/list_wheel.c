/* The textbook: a hierarchical cascading wheel of intrusive doubly-linked lists, 256 slots of one tick and four levels of 64,
 * as in Linux before 4.8. Each node is an object of its own on the heap, as it is where it is embedded in a connection or a
 * probe. */
#include "bench_timer.h"

#include <stdlib.h>

enum { NEAR_BITS = 8, NEAR_SLOTS = 1 << NEAR_BITS, FAR_BITS = 6, FAR_SLOTS = 1 << FAR_BITS, FAR_LEVELS = 4 };

struct link {
    struct link *next;
    struct link *previous;
};

struct node {
    struct link link; /* first: a link is its node */
    uint64_t due;
    uint32_t interval;
    uint32_t id;
};

struct wheel {
    uint64_t now;
    uint32_t count;
    struct node **nodes;
    struct link near[NEAR_SLOTS];
    struct link far[FAR_LEVELS][FAR_SLOTS];
};

static void make_empty(struct link *head) {
    head->next = head->previous = head;
}

static void append(struct link *head, struct link *link) {
    link->next = head;
    link->previous = head->previous;
    head->previous->next = link;
    head->previous = link;
}

static void unlink_node(struct node *node) {
    node->link.next->previous = node->link.previous;
    node->link.previous->next = node->link.next;
    node->link.next = NULL;
}

static void *create(uint32_t count) {
    struct wheel *wheel = calloc(1, sizeof *wheel);
    wheel->count = count;
    wheel->nodes = malloc(count * sizeof *wheel->nodes);
    for (uint32_t id = 0; id < count; id++) {
        wheel->nodes[id] = calloc(1, sizeof **wheel->nodes);
        wheel->nodes[id]->id = id;
    }
    for (uint32_t i = 0; i < NEAR_SLOTS; i++) make_empty(&wheel->near[i]);
    for (uint32_t level = 0; level < FAR_LEVELS; level++)
        for (uint32_t i = 0; i < FAR_SLOTS; i++) make_empty(&wheel->far[level][i]);
    return wheel;
}

static void destroy(void *self) {
    struct wheel *wheel = self;
    for (uint32_t id = 0; id < wheel->count; id++) free(wheel->nodes[id]);
    free(wheel->nodes);
    free(wheel);
}

static void insert(struct wheel *wheel, struct node *node) {
    const uint64_t ahead = node->due - wheel->now;
    if (ahead < NEAR_SLOTS) {
        append(&wheel->near[node->due % NEAR_SLOTS], &node->link);
        return;
    }
    uint32_t level = 0, shift = NEAR_BITS;
    while (level + 1 < FAR_LEVELS && ahead >> (shift + FAR_BITS)) level++, shift += FAR_BITS;
    append(&wheel->far[level][(node->due >> shift) % FAR_SLOTS], &node->link);
}

static void arm(void *self, uint32_t id, uint64_t due, uint32_t interval) {
    struct wheel *wheel = self;
    struct node *node = wheel->nodes[id];
    if (node->link.next) unlink_node(node);
    node->due = due;
    node->interval = interval;
    insert(wheel, node);
}

static void cancel(void *self, uint32_t id) {
    struct node *node = ((struct wheel *)self)->nodes[id];
    if (node->link.next) unlink_node(node);
}

static void cascade(struct wheel *wheel) {
    for (uint32_t level = 0, shift = NEAR_BITS; level < FAR_LEVELS; level++, shift += FAR_BITS) {
        if (wheel->now & ((1ULL << shift) - 1)) return;
        struct link *head = &wheel->far[level][(wheel->now >> shift) % FAR_SLOTS];
        struct link *link = head->next;
        make_empty(head);
        for (struct link *next; link != head; link = next) {
            next = link->next;
            insert(wheel, (struct node *)link);
        }
    }
}

static uint32_t expire(void *self, uint64_t now, uint32_t *out) {
    struct wheel *wheel = self;
    uint32_t n = 0;
    while (wheel->now < now) {
        wheel->now++;
        cascade(wheel);
        struct link *head = &wheel->near[wheel->now % NEAR_SLOTS];
        struct link *link = head->next;
        make_empty(head);
        for (struct link *next; link != head; link = next) {
            next = link->next;
            struct node *node = (struct node *)link;
            out[n++] = node->id;
            if (node->interval) {
                node->due += node->interval;
                insert(wheel, node);
            } else {
                node->link.next = NULL;
            }
        }
    }
    return n;
}

static size_t bytes(void *self, uint32_t count) {
    (void)self;
    return sizeof(struct wheel) + count * sizeof(struct node); /* malloc's own share and the id table left out */
}

const struct bench_timers timers_list_wheel = {
    "list_wheel", "cascading wheel of intrusive doubly-linked lists", create, destroy, arm, cancel, expire, bytes,
};
