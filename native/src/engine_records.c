/* Records on their way up, and the wake-up of their reader: once per coalescing period, at once when the ring is half full. */
#include "engine_internal.h"

/* Nobody acts on a check that passed as those before it did, and a wake-up costs the host's loop more than all the records
 * it brings: such records wait this many periods, for others or for company; but never for as long as the probe's interval,
 * or it would seem stale. */
#define ROUTINE_PERIODS 20u
#define ROUTINE_PASSES  2u /* in a row: where fewer went before, one more may be the last that a rise asks for */

static fp_ns patience_ns(fp_engine *engine, const fp_record *record) {
    fp_slot *s = &engine->slots[record->slot];
    const bool passed = record->result == FP_OK, routine = passed && s->passes >= ROUTINE_PASSES && !s->asked;
    if (record->result < FP_RESULTS) {
        s->asked = false;
        if (!passed)
            s->passes = 0;
        else if (s->passes < ROUTINE_PASSES)
            s->passes++;
    }
    const fp_ns least_ns = engine->config.notify_ns, most_ns = least_ns * ROUTINE_PERIODS;
    if (!routine) return least_ns;
    const fp_ns interval_ns = fp_wheel_interval(engine->wheel, fp_schedule_timer(record->slot));
    if (!interval_ns || interval_ns > most_ns) return most_ns;
    return interval_ns < least_ns ? least_ns : interval_ns;
}

bool fp_engine_report(fp_engine *engine, const fp_record *record) {
    if (fp_ring_push(engine->records, record, 1, true) == 0) {
        fp_count(&engine->counters.records_dropped, 1);
        return false;
    }
    fp_ns by_ns = engine->now_ns + patience_ns(engine, record);
    if (by_ns < engine->tell_by_ns) engine->tell_by_ns = by_ns;
    return true;
}

void fp_engine_skip(fp_engine *engine, uint32_t slot, fp_ns at_ns, uint8_t reason, uint32_t count) {
    fp_engine_report(engine, &(fp_record){
                                 .slot = slot,
                                 .generation = engine->slots[slot].generation,
                                 .started_ns = at_ns,
                                 .detail = (uint16_t)(count < UINT16_MAX ? count : UINT16_MAX),
                                 .result = FP_EVENT_SKIPPED,
                                 .reason = reason,
                             });
}

/* `told` means: the bell has been rung, or is about to be, and the reader has not looked since. Engine and reader change
 * it by exchange only, so they agree on an order. If the reader's clearing comes after the engine's setting, the reader sees
 * every record pushed before that (release and acquire of the two exchanges). If it comes before, the engine finds it clear and
 * writes.
 *
 * The reader quiets the bell before it clears `told`, never after: a write in between would be swallowed while `told` stays
 * set, and nobody would ever be told again. In the order chosen, the worst is a write that lands just after the records it
 * announces were taken, and wakes the reader once for nothing. */
static void tell(fp_engine *engine) {
    if (!atomic_exchange(&engine->told, true)) fp_bell_ring(&engine->notify);
}

bool fp_engine_tell_reader(fp_engine *engine) {
    if (engine->tell_by_ns == FP_NEVER) return false;
    if (engine->now_ns < engine->tell_by_ns && fp_ring_size(engine->records) < engine->config.record_ring / 2) return true;
    engine->tell_by_ns = FP_NEVER;
    tell(engine);
    return false;
}

uint32_t fp_engine_drain(fp_engine *engine, fp_record *out, uint32_t n) {
    fp_bell_quiet(&engine->notify);
    atomic_exchange(&engine->told, false);
    uint32_t taken = fp_ring_pop(engine->records, out, n);
    if (taken == n && fp_ring_size(engine->records) > 0) tell(engine);
    return taken;
}
