/* What the clock hand brings: due slots, starts that were delayed, patience and deadlines that end. */
#include "engine_internal.h"

#define LOST_NOTICE_AGAIN_NS (10 * FP_NS_PER_MS)

static uint64_t next_random(fp_engine *engine) { /* xorshift64*: spreading starts needs no more */
    uint64_t x = engine->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    engine->random = x;
    return x * 0x2545F4914F6CDD1DULL;
}

/* A resting connection has the idle slot's run timer, unless the next run comes first. */
void fp_engine_settle(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    const fp_ns rests_until_ns = s->connection == FP_NONE ? FP_NEVER : engine->connections[s->connection].deadline_ns;
    s->state = FP_SLOT_IDLE;
    if (rests_until_ns < fp_wheel_due(engine->wheel, fp_schedule_timer(slot)))
        fp_engine_arm(engine, fp_run_timer(slot), rests_until_ns, 0);
    else
        fp_wheel_cancel(engine->wheel, fp_run_timer(slot));
}

/* Of the same tick as the next due, a deadline would come before or after it, as it happens: let it be after. */
static fp_ns lane_deadline_of(const fp_engine *engine, uint32_t slot) {
    const fp_ns deadline_ns = engine->now_ns + engine->slots[slot].timeout_ns;
    const fp_ns next_ns = fp_wheel_due(engine->wheel, fp_schedule_timer(slot));
    const bool together = deadline_ns <= next_ns && next_ns - deadline_ns < engine->config.tick_ns;
    return together ? next_ns + engine->config.tick_ns : deadline_ns;
}

/* In flight from here on, until the lane says FINISH. */
void fp_engine_notify_lane(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    bool sent = fp_engine_report(
        engine, &(fp_record){.slot = slot, .generation = s->generation, .started_ns = s->due_ns, .result = FP_EVENT_DUE});
    if (!sent) return; /* counted; the slot stays idle, or nobody would ever finish it */
    s->state = FP_SLOT_RUNNING;
    fp_group_began(engine, s, FP_POOL_PYTHON);
    fp_engine_arm(engine, fp_run_timer(slot), lane_deadline_of(engine, slot), 0);
}

static void begin(fp_engine *engine, uint32_t slot, fp_ns due_ns) {
    fp_slot *s = &engine->slots[slot];
    s->due_ns = due_ns;
    if (s->lane == FP_LANE_NATIVE && fp_group_starts_at_once(engine, s, FP_POOL_NATIVE))
        fp_run_start(engine, slot);
    else if (s->lane != FP_LANE_NATIVE && fp_group_starts_at_once(engine, s, FP_POOL_PYTHON))
        fp_engine_notify_lane(engine, slot);
    else
        fp_line_join(engine, slot);
}

/* A run of a Python lane that is due while the one in flight is within an eighth of its timeout: a timeout as long as the
 * interval. The lane is told to let that one go, and this one starts as soon as it has; else a silent target would be asked
 * every second time. (A native run ends its own deadline a little sooner instead: see deadline_of.) */
static void owe(fp_engine *engine, uint32_t slot, fp_ns due_ns, bool tell) {
    fp_slot *s = &engine->slots[slot];
    s->owed = true;
    s->due_ns = due_ns;
    if (!tell) return;
    fp_engine_report(engine, &(fp_record){.slot = slot,
                                          .generation = s->generation,
                                          .started_ns = engine->now_ns,
                                          .detail = FP_DEADLINE_FOR_NEXT,
                                          .result = FP_EVENT_DEADLINE,
                                          .reason = FP_REASON_TIMEOUT}); /* lost: its deadline is still to come */
}

void fp_engine_begin_owed(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (!s->owed) return;
    s->owed = false;
    begin(engine, slot, s->due_ns);
}

static void due_while_running(fp_engine *engine, uint32_t slot, fp_ns due_ns) {
    fp_slot *s = &engine->slots[slot];
    const fp_ns deadline_ns = fp_wheel_due(engine->wheel, fp_run_timer(slot));
    const fp_ns grace_ns = s->timeout_ns / 8 + engine->config.tick_ns;
    /* One that has passed was told of, or is about to be, whichever of the two the wheel hands out first. If that run was due
     * about its timeout ago, the engine is late for both. */
    const bool passed = deadline_ns == FP_NEVER || deadline_ns <= engine->now_ns;
    const bool just_now =
        passed ? !s->owed && due_ns - s->due_ns <= s->timeout_ns + grace_ns : deadline_ns <= engine->now_ns + grace_ns;
    if (s->owed) fp_engine_skip(engine, slot, s->due_ns, FP_REASON_OVERLAP, 1);
    s->owed = false;
    if (just_now && s->lane != FP_LANE_NATIVE)
        owe(engine, slot, due_ns, !passed);
    else
        fp_engine_skip(engine, slot, due_ns, FP_REASON_OVERLAP, 1);
}

static void delay(fp_engine *engine, uint32_t slot, fp_ns due_ns) {
    fp_slot *s = &engine->slots[slot];
    s->state = FP_SLOT_DELAYED;
    fp_engine_arm(engine, fp_run_timer(slot), due_ns + next_random(engine) % (s->jitter_ms * FP_NS_PER_MS + 1), 0);
}

static void schedule_expired(fp_engine *engine, uint32_t slot, const fp_expiry *expiry) {
    fp_slot *s = &engine->slots[slot];
    if (expiry->missed) fp_engine_skip(engine, slot, expiry->due_ns, FP_REASON_LATE, expiry->missed);
    /* A deadline of the same moment comes first, in whatever order the wheel hands the two out. */
    if (s->state == FP_SLOT_RUNNING && s->lane == FP_LANE_NATIVE &&
        engine->connections[s->connection].deadline_ns <= engine->now_ns)
        fp_run_deadline(engine, slot);
    s->hastened = false;
    if (s->deferred && fp_engine_passes(engine, slot, expiry->due_ns)) {
        if (s->state == FP_SLOT_IDLE) fp_engine_settle(engine, slot); /* its connection rests for longer than was thought */
        return;
    }
    switch (s->state) {
    case FP_SLOT_IDLE:
        if (s->jitter_ms)
            delay(engine, slot, expiry->due_ns);
        else
            begin(engine, slot, expiry->due_ns);
        break;
    case FP_SLOT_WAITING: /* the run in line never got its turn */
        fp_line_renew(engine, slot, expiry->due_ns);
        break;
    case FP_SLOT_RUNNING:
        due_while_running(engine, slot, expiry->due_ns);
        break;
    default:
        fp_engine_skip(engine, slot, expiry->due_ns, FP_REASON_OVERLAP, 1);
    }
}

static void lane_deadline(fp_engine *engine, uint32_t slot) {
    bool sent = fp_engine_report(engine, &(fp_record){.slot = slot,
                                                      .generation = engine->slots[slot].generation,
                                                      .started_ns = engine->now_ns,
                                                      .result = FP_EVENT_DEADLINE,
                                                      .reason = FP_REASON_TIMEOUT});
    /* A run that hangs ends only if its lane hears of this. */
    if (!sent) fp_engine_arm(engine, fp_run_timer(slot), engine->now_ns + LOST_NOTICE_AGAIN_NS, 0);
}

static void run_timer_expired(fp_engine *engine, uint32_t slot, const fp_expiry *expiry) {
    fp_slot *s = &engine->slots[slot];
    switch (s->state) {
    case FP_SLOT_DELAYED:
        s->state = FP_SLOT_IDLE;
        begin(engine, slot, expiry->due_ns);
        break;
    case FP_SLOT_WAITING:
        fp_line_patience_ends(engine, slot);
        break;
    case FP_SLOT_RUNNING:
        if (s->lane == FP_LANE_NATIVE)
            fp_run_deadline(engine, slot);
        else
            lane_deadline(engine, slot);
        break;
    default:
        fp_engine_close_resting(engine, slot);
    }
}

static void expired(fp_engine *engine, const fp_expiry *expiry) {
    uint32_t slot = expiry->id / 2;
    if (expiry->id >= engine->first_group_timer) {
        fp_line_stir(engine, expiry->id - engine->first_group_timer);
        return;
    }
    if (expiry->id == fp_schedule_timer(slot))
        schedule_expired(engine, slot, expiry);
    else if (!fp_wheel_is_armed(engine->wheel, expiry->id)) /* armed again: an earlier one of this batch has settled it */
        run_timer_expired(engine, slot, expiry);
}

/* One jump leaves many timers late, in many batches. */
static void count_jump(fp_engine *engine, uint32_t n, bool more) {
    bool late = n > 0 && engine->now_ns > engine->expiries[0].due_ns + FP_LATE_NS;
    if (late && !engine->late) fp_count(&engine->counters.clock_jumps, 1);
    engine->late = late && more;
}

/* Many slots are due at one moment (see scheduling/pacing.py). Started all at once, the first would wait for the last before
 * anybody looked at its socket, and its latency would tell of that: so a few are, some 60 us of them, and then sockets have
 * their turn. */
bool fp_engine_take_expiries(fp_engine *engine) {
    uint32_t taken = 0;
    bool more = true;
    engine->effort = 0;
    while (more && engine->effort < FP_STEP_EFFORT && taken < engine->config.events_per_step) {
        const uint32_t left = engine->config.events_per_step - taken,
                       room = left < FP_EXPIRIES_AT_ONCE ? left : FP_EXPIRIES_AT_ONCE;
        const uint32_t n = fp_wheel_expire(engine->wheel, engine->now_ns, engine->expiries, room);
        more = n == room;
        count_jump(engine, n, more);
        for (uint32_t i = 0; i < n; i++) expired(engine, &engine->expiries[i]);
        taken += n;
    }
    fp_count(&engine->counters.expiries, taken);
    return more;
}
