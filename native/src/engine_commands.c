/* What the other thread asks for, applied in order. */
#include "engine_internal.h"

static void close_resting(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->connection == FP_NONE || s->state == FP_SLOT_RUNNING) return;
    fp_connection *connection = &engine->connections[s->connection];
    fp_connection_wake(engine, connection);
    fp_connection_close(engine, connection);
    s->connection = FP_NONE;
}

/* Whatever the slot was about to do or doing natively ends here without a record. */
static void abandon(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->state == FP_SLOT_WAITING) {
        fp_run_leave_line(engine, slot);
    } else if (s->state == FP_SLOT_RUNNING && s->lane == FP_LANE_NATIVE) {
        fp_connection_close(engine, &engine->connections[s->connection]);
        fp_uncount(&engine->counters.in_flight);
        s->connection = FP_NONE;
    }
    fp_engine_settle(engine, slot);
}

void fp_engine_remove_slot(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    fp_wheel_cancel(engine->wheel, fp_schedule_timer(slot));
    abandon(engine, slot);
    close_resting(engine, slot);
    fp_target_free(s->target);
    *s = (fp_slot){.connection = FP_NONE};
}

static void schedule(fp_engine *engine, uint32_t slot, const fp_command *command) {
    fp_slot *s = &engine->slots[slot];
    s->timeout_ns = command->timeout_ns;
    s->jitter_ms = command->jitter_ms;
    if (command->due_ns == FP_NEVER) {
        fp_wheel_cancel(engine->wheel, fp_schedule_timer(slot));
        if (s->state != FP_SLOT_RUNNING) abandon(engine, slot);
    } else {
        fp_engine_arm(engine, fp_schedule_timer(slot), command->due_ns, command->interval_ns);
    }
}

static void add(fp_engine *engine, const fp_command *command) {
    fp_slot *s = &engine->slots[command->slot];
    if (s->generation) fp_engine_remove_slot(engine, command->slot);
    if (command->slot >= engine->slots_used) engine->slots_used = command->slot + 1;
    *s = (fp_slot){
        .target = command->target,
        .generation = command->generation,
        .connection = FP_NONE,
        .lane = command->lane,
    };
    schedule(engine, command->slot, command);
    if (command->first_ns != FP_NEVER) {
        s->state = FP_SLOT_DELAYED;
        fp_engine_arm(engine, fp_run_timer(command->slot), command->first_ns, 0);
    }
}

static void retarget(fp_engine *engine, uint32_t slot, fp_target *target) {
    fp_slot *s = &engine->slots[slot];
    close_resting(engine, slot);
    if (s->state == FP_SLOT_RUNNING && s->lane == FP_LANE_NATIVE && !engine->connections[s->connection].orphan)
        engine->connections[s->connection].orphan = s->target; /* the run in flight still reads it */
    else
        fp_target_free(s->target);
    s->target = target;
}

static void run_now(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->state == FP_SLOT_DELAYED) fp_engine_settle(engine, slot); /* the run that was about to start is this one */
    if (s->state == FP_SLOT_IDLE)
        fp_engine_begin(engine, slot, engine->now_ns);
    else
        fp_engine_skip(engine, slot, engine->now_ns, FP_REASON_OVERLAP, 1);
}

static void apply(fp_engine *engine, const fp_command *command) {
    uint32_t slot = command->slot;
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
        fp_engine_remove_slot(engine, slot);
        break;
    case FP_CMD_SCHEDULE:
        schedule(engine, slot, command);
        break;
    case FP_CMD_TARGET:
        retarget(engine, slot, command->target);
        break;
    case FP_CMD_RUN:
        run_now(engine, slot);
        break;
    case FP_CMD_FINISH:
        if (in_python) fp_engine_settle(engine, slot);
        break;
    case FP_CMD_DEADLINE:
        if (in_python) fp_engine_arm(engine, fp_run_timer(slot), command->due_ns, 0);
        break;
    default:
        break;
    }
}

bool fp_engine_take_commands(fp_engine *engine) {
    for (unsigned batch = 0; batch < 16; batch++) {
        uint32_t n = fp_ring_pop(engine->commands, engine->command_batch, FP_STEP_MAX);
        for (uint32_t i = 0; i < n; i++) apply(engine, &engine->command_batch[i]);
        if (n < FP_STEP_MAX) return false;
    }
    return true;
}
