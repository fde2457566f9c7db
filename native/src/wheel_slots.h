/* wheel_slots.h - where entries are kept: pools of chunks, the slots of all levels, the late queue. Knows nothing of timers.
 *
 * Inline, because the wheel spends its life in put_entry(). */
#ifndef FASTPROBE_WHEEL_SLOTS_H
#define FASTPROBE_WHEEL_SLOTS_H

#include <assert.h>

#include "wheel_layout.h"

static const struct slot EMPTY_NEAR = {NO_CHUNK, NEAR_CHUNK_ENTRIES};
static const struct slot EMPTY_FAR = {NO_CHUNK, FAR_CHUNK_ENTRIES};
static const struct late_queue EMPTY_LATE = {NO_CHUNK, NO_CHUNK, 0, NEAR_CHUNK_ENTRIES};

static inline uint32_t near_take(fp_wheel *wheel) {
    struct pool *pool = &wheel->near_pool;
    const uint32_t index = pool->free;
    if (index != NO_CHUNK) {
        pool->free = near_chunk(wheel, index)->next;
        return index;
    }
    assert(pool->touched < pool->capacity); /* proved at pool_sizes() in wheel.c */
    return pool->touched++;
}

static inline void near_give(fp_wheel *wheel, uint32_t index) {
    near_chunk(wheel, index)->next = wheel->near_pool.free;
    wheel->near_pool.free = index;
}

static inline uint32_t far_take(fp_wheel *wheel) {
    struct pool *pool = &wheel->far_pool;
    const uint32_t index = pool->free;
    if (index != NO_CHUNK) {
        pool->free = far_chunk(wheel, index)->next;
        return index;
    }
    assert(pool->touched < pool->capacity);
    return pool->touched++;
}

static inline void far_give(fp_wheel *wheel, uint32_t index) {
    far_chunk(wheel, index)->next = wheel->far_pool.free;
    wheel->far_pool.free = index;
}

static inline void near_put(fp_wheel *wheel, struct entry item) {
    const uint32_t position = item.due % NEAR_SLOTS;
    struct slot *slot = &wheel->near[position];
    if (slot->fill == NEAR_CHUNK_ENTRIES) {
        const uint32_t index = near_take(wheel);
        near_chunk(wheel, index)->next = slot->chunk;
        slot->chunk = index;
        slot->fill = 0;
        bit_set(wheel->near_bits, position);
    }
    near_chunk(wheel, slot->chunk)->entries[slot->fill++] = item;
}

static inline void far_put(fp_wheel *wheel, uint32_t level, struct entry item) {
    const uint32_t position = item.due >> far_shift(level) & (FAR_SLOTS - 1);
    struct slot *slot = &wheel->far[level][position];
    if (slot->fill == FAR_CHUNK_ENTRIES) {
        const uint32_t index = far_take(wheel);
        far_chunk(wheel, index)->next = slot->chunk;
        slot->chunk = index;
        slot->fill = 0;
        wheel->far_bits[level] |= 1ULL << position;
    }
    far_chunk(wheel, slot->chunk)->entries[slot->fill++] = item;
}

/* The level follows from the distance alone: what is less than 64 slots ahead, in slots of a level's width, goes to slot
 * (due / width) % 64, which next begins at due or before. If that is the slot the cursor is inside of, it begins a turn from
 * now; what it held for this turn was cascaded when the cursor came to it. */
static inline void put_entry(fp_wheel *wheel, struct entry item) {
    const uint32_t ahead = item.due - (uint32_t)wheel->cursor;
    if (ahead < NEAR_SLOTS)
        near_put(wheel, item);
    else if (ahead < 1U << 16)
        far_put(wheel, 0, item);
    else if (ahead < 1U << 22)
        far_put(wheel, 1, item);
    else if (ahead < 1U << 28)
        far_put(wheel, 2, item);
    else
        far_put(wheel, 3, item);
}

static inline void late_put(fp_wheel *wheel, struct entry item) {
    struct late_queue *late = &wheel->late;
    if (late->fill == NEAR_CHUNK_ENTRIES) {
        const uint32_t index = near_take(wheel);
        near_chunk(wheel, index)->next = NO_CHUNK;
        if (late->first == NO_CHUNK)
            late->first = index;
        else
            near_chunk(wheel, late->last)->next = index;
        late->last = index;
        late->fill = 0;
    }
    near_chunk(wheel, late->last)->entries[late->fill++] = item;
}

static inline struct entry late_pop(fp_wheel *wheel) {
    struct late_queue *late = &wheel->late;
    const uint32_t index = late->first;
    const struct chunk *first = near_chunk(wheel, index);
    const struct entry item = first->entries[late->taken++];
    const bool last = index == late->last;
    if (late->taken == (last ? late->fill : NEAR_CHUNK_ENTRIES)) {
        if (last)
            *late = EMPTY_LATE;
        else {
            late->first = first->next;
            late->taken = 0;
        }
        near_give(wheel, index);
    }
    return item;
}

/* Taken out whole, for those who put the entries elsewhere. */
static inline struct slot near_detach(fp_wheel *wheel, uint32_t position) {
    const struct slot taken = wheel->near[position];
    wheel->near[position] = EMPTY_NEAR;
    bit_clear(wheel->near_bits, position);
    return taken;
}

static inline struct slot far_detach(fp_wheel *wheel, uint32_t level, uint32_t position) {
    const struct slot taken = wheel->far[level][position];
    wheel->far[level][position] = EMPTY_FAR;
    wheel->far_bits[level] &= ~(1ULL << position);
    return taken;
}

static inline uint64_t rotate_right(uint64_t bits, uint32_t by) {
    return bits >> (by & 63) | bits << (-by & 63);
}

/* The tick of the first near slot that holds something, FP_NEVER if none does. */
static inline uint64_t near_stop(const fp_wheel *wheel) {
    const uint32_t start = (uint32_t)wheel->cursor % NEAR_SLOTS;
    uint32_t word = start / 64;
    uint64_t bits = wheel->near_bits[word] & UINT64_MAX << (start % 64);
    for (uint32_t i = 0; i <= NEAR_WORDS; i++) { /* one more than there are words: the first one's low part comes last */
        if (bits) {
            const uint32_t position = word * 64 + (uint32_t)__builtin_ctzll(bits);
            return wheel->cursor + (position - start) % NEAR_SLOTS;
        }
        word = (word + 1) % NEAR_WORDS;
        bits = wheel->near_bits[word];
    }
    return FP_NEVER;
}

/* The next tick, from the cursor on, at which there is something to do: a near slot to drain or a far slot to cascade. */
static inline uint64_t next_stop(const fp_wheel *wheel) {
    uint64_t stop = near_stop(wheel);
    const bool inside_block = wheel->cursor % NEAR_SLOTS != 0;
    if (inside_block && stop <= (wheel->cursor | (NEAR_SLOTS - 1))) return stop; /* far slots begin where a block begins */
    for (uint32_t level = 0; level < FAR_LEVELS; level++) {
        if (!wheel->far_bits[level]) continue;
        /* The first slot that begins at the cursor or after it; the one the cursor is inside of is 64 slots away. */
        const uint32_t shift = far_shift(level);
        const uint64_t first = (wheel->cursor + (1ULL << shift) - 1) >> shift;
        /* The topmost level turns after 16 slots: it wraps at 2^32 ticks, as the stored ticks do. */
        const uint64_t pattern = level == FAR_LEVELS - 1 ? 0x0001000100010001ULL : 1;
        const uint64_t bits = rotate_right(wheel->far_bits[level] * pattern, (uint32_t)first % FAR_SLOTS);
        const uint64_t begin = (first + (uint32_t)__builtin_ctzll(bits)) << shift;
        if (begin < stop) stop = begin;
    }
    return stop;
}

#endif
