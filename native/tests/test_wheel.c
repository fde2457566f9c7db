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

/* ---- one timer ------------------------------------------------------------------------------------------------------------
 */

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
    CHECK_EQ(fp_wheel_due(wheel, 0), SECOND + 20 * MS);
    CHECK_EQ(expire_all(wheel, SECOND + 20 * MS), 1);
    end(wheel);
}

/* ---- doubles and the dead -------------------------------------------------------------------------------------------------
 */

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
    return 0;
}
