/* What real calls to a target mean for its schedule. */
#include "engine_internal.h"

/* The start that is yet to come is not needed any more, unless somebody waits for it or a failure wanted it. */
static void spare_start(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    if (s->state == FP_SLOT_WAITING)
        fp_line_leave(engine, slot);
    else if (s->state == FP_SLOT_DELAYED)
        fp_engine_settle(engine, slot);
    else if (s->owed)
        s->owed = false;
    else
        return;
    fp_engine_skip(engine, slot, engine->now_ns, FP_REASON_DEFERRED, 1);
}

void fp_engine_defer(fp_engine *engine, uint32_t slot, fp_ns until_ns) {
    fp_slot *s = &engine->slots[slot];
    if (until_ns <= engine->now_ns || !fp_wheel_is_armed(engine->wheel, fp_schedule_timer(slot))) return;
    if (!s->asked && !s->hastened) spare_start(engine, slot);
    if (s->state == FP_SLOT_WAITING) return; /* that run will tell more than the call did */
    s->deferred_until_ns = until_ns;
    s->deferred = true;
}

bool fp_engine_passes(fp_engine *engine, uint32_t slot, fp_ns due_ns) {
    fp_slot *s = &engine->slots[slot];
    s->deferred = due_ns < s->deferred_until_ns;
    if (s->deferred) fp_engine_skip(engine, slot, due_ns, FP_REASON_DEFERRED, 1);
    return s->deferred;
}

void fp_engine_hasten(fp_engine *engine, uint32_t slot) {
    fp_slot *s = &engine->slots[slot];
    s->deferred = false;
    if (s->hastened || !fp_wheel_is_armed(engine->wheel, fp_schedule_timer(slot))) return;
    if (s->state == FP_SLOT_DELAYED) fp_engine_settle(engine, slot);
    if (s->state != FP_SLOT_IDLE) return;
    s->hastened = true; /* calls may fail by the thousand: the target is asked once more than usual, not a thousand times */
    fp_engine_begin_besides(engine, slot);
}
