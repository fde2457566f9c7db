/* bench_timer.h - the one interface behind which timer structures compete. Time is in ticks of 1 ms since 0.
 *
 * A contender is one file: its structure, its six functions, one constant. Timers are ids 0 .. count-1; a periodic timer
 * re-arms itself when it expires. */
#ifndef BENCH_TIMER_H
#define BENCH_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct bench_timers {
    const char *name;
    const char *what;
    void *(*create)(uint32_t count);
    void (*destroy)(void *self);
    void (*arm)(void *self, uint32_t id, uint64_t due, uint32_t interval); /* interval 0: once */
    void (*cancel)(void *self, uint32_t id);
    uint32_t (*expire)(void *self, uint64_t now, uint32_t *out); /* all that is due; out has room for every timer */
    size_t (*bytes)(void *self, uint32_t count);                 /* of this structure alone, for `count` timers */
};

extern const struct bench_timers timers_fastprobe;
extern const struct bench_timers timers_list_wheel;
extern const struct bench_timers timers_heap4;

#endif
