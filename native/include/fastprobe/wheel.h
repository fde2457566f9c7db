/* wheel.h - the one clock hand: a hierarchical timer wheel for millions of periodic timers.
 *
 * A timer is an id in [0, capacity). Its entry in the wheel is 8 bytes, (id, due tick), and carries its own deadline, so moving
 * entries between levels never touches per-timer memory. An entry is alive exactly while its tick equals the timer's current
 * due tick: cancelling or re-arming just changes the latter, and what is left behind is dropped when its slot drains (or swept
 * out when the dead outnumber the living). No generation counter, so nothing wraps.
 *
 * Level 0 has 1,024 slots of one tick, stacks of 64-byte chunks from a LIFO free list, so that the chunks in use stay in L2.
 * The levels above have 64 slots each with 1 KiB chunks; a cascade is one sequential radix pass, and an entry moves at most
 * once a level. Bitmaps of non-empty slots give next_due without ticking. (Varghese & Lauck 1987, scheme 7, for the hierarchy;
 * the chunked layout and its reasons are measured in docs/internals/benchmarks.md.)
 *
 * Promises
 *   - never early: a timer expires at a now_ns >= its due_ns; late by at most one tick if expire is called on time;
 *   - no drift: a periodic timer's next due is its last due + interval, whatever time it was found;
 *   - no backlog: after a jump of the clock a periodic timer expires once, then continues on its phase;
 *   - no allocation after fp_wheel_new.
 * Not thread-safe: one owner. */
#ifndef FASTPROBE_WHEEL_H
#define FASTPROBE_WHEEL_H
#include "fastprobe/base.h"

typedef struct fp_wheel fp_wheel;

typedef struct fp_expiry {
    uint32_t id;
    uint32_t missed; /* periods that had passed unseen as well: expire was called late; 0 in calm weather (saturating) */
    fp_ns due_ns;    /* when it was due, rounded up to the tick; never after now */
} fp_expiry;

/* Timers 0 .. capacity-1, all idle. tick_ns >= 1000. -EINVAL, -ENOMEM. */
int fp_wheel_new(fp_wheel **out, uint32_t capacity, fp_ns tick_ns, fp_ns now_ns);
void fp_wheel_free(fp_wheel *wheel);

/* (Re-)arm: expires once at due_ns, then every interval_ns (rounded up to whole ticks; 0 = once). A due time that has passed
 * expires at the next fp_wheel_expire, and keeps its phase. Replaces whatever was armed for this id. -ERANGE, and nothing
 * changes, when due (counted from the wheel's now) or interval is FP_WHEEL_REACH ticks or more (49 days at 1 ms); a due time
 * that far back is brought forward, by whole intervals if it has one. Constant time in the long run: one call in many sweeps.
 */
#define FP_WHEEL_REACH 0xfff00000u
int fp_wheel_arm(fp_wheel *wheel, uint32_t id, fp_ns due_ns, fp_ns interval_ns);
void fp_wheel_cancel(fp_wheel *wheel, uint32_t id); /* calm when idle */
bool fp_wheel_is_armed(const fp_wheel *wheel, uint32_t id);
fp_ns fp_wheel_due(const fp_wheel *wheel, uint32_t id);      /* FP_NEVER when idle */
fp_ns fp_wheel_interval(const fp_wheel *wheel, uint32_t id); /* 0 when one-shot or idle */

/* When to call expire next: no timer comes due between the wheel's now and then. The wheel's now when something is due already,
 * FP_NEVER when nothing is armed. Within the current block of 1,024 ticks it is the tick of the first entry, a dead one too;
 * beyond, it may be where the block of that entry begins. Sleeping until then and calling expire makes progress: it expires
 * timers or moves the bound. */
fp_ns fp_wheel_next_due(const fp_wheel *wheel);

/* Expire what is due at now_ns, at most `size` timers: those whose time had passed when they were armed, as they were armed,
 * then the others in order of due tick. A return of `size` means there may be more: call again with the same now_ns. now_ns
 * must not run backwards (a smaller one is taken as the last one). After a jump of 2^20 ticks or more the first call also sorts
 * out all that is overdue: 20 ms for a million. */
uint32_t fp_wheel_expire(fp_wheel *wheel, fp_ns now_ns, fp_expiry *out, uint32_t size);

uint32_t fp_wheel_armed_count(const fp_wheel *wheel);
size_t fp_wheel_bytes(const fp_wheel *wheel); /* memory touched so far (high-water mark), everything included */
const char *fp_wheel_check(const fp_wheel *wheel);

#endif
