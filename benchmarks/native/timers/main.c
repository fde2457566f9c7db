/* timers CONTENDER COUNT [SEED] - one contender through the workloads of the timer benchmark, once, as one line of JSON.
 *
 * CPU time of the thread, in ns per operation. A fresh process a run: the runner's business. */
#include "bench_timer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HORIZON = 60000,
    WARM_UP = 10000,
    MEASURED = 60000,
    SHORTEST = 1000,
    LONGEST = 60000,
    TIMEOUT = 1000,      /* of a run in flight ... */
    ANSWER_AFTER = 5,    /* ... which is answered, and the timeout cancelled, so much later */
    RUNS_PER_TICK = 100, /* 100,000 a second */
};

struct workload {
    uint32_t count;
    uint32_t *order;    /* random permutation of the ids */
    uint32_t *due;      /* uniform within HORIZON */
    uint32_t *interval; /* uniform from SHORTEST to LONGEST */
    uint32_t *out;
};

static uint64_t random_state;

static uint32_t random_below(uint32_t bound) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1dULL >> 32) * bound >> 32);
}

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct workload make_workload(uint32_t count) {
    struct workload load = {count, malloc(4ul * count), malloc(4ul * count), malloc(4ul * count), malloc(4ul * count)};
    for (uint32_t i = 0; i < count; i++) {
        load.due[i] = 1 + random_below(HORIZON);
        load.interval[i] = SHORTEST + random_below(LONGEST - SHORTEST + 1);
        load.order[i] = i;
    }
    for (uint32_t i = count - 1; i > 0; i--) {
        const uint32_t j = random_below(i + 1), swapped = load.order[i];
        load.order[i] = load.order[j];
        load.order[j] = swapped;
    }
    memset(load.out, 0, 4ul * count); /* page faults of the benchmark are nobody's cost */
    return load;
}

static double per(uint64_t from_ns, uint64_t operations) {
    return (double)(cpu_ns() - from_ns) / (double)operations;
}

static uint64_t run_ticks(const struct bench_timers *timers, void *self, struct workload *load, uint64_t from, uint64_t to) {
    uint64_t fired = 0;
    for (uint64_t tick = from; tick <= to; tick++) fired += timers->expire(self, tick, load->out);
    return fired;
}

static void one_shots(const struct bench_timers *timers, struct workload *load) {
    void *self = timers->create(load->count);
    uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < load->count; i++) timers->arm(self, load->order[i], load->due[load->order[i]], 0);
    printf(", \"arm_ns\": %.2f", per(start, load->count));
    start = cpu_ns();
    if (run_ticks(timers, self, load, 1, HORIZON) != load->count) abort();
    printf(", \"expire_ns\": %.2f", per(start, load->count));
    timers->destroy(self);
}

/* A structure that cancels lazily pays when the ticks pass: both parts are told. */
static void cancelled(const struct bench_timers *timers, struct workload *load) {
    void *self = timers->create(load->count);
    for (uint32_t i = 0; i < load->count; i++) timers->arm(self, i, load->due[i], 0);
    uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < load->count; i++) timers->cancel(self, load->order[i]);
    printf(", \"cancel_ns\": %.2f", per(start, load->count));
    start = cpu_ns();
    if (run_ticks(timers, self, load, 1, HORIZON) != 0) abort();
    printf(", \"cancel_drain_ns\": %.2f", per(start, load->count));
    timers->destroy(self);
}

/* The main figure: periodic timers, driven tick by tick. */
static void periodic(const struct bench_timers *timers, struct workload *load) {
    void *self = timers->create(load->count);
    for (uint32_t i = 0; i < load->count; i++) {
        const uint32_t id = load->order[i];
        timers->arm(self, id, 1 + load->due[id] % load->interval[id], load->interval[id]);
    }
    (void)run_ticks(timers, self, load, 1, WARM_UP);
    const uint64_t start = cpu_ns();
    const uint64_t fired = run_ticks(timers, self, load, WARM_UP + 1, WARM_UP + MEASURED);
    const double fire_ns = per(start, fired);
    printf(", \"fire_ns\": %.2f, \"fired\": %" PRIu64, fire_ns, fired);
    printf(", \"core_percent\": %.4f", fire_ns * (double)fired / (MEASURED * 1e6) * 100);
    printf(", \"bytes_per_timer\": %.2f", (double)timers->bytes(self, load->count) / load->count);
    timers->destroy(self);
}

/* Timeouts that are nearly always cancelled, as those of probes that answer, among periodic timers. Per arm and cancel, ticks
 * included. */
static void timeouts(const struct bench_timers *timers, struct workload *load) {
    void *self = timers->create(load->count);
    uint32_t next = 0;
    for (uint32_t warm = 0; warm < 2; warm++) {
        const uint64_t start = cpu_ns();
        for (uint64_t tick = warm * HORIZON / 2 + 1; tick <= (warm + 1) * HORIZON / 2; tick++) {
            for (uint32_t i = 0; i < RUNS_PER_TICK; i++) {
                timers->arm(self, load->order[(next + i) % load->count], tick + TIMEOUT, 0);
                const uint32_t answered = (next + i + load->count - ANSWER_AFTER * RUNS_PER_TICK) % load->count;
                timers->cancel(self, load->order[answered]);
            }
            next = (next + RUNS_PER_TICK) % load->count;
            if (timers->expire(self, tick, load->out) != 0) abort();
        }
        if (warm) printf(", \"timeout_ns\": %.2f", per(start, (uint64_t)HORIZON / 2 * RUNS_PER_TICK));
    }
    timers->destroy(self);
}

int main(int argc, char **argv) {
    static const struct bench_timers *const contenders[] = {&timers_fastprobe, &timers_list_wheel, &timers_heap4};
    if (argc < 3) return 2;
    const uint32_t count = (uint32_t)strtoul(argv[2], NULL, 0);
    random_state = argc > 3 ? strtoull(argv[3], NULL, 0) : 88172645463325252u;
    for (size_t i = 0; i < sizeof contenders / sizeof *contenders; i++) {
        if (strcmp(contenders[i]->name, argv[1]) != 0) continue;
        struct workload load = make_workload(count);
        printf("{\"structure\": \"%s\", \"timers\": %u", contenders[i]->what, count);
        one_shots(contenders[i], &load);
        cancelled(contenders[i], &load);
        periodic(contenders[i], &load);
        timeouts(contenders[i], &load);
        printf("}\n");
        return 0;
    }
    return 2;
}
