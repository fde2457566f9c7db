#include "check.h"
#include "fastprobe/table.h"

#include <errno.h>

enum { SLOTS = 64, GROUPS = 6 };

static const fp_probe_config PLAIN = {.group = 1, .interval_ms = 1000, .timeout_ms = 500, .rise = 2, .fall = 3};

static bool compact; /* what new tables are: everything here holds either way */

static fp_table *new_table(void) {
    fp_table *table = NULL;
    CHECK_EQ(fp_table_new(&table, SLOTS, GROUPS, compact), 0);
    return table;
}

/* A table with one probe in slot 0 of generation 1. */
static fp_table *with_one(fp_probe_config config) {
    fp_table *table = new_table();
    uint32_t slot, generation;
    CHECK_EQ(fp_table_add(table, &config, 7, &slot, &generation), 0);
    CHECK_EQ(slot, 0);
    CHECK_EQ(generation, 1);
    return table;
}

static fp_record record_of(uint8_t result) {
    return (fp_record){.generation = 1, .started_ns = FP_NS_PER_S, .latency_ns = FP_NS_PER_MS, .result = result};
}

/* Take one record; the state it leads to. */
static uint8_t take(fp_table *table, fp_record record) {
    fp_transition moved;
    fp_table_ingest(table, &record, 1, &moved);
    CHECK_SOUND(fp_table_check(table));
    return fp_table_columns(table)->state[record.slot];
}

static uint8_t take_many(fp_table *table, const char *results) {
    static const char LETTERS[] = "odfte";
    uint8_t state = fp_table_columns(table)->state[0];
    for (; *results; results++) state = take(table, record_of((uint8_t)(strchr(LETTERS, *results) - LETTERS)));
    return state;
}

static const fp_row *row_of(const fp_table *table, uint32_t slot) {
    return &fp_table_columns(table)->row[slot];
}

static const fp_history *history_of(const fp_table *table, uint32_t slot) {
    return &fp_table_columns(table)->history[slot];
}

/* -- slots --------------------------------------------------------------------------------------------------------- */

static void a_table_without_slots_or_groups_is_refused(void) {
    fp_table *table = NULL;
    CHECK_EQ(fp_table_new(&table, 0, 1, compact), -EINVAL);
    CHECK_EQ(fp_table_new(&table, 1, 0, compact), -EINVAL);
    CHECK(table == NULL);
}

static void a_full_table_says_so(void) {
    fp_table *table = new_table();
    uint32_t slot, generation;
    for (uint32_t i = 0; i < SLOTS; i++) CHECK_EQ(fp_table_add(table, &PLAIN, 0, &slot, &generation), 0);
    CHECK_EQ(fp_table_add(table, &PLAIN, 0, &slot, &generation), -ENOSPC);
    CHECK_EQ(fp_table_remove(table, 9, 1), 0);
    CHECK_EQ(fp_table_add(table, &PLAIN, 0, &slot, &generation), 0);
    CHECK_EQ(slot, 9);
    CHECK_EQ(generation, 3);
    CHECK_SOUND(fp_table_check(table));
    fp_table_free(table);
}

static void a_reused_slot_remembers_nothing(void) {
    fp_table *table = with_one(PLAIN);
    take_many(table, "oofftde");
    CHECK_EQ(fp_table_remove(table, 0, 1), 0);
    CHECK_SOUND(fp_table_check(table));
    uint32_t slot, generation;
    CHECK_EQ(fp_table_add(table, &PLAIN, 11, &slot, &generation), 0);
    const fp_row blank = {.generation = 3, .rise = 2, .fall = 3, .last_result = 255, .measured = {255, 0}, .state = FP_UNKNOWN};
    const fp_history unwritten = {.since_ns = 11};
    CHECK(memcmp(row_of(table, 0), &blank, sizeof blank) == 0);
    CHECK(memcmp(history_of(table, 0), &unwritten, sizeof unwritten) == 0);
    CHECK_SOUND(fp_table_check(table));
    fp_table_free(table);
}

static void a_million_slots_cost_only_what_is_touched(void) {
    fp_table *table = NULL;
    CHECK_EQ(fp_table_new(&table, 1u << 20, 1u << 14, compact), 0);
    uint32_t slot, generation;
    CHECK_EQ(fp_table_add(table, &PLAIN, 0, &slot, &generation), 0);
    CHECK_EQ(fp_table_high_water(table), 1);
    fp_table_free(table);
}

static void old_generations_are_refused_everywhere(void) {
    fp_table *table = with_one(PLAIN);
    CHECK_EQ(fp_table_remove(table, 0, 3), -ESTALE);
    CHECK_EQ(fp_table_remove(table, 5, 0), -ESTALE); /* a slot never used has generation 0, which nobody owns */
    CHECK_EQ(fp_table_remove(table, 0, 1), 0);
    CHECK_EQ(fp_table_remove(table, 0, 1), -ESTALE);
    CHECK_EQ(fp_table_remove(table, 0, 2), -ESTALE);
    CHECK_EQ(fp_table_configure(table, 0, 1, &PLAIN), -ESTALE);
    CHECK_EQ(fp_table_pause(table, 0, 1, 0, true), -ESTALE);
    CHECK_SOUND(fp_table_check(table));
    fp_table_free(table);
}

/* -- records ------------------------------------------------------------------------------------------------------- */

static void records_of_nobody_are_counted_as_stale(void) {
    fp_table *table = with_one(PLAIN);
    const fp_record records[] = {{.slot = 0, .generation = 0},
                                 {.slot = 0, .generation = 3},
                                 {.slot = 1, .generation = 0},
                                 {.slot = SLOTS, .generation = 1},
                                 {.slot = UINT32_MAX, .generation = 1, .result = FP_EVENT_SKIPPED}};
    fp_transition moved[5];
    CHECK_EQ(fp_table_ingest(table, records, 5, moved), 0);
    CHECK_EQ(fp_table_totals(table)->stale_records, 5);
    CHECK_EQ(fp_table_totals(table)->skipped[0], 0);
    CHECK_SOUND(fp_table_check(table));
    fp_table_free(table);
}

static void notices_for_the_lanes_are_passed_over(void) {
    fp_table *table = with_one(PLAIN);
    take(table, record_of(FP_EVENT_DUE));
    take(table, record_of(FP_EVENT_DEADLINE));
    CHECK_EQ(row_of(table, 0)->last_result, 255);
    CHECK_EQ(fp_table_totals(table)->stale_records, 0);
    fp_table_free(table);
}

static void what_was_skipped_counts_by_reason_and_is_no_result(void) {
    fp_table *table = with_one(PLAIN);
    fp_record skipped = record_of(FP_EVENT_SKIPPED);
    skipped.reason = FP_REASON_LATE;
    take(table, skipped);
    skipped.detail = 41;
    take(table, skipped);
    skipped.reason = FP_REASON_OVERLAP;
    take(table, skipped);
    CHECK_EQ(fp_table_totals(table)->skipped[FP_REASON_LATE], 42);
    CHECK_EQ(fp_table_totals(table)->skipped[FP_REASON_OVERLAP], 41);
    CHECK_EQ(history_of(table, 0)->skipped, 83);
    CHECK_EQ(row_of(table, 0)->last_result, 255);
    CHECK_EQ(fp_table_columns(table)->state[0], FP_UNKNOWN);
    fp_table_free(table);
}

static void passive_results_move_the_state_and_are_no_runs(void) {
    fp_table *table = with_one(PLAIN);
    fp_record passive = record_of(FP_FAIL | FP_PASSIVE);
    passive.lag_us = 1000;
    CHECK_EQ(take(table, passive), FP_UNHEALTHY);
    const fp_totals *totals = fp_table_totals(table);
    CHECK_EQ(totals->passive, 1);
    CHECK_EQ(totals->runs[FP_FAIL], 0);
    CHECK(totals->lag_max_s == 0);
    CHECK_EQ(row_of(table, 0)->runs[FP_FAIL], 1);
    CHECK_EQ(history_of(table, 0)->recent[0].result, FP_FAIL);
    fp_table_free(table);
}

static uint32_t counted(const fp_table *table, uint32_t bucket) {
    return fp_table_columns(table)->histogram[fp_hist_place(bucket, compact)];
}

/* Where the sums of groups have it. */
static uint32_t summed(uint32_t bucket) {
    return fp_hist_bucket_at(fp_hist_place(bucket, compact), compact);
}

static void the_histogram_takes_what_was_measured_of_the_target(void) {
    fp_table *table = with_one(PLAIN);
    const uint32_t bucket = fp_hist_bucket(FP_NS_PER_MS);
    take_many(table, "odfte");
    CHECK_EQ(counted(table, bucket), 3);
    CHECK_EQ(counted(table, FP_HIST_OVERFLOW), 1);
    CHECK(row_of(table, 0)->latency_sum_s > .00399 && row_of(table, 0)->latency_sum_s < .00401);
    fp_record unmeasured = record_of(FP_OK | FP_PASSIVE);
    unmeasured.latency_ns = 0;
    take(table, unmeasured);
    CHECK_EQ(counted(table, 0), 0);
    unmeasured.result = FP_OK;
    take(table, unmeasured);
    CHECK_EQ(counted(table, 0), 1);
    fp_table_free(table);
}

static void lag_is_counted_apart_from_latency(void) {
    fp_table *table = with_one(PLAIN);
    fp_record late = record_of(FP_OK);
    late.lag_us = 2000000;
    take(table, late);
    late.lag_us = 500000;
    take(table, late);
    const fp_totals *totals = fp_table_totals(table);
    CHECK_EQ(totals->lag[fp_hist_bucket(2 * FP_NS_PER_S)], 1);
    CHECK_EQ(totals->lag[fp_hist_bucket(FP_NS_PER_S / 2)], 1);
    CHECK(totals->lag_max_s == 2.0 && totals->lag_sum_s == 2.5);
    fp_table_free(table);
}

static void the_newest_results_are_remembered_in_a_ring(void) {
    fp_table *table = with_one(PLAIN);
    for (uint32_t i = 0; i < FP_RECENT + 3; i++) {
        fp_record record = record_of(FP_FAIL);
        record.started_ns = i * 10 * FP_NS_PER_MS;
        record.latency_ns = i == 10 ? UINT64_MAX : i * FP_NS_PER_US;
        record.detail = (uint16_t)i;
        take(table, record);
        CHECK_EQ(row_of(table, 0)->remembered, i + 1);
    }
    const fp_row *row = row_of(table, 0);
    CHECK_EQ(row->remembered % FP_RECENT, 3);
    const fp_recent *recent = history_of(table, 0)->recent;
    CHECK_EQ(recent[2].detail, 10);
    CHECK(recent[2].latency_s == 9223372036.854776f);
    CHECK_EQ(recent[3].detail, 3);
    CHECK_EQ(recent[3].at_cs, 3);
    CHECK(recent[3].latency_s == 3e-6f);
    for (int i = 0; i < 100; i++) take_many(table, "o");
    CHECK_EQ(row->remembered % FP_RECENT, (FP_RECENT + 3 + 100) % FP_RECENT);
    CHECK(row->remembered >= FP_RECENT);
    fp_table_free(table);
}

/* -- states -------------------------------------------------------------------------------------------------------- */

static void states_follow_streaks_of_results(void) {
    static const struct {
        const char *results;
        uint8_t state;
    } cases[] = {
        {"", FP_UNKNOWN},
        {"o", FP_HEALTHY}, /* the first conclusive result decides alone */
        {"d", FP_DEGRADED_STATE},
        {"f", FP_UNHEALTHY},
        {"t", FP_UNHEALTHY},
        {"e", FP_UNKNOWN}, /* could not tell */
        {"ee", FP_UNKNOWN},
        {"eee", FP_UNHEALTHY},
        {"eo", FP_HEALTHY},
        {"ef", FP_UNHEALTHY},
        {"off", FP_HEALTHY},
        {"offo", FP_HEALTHY},
        {"fte", FP_UNHEALTHY},
        {"offt", FP_UNHEALTHY},
        {"oeee", FP_UNHEALTHY},
        {"ffffo", FP_UNHEALTHY},
        {"ffffoo", FP_HEALTHY},
        {"fofo", FP_UNHEALTHY},
        {"odd", FP_HEALTHY},
        {"oddd", FP_DEGRADED_STATE},
        {"odfd", FP_DEGRADED_STATE},
        {"ofdf", FP_DEGRADED_STATE},
        {"odddoo", FP_HEALTHY},
        {"fd", FP_UNHEALTHY},
        {"fdd", FP_DEGRADED_STATE},
        {"fdo", FP_DEGRADED_STATE},
        {"fdoo", FP_HEALTHY},
        {"dfff", FP_UNHEALTHY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fp_table *table = with_one(PLAIN);
        CHECK_EQ(take_many(table, cases[i].results), cases[i].state);
        fp_table_free(table);
    }
}

static void streaks_stop_growing_and_still_count(void) {
    fp_probe_config config = PLAIN;
    config.rise = config.fall = 100;
    fp_table *table = with_one(config);
    take_many(table, "f");
    for (int i = 0; i < 1000; i++) take_many(table, "o");
    CHECK_EQ(fp_table_columns(table)->state[0], FP_HEALTHY);
    CHECK_EQ(row_of(table, 0)->streaks, 0x00007f7f);
    for (int i = 0; i < 99; i++) take_many(table, "f");
    CHECK_EQ(fp_table_columns(table)->state[0], FP_HEALTHY);
    take_many(table, "f");
    CHECK_EQ(fp_table_columns(table)->state[0], FP_UNHEALTHY);
    fp_table_free(table);
}

static void a_slow_pass_is_degraded_before_anything_else(void) {
    fp_probe_config config = PLAIN;
    config.degraded_above_us = 1000;
    fp_table *table = with_one(config);
    fp_record at_the_bound = record_of(FP_OK), above = record_of(FP_OK);
    above.latency_ns++;
    CHECK_EQ(take(table, at_the_bound), FP_HEALTHY);
    take(table, above);
    CHECK_EQ(row_of(table, 0)->last_result, FP_DEGRADED);
    CHECK_EQ(row_of(table, 0)->last_reason, FP_REASON_SLOW);
    CHECK_EQ(row_of(table, 0)->runs[FP_DEGRADED], 1);
    CHECK_EQ(fp_table_totals(table)->runs[FP_DEGRADED], 1);
    fp_table_free(table);
}

static void transitions_say_what_decided_and_when(void) {
    fp_table *table = with_one(PLAIN);
    const fp_record records[] = {
        {.generation = 1, .started_ns = 100, .latency_ns = 10, .result = FP_OK},
        {.generation = 1,
         .started_ns = 200,
         .latency_ns = 10,
         .result = FP_FAIL,
         .reason = FP_REASON_HTTP_STATUS,
         .detail = 502},
        {.generation = 1,
         .started_ns = 300,
         .latency_ns = 10,
         .result = FP_FAIL,
         .reason = FP_REASON_HTTP_STATUS,
         .detail = 502},
        {.generation = 1,
         .started_ns = 400,
         .latency_ns = 10,
         .result = FP_FAIL,
         .reason = FP_REASON_HTTP_STATUS,
         .detail = 503},
    };
    fp_transition moved[4];
    CHECK_EQ(fp_table_ingest(table, records, 4, moved), 2);
    CHECK(moved[0].from == FP_UNKNOWN && moved[0].to == FP_HEALTHY && moved[0].at_ns == 110);
    CHECK(moved[1].from == FP_HEALTHY && moved[1].to == FP_UNHEALTHY && moved[1].at_ns == 410);
    CHECK(moved[1].slot == 0 && moved[1].generation == 1 && moved[1].result == FP_FAIL);
    CHECK(moved[1].reason == FP_REASON_HTTP_STATUS && moved[1].detail == 503);
    CHECK_EQ(history_of(table, 0)->since_ns, 410);
    CHECK_EQ(row_of(table, 0)->transitions, 2);
    fp_table_free(table);
}

static void a_paused_probe_counts_and_stays_paused(void) {
    fp_table *table = with_one(PLAIN);
    take_many(table, "o");
    CHECK_EQ(fp_table_pause(table, 0, 1, 50, true), 0);
    CHECK_EQ(take_many(table, "ffff"), FP_PAUSED);
    CHECK_EQ(row_of(table, 0)->runs[FP_FAIL], 4);
    CHECK_EQ(history_of(table, 0)->since_ns, 50);
    CHECK_EQ(fp_table_pause(table, 0, 1, 60, true), 0);
    CHECK_EQ(history_of(table, 0)->since_ns, 50); /* it was paused already */
    CHECK_EQ(fp_table_pause(table, 0, 1, 70, false), 0);
    CHECK_EQ(fp_table_columns(table)->state[0], FP_UNKNOWN);
    CHECK_EQ(history_of(table, 0)->since_ns, 70);
    CHECK_EQ(fp_table_pause(table, 0, 1, 80, false), 0);
    CHECK_EQ(history_of(table, 0)->since_ns, 70);
    CHECK_EQ(take_many(table, "o"), FP_HEALTHY);
    fp_table_free(table);
}

/* -- groups -------------------------------------------------------------------------------------------------------- */

typedef struct sums {
    uint64_t histogram[GROUPS][FP_HIST_BUCKETS];
    uint64_t runs[GROUPS][FP_RESULTS];
    double latency_s[GROUPS];
    uint64_t transitions[GROUPS];
} sums;

static void merge(const fp_table *table, sums *out) {
    fp_table_merge_groups(table, GROUPS, out->histogram[0], out->runs[0]);
    fp_table_merge_sums(table, GROUPS, out->latency_s, out->transitions);
}

static void what_a_removed_probe_counted_stays_with_its_group(void) {
    fp_table *table = with_one(PLAIN);
    take_many(table, "oofft");
    static sums before, after;
    merge(table, &before);
    CHECK_EQ(before.runs[1][FP_FAIL], 2);
    CHECK_EQ(fp_table_remove(table, 0, 1), 0);
    merge(table, &after);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    fp_table_free(table);
}

static void a_probe_that_changes_its_group_leaves_its_counts_behind(void) {
    fp_table *table = with_one(PLAIN);
    take_many(table, "oofft");
    static sums before, after;
    merge(table, &before);
    fp_probe_config moved = PLAIN;
    moved.group = 4;
    CHECK_EQ(fp_table_configure(table, 0, 1, &moved), 0);
    merge(table, &after);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    take_many(table, "f");
    CHECK_EQ(fp_table_remove(table, 0, 1), 0);
    merge(table, &after);
    CHECK(memcmp(before.runs[1], after.runs[1], sizeof before.runs[1]) == 0);
    CHECK_EQ(after.runs[4][FP_FAIL], 1);
    CHECK_EQ(after.histogram[4][summed(fp_hist_bucket(FP_NS_PER_MS))], 1);
    CHECK_SOUND(fp_table_check(table));
    fp_table_free(table);
}

/* 32 bits last 497 days at a hundred runs a second, but groups count for ever. */
static void a_counter_that_wraps_carries_into_its_group(void) {
    fp_table *table = with_one(PLAIN);
    take_many(table, "f");
    fp_row *row = &fp_table_columns(table)->row[0];
    row->runs[FP_OK] = row->transitions = UINT32_MAX;
    const fp_record passes[2] = {record_of(FP_OK), record_of(FP_OK)};
    fp_transition moved[2];
    CHECK_EQ(fp_table_ingest(table, passes, 2, moved), 1);
    static sums after;
    merge(table, &after);
    CHECK_EQ(row->runs[FP_OK], 1);
    CHECK_EQ(after.runs[1][FP_OK], UINT32_MAX + 2LL);
    CHECK_EQ(after.transitions[1], UINT32_MAX + 1LL);
    fp_table_free(table);
}

/* 16 bits last 18 hours at a run a second: the probe's own percentiles are then of what came since, its group's of everything.
 */
static void a_full_histogram_begins_anew_and_its_group_goes_on_counting(void) {
    fp_table *table = with_one(PLAIN);
    const uint32_t bucket = fp_hist_bucket(FP_NS_PER_MS);
    fp_transition moved;
    for (uint64_t run = 0; run < FP_HIST_COUNT_MAX + 3ULL; run++) {
        const fp_record pass = record_of(FP_OK);
        fp_table_ingest(table, &pass, 1, &moved);
    }
    CHECK_SOUND(fp_table_check(table));
    static sums after;
    merge(table, &after);
    const fp_row *row = &fp_table_columns(table)->row[0];
    CHECK_EQ(counted(table, bucket), 3);
    CHECK_EQ((row->latency_sum_s + 1e-9) * 1000, 3);
    CHECK_EQ(row->runs[FP_OK], FP_HIST_COUNT_MAX + 3);
    CHECK_EQ(after.histogram[1][summed(bucket)], FP_HIST_COUNT_MAX + 3);
    fp_table_free(table);
}

static void groups_beyond_those_asked_for_are_passed_over(void) {
    fp_table *table = with_one(PLAIN);
    take_many(table, "o");
    uint64_t histogram[FP_HIST_BUCKETS], runs[FP_RESULTS];
    fp_table_merge_groups(table, 1, histogram, runs);
    CHECK_EQ(runs[FP_OK], 0);
    fp_table_merge_groups(table, 0, NULL, NULL);
    fp_table_free(table);
}

/* -- everything at once -------------------------------------------------------------------------------------------- */

/* Who lives where, as the caller knows it, and what each group must have counted. */
typedef struct model {
    uint32_t generation[SLOTS]; /* 0: free */
    uint32_t group[SLOTS];
    uint64_t histogram[GROUPS][FP_HIST_BUCKETS];
    uint64_t runs[GROUPS][FP_RESULTS];
    uint64_t stale;
} model;

static fp_probe_config random_config(check_rng *rng) {
    return (fp_probe_config){
        .group = (uint32_t)check_below(rng, GROUPS),
        .rise = (uint8_t)(1 + check_below(rng, 3)),
        .fall = (uint8_t)(1 + check_below(rng, 3)),
        .degraded_above_us = check_below(rng, 2) ? 0 : 5000,
    };
}

static void add_one(fp_table *table, model *known, check_rng *rng) {
    const fp_probe_config config = random_config(rng);
    uint32_t slot, generation;
    if (fp_table_add(table, &config, check_below(rng, 1000), &slot, &generation)) return;
    CHECK_EQ(known->generation[slot], 0);
    known->generation[slot] = generation;
    known->group[slot] = config.group;
}

static void change_one(fp_table *table, model *known, check_rng *rng) {
    const uint32_t slot = (uint32_t)check_below(rng, SLOTS);
    const uint32_t generation = known->generation[slot];
    const int wanted = generation ? 0 : -ESTALE;
    switch (check_below(rng, 4)) {
    case 0:
        CHECK_EQ(fp_table_remove(table, slot, generation), wanted);
        known->generation[slot] = 0;
        break;
    case 1: {
        const fp_probe_config config = random_config(rng);
        CHECK_EQ(fp_table_configure(table, slot, generation, &config), wanted);
        known->group[slot] = config.group;
        break;
    }
    default:
        CHECK_EQ(fp_table_pause(table, slot, generation, 5, check_below(rng, 2)), wanted);
    }
}

enum { MOST_RECORDS = 100 };

static void take_some(fp_table *table, model *known, check_rng *rng) {
    fp_record records[MOST_RECORDS];
    fp_transition moved[MOST_RECORDS];
    const uint32_t n = (uint32_t)check_below(rng, MOST_RECORDS + 1);
    for (uint32_t i = 0; i < n; i++) {
        fp_record *record = &records[i];
        *record = (fp_record){.slot = (uint32_t)check_below(rng, SLOTS), .started_ns = check_random(rng) >> 8};
        record->latency_ns = check_below(rng, 20 * FP_NS_PER_MS);
        record->result = (uint8_t)(check_below(rng, FP_RESULTS) | (check_below(rng, 8) ? 0 : FP_PASSIVE));
        record->generation = known->generation[record->slot];
        if (check_below(rng, 10) == 0) record->generation -= 2;
        if (record->generation != known->generation[record->slot] || !record->generation) {
            known->stale++;
            continue;
        }
        const uint8_t asked = record->result & (uint8_t)~FP_PASSIVE;
        const uint32_t above_us = row_of(table, record->slot)->degraded_above_us;
        const bool slow = asked == FP_OK && above_us && record->latency_ns > above_us * FP_NS_PER_US;
        const uint32_t group = known->group[record->slot];
        known->runs[group][slow ? FP_DEGRADED : asked]++;
        if (asked != FP_ERROR && (record->latency_ns || record->result == asked))
            known->histogram[group][asked == FP_TIMEOUT ? FP_HIST_OVERFLOW : summed(fp_hist_bucket(record->latency_ns))]++;
    }
    fp_table_ingest(table, records, n, moved);
}

static void nothing_is_lost_whatever_happens(void) {
    check_rng rng = check_seed(41);
    for (int round = 0; round < 30; round++) {
        fp_table *table = new_table();
        static model known;
        memset(&known, 0, sizeof known);
        for (int step = 0; step < 200; step++) {
            switch (check_below(&rng, 3)) {
            case 0:
                add_one(table, &known, &rng);
                break;
            case 1:
                change_one(table, &known, &rng);
                break;
            default:
                take_some(table, &known, &rng);
            }
            CHECK_SOUND(fp_table_check(table));
            if (step % 10) continue; /* so that the order of slots is old at times and fresh at others */
            static sums merged;
            merge(table, &merged);
            CHECK(memcmp(merged.runs, known.runs, sizeof merged.runs) == 0);
            CHECK(memcmp(merged.histogram, known.histogram, sizeof merged.histogram) == 0);
            CHECK_EQ(fp_table_totals(table)->stale_records, known.stale);
        }
        fp_table_free(table);
    }
}

/* What ingest tells of one result: '.' nothing, '~' that a change is pending or no longer, '!' a change. */
static char told(fp_table *table, char letter) {
    static const char LETTERS[] = "odfte";
    fp_transition moved;
    const fp_record record = record_of((uint8_t)(strchr(LETTERS, letter) - LETTERS));
    if (!fp_table_ingest(table, &record, 1, &moved)) return '.';
    CHECK_EQ(moved.result, record.result);
    CHECK_EQ(moved.at_ns, record.started_ns + record.latency_ns);
    return moved.from == moved.to ? '~' : '!';
}

static void check_told(const char *results, const char *expected, bool watched) {
    fp_table *table = with_one(PLAIN);
    CHECK_EQ(fp_table_watch(table, 0, 1, watched), 0);
    for (; *results; results++, expected++) CHECK_EQ(told(table, *results), *expected);
    CHECK_EQ(fp_table_totals(table)->transitions, row_of(table, 0)->transitions);
    fp_table_free(table);
}

static void of_a_watched_probe_it_is_told_when_a_change_begins_to_be_pending_and_when_no_longer(void) {
    check_told("oofoo", "!.~~.", true);     /* a blip */
    check_told("offfff", "!~.!..", true);   /* down: fall is 3 */
    check_told("ffofoo", "!.~~~!", true);   /* and up: rise is 2 */
    check_told("dooddfd", "!~!~.!~", true); /* by way of DEGRADED, which a failure pulls away from */
    check_told("oofoo", "!....", false);
}

static void who_is_gone_cannot_be_watched(void) {
    fp_table *table = with_one(PLAIN);
    CHECK_EQ(fp_table_watch(table, 0, 3, true), -ESTALE);
    fp_table_free(table);
}

static void run_all(void) {
    RUN(a_table_without_slots_or_groups_is_refused);
    RUN(a_full_table_says_so);
    RUN(a_reused_slot_remembers_nothing);
    RUN(a_million_slots_cost_only_what_is_touched);
    RUN(old_generations_are_refused_everywhere);
    RUN(records_of_nobody_are_counted_as_stale);
    RUN(notices_for_the_lanes_are_passed_over);
    RUN(what_was_skipped_counts_by_reason_and_is_no_result);
    RUN(passive_results_move_the_state_and_are_no_runs);
    RUN(the_histogram_takes_what_was_measured_of_the_target);
    RUN(lag_is_counted_apart_from_latency);
    RUN(the_newest_results_are_remembered_in_a_ring);
    RUN(states_follow_streaks_of_results);
    RUN(streaks_stop_growing_and_still_count);
    RUN(a_slow_pass_is_degraded_before_anything_else);
    RUN(transitions_say_what_decided_and_when);
    RUN(a_paused_probe_counts_and_stays_paused);
    RUN(what_a_removed_probe_counted_stays_with_its_group);
    RUN(a_probe_that_changes_its_group_leaves_its_counts_behind);
    RUN(a_counter_that_wraps_carries_into_its_group);
    RUN(a_full_histogram_begins_anew_and_its_group_goes_on_counting);
    RUN(groups_beyond_those_asked_for_are_passed_over);
    RUN(nothing_is_lost_whatever_happens);
    RUN(of_a_watched_probe_it_is_told_when_a_change_begins_to_be_pending_and_when_no_longer);
    RUN(who_is_gone_cannot_be_watched);
}

int main(void) {
    run_all();
    compact = true;
    run_all();
    return 0;
}
