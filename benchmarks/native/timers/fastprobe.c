/* Our own wheel, through its public header; the batch is what an engine would take in one step. */
#include "bench_timer.h"

#include <stdlib.h>

#include "fastprobe/wheel.h"

enum { BATCH = 256 };

static void *create(uint32_t count) {
    fp_wheel *wheel = NULL;
    if (fp_wheel_new(&wheel, count, FP_NS_PER_MS, 0)) abort();
    return wheel;
}

static void destroy(void *self) {
    fp_wheel_free(self);
}

static void arm(void *self, uint32_t id, uint64_t due, uint32_t interval) {
    if (fp_wheel_arm(self, id, due * FP_NS_PER_MS, interval * FP_NS_PER_MS)) abort();
}

static void cancel(void *self, uint32_t id) {
    fp_wheel_cancel(self, id);
}

static uint32_t expire(void *self, uint64_t now, uint32_t *out) {
    fp_expiry batch[BATCH];
    uint32_t total = 0;
    for (;;) {
        const uint32_t n = fp_wheel_expire(self, now * FP_NS_PER_MS, batch, BATCH);
        for (uint32_t i = 0; i < n; i++) out[total++] = batch[i].id;
        if (n < BATCH) return total;
    }
}

static size_t bytes(void *self, uint32_t count) {
    (void)count;
    return fp_wheel_bytes(self);
}

const struct bench_timers timers_fastprobe = {
    "fastprobe", "chunked radix wheel, lazy cancel", create, destroy, arm, cancel, expire, bytes,
};
