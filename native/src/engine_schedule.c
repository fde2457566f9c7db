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

void fp_engine_settle(fp_engine *engine, uint32_t slot) {
    engine->slots[slot].state = FP_SLOT_IDLE;
    fp_wheel_cancel(engine->wheel, fp_run_timer(slot));
}

/* In flight from here on, until the lane says FINISH. */
void fp_engine_notify_lane(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    bool sent = fp_engine_report(
        engine, &(fp_record){.slot = slot, .generation = s->generation, .started_ns = s->due_ns, .result = FP_EVENT_DUE});
    if (!sent) return; /* counted; the slot stays idle, or nobody would ever finish it */
    s->state = FP_SLOT_RUNNING;
    fp_engine_arm(engine, fp_run_timer(slot), engine->now_ns + s->timeout_ns, 0);
}

static void begin(fp_engine *engine, uint32_t slot, fp_ns due_ns) {
    fp_slot *s = &engine->slots[slot];
    s->due_ns = due_ns;
    if (s->lane != FP_LANE_NATIVE)
        fp_engine_notify_lane(engine, slot);
    else if (engine->line.first == FP_NONE || s->connection != FP_NONE)
        fp_run_start(engine, slot);
    else
        fp_line_join(engine, slot); /* even if a connection is free: it is for who waited longer */
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
    switch (s->state) {
    case FP_SLOT_IDLE:
        if (s->jitter_ms)
            delay(engine, slot, expiry->due_ns);
        else
            begin(engine, slot, expiry->due_ns);
        break;
    case FP_SLOT_WAITING: /* the run in line never got its turn */
        fp_engine_skip(engine, slot, s->due_ns, FP_REASON_SATURATED, 1);
        fp_line_renew(engine, slot, expiry->due_ns);
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
        fp_engine_skip(engine, slot, s->due_ns, FP_REASON_SATURATED, 1);
        fp_line_leave(engine, slot);
        break;
    case FP_SLOT_RUNNING:
        if (s->lane == FP_LANE_NATIVE)
            fp_run_deadline(engine, slot);
        else
            lane_deadline(engine, slot);
        break;
    default:
        break;
    }
}

static void expired(fp_engine *engine, const fp_expiry *expiry) {
    uint32_t slot = expiry->id / 2;
    if (expiry->id == fp_schedule_timer(slot))
        schedule_expired(engine, slot, expiry);
    else if (!fp_wheel_is_armed(engine->wheel, expiry->id)) /* armed again: an earlier one of this batch has settled it */
        run_timer_expired(engine, slot, expiry);
}

/* One jump leaves many timers late, in many batches. */
static void count_jump(fp_engine *engine, uint32_t n) {
    bool late = n > 0 && engine->now_ns > engine->expiries[0].due_ns + FP_LATE_NS;
    if (late && !engine->late) fp_count(&engine->counters.clock_jumps, 1);
    engine->late = late && n == engine->config.events_per_step;
}

bool fp_engine_take_expiries(fp_engine *engine) {
    uint32_t n = fp_wheel_expire(engine->wheel, engine->now_ns, engine->expiries, engine->config.events_per_step);
    count_jump(engine, n);
    for (uint32_t i = 0; i < n; i++) expired(engine, &engine->expiries[i]);
    fp_count(&engine->counters.expiries, n);
    return n == engine->config.events_per_step;
}
