/* The memory of failures against a plain model: all that happened, looked through from the end. */
#include "check.h"
#include "fastprobe/failures.h"

#include <errno.h>

#define SLOTS  40u
#define STEPS  20000u
#define PROBES 7u

static fp_trace failed(uint32_t slot, uint32_t generation, fp_ns started_ns) {
    return (fp_trace){.slot = slot,
                      .generation = generation,
                      .started_ns = started_ns,
                      .latency_ns = 5 * FP_NS_PER_MS,
                      .connect_us = 40,
                      .first_byte_us = FP_UNREACHED,
                      .result = FP_FAIL,
                      .reason = FP_REASON_RESPONSE_CLOSED};
}

static void a_failure_is_remembered_with_its_phases(void) {
    fp_failures *failures = NULL;
    fp_failure out[FP_FAILURES_KEPT];
    const fp_trace trace = failed(3, 1, 77);
    CHECK_EQ(fp_failures_new(&failures, SLOTS, PROBES), 0);
    fp_failures_take_trace(failures, &trace);
    CHECK_EQ(fp_failures_read(failures, 3, 1, out), 1);
    CHECK_EQ(out[0].started_ns, 77);
    CHECK_EQ(out[0].latency_us, 5000);
    CHECK_EQ(out[0].connect_us, 40);
    CHECK_EQ(out[0].first_byte_us, FP_UNREACHED);
    CHECK_EQ(fp_failures_read(failures, 3, 2, out), 0);
    CHECK_EQ(fp_failures_read(failures, 4, 1, out), 0);
    fp_failures_free(failures);
}

static void of_records_only_failures_are_taken(void) {
    fp_failures *failures = NULL;
    fp_failure out[FP_FAILURES_KEPT];
    const fp_record records[] = {
        {.slot = 1, .generation = 1, .result = FP_OK},
        {.slot = 1, .generation = 1, .result = FP_DEGRADED},
        {.slot = 1, .generation = 1, .result = FP_FAIL | FP_PASSIVE, .reason = FP_REASON_REPORTED},
        {.slot = 1, .generation = 1, .result = FP_TIMEOUT, .reason = FP_REASON_TIMEOUT},
        {.slot = 1, .generation = 1, .result = FP_EVENT_SKIPPED},
        {.slot = 1, .generation = 1, .result = FP_EVENT_DUE},
    };
    CHECK_EQ(fp_failures_new(&failures, SLOTS, PROBES), 0);
    fp_failures_take_records(failures, records, sizeof records / sizeof *records);
    CHECK_EQ(fp_failures_read(failures, 1, 1, out), 2);
    CHECK_EQ(out[0].result, FP_FAIL);
    CHECK_EQ(out[1].result, FP_TIMEOUT);
    fp_failures_free(failures);
}

static void sizes_that_cannot_be_are_refused(void) {
    fp_failures *failures = NULL;
    CHECK_EQ(fp_failures_new(&failures, 0, 1), -EINVAL);
    CHECK_EQ(fp_failures_new(&failures, 1, 0), -EINVAL);
}

/* -- the model ------------------------------------------------------------------------------------------------------------ */

typedef struct event {
    uint32_t slot;
    uint32_t generation;
    fp_ns at;
} event;
static event history[STEPS];
static uint32_t n_history;
static uint32_t generation[SLOTS];

static void model_forget(uint32_t slot) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n_history; i++)
        if (history[i].slot != slot) history[kept++] = history[i];
    n_history = kept;
}

/* The probe whose latest failure is the oldest makes room. */
static void model_evict(void) {
    fp_ns latest[SLOTS] = {0};
    uint32_t probes = 0, victim = 0;
    for (uint32_t i = 0; i < n_history; i++) latest[history[i].slot] = history[i].at;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (!latest[slot]) continue;
        if (!probes++ || latest[slot] < latest[victim]) victim = slot;
    }
    if (probes > PROBES) model_forget(victim);
}

static void compare(const fp_failures *failures, uint32_t slot) {
    fp_failure out[FP_FAILURES_KEPT];
    uint32_t n = fp_failures_read(failures, slot, generation[slot], out), found = n;
    for (uint32_t i = n_history; i-- > 0;) {
        if (history[i].slot != slot || history[i].generation != generation[slot]) continue;
        if (found == 0) {
            CHECK_EQ(n, FP_FAILURES_KEPT);
            return;
        }
        CHECK_EQ(out[--found].started_ns, history[i].at);
    }
    CHECK_EQ(found, 0);
}

static void the_last_failures_are_those_of_a_model_that_keeps_everything(void) {
    fp_failures *failures = NULL;
    check_rng rng = check_seed(7);
    CHECK_EQ(fp_failures_new(&failures, SLOTS, PROBES), 0);
    for (fp_ns step = 1; step < 4000; step++) {
        const uint32_t slot = (uint32_t)(check_below(&rng, 3) ? check_below(&rng, 4) : check_below(&rng, SLOTS));
        const uint64_t choice = check_below(&rng, 50);
        if (choice == 0) {
            fp_failures_forget(failures, slot);
            model_forget(slot);
        } else if (choice == 1) {
            generation[slot]++; /* the slot has another probe now, and the memory was not told */
        } else {
            const fp_trace trace = failed(slot, generation[slot], step);
            fp_failures_take_trace(failures, &trace);
            history[n_history++] = (event){slot, generation[slot], step};
            model_evict();
        }
        CHECK_SOUND(fp_failures_check(failures));
        compare(failures, slot);
        CHECK(fp_failures_probes(failures) <= PROBES);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) compare(failures, slot);
    CHECK(fp_failures_evicted(failures) > 100);
    fp_failures_free(failures);
}

int main(void) {
    RUN(a_failure_is_remembered_with_its_phases);
    RUN(of_records_only_failures_are_taken);
    RUN(sizes_that_cannot_be_are_refused);
    RUN(the_last_failures_are_those_of_a_model_that_keeps_everything);
    return 0;
}
