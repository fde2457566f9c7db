/* wheel.c - arming, cancelling, cascading and expiring. The layout is in wheel_layout.h, the entries' places in wheel_slots.h.
 */
#include "wheel_slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Most entries ever held. Only fp_wheel_arm adds one, and it sweeps the dead out as soon as they outnumber the armed by more
 * than DEAD_ALLOWANCE: when it returns, queued <= 2 * armed + DEAD_ALLOWANCE <= 2 * capacity + DEAD_ALLOWANCE. Firing,
 * cancelling and leaping add none, so that holds until the next arm, which has one more in hand for the moment before it
 * sweeps. */
static uint64_t queue_bound(uint32_t capacity) {
    return 2 * (uint64_t)capacity + DEAD_ALLOWANCE + 1;
}

/* Chunks that hold that many entries however they are spread: full ones, plus one partly filled a slot (two for the late queue,
 * at either end), plus one being poured out while its first entries already need another. */
static void size_pools(fp_wheel *wheel) {
    const uint64_t bound = queue_bound(wheel->capacity);
    wheel->near_pool.capacity = (uint32_t)(bound / NEAR_CHUNK_ENTRIES) + NEAR_SLOTS + 2 + 1;
    wheel->far_pool.capacity = (uint32_t)(bound / FAR_CHUNK_ENTRIES) + FAR_LEVELS * FAR_SLOTS + 1;
}

static size_t near_pool_bytes(uint32_t chunks) {
    return (size_t)chunks << NEAR_CHUNK_SHIFT;
}

static size_t far_pool_bytes(uint32_t chunks) {
    return (size_t)chunks << FAR_CHUNK_SHIFT;
}

int fp_wheel_new(fp_wheel **out, uint32_t capacity, fp_ns tick_ns, fp_ns now_ns) {
    assert(out);
    if (capacity == 0 || tick_ns < FP_NS_PER_US) return -EINVAL;
    fp_wheel *wheel = calloc(1, sizeof *wheel);
    if (!wheel) return -ENOMEM;
    wheel->capacity = capacity;
    wheel->tick_ns = tick_ns;
    wheel->now_ns = now_ns;
    wheel->now = now_ns / tick_ns;
    wheel->cursor = wheel->now + 1;
    wheel->late = EMPTY_LATE;
    for (uint32_t i = 0; i < NEAR_SLOTS; i++) wheel->near[i] = EMPTY_NEAR;
    for (uint32_t level = 0; level < FAR_LEVELS; level++)
        for (uint32_t i = 0; i < FAR_SLOTS; i++) wheel->far[level][i] = EMPTY_FAR;
    wheel->near_pool.free = wheel->far_pool.free = NO_CHUNK;
    size_pools(wheel);
    wheel->timers = fp_reserve((size_t)capacity * sizeof(struct timer));
    wheel->late_bits = fp_reserve(bitmap_bytes(capacity));
    wheel->seen_bits = fp_reserve(bitmap_bytes(capacity));
    wheel->near_pool.memory = fp_reserve(near_pool_bytes(wheel->near_pool.capacity));
    wheel->far_pool.memory = fp_reserve(far_pool_bytes(wheel->far_pool.capacity));
    if (!wheel->timers || !wheel->late_bits || !wheel->seen_bits || !wheel->near_pool.memory || !wheel->far_pool.memory) {
        fp_wheel_free(wheel);
        return -ENOMEM;
    }
    *out = wheel;
    return 0;
}

void fp_wheel_free(fp_wheel *wheel) {
    if (!wheel) return;
    fp_release(wheel->timers, (size_t)wheel->capacity * sizeof(struct timer));
    fp_release(wheel->late_bits, bitmap_bytes(wheel->capacity));
    fp_release(wheel->seen_bits, bitmap_bytes(wheel->capacity));
    fp_release(wheel->near_pool.memory, near_pool_bytes(wheel->near_pool.capacity));
    fp_release(wheel->far_pool.memory, far_pool_bytes(wheel->far_pool.capacity));
    free(wheel);
}

/* ---- sweeping the dead ------------------------------------------------------------------------------------------- */

/* The first living entry of a timer stays; its doubles (left by cancel and re-arm to the same tick) go with the dead. */
static bool survives(fp_wheel *wheel, struct entry item, bool in_late_queue) {
    const struct timer *timer = &wheel->timers[item.id];
    if (timer->period == IDLE || timer->due != item.due || bit_get(wheel->late_bits, item.id) != in_late_queue) return false;
    if (bit_get(wheel->seen_bits, item.id)) return false;
    bit_set(wheel->seen_bits, item.id);
    return true;
}

static void sweep_near(fp_wheel *wheel, uint32_t position) {
    struct slot from = near_detach(wheel, position);
    while (from.chunk != NO_CHUNK) {
        const uint32_t index = from.chunk;
        const struct chunk *chunk = near_chunk(wheel, index);
        for (uint32_t i = 0; i < from.fill; i++) {
            if (survives(wheel, chunk->entries[i], false))
                near_put(wheel, chunk->entries[i]);
            else
                wheel->queued--;
        }
        from = (struct slot){chunk->next, NEAR_CHUNK_ENTRIES};
        near_give(wheel, index);
    }
}

static void sweep_far(fp_wheel *wheel, uint32_t level, uint32_t position) {
    struct slot from = far_detach(wheel, level, position);
    while (from.chunk != NO_CHUNK) {
        const uint32_t index = from.chunk;
        const struct chunk *chunk = far_chunk(wheel, index);
        for (uint32_t i = 0; i < from.fill; i++) {
            if (survives(wheel, chunk->entries[i], false))
                far_put(wheel, level, chunk->entries[i]);
            else
                wheel->queued--;
        }
        from = (struct slot){chunk->next, FAR_CHUNK_ENTRIES};
        far_give(wheel, index);
    }
}

static void sweep_late(fp_wheel *wheel) {
    const struct late_queue from = wheel->late;
    wheel->late = EMPTY_LATE;
    for (uint32_t index = from.first; index != NO_CHUNK;) {
        const struct chunk *chunk = near_chunk(wheel, index);
        const uint32_t end = index == from.last ? from.fill : NEAR_CHUNK_ENTRIES;
        for (uint32_t i = index == from.first ? from.taken : 0; i < end; i++) {
            if (survives(wheel, chunk->entries[i], true))
                late_put(wheel, chunk->entries[i]);
            else
                wheel->queued--;
        }
        const uint32_t next = chunk->next;
        near_give(wheel, index);
        index = next;
    }
}

/* Costs a pass over everything queued; at least half of that is dead, and each dead entry was an arm or a cancel since the last
 * sweep: constant per call in the long run, milliseconds in the one call that pays (20 ns an entry). */
static void sweep(fp_wheel *wheel) {
    wheel->swept = true;
    memset(wheel->seen_bits, 0, bitmap_bytes(wheel->touched));
    for (uint32_t word = 0; word < NEAR_WORDS; word++)
        for (uint64_t bits = wheel->near_bits[word]; bits; bits &= bits - 1)
            sweep_near(wheel, word * 64 + (uint32_t)__builtin_ctzll(bits));
    for (uint32_t level = 0; level < FAR_LEVELS; level++)
        for (uint64_t bits = wheel->far_bits[level]; bits; bits &= bits - 1)
            sweep_far(wheel, level, (uint32_t)__builtin_ctzll(bits));
    sweep_late(wheel);
    assert(wheel->queued == wheel->armed);
}

/* ---- arming ------------------------------------------------------------------------------------------------------ */

/* The tick at which a time has passed: rounding up is what never fires early. */
static uint64_t ticks_up(const fp_wheel *wheel, fp_ns ns) {
    return ns / wheel->tick_ns + (ns % wheel->tick_ns != 0);
}

/* A due tick that lies further behind `position` than the late queue can tell is brought forward, on its phase if it has one.
 */
static uint64_t within_reach(uint64_t due, uint32_t period, uint64_t position) {
    if (due >= position || position - due < FP_WHEEL_REACH) return due;
    return period == ONCE ? position - FP_WHEEL_REACH + 1 : position - (position - due) % (period - 1);
}

int fp_wheel_arm(fp_wheel *wheel, uint32_t id, fp_ns due_ns, fp_ns interval_ns) {
    assert(wheel && id < wheel->capacity);
    uint64_t due = ticks_up(wheel, due_ns);
    const uint64_t interval = ticks_up(wheel, interval_ns);
    if (interval >= FP_WHEEL_REACH || (due > wheel->now && due - wheel->now >= FP_WHEEL_REACH)) return -ERANGE;
    const uint32_t period = (uint32_t)interval + 1;

    /* Late: its slot is drained already, or its time has passed within the tick that now is in. */
    const bool late = due < wheel->cursor || (due > wheel->now && due_ns <= wheel->now_ns);
    if (late) due = within_reach(due, period, wheel->cursor);

    struct timer *timer = &wheel->timers[id];
    const bool was_late = timer_is_late(wheel, id);
    const bool queued_there = timer->period != IDLE && timer->due == (uint32_t)due && was_late == late;
    wheel->armed += timer->period == IDLE;
    *timer = (struct timer){(uint32_t)due, period};
    if (id >= wheel->touched) wheel->touched = id + 1;
    if (queued_there) return 0; /* only the interval changed; a second entry would be a double */

    const struct entry item = {id, (uint32_t)due};
    if (late) {
        late_put(wheel, item);
        bit_set(wheel->late_bits, id);
    } else {
        if (was_late) bit_clear(wheel->late_bits, id);
        put_entry(wheel, item);
    }
    wheel->queued++;
    if (wheel->queued - wheel->armed > (uint64_t)wheel->armed + DEAD_ALLOWANCE) sweep(wheel);
    return 0;
}

static void make_idle(fp_wheel *wheel, struct timer *timer) {
    timer->period = IDLE;
    wheel->armed--;
}

void fp_wheel_cancel(fp_wheel *wheel, uint32_t id) {
    assert(wheel && id < wheel->capacity);
    struct timer *timer = &wheel->timers[id];
    if (timer->period == IDLE) return;
    if (timer_is_late(wheel, id)) bit_clear(wheel->late_bits, id);
    make_idle(wheel, timer);
}

bool fp_wheel_is_armed(const fp_wheel *wheel, uint32_t id) {
    assert(wheel && id < wheel->capacity);
    return wheel->timers[id].period != IDLE;
}

fp_ns fp_wheel_due(const fp_wheel *wheel, uint32_t id) {
    if (!fp_wheel_is_armed(wheel, id)) return FP_NEVER;
    const uint32_t due = wheel->timers[id].due;
    return (timer_is_late(wheel, id) ? tick_in_late_queue(wheel, due) : tick_in_slot(wheel, due)) * wheel->tick_ns;
}

fp_ns fp_wheel_interval(const fp_wheel *wheel, uint32_t id) {
    const uint32_t period = fp_wheel_is_armed(wheel, id) ? wheel->timers[id].period : ONCE;
    return (period - 1) * wheel->tick_ns;
}

/* ---- expiring ---------------------------------------------------------------------------------------------------- */

fp_ns fp_wheel_next_due(const fp_wheel *wheel) {
    assert(wheel);
    if (wheel->armed == 0) return FP_NEVER;
    if (!late_is_empty(wheel)) return wheel->now_ns;
    const uint64_t stop = next_stop(wheel);
    return stop <= wheel->now ? wheel->now_ns : stop * wheel->tick_ns;
}

/* The slots that begin at the cursor are dealt out to the levels below. Doing it again is calm: they are empty then. */
static void cascade(fp_wheel *wheel) {
    for (uint32_t level = 0; level < FAR_LEVELS; level++) {
        const uint32_t shift = far_shift(level);
        if (wheel->cursor & ((1ULL << shift) - 1)) break;
        const uint32_t position = (uint32_t)wheel->cursor >> shift & (FAR_SLOTS - 1);
        if (!(wheel->far_bits[level] >> position & 1)) continue;
        struct slot from = far_detach(wheel, level, position);
        while (from.chunk != NO_CHUNK) {
            const uint32_t index = from.chunk;
            const struct chunk *chunk = far_chunk(wheel, index);
            if (chunk->next != NO_CHUNK) {
                const unsigned char *next = (const unsigned char *)far_chunk(wheel, chunk->next);
                for (size_t line = 0; line < 1U << FAR_CHUNK_SHIFT; line += 64) __builtin_prefetch(next + line);
            }
            for (uint32_t i = 0; i < from.fill; i++) put_entry(wheel, chunk->entries[i]);
            from = (struct slot){chunk->next, FAR_CHUNK_ENTRIES};
            far_give(wheel, index);
        }
    }
}

/* The gather of per-timer truth is the one random access a fire; started this many ticks ahead it is there when needed. */
enum { PREFETCH_TICKS = 2 };

static void prefetch_chunk(const fp_wheel *wheel, const struct chunk *chunk, uint32_t fill) {
    for (uint32_t i = 0; i < fill; i++) __builtin_prefetch(&wheel->timers[chunk->entries[i].id], 1);
}

static void prefetch_slot(const fp_wheel *wheel, uint64_t tick) {
    struct slot ahead = wheel->near[tick % NEAR_SLOTS];
    while (ahead.chunk != NO_CHUNK) {
        const struct chunk *chunk = near_chunk(wheel, ahead.chunk);
        prefetch_chunk(wheel, chunk, ahead.fill);
        ahead = (struct slot){chunk->next, NEAR_CHUNK_ENTRIES};
    }
}

/* Two chunks on from the first; the last one may be part filled, and what is old in it is harmless to ask for: ids all the
 * same. */
static void prefetch_late(const fp_wheel *wheel) {
    uint32_t index = wheel->late.first;
    for (uint32_t i = 0; i < 2 && index != NO_CHUNK; i++) index = near_chunk(wheel, index)->next;
    if (index != NO_CHUNK) prefetch_chunk(wheel, near_chunk(wheel, index), NEAR_CHUNK_ENTRIES);
}

/* One living entry, due at `due`, becomes an expiry, and its timer idle or queued anew at the first tick of its phase after
 * now. */
static inline uint32_t fire(fp_wheel *wheel, struct timer *timer, uint32_t id, uint64_t due) {
    if (timer->period == ONCE) {
        make_idle(wheel, timer);
        wheel->queued--;
        return 0;
    }
    const uint64_t interval = timer->period - 1;
    uint64_t missed = 0;
    if (due + interval <= wheel->now) missed = (wheel->now - due) / interval;
    /* Less than 2^32 ahead of the cursor: the interval is below FP_WHEEL_REACH, and the cursor less than a leap behind now. */
    const uint64_t next = due + (missed + 1) * interval;
    timer->due = (uint32_t)next;
    put_entry(wheel, (struct entry){id, (uint32_t)next});
    return missed < UINT32_MAX ? (uint32_t)missed : UINT32_MAX;
}

/* Fires what is in the slot at the cursor, at most `size`; stops in mid-slot when that is used up. Nothing is put into this
 * slot meanwhile: a re-arm goes beyond now, and what is congruent to this tick is 1,024 ahead or more. */
static uint32_t drain_slot(fp_wheel *wheel, fp_expiry *out, uint32_t size) {
    const uint64_t due = wheel->cursor;
    const uint32_t position = (uint32_t)due % NEAR_SLOTS;
    const fp_ns due_ns = due * wheel->tick_ns;
    struct slot *slot = &wheel->near[position];
    uint32_t n = 0;
    while (slot->chunk != NO_CHUNK) {
        struct chunk *chunk = near_chunk(wheel, slot->chunk);
        while (slot->fill > 0) {
            if (n == size) return n;
            const struct entry item = chunk->entries[--slot->fill];
            struct timer *timer = &wheel->timers[item.id];
            if (timer->due != item.due || timer->period == IDLE) {
                wheel->queued--;
                continue;
            }
            out[n].id = item.id;
            out[n].due_ns = due_ns;
            out[n++].missed = fire(wheel, timer, item.id, due);
        }
        const uint32_t index = slot->chunk;
        *slot = (struct slot){chunk->next, NEAR_CHUNK_ENTRIES};
        near_give(wheel, index);
    }
    bit_clear(wheel->near_bits, position);
    return n;
}

static uint32_t drain_late(fp_wheel *wheel, fp_expiry *out, uint32_t size) {
    uint32_t n = 0;
    while (n < size && !late_is_empty(wheel)) {
        if (wheel->late.taken == 0) prefetch_late(wheel);
        const struct entry item = late_pop(wheel);
        struct timer *timer = &wheel->timers[item.id];
        if (timer->due != item.due || !bit_get(wheel->late_bits, item.id)) { /* the bit is set for armed timers only */
            wheel->queued--;
            continue;
        }
        bit_clear(wheel->late_bits, item.id);
        const uint64_t due = tick_in_late_queue(wheel, item.due);
        const fp_ns due_ns = due * wheel->tick_ns;
        out[n].id = item.id;
        out[n].due_ns = due_ns < wheel->now_ns ? due_ns : wheel->now_ns; /* passed within the tick: its end is yet to come */
        out[n++].missed = fire(wheel, timer, item.id, due);
    }
    return n;
}

/* ---- leaping ----------------------------------------------------------------------------------------------------- */

static void rebase_late(fp_wheel *wheel, uint64_t landing) {
    for (uint32_t index = wheel->late.first; index != NO_CHUNK; index = near_chunk(wheel, index)->next) {
        struct chunk *chunk = near_chunk(wheel, index);
        const uint32_t end = index == wheel->late.last ? wheel->late.fill : NEAR_CHUNK_ENTRIES;
        for (uint32_t i = index == wheel->late.first ? wheel->late.taken : 0; i < end; i++) {
            struct entry *item = &chunk->entries[i];
            struct timer *timer = &wheel->timers[item->id];
            if (timer->due != item->due || !bit_get(wheel->late_bits, item->id)) continue;
            timer->due = item->due = (uint32_t)within_reach(tick_in_late_queue(wheel, item->due), timer->period, landing);
        }
    }
}

static void leave_slot_behind(fp_wheel *wheel, uint64_t landing) {
    struct slot from = near_detach(wheel, (uint32_t)wheel->cursor % NEAR_SLOTS);
    while (from.chunk != NO_CHUNK) {
        const uint32_t index = from.chunk;
        const struct chunk *chunk = near_chunk(wheel, index);
        for (uint32_t i = 0; i < from.fill; i++) {
            struct entry item = chunk->entries[i];
            struct timer *timer = &wheel->timers[item.id];
            if (timer->due != item.due || timer->period == IDLE || bit_get(wheel->late_bits, item.id)) {
                wheel->queued--;
                continue;
            }
            timer->due = item.due = (uint32_t)within_reach(wheel->cursor, timer->period, landing);
            late_put(wheel, item);
            bit_set(wheel->late_bits, item.id);
        }
        from = (struct slot){chunk->next, NEAR_CHUNK_ENTRIES};
        near_give(wheel, index);
    }
}

/* Moves the cursor past now at once and what is overdue, in its order, to the late queue. Were the cursor left behind by an
 * hour, a month's interval counted from now would lie beyond the 2^32 ticks that an entry can tell apart. One pass over what is
 * overdue (20 ns an entry) in the first call after a jump; the timers themselves are then handed out in batches as ever. */
static void leap(fp_wheel *wheel) {
    const uint64_t landing = wheel->now + 1;
    rebase_late(wheel, landing);
    for (uint64_t stop = next_stop(wheel); stop < landing; stop = next_stop(wheel)) {
        wheel->cursor = stop;
        cascade(wheel);
        prefetch_slot(wheel, stop + PREFETCH_TICKS);
        leave_slot_behind(wheel, landing);
    }
    wheel->cursor = landing;
}

uint32_t fp_wheel_expire(fp_wheel *wheel, fp_ns now_ns, fp_expiry *out, uint32_t size) {
    assert(wheel && (out || size == 0));
    if (now_ns > wheel->now_ns) {
        wheel->now_ns = now_ns;
        wheel->now = now_ns / wheel->tick_ns;
    }
    if (wheel->now >= wheel->cursor + LEAP_TICKS) leap(wheel);

    uint32_t n = drain_late(wheel, out, size);
    while (n < size) {
        const uint64_t stop = next_stop(wheel);
        if (stop > wheel->now) {
            wheel->cursor = wheel->now + 1;
            break;
        }
        wheel->cursor = stop;
        cascade(wheel);
        prefetch_slot(wheel, stop + PREFETCH_TICKS);
        n += drain_slot(wheel, out + n, size - n);
    }
    return n;
}

/* ---- looking in -------------------------------------------------------------------------------------------------- */

uint32_t fp_wheel_armed_count(const fp_wheel *wheel) {
    assert(wheel);
    return wheel->armed;
}

size_t fp_wheel_bytes(const fp_wheel *wheel) {
    assert(wheel);
    return sizeof *wheel + (size_t)wheel->touched * sizeof(struct timer) +
           bitmap_bytes(wheel->touched) * (wheel->swept ? 2 : 1) + near_pool_bytes(wheel->near_pool.touched) +
           far_pool_bytes(wheel->far_pool.touched);
}
