/* What the other thread asks for, applied in order. */
#include "engine_internal.h"

#include <assert.h>

#define COMMAND_BATCHES 16u /* a step: a command costs a twentieth of a start */

void fp_engine_close_resting(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->connection == FP_NONE || s->state == FP_SLOT_RUNNING) return;
    fp_connection *connection = &engine->connections[s->connection];
    fp_connection_part(engine, connection);
    fp_connection_release(engine, connection);
}

/* Whatever the slot was about to do or doing natively ends here without a record. */
static void abandon(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->state == FP_SLOT_WAITING) {
        fp_line_leave(engine, slot);
    } else if (s->state == FP_SLOT_RUNNING && s->lane == FP_LANE_NATIVE) {
        fp_connection_release(engine, &engine->connections[s->connection]);
        fp_uncount(&engine->counters.in_flight);
        fp_group_ended(engine, s, FP_POOL_NATIVE);
        s->connection = FP_NONE;
    } else if (s->state == FP_SLOT_RUNNING) {
        fp_group_ended(engine, s, FP_POOL_PYTHON);
        s->owed = false;
    }
    fp_engine_settle(engine, slot);
}

static void skip_and_abandon(fp_engine *engine, uint32_t slot) {
    fp_engine_skip(engine, slot, engine->slots[slot].due_ns, FP_REASON_SHUTTING_DOWN, 1);
    abandon(engine, slot);
}

/* A run in line has no connection yet: it is found by its slot. */
static bool in_native_line(const fp_engine *engine, uint32_t slot) {
    const fp_slot *s = &engine->slots[slot];
    return s->generation && s->state == FP_SLOT_WAITING && s->lane == FP_LANE_NATIVE;
}

void fp_engine_abandon_runs(fp_engine *engine) {
    for (uint32_t i = 0; i < engine->config.connections; i++) {
        const fp_connection *connection = &engine->connections[i];
        if (connection->phase == FP_CONNECTION_RESTING)
            fp_engine_close_resting(engine, connection->slot);
        else if (connection->phase != FP_CONNECTION_FREE)
            skip_and_abandon(engine, connection->slot);
    }
    if (!atomic_load_explicit(&engine->counters.waiting, memory_order_relaxed)) return;
    for (uint32_t slot = 0; slot < engine->slots_used; slot++)
        if (in_native_line(engine, slot)) skip_and_abandon(engine, slot);
}

static void remove_slot(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    fp_wheel_cancel(engine->wheel, fp_schedule_timer(slot));
    abandon(engine, slot);
    fp_engine_close_resting(engine, slot);
    fp_target_free(s->target);
    fp_group_leave(engine, s);
    *s = (fp_slot){.connection = FP_NONE};
    fp_uncount(&engine->counters.slots);
}

static void schedule(fp_engine *engine, uint32_t slot, const fp_command *command) {
    fp_slot *s = &engine->slots[slot];
    s->timeout_ns = command->timeout_ns;
    s->jitter_ms = command->jitter_ms;
    if (command->due_ns == FP_NEVER) {
        fp_wheel_cancel(engine->wheel, fp_schedule_timer(slot));
        s->owed = s->deferred = s->hastened = false;
        const bool awaited = s->state == FP_SLOT_WAITING && s->asked; /* who asked for a run of it gets one */
        if (s->state != FP_SLOT_RUNNING && !awaited) abandon(engine, slot);
    } else {
        fp_engine_arm(engine, fp_schedule_timer(slot), command->due_ns, command->interval_ns);
        if (s->state == FP_SLOT_IDLE && s->connection != FP_NONE) fp_engine_settle(engine, slot);
    }
}

static void add(fp_engine *engine, const fp_command *command) {
    fp_slot *s = &engine->slots[command->slot];
    assert(command->generation && (command->target || command->lane != FP_LANE_NATIVE));
    assert(command->group < engine->config.groups);
    if (s->generation) remove_slot(engine, command->slot);
    if (command->slot >= engine->slots_used) engine->slots_used = command->slot + 1;
    *s = (fp_slot){
        .target = command->target,
        .generation = command->generation,
        .connection = FP_NONE,
        .lane = command->lane & 0xfu,
        .group = (uint16_t)command->group,
    };
    fp_group_enter(engine, s);
    fp_count(&engine->counters.slots, 1);
    schedule(engine, command->slot, command);
    if (command->first_ns != FP_NEVER) {
        s->state = FP_SLOT_DELAYED;
        fp_engine_arm(engine, fp_run_timer(command->slot), command->first_ns, 0);
    }
}

static void retarget(fp_engine *engine, uint32_t slot, fp_target *target) {
    fp_slot *s = &engine->slots[slot];
    fp_engine_close_resting(engine, slot);
    if (s->state == FP_SLOT_RUNNING && s->lane == FP_LANE_NATIVE && !engine->connections[s->connection].orphan)
        engine->connections[s->connection].orphan = s->target; /* the run in flight still reads it */
    else
        fp_target_free(s->target);
    s->target = target;
}

static void run_now(fp_engine *engine, uint32_t slot, uint16_t flags) {
    fp_slot *s = &engine->slots[slot];
    if (s->state == FP_SLOT_DELAYED) fp_engine_settle(engine, slot); /* the run that was about to start is this one */
    if (s->state != FP_SLOT_IDLE) {
        if (s->lane == FP_LANE_NATIVE || s->state == FP_SLOT_WAITING) s->asked = true; /* what is under way will answer */
        fp_engine_skip(engine, slot, engine->now_ns, FP_REASON_OVERLAP, 1);
        return;
    }
    s->explain = (flags & FP_RUN_EXPLAIN) != 0;
    s->asked = true;
    fp_engine_begin_besides(engine, slot);
}

void fp_engine_begin_besides(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    s->due_ns = engine->now_ns;
    if (s->lane != FP_LANE_NATIVE && fp_group_starts_at_once(engine, s, FP_POOL_PYTHON))
        fp_engine_notify_lane(engine, slot);
    else /* served in this step, if it may start: a thousand commands must not be a thousand starts */
        fp_line_join(engine, slot);
}

static void finish(fp_engine *engine, uint32_t slot) {
    engine->slots[slot].asked = false;
    fp_group_ended(engine, &engine->slots[slot], FP_POOL_PYTHON);
    fp_engine_settle(engine, slot);
    fp_engine_begin_owed(engine, slot);
}

/* The deadline of the run in flight, of a Python lane: its lane asked for another. */
static void put_off(fp_engine *engine, uint32_t slot, fp_ns deadline_ns) {
    if (deadline_ns == FP_NEVER)
        fp_wheel_cancel(engine->wheel, fp_run_timer(slot));
    else
        fp_engine_arm(engine, fp_run_timer(slot), deadline_ns, 0);
}

static void apply(fp_engine *engine, const fp_command *command) {
    uint32_t slot = command->slot;
    assert(slot < engine->config.capacity);
    if (command->op == FP_CMD_ADD) {
        add(engine, command);
        return;
    }
    fp_slot *s = &engine->slots[slot];
    if (s->generation != command->generation) {
        fp_count(&engine->counters.commands_stale, 1);
        fp_target_free(command->target);
        return;
    }
    bool in_python = s->state == FP_SLOT_RUNNING && s->lane != FP_LANE_NATIVE;
    switch (command->op) {
    case FP_CMD_REMOVE:
        remove_slot(engine, slot);
        break;
    case FP_CMD_SCHEDULE:
        schedule(engine, slot, command);
        break;
    case FP_CMD_TARGET:
        retarget(engine, slot, command->target);
        break;
    case FP_CMD_RUN:
        run_now(engine, slot, command->flags);
        break;
    case FP_CMD_FINISH:
        if (in_python) finish(engine, slot);
        break;
    case FP_CMD_DEADLINE:
        if (in_python) put_off(engine, slot, command->due_ns);
        break;
    case FP_CMD_DEFER:
        fp_engine_defer(engine, slot, command->due_ns);
        break;
    case FP_CMD_HASTEN:
        fp_engine_hasten(engine, slot);
        break;
    default:
        break;
    }
}

bool fp_engine_take_commands(fp_engine *engine) {
    for (unsigned batch = 0; batch < COMMAND_BATCHES; batch++) {
        uint32_t n = fp_ring_pop(engine->commands, engine->command_batch, engine->config.events_per_step);
        for (uint32_t i = 0; i < n; i++) apply(engine, &engine->command_batch[i]);
        if (n < engine->config.events_per_step) return false;
    }
    return true;
}
