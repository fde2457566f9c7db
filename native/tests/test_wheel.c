/* The promises of wheel.h, each as a claim; at the end the wheel against a naive array through a table of random scenarios. */
#include <errno.h>

#include "check.h"
#include "wheel_layout.h"

#define MS     FP_NS_PER_MS
#define SECOND FP_NS_PER_S
#define HOUR   (3600 * FP_NS_PER_S)
#define DAY    (24 * HOUR)

static fp_wheel *new_wheel(uint32_t capacity, fp_ns tick_ns, fp_ns now_ns) {
    fp_wheel *wheel = NULL;
    CHECK_EQ(fp_wheel_new(&wheel, capacity, tick_ns, now_ns), 0);
    CHECK_SOUND(fp_wheel_check(wheel));
    return wheel;
}

static void end(fp_wheel *wheel) {
    CHECK_SOUND(fp_wheel_check(wheel));
    fp_wheel_free(wheel);
}

/* Expires all that is due at now and says how many; for claims that look at the count alone. */
static uint32_t expire_all(fp_wheel *wheel, fp_ns now_ns) {
    fp_expiry out[64];
    uint32_t total = 0;
    for (;;) {
        const uint32_t n = fp_wheel_expire(wheel, now_ns, out, 64);
        total += n;
        if (n < 64) return total;
    }
}

static void expire_one(fp_wheel *wheel, fp_ns now_ns, uint32_t id, fp_ns due_ns, uint32_t missed) {
    fp_expiry out[2];
    CHECK_EQ(fp_wheel_expire(wheel, now_ns, out, 2), 1);
    CHECK_EQ(out[0].id, id);
    CHECK_EQ(out[0].due_ns, due_ns);
    CHECK_EQ(out[0].missed, missed);
}

/* ---- one timer --------------------------------------------------------------------------------------------------- */

static void impossible_wheels_are_refused(void) {
    fp_wheel *wheel = NULL;
    CHECK_EQ(fp_wheel_new(&wheel, 0, MS, 0), -EINVAL);
    CHECK_EQ(fp_wheel_new(&wheel, 1, 999, 0), -EINVAL);
    CHECK(wheel == NULL);
}

static void a_new_timer_is_idle(void) {
    fp_wheel *wheel = new_wheel(3, MS, 5 * SECOND);
    CHECK(!fp_wheel_is_armed(wheel, 2));
    CHECK(fp_wheel_due(wheel, 2) == FP_NEVER);
    CHECK_EQ(fp_wheel_interval(wheel, 2), 0);
    CHECK(fp_wheel_next_due(wheel) == FP_NEVER);
    fp_wheel_cancel(wheel, 2);
    CHECK_EQ(fp_wheel_armed_count(wheel), 0);
    CHECK_EQ(expire_all(wheel, DAY), 0);
    end(wheel);
}

static void a_one_shot_expires_once_and_becomes_idle(void) {
    fp_wheel *wheel = new_wheel(1, MS, 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 7 * MS, 0), 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), 7 * MS);
    CHECK_EQ(expire_all(wheel, 7 * MS - 1), 0);
    expire_one(wheel, 7 * MS, 0, 7 * MS, 0);
    CHECK(!fp_wheel_is_armed(wheel, 0));
    CHECK_EQ(expire_all(wheel, DAY), 0);
    end(wheel);
}

static void due_and_interval_are_rounded_up_to_the_tick(void) {
    fp_wheel *wheel = new_wheel(1, MS, 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 7 * MS + 1, 2 * MS + 1), 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), 8 * MS);
    CHECK_EQ(fp_wheel_interval(wheel, 0), 3 * MS);
    expire_one(wheel, 8 * MS, 0, 8 * MS, 0);
    expire_one(wheel, 11 * MS, 0, 11 * MS, 0);
    end(wheel);
}

static void a_time_that_has_passed_expires_at_the_next_call(void) {
    fp_wheel *wheel = new_wheel(2, MS, 100 * MS + 700000);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 40 * MS, 0), 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), 40 * MS);
    CHECK_EQ(fp_wheel_next_due(wheel), 100 * MS + 700000);
    expire_one(wheel, 100 * MS + 700000, 0, 40 * MS, 0);
    /* Passed within the tick now is in: due when asked for, not when the tick ends; but the phase is that of the tick's end. */
    CHECK_EQ(fp_wheel_arm(wheel, 0, 100 * MS + 300000, 5 * MS), 0);
    expire_one(wheel, 100 * MS + 700000, 0, 100 * MS + 700000, 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), 106 * MS);
    /* Not passed yet, though within the same tick. */
    CHECK_EQ(fp_wheel_arm(wheel, 1, 100 * MS + 800000, 0), 0);
    CHECK_EQ(expire_all(wheel, 100 * MS + 900000), 0);
    CHECK_EQ(expire_all(wheel, 101 * MS), 1);
    end(wheel);
}

static void a_passed_time_keeps_its_phase(void) {
    fp_wheel *wheel = new_wheel(2, MS, 100 * DAY);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 100 * DAY - HOUR, 30 * DAY), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 1, 100 * DAY - 95, 10 * MS), 0);
    fp_expiry out[3];
    CHECK_EQ(fp_wheel_expire(wheel, 100 * DAY, out, 3), 2);
    CHECK_EQ(out[0].due_ns, 100 * DAY - HOUR);
    CHECK_EQ(fp_wheel_due(wheel, 0), 130 * DAY - HOUR);
    CHECK_EQ(fp_wheel_due(wheel, 1), 100 * DAY + 10 * MS);
    end(wheel);
}

static void a_time_further_back_than_the_reach_is_brought_forward_on_its_phase(void) {
    fp_wheel *wheel = new_wheel(2, MS, 400 * DAY);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 2 * HOUR, DAY), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 1, 0, 0), 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), 399 * DAY + 2 * HOUR);
    CHECK_EQ(fp_wheel_due(wheel, 1), 400 * DAY - (FP_WHEEL_REACH - 2ULL) * MS);
    CHECK_EQ(expire_all(wheel, 400 * DAY), 2);
    CHECK_EQ(fp_wheel_due(wheel, 0), 400 * DAY + 2 * HOUR);
    const fp_ns furthest = 400 * DAY - (FP_WHEEL_REACH - 2ULL) * MS;
    CHECK_EQ(fp_wheel_arm(wheel, 1, furthest, 0), 0);
    CHECK_EQ(fp_wheel_due(wheel, 1), furthest);
    CHECK_EQ(fp_wheel_arm(wheel, 1, furthest - MS, 0), 0);
    CHECK_EQ(fp_wheel_due(wheel, 1), furthest);
    end(wheel);
}

static void what_lies_beyond_the_reach_is_refused_and_changes_nothing(void) {
    fp_wheel *wheel = new_wheel(1, MS, DAY);
    const fp_ns reach = FP_WHEEL_REACH * MS;
    CHECK_EQ(fp_wheel_arm(wheel, 0, DAY + reach, 0), -ERANGE);
    CHECK_EQ(fp_wheel_arm(wheel, 0, FP_NEVER, 0), -ERANGE);
    CHECK(!fp_wheel_is_armed(wheel, 0));
    CHECK_EQ(fp_wheel_arm(wheel, 0, DAY + 5 * MS, 3 * MS), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, DAY + reach, MS), -ERANGE);
    CHECK_EQ(fp_wheel_arm(wheel, 0, DAY + MS, reach), -ERANGE);
    CHECK_EQ(fp_wheel_arm(wheel, 0, DAY + MS, FP_NEVER), -ERANGE);
    CHECK_EQ(fp_wheel_due(wheel, 0), DAY + 5 * MS);
    CHECK_EQ(fp_wheel_interval(wheel, 0), 3 * MS);
    CHECK_EQ(fp_wheel_arm(wheel, 0, DAY + reach - MS, reach - MS), 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), DAY + reach - MS);
    CHECK_EQ(fp_wheel_interval(wheel, 0), reach - MS);
    CHECK_EQ(expire_all(wheel, DAY + reach - MS - 1), 0);
    expire_one(wheel, DAY + reach - MS, 0, DAY + reach - MS, 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), DAY + 2 * (reach - MS));
    end(wheel);
}

static void a_clock_that_runs_backwards_is_taken_as_standing_still(void) {
    fp_wheel *wheel = new_wheel(1, MS, SECOND);
    CHECK_EQ(fp_wheel_arm(wheel, 0, SECOND + 10 * MS, 10 * MS), 0);
    CHECK_EQ(expire_all(wheel, SECOND + 10 * MS), 1);
    CHECK_EQ(expire_all(wheel, 0), 0);
    CHECK_SOUND(fp_wheel_check(wheel));
    CHECK_EQ(fp_wheel_next_due(wheel), SECOND + 20 * MS);
    CHECK_EQ(fp_wheel_arm(wheel, 0, SECOND + 10 * MS, 10 * MS), 0); /* has passed, whatever the clock says now */
    CHECK_EQ(expire_all(wheel, 0), 1);
    CHECK_EQ(fp_wheel_due(wheel, 0), SECOND + 20 * MS);
    CHECK_EQ(expire_all(wheel, SECOND + 20 * MS), 1);
    end(wheel);
}

/* ---- doubles and the dead ---------------------------------------------------------------------------------------- */

static void arming_anew_replaces_the_due_time(void) {
    fp_wheel *wheel = new_wheel(1, MS, 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 5 * MS, 0), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 9 * MS, 0), 0);
    CHECK_EQ(fp_wheel_armed_count(wheel), 1);
    CHECK_EQ(expire_all(wheel, 8 * MS), 0);
    CHECK_EQ(expire_all(wheel, 9 * MS), 1);
    end(wheel);
}

static void doubles_of_one_tick_expire_once(void) {
    fp_wheel *wheel = new_wheel(4, MS, 0);
    for (uint32_t id = 0; id < 4; id++) {
        const fp_ns interval_ns = id % 2 ? 4 * MS : 0;
        CHECK_EQ(fp_wheel_arm(wheel, id, 5 * MS, interval_ns), 0);
        if (id < 2)
            fp_wheel_cancel(wheel, id);
        else
            CHECK_EQ(fp_wheel_arm(wheel, id, 6 * MS, interval_ns), 0);
        CHECK_EQ(fp_wheel_arm(wheel, id, 5 * MS, interval_ns), 0);
        CHECK_SOUND(fp_wheel_check(wheel));
    }
    CHECK_EQ(expire_all(wheel, 5 * MS), 4);
    CHECK_SOUND(fp_wheel_check(wheel));
    CHECK_EQ(expire_all(wheel, 8 * MS), 0);
    CHECK_EQ(expire_all(wheel, 9 * MS), 2);
    end(wheel);
}

static void doubles_that_are_late_expire_once(void) {
    fp_wheel *wheel = new_wheel(2, MS, SECOND);
    for (uint32_t id = 0; id < 2; id++) {
        CHECK_EQ(fp_wheel_arm(wheel, id, 5 * MS, id * MS), 0);
        fp_wheel_cancel(wheel, id);
        CHECK_EQ(fp_wheel_arm(wheel, id, 5 * MS, id * MS), 0);
        CHECK_EQ(fp_wheel_arm(wheel, id, 6 * MS, id * MS), 0);
        CHECK_EQ(fp_wheel_arm(wheel, id, 5 * MS, id * MS), 0);
        CHECK_SOUND(fp_wheel_check(wheel));
    }
    CHECK_EQ(expire_all(wheel, SECOND), 2);
    end(wheel);
}

static void a_late_timer_can_be_cancelled_and_moved_ahead(void) {
    fp_wheel *wheel = new_wheel(3, MS, SECOND);
    for (uint32_t id = 0; id < 3; id++) CHECK_EQ(fp_wheel_arm(wheel, id, 5 * MS, 0), 0);
    fp_wheel_cancel(wheel, 0);
    CHECK_EQ(fp_wheel_arm(wheel, 1, 2 * SECOND, 0), 0);
    CHECK_SOUND(fp_wheel_check(wheel));
    expire_one(wheel, SECOND, 2, 5 * MS, 0);
    expire_one(wheel, 2 * SECOND, 1, 2 * SECOND, 0);
    end(wheel);
}

/* 2^32 ticks apart, two due times look the same in an entry. */
static void a_late_timer_moved_ahead_by_a_whole_turn_does_not_fire_early(void) {
    const fp_ns turn = (1ULL << 32) * MS, start = turn + DAY;
    fp_wheel *wheel = new_wheel(1, MS, start);
    CHECK_EQ(fp_wheel_arm(wheel, 0, start - HOUR, 0), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, start - HOUR + turn, 0), 0);
    CHECK_EQ(fp_wheel_due(wheel, 0), start - HOUR + turn);
    CHECK_EQ(expire_all(wheel, start), 0);
    expire_one(wheel, start - HOUR + turn, 0, start - HOUR + turn, 0);
    /* The other way round: what waits a turn ahead is dead when its timer is re-armed to the past. */
    const fp_ns now = start - HOUR + turn;
    CHECK_EQ(fp_wheel_arm(wheel, 0, now - HOUR + turn, 0), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, now - HOUR, 0), 0);
    expire_one(wheel, now, 0, now - HOUR, 0);
    CHECK_EQ(expire_all(wheel, now + turn), 0);
    end(wheel);
}

static void a_storm_of_arming_and_cancelling_is_bounded_in_memory(void) {
    fp_wheel *wheel = new_wheel(64, MS, 0);
    check_rng rng = check_seed(11);
    size_t most = 0;
    for (uint32_t i = 0; i < 1000000; i++) {
        const uint32_t id = (uint32_t)check_below(&rng, 64);
        const fp_ns ahead[] = {MS, 900 * MS, 30 * SECOND, HOUR, DAY, 40 * DAY};
        CHECK_EQ(fp_wheel_arm(wheel, id, check_below(&rng, ahead[i % 6]), i % 2 ? MS : 0), 0);
        if (i % 3) fp_wheel_cancel(wheel, id);
        if (i % 50000 == 0) CHECK_SOUND(fp_wheel_check(wheel));
        CHECK(wheel->queued <= 2 * 64 + DEAD_ALLOWANCE);
        if (fp_wheel_bytes(wheel) > most) most = fp_wheel_bytes(wheel);
    }
    CHECK(most < sizeof(fp_wheel) + 6 * (2 * 64 + 4096) * 8 + (256 << 10)); /* a chunk for each far slot, at worst */
    end(wheel);
}

static void a_storm_of_doubles_is_bounded_too(void) {
    fp_wheel *wheel = new_wheel(2, MS, SECOND);
    for (uint32_t i = 0; i < 100000; i++) {
        CHECK_EQ(fp_wheel_arm(wheel, 0, 2 * SECOND, 0), 0); /* in a slot */
        CHECK_EQ(fp_wheel_arm(wheel, 1, SECOND / 2, 0), 0); /* in the late queue */
        fp_wheel_cancel(wheel, i % 2);
    }
    CHECK_SOUND(fp_wheel_check(wheel));
    CHECK(wheel->queued <= 2 * 2 + DEAD_ALLOWANCE);
    CHECK_EQ(expire_all(wheel, SECOND), 0); /* the last cancel was that of the late one */
    expire_one(wheel, 2 * SECOND, 0, 2 * SECOND, 0);
    end(wheel);
}

/* A turn apart, the dead entry in a slot looks like the living one in the late queue. The sweep must not keep the wrong one. */
static void a_sweep_tells_the_late_from_those_a_turn_ahead(void) {
    const fp_ns turn = (1ULL << 32) * MS, now = turn + DAY;
    fp_wheel *wheel = new_wheel(2, MS, now);
    CHECK_EQ(fp_wheel_arm(wheel, 0, now - HOUR + turn, 0), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, now - HOUR, 0), 0);
    while (!wheel->swept) CHECK_EQ(fp_wheel_arm(wheel, 1, now + HOUR + wheel->queued * MS, 0), 0);
    CHECK_SOUND(fp_wheel_check(wheel));
    expire_one(wheel, now, 0, now - HOUR, 0);
    end(wheel);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static void never_early_and_at_most_one_tick_late(void) {
    enum { TIMERS = 2000 };
    static fp_ns asked[TIMERS];
    fp_wheel *wheel = new_wheel(TIMERS, MS, 3 * SECOND);
    check_rng rng = check_seed(12);
    for (uint32_t id = 0; id < TIMERS; id++) {
        asked[id] = 3 * SECOND + 1 + check_below(&rng, 20 * SECOND);
        CHECK_EQ(fp_wheel_arm(wheel, id, asked[id], 0), 0);
    }
    uint32_t expired = 0;
    fp_ns before = 3 * SECOND;
    for (fp_ns now = before; now < 24 * SECOND; before = now, now += 1 + check_below(&rng, 3 * MS)) {
        fp_expiry out[TIMERS];
        const uint32_t n = fp_wheel_expire(wheel, now, out, TIMERS);
        for (uint32_t i = 0; i < n; i++) {
            CHECK(now >= asked[out[i].id]);
            CHECK(out[i].due_ns >= asked[out[i].id] && out[i].due_ns - asked[out[i].id] < MS);
            CHECK(before < out[i].due_ns); /* the call before could not have expired it */
        }
        expired += n;
    }
    CHECK_EQ(expired, TIMERS);
    end(wheel);
}

static void no_drift_over_simulated_days(void) {
    enum { TIMERS = 40 };
    static fp_ns expected[TIMERS];
    fp_wheel *wheel = new_wheel(TIMERS, MS, 0);
    check_rng rng = check_seed(13);
    for (uint32_t id = 0; id < TIMERS; id++) {
        expected[id] = MS * (1 + check_below(&rng, 60000));
        CHECK_EQ(fp_wheel_arm(wheel, id, expected[id], (30000 + 977 * id) * MS), 0);
    }
    for (fp_ns now = 0; now < 5 * DAY; now += check_below(&rng, 29 * SECOND)) {
        fp_expiry out[TIMERS];
        const uint32_t n = fp_wheel_expire(wheel, now, out, TIMERS);
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t id = out[i].id;
            CHECK_EQ(out[i].due_ns, expected[id]);
            CHECK_EQ(out[i].missed, 0);
            expected[id] += (30000 + 977 * id) * MS;
        }
    }
    end(wheel);
}

static void intervals_of_thirty_days_are_kept_for_years(void) {
    fp_wheel *wheel = new_wheel(2, MS, 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 30 * DAY, 30 * DAY), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 1, 30 * DAY - MS, 30 * DAY), 0);
    for (fp_ns due = 30 * DAY; due < 1500 * DAY; due += 30 * DAY) {
        /* Woken once a week for other reasons. */
        for (fp_ns now = due - 23 * DAY; now < due - DAY; now += 7 * DAY) CHECK_EQ(expire_all(wheel, now), 0);
        CHECK_EQ(expire_all(wheel, due - MS - 1), 0);
        expire_one(wheel, due - 1, 1, due - MS, 0);
        expire_one(wheel, due, 0, due, 0);
        CHECK_SOUND(fp_wheel_check(wheel));
    }
    end(wheel);
}

/* Intervals that straddle the borders of the levels, driven tick by tick over the point where 32 bits begin anew. */
static void the_turn_of_32_bits_is_crossed_unnoticed(void) {
    enum { TIMERS = 300 };
    static uint64_t due[TIMERS], interval[TIMERS];
    const uint64_t start = (1ULL << 32) - 70000;
    fp_wheel *wheel = new_wheel(TIMERS, FP_NS_PER_US, start * FP_NS_PER_US);
    check_rng rng = check_seed(14);
    const uint64_t border[] = {1, 64, 1023, 1024, 1025, 65535, 65536, 65537};
    for (uint32_t id = 0; id < TIMERS; id++) {
        interval[id] = id < 8 ? border[id] : 1 + check_below(&rng, 1ULL << (1 + id % 17));
        due[id] = start + 1 + check_below(&rng, 70000);
        CHECK_EQ(fp_wheel_arm(wheel, id, due[id] * FP_NS_PER_US, interval[id] * FP_NS_PER_US), 0);
    }
    for (uint64_t tick = start; tick < start + 210000; tick++) {
        fp_expiry out[TIMERS];
        const uint32_t n = fp_wheel_expire(wheel, tick * FP_NS_PER_US, out, TIMERS);
        for (uint32_t i = 0; i < n; i++) {
            CHECK_EQ(due[out[i].id], tick);
            CHECK_EQ(out[i].due_ns, tick * FP_NS_PER_US);
            due[out[i].id] += interval[out[i].id];
        }
        if (tick % 9973 == 0) CHECK_SOUND(fp_wheel_check(wheel));
    }
    for (uint32_t id = 0; id < TIMERS; id++) CHECK(due[id] >= start + 210000); /* none was forgotten */
    end(wheel);
}

/* ---- jumps ------------------------------------------------------------------------------------------------------- */

static void a_jump_gives_one_run_each_on_the_same_phase(fp_ns jump) {
    enum { TIMERS = 1000 };
    fp_wheel *wheel = new_wheel(TIMERS, MS, 0);
    for (uint32_t id = 0; id < TIMERS; id++) CHECK_EQ(fp_wheel_arm(wheel, id, (1 + id) * MS, SECOND), 0);
    CHECK_EQ(expire_all(wheel, SECOND), TIMERS);
    const fp_ns now = SECOND + jump;
    fp_expiry out[TIMERS + 1];
    CHECK_EQ(fp_wheel_expire(wheel, now, out, TIMERS + 1), TIMERS);
    for (uint32_t i = 0; i < TIMERS; i++) {
        const fp_ns due = SECOND + (1 + i) * MS;
        CHECK_EQ(out[i].id, i); /* in order of due tick */
        CHECK_EQ(out[i].due_ns, due);
        CHECK_EQ(out[i].missed, (now - due) / SECOND);
        const fp_ns next = fp_wheel_due(wheel, i);
        CHECK(next > now && next <= now + SECOND && (next - due) % SECOND == 0);
    }
    CHECK_SOUND(fp_wheel_check(wheel));
    CHECK_EQ(expire_all(wheel, now + SECOND), TIMERS);
    end(wheel);
}

static void a_minute_of_standstill_gives_one_run_each(void) {
    a_jump_gives_one_run_each_on_the_same_phase(60 * SECOND);
}

static void an_hour_of_suspend_gives_one_run_each(void) {
    a_jump_gives_one_run_each_on_the_same_phase(HOUR);
}

static void forty_days_of_suspend_give_one_run_each(void) {
    a_jump_gives_one_run_each_on_the_same_phase(40 * DAY + 123 * MS);
}

/* Due times older than the reach are told as the last one of the phase; nothing else differs. */
static void a_year_of_suspend_gives_one_run_each(void) {
    fp_wheel *wheel = new_wheel(3, MS, 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, SECOND, HOUR), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 1, 3 * SECOND, 30 * DAY), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 2, 2 * SECOND, 0), 0);
    fp_expiry out[4];
    CHECK_EQ(fp_wheel_expire(wheel, 365 * DAY, out, 4), 3);
    CHECK_EQ(out[0].due_ns, 365 * DAY - HOUR + SECOND);
    CHECK_EQ(out[1].id, 2);
    CHECK_EQ(out[2].due_ns, 360 * DAY + 3 * SECOND);
    CHECK_EQ(fp_wheel_due(wheel, 0), 365 * DAY + SECOND);
    CHECK_EQ(fp_wheel_due(wheel, 1), 390 * DAY + 3 * SECOND);
    end(wheel);
}

/* The case that makes leaps necessary: counted from a cursor 40 days behind, the next due is beyond 2^32 ticks. */
static void long_intervals_survive_a_long_jump_taken_in_batches(void) {
    enum { TIMERS = 50 };
    fp_wheel *wheel = new_wheel(TIMERS, MS, 0);
    for (uint32_t id = 0; id < TIMERS; id++) CHECK_EQ(fp_wheel_arm(wheel, id, DAY + id * HOUR, 45 * DAY + id * MS), 0);
    fp_expiry out[7];
    uint32_t expired = 0;
    for (fp_ns now = 44 * DAY; expired < TIMERS; now += MS) {
        const uint32_t n = fp_wheel_expire(wheel, now, out, 7);
        for (uint32_t i = 0; i < n; i++) CHECK_EQ(out[i].id, expired + i);
        expired += n;
        CHECK_SOUND(fp_wheel_check(wheel));
    }
    for (uint32_t id = 0; id < TIMERS; id++) {
        const fp_ns due = DAY + id * HOUR + 45 * DAY + id * MS;
        CHECK_EQ(fp_wheel_due(wheel, id), due);
        expire_one(wheel, due, id, due, 0);
    }
    end(wheel);
}

static void a_second_jump_during_the_catch_up_of_the_first_keeps_order_and_phase(void) {
    enum { TIMERS = 100 };
    fp_wheel *wheel = new_wheel(TIMERS, MS, 0);
    for (uint32_t id = 0; id < TIMERS; id++) CHECK_EQ(fp_wheel_arm(wheel, id, (1 + id) * 10 * SECOND, 20 * DAY), 0);
    fp_expiry out[TIMERS];
    CHECK_EQ(fp_wheel_expire(wheel, DAY, out, 30), 30);
    CHECK_SOUND(fp_wheel_check(wheel));
    CHECK_EQ(fp_wheel_expire(wheel, 100 * DAY, out, 10), 10);
    CHECK_SOUND(fp_wheel_check(wheel));
    /* The late ones first: those still waiting since the first jump, then the 30 that fell due during the second. */
    CHECK_EQ(fp_wheel_expire(wheel, 100 * DAY + SECOND, out + 10, TIMERS - 10), TIMERS - 10);
    for (uint32_t i = 0; i < TIMERS; i++) CHECK_EQ(out[i].id, (30 + i) % TIMERS);
    for (uint32_t id = 0; id < TIMERS; id++) CHECK_EQ(fp_wheel_due(wheel, id), 100 * DAY + (1 + id) * 10 * SECOND);
    end(wheel);
}

static void timers_can_be_changed_in_the_middle_of_a_catch_up(void) {
    for (uint32_t leaps = 0; leaps < 2; leaps++) {
        const fp_ns now = leaps ? DAY : 10 * SECOND;
        fp_wheel *wheel = new_wheel(6, MS, 0);
        for (uint32_t id = 0; id < 6; id++) CHECK_EQ(fp_wheel_arm(wheel, id, (1 + id / 2) * SECOND, 0), 0);
        fp_expiry out[8];
        CHECK_EQ(fp_wheel_expire(wheel, now, out, 1), 1);
        const uint32_t twin = 1 - out[0].id;             /* waits in the same tick */
        fp_wheel_cancel(wheel, twin);                    /* cancelled after its time, before its turn */
        CHECK_EQ(fp_wheel_arm(wheel, 2, now + 1, 0), 0); /* moved ahead in time */
        CHECK_EQ(fp_wheel_arm(wheel, 4, SECOND, 0), 0);  /* moved to the past */
        CHECK_EQ(fp_wheel_arm(wheel, twin, now - 1, 0), 0);
        CHECK_SOUND(fp_wheel_check(wheel));
        CHECK_EQ(fp_wheel_expire(wheel, now, out, 8), 4);
        CHECK_EQ(fp_wheel_armed_count(wheel), 1);
        CHECK_EQ(fp_wheel_expire(wheel, now + MS, out, 8), 1);
        CHECK_EQ(out[0].id, 2);
        end(wheel);
    }
}

static void batches_of_any_size_hand_out_the_same_timers_in_the_same_order(void) {
    enum { TIMERS = 3000 };
    static fp_ns due[TIMERS];
    check_rng rng = check_seed(15);
    for (uint32_t id = 0; id < TIMERS; id++) due[id] = MS * (1 + check_below(&rng, 5000));
    const uint32_t sizes[] = {1, 2, 6, 7, 8, 64, 1000, TIMERS, TIMERS + 1};
    for (uint32_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        fp_wheel *wheel = new_wheel(TIMERS, MS, 0);
        for (uint32_t id = 0; id < TIMERS; id++) CHECK_EQ(fp_wheel_arm(wheel, id, due[id], 0), 0);
        static fp_expiry out[TIMERS + 1];
        uint32_t total = 0;
        for (uint32_t n = sizes[s]; n == sizes[s]; total += n) {
            n = fp_wheel_expire(wheel, 6 * SECOND, out + total, sizes[s] < TIMERS + 1 - total ? sizes[s] : TIMERS + 1 - total);
            if (sizes[s] == 64) CHECK_SOUND(fp_wheel_check(wheel));
        }
        CHECK_EQ(total, TIMERS);
        for (uint32_t i = 0; i < TIMERS; i++) {
            CHECK_EQ(out[i].due_ns, due[out[i].id]);
            CHECK(i == 0 || out[i - 1].due_ns <= out[i].due_ns);
        }
        CHECK_EQ(fp_wheel_armed_count(wheel), 0);
        end(wheel);
    }
}

/* ---- sleeping ---------------------------------------------------------------------------------------------------- */

static void sleeping_until_next_due_expires_everything_on_time_without_ticking(void) {
    enum { TIMERS = 500 };
    fp_wheel *wheel = new_wheel(TIMERS, MS, DAY);
    check_rng rng = check_seed(16);
    for (uint32_t id = 0; id < TIMERS; id++)
        CHECK_EQ(fp_wheel_arm(wheel, id, DAY + MS * (1 + check_below(&rng, 1ULL << (1 + id % 31))), 0), 0);
    uint32_t calls = 0, expired = 0;
    for (fp_ns due = fp_wheel_next_due(wheel); due != FP_NEVER; due = fp_wheel_next_due(wheel)) {
        fp_expiry out[TIMERS];
        const uint32_t n = fp_wheel_expire(wheel, due, out, TIMERS);
        for (uint32_t i = 0; i < n; i++) CHECK_EQ(out[i].due_ns, due); /* on time, and next_due was exact */
        expired += n;
        calls++;
        CHECK(fp_wheel_next_due(wheel) > due);
        CHECK_SOUND(fp_wheel_check(wheel));
    }
    CHECK_EQ(expired, TIMERS);
    CHECK(calls <= TIMERS * (1 + FAR_LEVELS)); /* at worst one wake-up a level and one to fire */
    end(wheel);
}

static void one_timer_a_month_ahead_costs_a_handful_of_wake_ups(void) {
    fp_wheel *wheel = new_wheel(1, MS, DAY + 12345678901);
    const fp_ns due = 31 * DAY;
    CHECK_EQ(fp_wheel_arm(wheel, 0, due, 0), 0);
    uint32_t calls = 0;
    while (fp_wheel_is_armed(wheel, 0)) {
        const fp_ns wake = fp_wheel_next_due(wheel);
        CHECK(wake <= due);
        CHECK_EQ(expire_all(wheel, wake), wake == due);
        CHECK(++calls <= 1 + FAR_LEVELS);
    }
    end(wheel);
}

static void a_cancelled_timer_does_not_keep_the_wheel_awake(void) {
    fp_wheel *wheel = new_wheel(2, MS, 0);
    CHECK_EQ(fp_wheel_arm(wheel, 0, 5 * MS, 0), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 1, 9 * MS, 0), 0);
    fp_wheel_cancel(wheel, 0);
    CHECK_EQ(fp_wheel_next_due(wheel), 5 * MS); /* what it left behind is found ... */
    CHECK_EQ(expire_all(wheel, 5 * MS), 0);
    CHECK_EQ(fp_wheel_next_due(wheel), 9 * MS); /* ... once */
    fp_wheel_cancel(wheel, 1);
    CHECK(fp_wheel_next_due(wheel) == FP_NEVER);
    end(wheel);
}

/* ---- memory, and the check itself -------------------------------------------------------------------------------- */

static void a_steady_state_of_many_timers_stays_below_20_bytes_each(void) {
    enum { TIMERS = 300000 };
    fp_wheel *wheel = new_wheel(TIMERS, MS, 0);
    check_rng rng = check_seed(17);
    for (uint32_t id = 0; id < TIMERS; id++) {
        const fp_ns interval_ns = MS * (1000 + check_below(&rng, 59001));
        CHECK_EQ(fp_wheel_arm(wheel, id, 1 + check_below(&rng, interval_ns), interval_ns), 0);
    }
    for (fp_ns now = 0; now < 90 * SECOND; now += 5 * MS) (void)expire_all(wheel, now);
    CHECK(fp_wheel_bytes(wheel) <= 20 * TIMERS);
    end(wheel);
}

/* Changes one word of a living wheel, looks what the check says, and puts it back. */
static void expect_broken(fp_wheel *wheel, void *word, uint32_t bad, const char *invariant) {
    uint32_t good;
    memcpy(&good, word, sizeof good);
    memcpy(word, &bad, sizeof bad);
    const char *broken = fp_wheel_check(wheel);
    if (!broken || strcmp(broken, invariant) != 0)
        fprintf(stderr, "expected \"%s\", got \"%s\"\n", invariant, broken ? broken : "");
    CHECK(broken && strcmp(broken, invariant) == 0);
    memcpy(word, &good, sizeof good);
}

static void the_check_names_what_is_broken(void) {
    fp_wheel *wheel = new_wheel(8, MS, SECOND);
    CHECK_EQ(fp_wheel_arm(wheel, 0, SECOND + 3 * MS, 0), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 1, SECOND + HOUR / 3, 0), 0);
    CHECK_EQ(fp_wheel_arm(wheel, 2, SECOND / 2, 0), 0);
    struct slot *near = &wheel->near[1003 % NEAR_SLOTS];
    struct entry *item = &near_chunk(wheel, near->chunk)->entries[0];
    const uint32_t far_position = (1200000 + 1000) >> 16;
    struct slot *far = &wheel->far[1][far_position];
    expect_broken(wheel, &near->fill, 0, "a near slot's fill is out of range");
    expect_broken(wheel, &near->chunk, NO_CHUNK, "a near slot's bit is wrong");
    expect_broken(wheel, &near->chunk, 77, "a chunk index is out of its pool");
    expect_broken(wheel, &near->chunk, wheel->late.first, "an entry is in another tick's near slot");
    expect_broken(wheel, &near_chunk(wheel, near->chunk)->next, near->chunk, "a chunk is linked twice");
    expect_broken(wheel, &item->due, 1004, "an entry is in another tick's near slot");
    expect_broken(wheel, &item->due, 1003 + 1024, "a near slot holds a tick of another turn");
    expect_broken(wheel, &item->id, 7, "an entry's id was never armed");
    expect_broken(wheel, &far_chunk(wheel, far->chunk)->entries[0].due, 999, "an entry is in another tick's far slot");
    expect_broken(wheel, &far->fill, 999, "a far slot's fill is out of range");
    expect_broken(wheel, &wheel->far_bits[1], 0, "a far slot's bit is wrong");
    expect_broken(wheel, &wheel->late.fill, 0, "the late queue's ends are out of range");
    expect_broken(wheel, &wheel->late.first, NO_CHUNK, "an empty late queue does not ask for a chunk");
    expect_broken(wheel, &wheel->timers[0].due, 1004, "an armed timer has no living entry");
    expect_broken(wheel, &wheel->timers[2].period, IDLE, "an idle timer is marked late");
    expect_broken(wheel, &wheel->late_bits[0], 0, "an armed timer has no living entry");
    expect_broken(wheel, &wheel->armed, 4, "the armed count is wrong");
    expect_broken(wheel, &wheel->queued, 4, "the count of queued entries is wrong");
    expect_broken(wheel, &wheel->cursor, 1002, "the cursor is ahead of time");
    expect_broken(wheel, &wheel->now, 5, "now in ticks is not now");
    CHECK_EQ(expire_all(wheel, SECOND + 3 * MS), 2);
    expect_broken(wheel, &wheel->near_pool.free, NO_CHUNK, "a near chunk is lost");
    end(wheel);
}

/* ---- against a naive array --------------------------------------------------------------------------------------- */

struct scenario {
    const char *name;
    fp_ns tick_ns;
    uint64_t start; /* ticks */
    uint32_t timers;
    uint32_t steps;
    uint64_t ahead;    /* due times are drawn up to here, in ticks, small ones more often */
    uint64_t interval; /* likewise */
    uint64_t stride;   /* the clock moves by up to this much a step, in ticks */
    uint64_t jump;     /* and now and then by up to this much */
    uint32_t batch;
    uint32_t arm_percent;
    uint32_t cancel_percent;
};

static const struct scenario SCENARIOS[] = {
    {"calm", MS, 1000, 50, 4000, 3000, 3000, 3, 0, 64, 30, 10},
    {"crowded ticks", MS, 0, 400, 3000, 20, 5, 2, 0, 1000, 40, 5},
    {"tiny batches", MS, 12345, 100, 4000, 200, 40, 30, 3000, 3, 20, 5},
    {"storm of re-arming", MS, 77, 20, 20000, 5000, 0, 1, 0, 16, 60, 35},
    {"across all levels", MS, 99999, 200, 3000, 0xffefffff, 0xffefffff, 1 << 26, 0, 64, 40, 5},
    {"past the 32-bit turn", FP_NS_PER_US, (1ULL << 32) - 3000, 100, 4000, 4000, 100, 5, 0, 64, 20, 5},
    {"levels' borders at the turn", FP_NS_PER_US, (7ULL << 32) - 70000, 100, 4000, 70000, 66000, 200, 0, 64, 20, 5},
    {"short jumps", MS, 5, 100, 4000, 4000, 900, 10, LEAP_TICKS, 64, 20, 5},
    {"leaps", MS, 5, 100, 4000, 100000, 50000, 1000, 3ULL << 30, 64, 20, 5},
    {"leaps, overtaken by leaps", MS, 5, 100, 4000, 1ULL << 31, 1ULL << 31, 1ULL << 21, 3ULL << 30, 2, 10, 5},
    {"coarse ticks", 10 * SECOND, 3, 60, 3000, 10000, 500, 4, 100000, 8, 20, 5},
    {"odd ticks", 1234567, 3, 60, 3000, 10000, 500, 4, 10000, 8, 20, 5},
};

enum { MODEL_TIMERS = 400 };
struct model {
    bool armed;
    bool calm;         /* its time had not passed when it was armed: it takes part in the order */
    uint64_t due;      /* ticks */
    uint64_t interval; /* ticks */
    fp_ns passed_ns;   /* armed for a time that had passed within its tick: not before that, but before the tick ends */
};

static uint64_t draw(check_rng *rng, uint64_t bound) {
    if (bound == 0) return 0;
    const uint64_t any = check_below(rng, bound);
    return any >> check_below(rng, 33); /* as many around every power of two */
}

static void arm_both(fp_wheel *wheel, struct model *model, const struct scenario *scenario, check_rng *rng, fp_ns now_ns) {
    const uint32_t id = (uint32_t)check_below(rng, scenario->timers);
    struct model *timer = &model[id];
    const fp_ns tick_ns = scenario->tick_ns;
    fp_ns due_ns = now_ns + draw(rng, scenario->ahead) * tick_ns + check_below(rng, tick_ns);
    if (check_below(rng, 10) == 0) due_ns -= due_ns < 9 * tick_ns ? due_ns : check_below(rng, 9 * tick_ns);
    if (check_below(rng, 10) == 0 && timer->armed) due_ns = timer->due * tick_ns; /* the double's chance */
    const fp_ns interval_ns = check_below(rng, 3) ? draw(rng, scenario->interval) * tick_ns : 0;
    const int error = fp_wheel_arm(wheel, id, due_ns, interval_ns);
    const uint64_t now = now_ns / tick_ns, due = (due_ns + tick_ns - 1) / tick_ns;
    if (due > now && due - now >= FP_WHEEL_REACH) {
        CHECK_EQ(error, -ERANGE);
        return;
    }
    CHECK_EQ(error, 0);
    timer->armed = true;
    timer->due = due;
    timer->interval = interval_ns / tick_ns;
    timer->calm = due_ns > now_ns;
    timer->passed_ns = due > now && due_ns <= now_ns ? now_ns : 0;
}

static bool overdue(const struct model *timer, uint64_t now) {
    return timer->armed && (timer->due <= now || timer->passed_ns);
}

/* What both must agree on after each expiry. A due time further back than the reach is the last of its phase within it. */
static void fire_both(struct model *timer, const fp_expiry *expiry, fp_ns tick_ns, fp_ns now_ns) {
    const uint64_t now = now_ns / tick_ns;
    CHECK(overdue(timer, now));
    const fp_ns due_ns = timer->due * tick_ns < now_ns ? timer->due * tick_ns : now_ns;
    if (timer->interval == 0) {
        CHECK(expiry->due_ns == due_ns || now - timer->due >= FP_WHEEL_REACH - 1);
        CHECK_EQ(expiry->missed, 0);
        timer->armed = false;
        return;
    }
    const uint64_t missed = now > timer->due ? (now - timer->due) / timer->interval : 0;
    if (expiry->due_ns == due_ns) {
        CHECK_EQ(expiry->missed, missed < UINT32_MAX ? missed : UINT32_MAX);
    } else {
        CHECK(now - timer->due >= FP_WHEEL_REACH - 1);
        CHECK((expiry->due_ns / tick_ns - timer->due) % timer->interval == 0);
        CHECK_EQ(expiry->missed, (now - expiry->due_ns / tick_ns) / timer->interval);
    }
    timer->due += (missed + 1) * timer->interval;
    timer->calm = true;
    timer->passed_ns = 0;
}

static void run_scenario(const struct scenario *scenario) {
    static struct model model[MODEL_TIMERS];
    memset(model, 0, sizeof model);
    printf("    %s\n", scenario->name);
    check_rng rng = check_seed(18);
    const fp_ns tick_ns = scenario->tick_ns;
    fp_ns now_ns = scenario->start * tick_ns + check_below(&rng, tick_ns);
    fp_wheel *wheel = new_wheel(scenario->timers, tick_ns, now_ns);
    fp_expiry out[1000];
    uint64_t fired = 0, last_calm = 0;
    for (uint32_t step = 0; step < scenario->steps; step++) {
        const uint64_t dice = check_below(&rng, 100);
        if (dice < scenario->arm_percent) {
            arm_both(wheel, model, scenario, &rng, now_ns);
        } else if (dice < scenario->arm_percent + scenario->cancel_percent) {
            const uint32_t id = (uint32_t)check_below(&rng, scenario->timers);
            fp_wheel_cancel(wheel, id);
            model[id].armed = false;
        } else {
            now_ns += check_below(&rng, scenario->stride * tick_ns + 1);
            if (scenario->jump && check_below(&rng, 20) == 0) now_ns += draw(&rng, scenario->jump) * tick_ns;
            if (check_below(&rng, 10) == 0 && fp_wheel_next_due(wheel) != FP_NEVER) now_ns = fp_wheel_next_due(wheel);
            const uint32_t n = fp_wheel_expire(wheel, now_ns, out, scenario->batch);
            for (uint32_t i = 0; i < n; i++) {
                struct model *timer = &model[out[i].id];
                if (timer->calm && out[i].due_ns == timer->due * tick_ns) {
                    CHECK(timer->due >= last_calm);
                    last_calm = timer->due;
                }
                fire_both(timer, &out[i], tick_ns, now_ns);
            }
            fired += n;
            for (uint32_t id = 0; id < scenario->timers && n < scenario->batch; id++)
                CHECK(!overdue(&model[id], now_ns / tick_ns)); /* none was forgotten */
        }
        CHECK_SOUND(fp_wheel_check(wheel));
        const fp_ns next_due = fp_wheel_next_due(wheel);
        uint32_t armed = 0;
        for (uint32_t id = 0; id < scenario->timers; id++) {
            armed += model[id].armed;
            CHECK_EQ(fp_wheel_is_armed(wheel, id), model[id].armed);
            if (!model[id].armed) continue;
            CHECK_EQ(fp_wheel_interval(wheel, id), model[id].interval * tick_ns);
            const fp_ns due = fp_wheel_due(wheel, id);
            CHECK(due == model[id].due * tick_ns || model[id].due + FP_WHEEL_REACH <= now_ns / tick_ns + 1);
            CHECK(next_due <= due || next_due == now_ns);
            if (model[id].passed_ns) CHECK_EQ(next_due, now_ns);
        }
        CHECK_EQ(fp_wheel_armed_count(wheel), armed);
        CHECK((next_due == FP_NEVER) == (armed == 0));
    }
    CHECK(fired > scenario->steps / 20); /* the scenario is about something */
    end(wheel);
}

static void it_agrees_with_a_naive_array_in_every_scenario(void) {
    for (uint32_t i = 0; i < sizeof SCENARIOS / sizeof *SCENARIOS; i++) run_scenario(&SCENARIOS[i]);
}

int main(void) {
    RUN(impossible_wheels_are_refused);
    RUN(a_new_timer_is_idle);
    RUN(a_one_shot_expires_once_and_becomes_idle);
    RUN(due_and_interval_are_rounded_up_to_the_tick);
    RUN(a_time_that_has_passed_expires_at_the_next_call);
    RUN(a_passed_time_keeps_its_phase);
    RUN(a_time_further_back_than_the_reach_is_brought_forward_on_its_phase);
    RUN(what_lies_beyond_the_reach_is_refused_and_changes_nothing);
    RUN(a_clock_that_runs_backwards_is_taken_as_standing_still);
    RUN(arming_anew_replaces_the_due_time);
    RUN(doubles_of_one_tick_expire_once);
    RUN(doubles_that_are_late_expire_once);
    RUN(a_late_timer_can_be_cancelled_and_moved_ahead);
    RUN(a_late_timer_moved_ahead_by_a_whole_turn_does_not_fire_early);
    RUN(a_storm_of_arming_and_cancelling_is_bounded_in_memory);
    RUN(a_storm_of_doubles_is_bounded_too);
    RUN(a_sweep_tells_the_late_from_those_a_turn_ahead);
    RUN(never_early_and_at_most_one_tick_late);
    RUN(no_drift_over_simulated_days);
    RUN(intervals_of_thirty_days_are_kept_for_years);
    RUN(the_turn_of_32_bits_is_crossed_unnoticed);
    RUN(a_minute_of_standstill_gives_one_run_each);
    RUN(an_hour_of_suspend_gives_one_run_each);
    RUN(forty_days_of_suspend_give_one_run_each);
    RUN(a_year_of_suspend_gives_one_run_each);
    RUN(long_intervals_survive_a_long_jump_taken_in_batches);
    RUN(a_second_jump_during_the_catch_up_of_the_first_keeps_order_and_phase);
    RUN(timers_can_be_changed_in_the_middle_of_a_catch_up);
    RUN(batches_of_any_size_hand_out_the_same_timers_in_the_same_order);
    RUN(sleeping_until_next_due_expires_everything_on_time_without_ticking);
    RUN(one_timer_a_month_ahead_costs_a_handful_of_wake_ups);
    RUN(a_cancelled_timer_does_not_keep_the_wheel_awake);
    RUN(a_steady_state_of_many_timers_stays_below_20_bytes_each);
    RUN(the_check_names_what_is_broken);
    RUN(it_agrees_with_a_naive_array_in_every_scenario);
    return 0;
}
