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

static void what_was_told_is_not_taken_again(void) {
    fp_failures *failures = NULL;
    fp_failure out[FP_FAILURES_KEPT];
    const fp_record late = {.slot = 1, .generation = 1, .started_ns = 5, .result = FP_FAIL},
                    next = {.slot = 1, .generation = 1, .started_ns = 6, .result = FP_FAIL};
    const fp_failure known = {.started_ns = 5, .connect_us = 40, .tls_us = 90, .result = FP_FAIL};
    CHECK_EQ(fp_failures_new(&failures, SLOTS, PROBES), 0);
    fp_failures_tell(failures, 1, 1, &known);
    CHECK_EQ(fp_failures_read(failures, 1, 1, out), 1);
    CHECK_EQ(out[0].tls_us, 90);
    fp_failures_take_records(failures, &late, 1);
    CHECK_EQ(fp_failures_read(failures, 1, 1, out), 1);
    fp_failures_take_records(failures, &late, 1); /* told once, passed over once */
    fp_failures_take_records(failures, &next, 1);
    CHECK_EQ(fp_failures_read(failures, 1, 1, out), 3);
    CHECK_EQ(out[0].connect_us, 40);
    CHECK_EQ(out[2].connect_us, FP_UNREACHED);
    CHECK(!fp_failures_check(failures));
    fp_failures_free(failures);
}

/* What real calls come to is recorded without being told, and may come between. */
static void what_was_told_is_known_again_whatever_else_failed_meanwhile(void) {
    fp_failures *failures = NULL;
    fp_failure out[FP_FAILURES_KEPT];
    const fp_failure first = {.started_ns = 5, .connect_us = 40, .result = FP_FAIL},
                     second = {.started_ns = 7, .connect_us = 50, .result = FP_FAIL};
    const fp_record records[] = {
        {.slot = 1, .generation = 1, .started_ns = 5, .result = FP_FAIL | FP_PASSIVE},
        {.slot = 1, .generation = 1, .started_ns = 5, .result = FP_FAIL},
        {.slot = 1, .generation = 1, .started_ns = 7, .result = FP_FAIL},
    };
    CHECK_EQ(fp_failures_new(&failures, SLOTS, PROBES), 0);
    fp_failures_tell(failures, 1, 1, &first);
    fp_failures_tell(failures, 1, 1, &second);
    fp_failures_take_records(failures, records, 3);
    CHECK_EQ(fp_failures_read(failures, 1, 1, out), 3);
    CHECK_EQ(out[0].connect_us, 40);
    CHECK_EQ(out[1].connect_us, 50);
    CHECK_EQ(out[2].connect_us, FP_UNREACHED); /* the call's */
    fp_failures_free(failures);
}

/* One that was pushed out before its record came is taken from that; and its place is another's by then. */
static void what_was_told_and_pushed_out_is_taken_from_its_record(void) {
    fp_failures *failures = NULL;
    fp_failure out[FP_FAILURES_KEPT];
    fp_record records[FP_FAILURES_KEPT + 1];
    CHECK_EQ(fp_failures_new(&failures, SLOTS, PROBES), 0);
    fp_failures_tell(failures, 1, 1, &(fp_failure){.started_ns = 1, .result = FP_FAIL});
    for (uint32_t i = 0; i < FP_FAILURES_KEPT; i++)
        records[i] = (fp_record){.slot = 1, .generation = 1, .started_ns = 2 + i, .result = FP_FAIL | FP_PASSIVE};
    records[FP_FAILURES_KEPT] = (fp_record){.slot = 1, .generation = 1, .started_ns = 1, .result = FP_FAIL};
    fp_failures_take_records(failures, records, FP_FAILURES_KEPT + 1);
    CHECK_EQ(fp_failures_read(failures, 1, 1, out), FP_FAILURES_KEPT);
    CHECK_EQ(out[0].started_ns, 3);
    CHECK_EQ(out[FP_FAILURES_KEPT - 1].started_ns, 1);
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
            const fp_record record = {.slot = slot, .generation = generation[slot], .started_ns = step, .result = FP_FAIL};
            if (choice == 2)
                fp_failures_tell(failures, slot, generation[slot], &(fp_failure){.started_ns = step, .result = FP_FAIL});
            else if (choice > 20)
                fp_failures_take_trace(failures, &trace);
            if (choice <= 20) fp_failures_take_records(failures, &record, 1);
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
    RUN(what_was_told_is_not_taken_again);
    RUN(what_was_told_is_known_again_whatever_else_failed_meanwhile);
    RUN(what_was_told_and_pushed_out_is_taken_from_its_record);
    RUN(sizes_that_cannot_be_are_refused);
    RUN(the_last_failures_are_those_of_a_model_that_keeps_everything);
    return 0;
}
