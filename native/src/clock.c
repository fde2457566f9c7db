#include "fastprobe/clock.h"

#include <time.h>

static fp_ns read_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (fp_ns)t.tv_sec * FP_NS_PER_S + (fp_ns)t.tv_nsec;
}

fp_ns fp_clock_schedule(void) {
#ifdef CLOCK_BOOTTIME
    return read_clock(CLOCK_BOOTTIME);
#else
    return read_clock(CLOCK_MONOTONIC);
#endif
}

fp_ns fp_clock_latency(void) {
    return read_clock(CLOCK_MONOTONIC);
}

fp_ns fp_clock_wall(void) {
    return read_clock(CLOCK_REALTIME);
}
