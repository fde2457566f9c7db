/* The line of due native runs that wait for a connection: first come, first served, and not for ever. */
#include "engine_internal.h"

static void wait_until(fp_engine *engine, uint32_t slot) {
    const fp_slot *s = &engine->slots[slot];
    fp_ns patience_ns = s->timeout_ns > FP_LEAST_WAIT_NS ? s->timeout_ns : FP_LEAST_WAIT_NS;
    fp_engine_arm(engine, fp_run_timer(slot), s->due_ns + patience_ns, 0);
}

void fp_line_join(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    s->state = FP_SLOT_WAITING;
    s->line_next = FP_NONE;
    s->line_previous = engine->line.last;
    if (engine->line.last == FP_NONE)
        engine->line.first = slot;
    else
        engine->slots[engine->line.last].line_next = slot;
    engine->line.last = slot;
    fp_count(&engine->counters.waiting, 1);
    wait_until(engine, slot);
}

void fp_line_leave(fp_engine *engine, uint32_t slot) {
    const fp_slot *s = &engine->slots[slot];
    if (s->line_previous == FP_NONE)
        engine->line.first = s->line_next;
    else
        engine->slots[s->line_previous].line_next = s->line_next;
    if (s->line_next == FP_NONE)
        engine->line.last = s->line_previous;
    else
        engine->slots[s->line_next].line_previous = s->line_previous;
    fp_uncount(&engine->counters.waiting);
    fp_engine_settle(engine, slot);
}

void fp_line_renew(fp_engine *engine, uint32_t slot, fp_ns due_ns) {
    engine->slots[slot].due_ns = due_ns;
    wait_until(engine, slot);
}

bool fp_line_could_move(const fp_engine *engine) {
    return engine->line.first != FP_NONE && fp_connections_free(engine);
}

void fp_line_serve(fp_engine *engine) {
    for (uint32_t started = 0; started < engine->config.events_per_step && fp_line_could_move(engine); started++) {
        uint32_t slot = engine->line.first;
        fp_line_leave(engine, slot);
        fp_run_start(engine, slot);
    }
}
