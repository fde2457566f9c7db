/* A block of failures a probe, found by slot; blocks in the order in which their probes failed last. */
#include "fastprobe/failures.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX

typedef struct block {
    uint32_t slot;
    uint32_t generation;
    uint32_t older; /* neighbours by last failure; in the free list, older is the next */
    uint32_t newer;
    uint32_t written; /* failures so far: the last FP_FAILURES_KEPT of them are here */
    uint32_t told;    /* a bit for each of those here that was told, and whose record is still to come */
    fp_failure failures[FP_FAILURES_KEPT];
} block;
_Static_assert(FP_FAILURES_KEPT <= 32, "a bit each");

struct fp_failures {
    uint32_t capacity;
    uint32_t probes;
    uint32_t used;  /* blocks [0, this) have been touched */
    uint32_t free;  /* a stack of those given back */
    uint32_t count; /* blocks that hold failures */
    uint32_t oldest;
    uint32_t newest;
    uint64_t evicted;
    block *blocks;
    uint32_t *block_of; /* by slot, plus one: untouched pages mean none */
};

int fp_failures_new(fp_failures **failures, uint32_t capacity, uint32_t probes) {
    assert(failures);
    if (!capacity || !probes || probes == NONE) return -EINVAL;
    fp_failures *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->capacity = capacity;
    made->probes = probes;
    made->free = made->oldest = made->newest = NONE;
    made->blocks = fp_reserve((size_t)probes * sizeof(block));
    made->block_of = fp_reserve((size_t)capacity * sizeof(uint32_t));
    if (!made->blocks || !made->block_of) {
        fp_failures_free(made);
        return -ENOMEM;
    }
    *failures = made;
    return 0;
}

void fp_failures_free(fp_failures *failures) {
    if (!failures) return;
    fp_release(failures->blocks, (size_t)failures->probes * sizeof(block));
    fp_release(failures->block_of, (size_t)failures->capacity * sizeof(uint32_t));
    free(failures);
}

/* -- blocks by age -------------------------------------------------------------------------------------------------------- */

static void unlink_block(fp_failures *failures, const block *b) {
    if (b->older == NONE)
        failures->oldest = b->newer;
    else
        failures->blocks[b->older].newer = b->newer;
    if (b->newer == NONE)
        failures->newest = b->older;
    else
        failures->blocks[b->newer].older = b->older;
}

static void make_newest(fp_failures *failures, block *b) {
    const uint32_t index = (uint32_t)(b - failures->blocks);
    b->older = failures->newest;
    b->newer = NONE;
    if (failures->newest == NONE)
        failures->oldest = index;
    else
        failures->blocks[failures->newest].newer = index;
    failures->newest = index;
}

void fp_failures_forget(fp_failures *failures, uint32_t slot) {
    assert(failures && slot < failures->capacity);
    const uint32_t found = failures->block_of[slot];
    if (!found) return;
    block *b = &failures->blocks[found - 1];
    unlink_block(failures, b);
    failures->block_of[slot] = 0;
    b->older = failures->free;
    failures->free = found - 1;
    failures->count--;
}

static uint32_t take_block(fp_failures *failures) {
    if (failures->free == NONE && failures->used < failures->probes) return failures->used++;
    if (failures->free == NONE) {
        fp_failures_forget(failures, failures->blocks[failures->oldest].slot);
        failures->evicted++;
    }
    const uint32_t index = failures->free;
    failures->free = failures->blocks[index].older;
    return index;
}

static block *block_for(fp_failures *failures, uint32_t slot, uint32_t generation) {
    const uint32_t found = failures->block_of[slot];
    if (found) {
        block *b = &failures->blocks[found - 1];
        if (b->generation != generation) b->written = b->told = 0;
        b->generation = generation;
        if (failures->newest == found - 1) return b;
        unlink_block(failures, b);
        make_newest(failures, b);
        return b;
    }
    const uint32_t index = take_block(failures);
    block *b = &failures->blocks[index];
    b->slot = slot;
    b->generation = generation;
    b->written = b->told = 0;
    failures->block_of[slot] = index + 1;
    failures->count++;
    make_newest(failures, b);
    return b;
}

/* -- in and out ----------------------------------------------------------------------------------------------------------- */

static bool is_failure(uint8_t result) {
    return result == FP_FAIL || result == FP_TIMEOUT || result == FP_ERROR;
}

static uint32_t to_us(fp_ns ns) {
    return ns / FP_NS_PER_US < UINT32_MAX ? (uint32_t)(ns / FP_NS_PER_US) : UINT32_MAX;
}

/* Where it is among those that are kept. */
static uint32_t add(fp_failures *failures, uint32_t slot, uint32_t generation, const fp_failure *failure) {
    block *b = block_for(failures, slot, generation);
    const uint32_t at = b->written % FP_FAILURES_KEPT;
    b->told &= ~(1u << at);
    b->failures[at] = *failure;
    b->written = b->written < 2 * FP_FAILURES_KEPT - 1 ? b->written + 1 : FP_FAILURES_KEPT;
    return at;
}

void fp_failures_take_trace(fp_failures *failures, const fp_trace *trace) {
    assert(failures && trace->slot < failures->capacity);
    if (!is_failure(trace->result)) return;
    add(failures, trace->slot, trace->generation,
        &(fp_failure){
            .started_ns = trace->started_ns,
            .latency_us = to_us(trace->latency_ns),
            .connect_us = trace->connect_us,
            .tls_us = FP_UNREACHED,
            .first_byte_us = trace->first_byte_us,
            .rtt_us = trace->rtt_us,
            .detail = trace->detail,
            .status = trace->status,
            .result = trace->result,
            .reason = trace->reason,
            .retransmissions = trace->retransmissions,
            .flags = trace->flags,
        });
}

void fp_failures_tell(fp_failures *failures, uint32_t slot, uint32_t generation, const fp_failure *failure) {
    assert(failures && slot < failures->capacity && is_failure(failure->result));
    const uint32_t at = add(failures, slot, generation, failure);
    failures->blocks[failures->block_of[slot] - 1].told |= 1u << at;
}

/* Whether this is the record of a failure that was told; it is told only once. Between the two, records of real calls may have
 * come, of which nobody tells more. */
static bool told(const fp_failures *failures, const fp_record *record) {
    const uint32_t found = failures->block_of[record->slot];
    if (!found || record->result & FP_PASSIVE) return false;
    block *b = &failures->blocks[found - 1];
    if (b->generation != record->generation) return false;
    for (uint32_t at = 0; b->told >> at; at++) {
        if (!(b->told >> at & 1u) || b->failures[at].started_ns != record->started_ns) continue;
        b->told &= ~(1u << at);
        return true;
    }
    return false;
}

void fp_failures_take_records(fp_failures *failures, const fp_record *records, uint32_t n) {
    assert(failures && (records || n == 0));
    for (const fp_record *record = records; record < records + n; record++) {
        const uint8_t result = record->result & (uint8_t)~FP_PASSIVE;
        if (!is_failure(result) || record->slot >= failures->capacity || told(failures, record)) continue;
        add(failures, record->slot, record->generation,
            &(fp_failure){
                .started_ns = record->started_ns,
                .latency_us = to_us(record->latency_ns),
                .connect_us = FP_UNREACHED,
                .tls_us = FP_UNREACHED,
                .first_byte_us = FP_UNREACHED,
                .rtt_us = FP_UNREACHED,
                .detail = record->detail,
                .result = result,
                .reason = record->reason,
            });
    }
}

uint32_t fp_failures_read(const fp_failures *failures, uint32_t slot, uint32_t generation, fp_failure out[FP_FAILURES_KEPT]) {
    assert(failures && slot < failures->capacity && out);
    const uint32_t found = failures->block_of[slot];
    if (!found || failures->blocks[found - 1].generation != generation) return 0;
    const block *b = &failures->blocks[found - 1];
    const uint32_t n = b->written < FP_FAILURES_KEPT ? b->written : FP_FAILURES_KEPT;
    for (uint32_t i = 0; i < n; i++) out[i] = b->failures[(b->written - n + i) % FP_FAILURES_KEPT];
    return n;
}

uint32_t fp_failures_probes(const fp_failures *failures) {
    return failures->count;
}

uint64_t fp_failures_evicted(const fp_failures *failures) {
    return failures->evicted;
}

/* -- soundness ------------------------------------------------------------------------------------------------------------ */

const char *fp_failures_check(const fp_failures *failures) {
    uint32_t listed = 0, spare = 0, previous = NONE;
    for (uint32_t i = failures->oldest; i != NONE; previous = i, i = failures->blocks[i].newer) {
        const block *b = &failures->blocks[i];
        if (i >= failures->used || ++listed > failures->count) return "the list of blocks ends";
        if (b->older != previous) return "neighbours name each other";
        if (b->slot >= failures->capacity || failures->block_of[b->slot] != i + 1)
            return "a block and its slot name each other";
        if (!b->written) return "a block in use holds a failure";
    }
    if (failures->newest != previous) return "newest is the last of the list";
    for (uint32_t i = failures->free; i != NONE && spare <= failures->used; i = failures->blocks[i].older) spare++;
    if (listed != failures->count || listed + spare != failures->used) return "a block is in use or free";
    return failures->used <= failures->probes ? NULL : "no more blocks than there is room for";
}
