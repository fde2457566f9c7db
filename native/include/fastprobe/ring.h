/* ring.h - bounded single-producer single-consumer rings of fixed-size elements.
 *
 * Exactly one thread pushes and exactly one pops; no locks. Head and tail live on cache lines of their own, and each side keeps
 * a private copy of the other's index so that a batch costs one shared load. What does not fit is refused and counted. */
#ifndef FASTPROBE_RING_H
#define FASTPROBE_RING_H
#include "fastprobe/base.h"

typedef struct fp_ring fp_ring;

int fp_ring_new(fp_ring **ring, uint32_t slots, uint32_t element_bytes); /* slots: a power of two. -EINVAL, -ENOMEM */
void fp_ring_free(fp_ring *ring);

/* Producer. Returns how many of n were taken; the rest is counted as dropped when count_drops is set. */
uint32_t fp_ring_push(fp_ring *ring, const void *elements, uint32_t n, bool count_drops);
/* Consumer. Returns how many were copied to out, at most n. */
uint32_t fp_ring_pop(fp_ring *ring, void *out, uint32_t n);

uint32_t fp_ring_size(const fp_ring *ring);    /* either side; a moment's truth */
uint64_t fp_ring_dropped(const fp_ring *ring); /* either side */
const char *fp_ring_check(const fp_ring *ring);

#endif
