/* wheel_layout.h - what the timer wheel looks like in memory. Private to wheel.c and wheel_check.c.
 *
 * Time inside is counted in ticks since the clock's zero, in 64 bits. What is stored per timer and per entry is the low 32 bits
 * only, and is read back relative to the cursor: the ticks in the slots lie within 2^32 after it, those in the late queue
 * within a window of 2^32 around it. */
#ifndef FASTPROBE_WHEEL_LAYOUT_H
#define FASTPROBE_WHEEL_LAYOUT_H

#include "fastprobe/wheel.h"

#define NO_CHUNK UINT32_MAX

enum {
    NEAR_BITS = 10, /* 1,024 slots of one tick: 4,096 were slower, their chunks outgrow L2 */
    NEAR_SLOTS = 1 << NEAR_BITS,
    NEAR_WORDS = NEAR_SLOTS / 64,
    FAR_BITS = 6,
    FAR_SLOTS = 1 << FAR_BITS,
    FAR_LEVELS = 4, /* 10 + 4 * 6 >= 32 bits; the topmost uses 16 of its slots */

    NEAR_CHUNK_SHIFT = 6, /* one cache line: 7 entries */
    NEAR_CHUNK_ENTRIES = 7,
    FAR_CHUNK_SHIFT = 10, /* 127 entries: a cascade streams them, and the 64 tails being appended to stay in L1 */
    FAR_CHUNK_ENTRIES = 127,

    DEAD_ALLOWANCE = 4096, /* dead entries beyond the number of armed timers before a sweep: pays for looking at every slot */
    LEAP_TICKS = 1 << 20,  /* a clock found this far ahead is a jump; 2^32 - FP_WHEEL_REACH, see fp_wheel_expire */
};

struct entry {
    uint32_t id;
    uint32_t due; /* tick, low 32 bits */
};

/* The per-timer truth, one gather a fire. An entry in a slot is alive when its due is the timer's and the timer is armed. */
struct timer {
    uint32_t due;    /* tick, low 32 bits */
    uint32_t period; /* interval in ticks + 1, so that ONCE is an interval of 0 and fresh zeroed memory is IDLE */
};
enum { IDLE = 0, ONCE = 1 };

struct chunk {
    uint32_t next; /* index of the next chunk of the slot, of the queue, or of the free list */
    uint32_t unused;
    struct entry entries[];
};

/* Chunks of one size, taken from the free list last in first out, so that those in use stay in cache. */
struct pool {
    unsigned char *memory;
    uint32_t capacity;
    uint32_t touched; /* chunks ever handed out: the high-water mark */
    uint32_t free;    /* head of the free list */
};

/* A stack of entries: the first chunk holds `fill`, all behind it are full. Empty is {NO_CHUNK, a full chunk}, so that putting
 * an entry asks one question only. */
struct slot {
    uint32_t chunk;
    uint32_t fill;
};

/* Timers whose time had passed when they were armed, or that a leap of the clock left behind: first in, first out, before all
 * slots. In near chunks, all full but the first (from `taken` on) and the last (up to `fill`). */
struct late_queue {
    uint32_t first;
    uint32_t last;
    uint32_t taken;
    uint32_t fill;
};

struct fp_wheel {
    fp_ns tick_ns;
    fp_ns now_ns;
    uint64_t now;    /* now_ns in whole ticks */
    uint64_t cursor; /* all ticks before it are drained; <= now + 1 */

    struct timer *timers;
    uint64_t *late_bits; /* timers whose living entry is in the late queue: all clear while that is empty */
    uint64_t *seen_bits; /* scratch of the sweep */
    uint32_t capacity;
    uint32_t touched; /* ids ever armed are below: the high-water mark */
    uint32_t armed;
    bool swept;      /* seen_bits have been touched */
    uint64_t queued; /* entries held, living, dead and doubles; bounded in wheel.c */

    struct pool near_pool;
    struct pool far_pool;
    struct late_queue late;
    uint64_t near_bits[NEAR_WORDS]; /* slots that are not empty */
    uint64_t far_bits[FAR_LEVELS];
    struct slot near[NEAR_SLOTS];
    struct slot far[FAR_LEVELS][FAR_SLOTS];
};

static inline uint32_t far_shift(uint32_t level) {
    return NEAR_BITS + FAR_BITS * level;
}

static inline struct chunk *near_chunk(const fp_wheel *wheel, uint32_t index) {
    return (struct chunk *)(void *)(wheel->near_pool.memory + ((size_t)index << NEAR_CHUNK_SHIFT));
}

static inline struct chunk *far_chunk(const fp_wheel *wheel, uint32_t index) {
    return (struct chunk *)(void *)(wheel->far_pool.memory + ((size_t)index << FAR_CHUNK_SHIFT));
}

static inline bool bit_get(const uint64_t *bits, uint32_t index) {
    return bits[index / 64] >> (index % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint32_t index) {
    bits[index / 64] |= 1ULL << (index % 64);
}

static inline void bit_clear(uint64_t *bits, uint32_t index) {
    bits[index / 64] &= ~(1ULL << (index % 64));
}

static inline size_t bitmap_bytes(uint32_t bits) {
    return ((size_t)bits + 63) / 64 * 8;
}

static inline bool late_is_empty(const fp_wheel *wheel) {
    return wheel->late.first == NO_CHUNK;
}

static inline bool timer_is_late(const fp_wheel *wheel, uint32_t id) {
    return !late_is_empty(wheel) && bit_get(wheel->late_bits, id);
}

/* The 64-bit tick behind the low half of one in a slot. */
static inline uint64_t tick_in_slot(const fp_wheel *wheel, uint32_t due) {
    return wheel->cursor + (due - (uint32_t)wheel->cursor);
}

/* And of one in the late queue. Most lie before the cursor, less than FP_WHEEL_REACH; but a time that passed within the tick of
 * now is due at now + 1, and in the middle of a catch-up now is up to LEAP_TICKS - 1 ahead of the cursor. */
static inline uint64_t tick_in_late_queue(const fp_wheel *wheel, uint32_t due) {
    const uint64_t last = wheel->cursor + LEAP_TICKS;
    return last - ((uint32_t)last - due);
}
_Static_assert((uint64_t)FP_WHEEL_REACH + LEAP_TICKS == 1ULL << 32, "32 bits tell exactly these ticks apart");

#endif
