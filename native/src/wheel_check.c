/* wheel_check.c - the wheel's self-check: walks all that is queued and names the first broken invariant. */
#include "wheel_layout.h"

#include <stdlib.h>

struct walk {
    const fp_wheel *wheel;
    uint64_t *found;      /* timers whose living entry was seen */
    uint64_t *near_known; /* chunks seen in a slot, in the late queue or on the free list */
    uint64_t *far_known;
    uint64_t entries;
    uint32_t living;
};

static const char *meet_chunk(const struct pool *pool, uint64_t *known, uint32_t index) {
    if (index >= pool->touched) return "a chunk index is out of its pool";
    if (bit_get(known, index)) return "a chunk is linked twice";
    bit_set(known, index);
    return NULL;
}

static const char *meet_entry(struct walk *walk, struct entry item, bool in_late_queue) {
    const fp_wheel *wheel = walk->wheel;
    walk->entries++;
    if (item.id >= wheel->touched) return "an entry's id was never armed";
    const struct timer *timer = &wheel->timers[item.id];
    const bool alive = timer->period != IDLE && timer->due == item.due && bit_get(wheel->late_bits, item.id) == in_late_queue;
    if (alive && !bit_get(walk->found, item.id)) {
        bit_set(walk->found, item.id);
        walk->living++;
    }
    return NULL;
}

static const char *check_near_slot(struct walk *walk, uint32_t position) {
    const fp_wheel *wheel = walk->wheel;
    struct slot slot = wheel->near[position];
    if (bit_get(wheel->near_bits, position) != (slot.chunk != NO_CHUNK)) return "a near slot's bit is wrong";
    if (slot.fill == 0 || slot.fill > NEAR_CHUNK_ENTRIES) return "a near slot's fill is out of range";
    if (slot.chunk == NO_CHUNK && slot.fill != NEAR_CHUNK_ENTRIES) return "an empty near slot does not ask for a chunk";
    for (; slot.chunk != NO_CHUNK; slot.fill = NEAR_CHUNK_ENTRIES) {
        const char *broken = meet_chunk(&wheel->near_pool, walk->near_known, slot.chunk);
        if (broken) return broken;
        const struct chunk *chunk = near_chunk(wheel, slot.chunk);
        for (uint32_t i = 0; i < slot.fill; i++) {
            const uint32_t due = chunk->entries[i].due;
            if (due % NEAR_SLOTS != position) return "an entry is in another tick's near slot";
            if (tick_in_slot(wheel, due) - wheel->cursor >= NEAR_SLOTS) return "a near slot holds a tick of another turn";
            broken = meet_entry(walk, chunk->entries[i], false);
            if (broken) return broken;
        }
        slot.chunk = chunk->next;
    }
    return NULL;
}

static const char *check_far_slot(struct walk *walk, uint32_t level, uint32_t position) {
    const fp_wheel *wheel = walk->wheel;
    const uint32_t shift = far_shift(level);
    const uint64_t width = 1ULL << shift;
    struct slot slot = wheel->far[level][position];
    if ((wheel->far_bits[level] >> position & 1) != (slot.chunk != NO_CHUNK)) return "a far slot's bit is wrong";
    if (slot.fill == 0 || slot.fill > FAR_CHUNK_ENTRIES) return "a far slot's fill is out of range";
    if (slot.chunk == NO_CHUNK && slot.fill != FAR_CHUNK_ENTRIES) return "an empty far slot does not ask for a chunk";
    for (; slot.chunk != NO_CHUNK; slot.fill = FAR_CHUNK_ENTRIES) {
        const char *broken = meet_chunk(&wheel->far_pool, walk->far_known, slot.chunk);
        if (broken) return broken;
        const struct chunk *chunk = far_chunk(wheel, slot.chunk);
        for (uint32_t i = 0; i < slot.fill; i++) {
            const uint32_t due = chunk->entries[i].due;
            if ((due >> shift & (FAR_SLOTS - 1)) != position) return "an entry is in another tick's far slot";
            /* Its slot must begin at the cursor or later, else the cascade has missed it; and less than one turn later. */
            const uint64_t begin = wheel->cursor + ((due & ~(uint32_t)(width - 1)) - (uint32_t)wheel->cursor);
            if (begin > tick_in_slot(wheel, due)) return "a far slot that has begun was not cascaded";
            if (begin - wheel->cursor >= FAR_SLOTS * width) return "a far slot holds a tick of another turn";
            broken = meet_entry(walk, chunk->entries[i], false);
            if (broken) return broken;
        }
        slot.chunk = chunk->next;
    }
    return NULL;
}

static const char *check_late_queue(struct walk *walk) {
    const fp_wheel *wheel = walk->wheel;
    const struct late_queue *late = &wheel->late;
    if (late_is_empty(wheel)) return late->fill == NEAR_CHUNK_ENTRIES ? NULL : "an empty late queue does not ask for a chunk";
    if (late->taken >= NEAR_CHUNK_ENTRIES || late->fill == 0 || late->fill > NEAR_CHUNK_ENTRIES)
        return "the late queue's ends are out of range";
    if (late->first == late->last && late->taken >= late->fill) return "the late queue keeps an empty chunk";
    uint32_t index = late->first;
    for (;;) {
        const char *broken = meet_chunk(&wheel->near_pool, walk->near_known, index);
        if (broken) return broken;
        const struct chunk *chunk = near_chunk(wheel, index);
        const uint32_t end = index == late->last ? late->fill : NEAR_CHUNK_ENTRIES;
        for (uint32_t i = index == late->first ? late->taken : 0; i < end; i++) {
            broken = meet_entry(walk, chunk->entries[i], true);
            if (broken) return broken;
        }
        if (index == late->last) break;
        index = chunk->next;
    }
    return near_chunk(wheel, late->last)->next == NO_CHUNK ? NULL : "the late queue goes on behind its last chunk";
}

static const char *check_free_lists(struct walk *walk) {
    const fp_wheel *wheel = walk->wheel;
    for (uint32_t i = wheel->near_pool.free; i != NO_CHUNK; i = near_chunk(wheel, i)->next) {
        const char *broken = meet_chunk(&wheel->near_pool, walk->near_known, i);
        if (broken) return broken;
    }
    for (uint32_t i = wheel->far_pool.free; i != NO_CHUNK; i = far_chunk(wheel, i)->next) {
        const char *broken = meet_chunk(&wheel->far_pool, walk->far_known, i);
        if (broken) return broken;
    }
    for (uint32_t i = 0; i < wheel->near_pool.touched; i++)
        if (!bit_get(walk->near_known, i)) return "a near chunk is lost";
    for (uint32_t i = 0; i < wheel->far_pool.touched; i++)
        if (!bit_get(walk->far_known, i)) return "a far chunk is lost";
    return NULL;
}

static const char *check_timers(const struct walk *walk) {
    const fp_wheel *wheel = walk->wheel;
    uint32_t armed = 0;
    for (uint32_t id = 0; id < wheel->touched; id++) {
        const bool is_armed = wheel->timers[id].period != IDLE;
        armed += is_armed;
        if (is_armed && !bit_get(walk->found, id)) return "an armed timer has no living entry";
        if (!is_armed && bit_get(wheel->late_bits, id)) return "an idle timer is marked late";
        if (late_is_empty(wheel) && bit_get(wheel->late_bits, id)) return "a timer is marked late, but none is";
    }
    if (armed != wheel->armed) return "the armed count is wrong";
    if (walk->living != armed) return "living entries and armed timers differ in number";
    return NULL;
}

static const char *check_all(struct walk *walk) {
    const fp_wheel *wheel = walk->wheel;
    const char *broken = NULL;
    if (wheel->now != wheel->now_ns / wheel->tick_ns) return "now in ticks is not now";
    if (wheel->cursor > wheel->now + 1) return "the cursor is ahead of time";
    for (uint32_t i = 0; i < NEAR_SLOTS && !broken; i++) broken = check_near_slot(walk, i);
    for (uint32_t level = 0; level < FAR_LEVELS && !broken; level++)
        for (uint32_t i = 0; i < FAR_SLOTS && !broken; i++) broken = check_far_slot(walk, level, i);
    if (!broken) broken = check_late_queue(walk);
    if (!broken) broken = check_free_lists(walk);
    if (!broken) broken = check_timers(walk);
    if (broken) return broken;
    if (walk->entries != wheel->queued) return "the count of queued entries is wrong";
    if (wheel->queued > 2 * (uint64_t)wheel->capacity + DEAD_ALLOWANCE)
        return "more entries are queued than the pools allow for";
    return NULL;
}

const char *fp_wheel_check(const fp_wheel *wheel) {
    struct walk walk = {
        .wheel = wheel,
        .found = calloc(1, bitmap_bytes(wheel->touched) + 8), /* + 8: calloc(1, 0) may be NULL */
        .near_known = calloc(1, bitmap_bytes(wheel->near_pool.touched) + 8),
        .far_known = calloc(1, bitmap_bytes(wheel->far_pool.touched) + 8),
    };
    const bool ready = walk.found && walk.near_known && walk.far_known;
    const char *broken = ready ? check_all(&walk) : "no memory for the check";
    free(walk.found);
    free(walk.near_known);
    free(walk.far_known);
    return broken;
}
